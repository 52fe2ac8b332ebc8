//! How well is the local counter's model of the system clock? Lets the engine follow the clock of this host (which it only
//! reads) and compares what it publishes with fresh readings, a thousand a second.
//!
//! `cargo run --release -p sidereal-engine --example follow -- [SECONDS] [tsc | raw]`

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use sidereal_cpu::LocalCounter;
use sidereal_engine::{
    Action, ClockReading, Engine, EngineConfig, Event, Reference, SelectionOptions, SmearOptions, Snapshot,
    SystemReference,
};
use sidereal_ntp::{ReferenceId, Stratum};
use sidereal_phc::SystemClock;
use sidereal_servo::ServoOptions;
use sidereal_time::{LeapTable, LocalClock, Rate, Span};

/// Time to settle, before which nothing is counted.
const SETTLE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.first().map_or(Ok(30), |word| word.parse::<u64>());
    let counter = match arguments.get(1).map(String::as_str) {
        None | Some("tsc") => LocalCounter::best(),
        Some("raw") => LocalCounter::MonotonicRaw,
        Some(_) => return usage(),
    };
    let Ok(seconds) = seconds else { return usage() };
    follow(counter, Duration::from_secs(seconds)).print(counter);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: follow [SECONDS] [tsc | raw]");
    ExitCode::from(2)
}

fn follow(counter: LocalCounter, length: Duration) -> Findings {
    let clock = SystemClock::new(counter);
    let local = LocalClock {
        counter: counter.counter(),
        width: 64,
        rate: Rate::from_hertz(counter.nominal_hertz()),
        precision: -24,
    };
    let reference = SystemReference {
        stratum: Stratum::PRIMARY,
        reference_id: ReferenceId(*b"LOCL"),
        root_delay: Span::ZERO,
        root_dispersion: Span::ZERO,
    };
    let config = EngineConfig {
        reference: Reference::System(reference),
        sources: Vec::new(),
        selection: SelectionOptions::default(),
        servo: ServoOptions::default(),
        clocks: Vec::new(),
        own_addresses: Vec::new(),
        broadcasts: Vec::new(),
        smear: SmearOptions::default(),
        seed: [0; 32],
        saved: None,
    };
    let table = LeapTable::built_in();
    let mut engine = Engine::new(local, config, table.clone(), counter.now());
    let mut snapshot = engine.snapshot();
    let mut findings = Findings::default();
    let start = Instant::now();
    while start.elapsed() < SETTLE + length {
        engine.handle(Event::Timer, counter.now());
        while let Some(action) = engine.poll_action() {
            match action {
                Action::ReadClock(clock_id) => {
                    let reading = ClockReading::Utc(clock.read());
                    engine.handle(Event::ClockRead { clock: clock_id, reading }, counter.now());
                }
                Action::Publish(next) => {
                    if start.elapsed() > SETTLE {
                        findings.changed(&snapshot, &next);
                    }
                    snapshot = next;
                }
                Action::Report(report) => println!("{report}"),
                // Without sources, and with a system clock that is the reference, nothing else is wanted.
                _ => {}
            }
        }
        thread::sleep(PAUSE);
        let reading = clock.read();
        if start.elapsed() > SETTLE {
            let shown = table.utc_to_tai(reading.at());
            findings.errors.push((snapshot.local.instant(reading.ticks()) - shown).abs());
            findings.bounds.push(snapshot.local.error_at(reading.ticks()));
            findings.windows.push(reading.window());
        }
    }
    println!("readings: {:?}", engine.status(counter.now()).readings);
    findings
}

#[derive(Default)]
struct Findings {
    /// Of the model against fresh readings, which are uncertain by half their windows themselves.
    errors: Vec<Span>,
    bounds: Vec<Span>,
    windows: Vec<Span>,
    /// By how much time as told went back as a model was replaced; zero where it went forward.
    backwards: Vec<Span>,
}

impl Findings {
    fn changed(&mut self, old: &Snapshot, new: &Snapshot) {
        let at = new.local.reference_ticks;
        self.backwards.push((old.local.instant(at) - new.local.instant(at)).max(Span::ZERO));
    }

    fn print(mut self, counter: LocalCounter) {
        let looks = self.errors.iter().zip(&self.bounds).zip(&self.windows);
        let outside = looks.filter(|((error, bound), window)| **error > **bound + window.half()).count();
        println!("{counter:?}: {} looks, {outside} outside bound and half window", self.errors.len());
        for (name, spans) in [
            ("|model - reading|", &mut self.errors),
            ("bound", &mut self.bounds),
            ("window of a reading", &mut self.windows),
            ("step back at a new model", &mut self.backwards),
        ] {
            spans.sort();
            let quantile = |per_mille: usize| spans.get(spans.len().saturating_sub(1) * per_mille / 1_000).copied();
            let [p50, p99, max] = [500, 990, 1_000].map(|q| quantile(q).unwrap_or_default().as_secs_f64() * 1e9);
            println!("{name:26} p50 {p50:8.1} ns   p99 {p99:8.1} ns   max {max:10.1} ns");
        }
    }
}
