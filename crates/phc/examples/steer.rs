//! Steers CLOCK_REALTIME, and a PTP clock with it, and measures what becomes of it. For a simulator, or a host whose time
//! is nobody's concern:
//!
//! ```text
//! steer --yes-steer-this-clock measure /dev/ptp0     each way to steer and to read, once
//! steer --yes-steer-this-clock follow /dev/ptp0 500  CLOCK_REALTIME follows a PTP clock for 500 s
//! steer --yes-steer-this-clock pulses 60             pulses of /dev/pps0 and samples of shared memory, for 60 s
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use sidereal_cpu::LocalCounter;
use sidereal_phc::{
    Access, Announcement, OffsetMethod, Pps, PpsEdge, PtpClock, ReferenceSample, ShmSegment, Steers, SystemClock,
    rivals,
};
use sidereal_servo::{Adjustment, CrossTracker, FrequencyOffset, Standing, Steering, SteeringOptions};
use sidereal_time::{ClockId, CrossStamp, LocalClock, Rate, Reading, Scale, Span, Ticks, Utc};

const CONSENT: &str = "--yes-steer-this-clock";
const COUNTER: LocalCounter = LocalCounter::MonotonicRaw;
const SECOND: Duration = Duration::from_secs(1);
/// How long a frequency is measured.
const BASELINE: Duration = Duration::from_secs(1_000);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [CONSENT, "measure", device] => measure(Path::new(device)),
        [CONSENT, "follow", device, seconds] => {
            seconds.parse().map_err(Into::into).and_then(|s| follow(Path::new(device), s))
        }
        [CONSENT, "pulses", seconds] => seconds.parse().map_err(Into::into).and_then(pulses),
        _ => {
            println!("this steers the clock of the host it runs on: steer {CONSENT} measure|follow|pulses ...");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(device: &Path) -> Result<(), Box<dyn Error>> {
    let mut system = SystemClock::new(COUNTER);
    for rival in rivals(Steers::System) {
        println!("rival: {rival}");
    }
    system.take_over()?;
    // Until somebody waits for the first time, clknetsim blurs what its clocks show.
    thread::sleep(SECOND);
    let ppbs = [0.0, 1.0 / 65.536, -12_345.678, 500_000.0, -500_000.0, 750_123.456, -100_000_000.0];
    system_frequencies(&mut system, &ppbs)?;
    system_steps(&mut system)?;
    system_announcements(&mut system)?;
    system_interference(&mut system)?;
    stamps(&mut system)?;
    ptp(device)
}

fn system_frequencies(system: &mut SystemClock, ppbs: &[f64]) -> Result<(), Box<dyn Error>> {
    system.adjust(&Adjustment::Frequency(FrequencyOffset::ZERO))?;
    let by_itself = rate(|| Ok(system.read()))?;
    println!("CLOCK_REALTIME by itself: {:.6} ppb", (by_itself - 1.0) * 1e9);
    for ppb in ppbs {
        system.adjust(&Adjustment::Frequency(FrequencyOffset::from_ppb(*ppb)))?;
        let told = system.frequency()?.as_ppb();
        let measured = (rate(|| Ok(system.read()))? / by_itself - 1.0) * 1e9;
        println!("frequency: asked {ppb:.6}, told {told:.6} (off {:.6}), measured {measured:.6} ppb", told - ppb);
    }
    system.adjust(&Adjustment::Frequency(FrequencyOffset::ZERO))?;
    Ok(())
}

fn system_steps(system: &mut SystemClock) -> Result<(), Box<dyn Error>> {
    for nanos in [250_000_000, -1_500_000_001, 1, -1] {
        let by = Span::from_nanos(nanos);
        let before = system.read();
        system.adjust(&Adjustment::Step(by))?;
        println!("step: asked {by}, measured {}", moved(&before, &system.read()));
    }
    Ok(())
}

fn system_announcements(system: &mut SystemClock) -> Result<(), Box<dyn Error>> {
    let announced = Announcement {
        leap_step: 0,
        tai_offset_s: Some(37),
        synchronised: true,
        max_error: Span::from_nanos(1_234_500),
        uncertainty: Span::from_nanos(20_000),
    };
    for announced in [
        announced,
        Announcement { leap_step: -1, ..announced },
        Announcement { leap_step: 1, ..announced },
        Announcement { synchronised: false, tai_offset_s: None, ..announced },
    ] {
        system.announce(&announced)?;
        println!("announced {announced:?}\n  kernel: {:?} ", system.discipline()?);
    }
    Ok(())
}

/// Another writer is seen, once for each change.
fn system_interference(system: &mut SystemClock) -> Result<(), Box<dyn Error>> {
    let mut rival = SystemClock::new(COUNTER);
    println!("interference before: {}", told(system.interference()?));
    rival.adjust(&Adjustment::Frequency(FrequencyOffset::from_ppb(5_000.0)))?;
    println!("interference: {}", told(system.interference()?));
    rival.adjust(&Adjustment::Step(Span::from_nanos(3_000_000)))?;
    println!("interference: {}", told(system.interference()?));
    println!("interference after: {}", told(system.interference()?));
    Ok(())
}

/// Stamps are placed on the counter, also while the clock is slewed by 500 ppm.
fn stamps(system: &mut SystemClock) -> Result<(), Box<dyn Error>> {
    for ppb in [500_000.0, -500_000.0] {
        let mut stamped = Vec::new();
        for _ in 0..3 {
            stamped.push(system.read());
            thread::sleep(SECOND / 10);
            system.adjust(&Adjustment::Frequency(FrequencyOffset::from_ppb(ppb)))?;
            thread::sleep(SECOND / 10);
        }
        for stamp in stamped {
            let located = system.locate(stamp.at())?;
            let off = located.ticks.0.cast_signed() - stamp.ticks().0.cast_signed();
            println!("stamp at {ppb} ppb: {off} ns off, window {}", located.window);
        }
    }
    system.adjust(&Adjustment::Frequency(FrequencyOffset::ZERO))?;
    Ok(())
}

fn ptp(device: &Path) -> Result<(), Box<dyn Error>> {
    let reader = PtpClock::open(device, Access::Read, COUNTER)?;
    println!("{}: read by {}, {:?}", device.display(), reader.method(), reader.capabilities());
    for method in OffsetMethod::ALL {
        match reader.read_by::<Utc>(method) {
            Ok(reading) => println!("{method}: {} at {:?}, window {}", reading.at(), reading.ticks(), reading.window()),
            Err(error) => println!("{method}: {error}"),
        }
    }
    let mut clock = PtpClock::open(device, Access::Steer, COUNTER)?;
    println!("the same clock twice: {}", clock.is_same_as(&reader));
    if let Err(error) = clock.adjust(&Adjustment::Frequency(FrequencyOffset::ZERO)) {
        println!("{error}");
        return Ok(());
    }
    let by_itself = rate(|| Ok(clock.read::<Utc>()?))?;
    for ppb in [1.0, -12_345.678, 750_123.456, -20_000_000.0, 1e12] {
        clock.adjust(&Adjustment::Frequency(FrequencyOffset::from_ppb(ppb)))?;
        let told = clock.frequency()?.as_ppb();
        let measured = (rate(|| Ok(clock.read::<Utc>()?))? / by_itself - 1.0) * 1e9;
        println!("frequency: asked {ppb:.6}, told {told:.6}, measured {measured:.6} ppb");
    }
    clock.adjust(&Adjustment::Frequency(FrequencyOffset::ZERO))?;
    for nanos in [250_000_000, -1_500_000_001] {
        let before = clock.read::<Utc>()?;
        clock.adjust(&Adjustment::Step(Span::from_nanos(nanos)))?;
        println!("step: asked {}, measured {}", Span::from_nanos(nanos), moved(&before, &clock.read()?));
    }
    println!("interference: {}", told(clock.interference()?));
    Ok(())
}

fn follow(device: &Path, seconds: u32) -> Result<(), Box<dyn Error>> {
    let leader = PtpClock::open(device, Access::Read, COUNTER)?;
    let mut system = SystemClock::new(COUNTER);
    system.take_over()?;
    let rate = Rate::from_hertz(COUNTER.nominal_hertz());
    let local = LocalClock { counter: COUNTER.counter(), width: 64, rate, precision: -25 };
    let track = |id| CrossTracker::new(ClockId(id), 64, Rate::NANOSECOND, local);
    let (mut leads, mut follows) = (track(1), track(0));
    let mut steering = Steering::new(&SteeringOptions::default());
    for second in 0..seconds {
        leads.offer(beside(&leader.read::<Utc>()?));
        follows.offer(beside(&system.read()));
        let mut wait = SECOND;
        // Once for the second, and once more when the error is gone.
        for _ in 0..2 {
            let now = COUNTER.now();
            let (Some(leads), Some(shows)) = (leads.estimate(now), follows.estimate(now)) else { break };
            let standing = Standing {
                error: shows.shown - leads.shown,
                deviation: shows.deviation.hypot(leads.deviation),
                even: FrequencyOffset::from_ppb((leads.speed / (1.0 + shows.own_frequency) - 1.0) * 1e9),
                frequency_deviation: shows.frequency_deviation.hypot(leads.frequency_deviation),
            };
            let told = steering.decide(&standing);
            println!("{second} s: {} s ahead: {told:?}", standing.error);
            let Some(told) = told else { break };
            follows.adjusted(now, &told.adjustment);
            system.adjust(&told.adjustment)?;
            let Some(lasts) = told.lasts else { break };
            let lasts = Duration::from_secs_f64(lasts.as_secs_f64().max(0.0)).min(wait);
            thread::sleep(lasts);
            wait -= lasts;
        }
        thread::sleep(wait);
    }
    Ok(())
}

/// A reading of a clock as one of a counter of nanoseconds.
fn beside(reading: &Reading<Utc>) -> CrossStamp {
    let nanos = u64::try_from(reading.at().as_nanos_rounded()).unwrap_or_default();
    CrossStamp { nic: Ticks(nanos), local: reading.ticks(), window: reading.window() }
}

fn pulses(seconds: u32) -> Result<(), Box<dyn Error>> {
    let mut system = SystemClock::new(COUNTER);
    let mut segment = ShmSegment::open(0)?;
    let mut pps = Pps::open(Path::new("/dev/pps0"), PpsEdge::Assert)?;
    for _ in 0..seconds {
        thread::sleep(SECOND);
        if let Some(pulse) = pps.fetch()? {
            println!("pulse at {}, {} missed: {:?}", pulse.at, pulse.missed, system.locate(pulse.at));
        }
        if let Some(ReferenceSample::Time { reading, .. }) = segment.take(&mut system) {
            println!("sample: {reading:?}");
        }
    }
    println!("counts of shared memory: {:?}", segment.counts());
    Ok(())
}

/// How fast a clock runs by the counter, over [`BASELINE`].
fn rate<S: Scale>(read: impl Fn() -> Result<Reading<S>, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = read()?;
    thread::sleep(BASELINE);
    let end = read()?;
    Ok((end.at() - start.at()).as_secs_f64() / (end.ticks().0 - start.ticks().0) as f64 * 1e9)
}

/// By how much a clock went more than the counter between two readings.
fn moved<S: Scale>(from: &Reading<S>, to: &Reading<S>) -> Span {
    (to.at() - from.at()) - Span::from_nanos((to.ticks().0 - from.ticks().0).into())
}

fn told(interference: Option<sidereal_phc::Interference>) -> String {
    interference.map_or_else(|| "none".to_owned(), |interference| interference.to_string())
}
