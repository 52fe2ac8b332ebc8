//! The engine and what it wants done: readings of the system clock, snapshots for the workers, words for the log.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::SnapshotReader;
use sidereal_engine::{Action, Engine, EngineConfig, Event, SNAPSHOT_WORDS, Severity, Snapshot};
use sidereal_phc::SystemClock;
use sidereal_publish::{SeqlockWriter, seqlock};
use sidereal_time::{LeapTable, LocalClock, Rate, Span, Ticks};
use std::time::Duration;
use tracing::{info, warn};

use crate::config;

/// Keeps the engine going. It waits for nothing: whoever has it decides in which thread it runs.
#[derive(Debug)]
pub(super) struct ClockKeeper {
    counter: LocalCounter,
    rate: Rate,
    engine: Engine,
    clock: SystemClock,
    writer: SeqlockWriter<Snapshot, SNAPSHOT_WORDS>,
    /// Whether the kernel was found to keep its discipline to itself, which is said once.
    discipline_hidden: bool,
}

/// The longest time between two turns: the host may have slept, and its counter with it.
const TURN_MAX: Duration = Duration::from_secs(1);

impl ClockKeeper {
    /// An engine that follows the system clock by `counter`, and the reader of what it publishes.
    pub(super) fn new(counter: LocalCounter, config: &config::Clock, leap_table: LeapTable) -> (Self, SnapshotReader) {
        let rate = Rate::from_hertz(counter.nominal_hertz());
        let local = LocalClock { counter: counter.counter(), width: 64, rate, precision: precision(counter, rate) };
        let engine = Engine::new(local, engine_config(config), leap_table, counter.now());
        let (writer, reader) = seqlock(engine.snapshot());
        let clock = SystemClock::new(counter);
        (Self { counter, rate, engine, clock, writer, discipline_hidden: false }, reader)
    }

    /// Tells the engine what has happened, and does what it wants done.
    pub(super) fn handle(&mut self, event: Event) {
        self.engine.handle(event, self.counter.now());
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Publish(snapshot) => self.writer.publish(&snapshot),
                Action::ReadSystemClock => self.read_system_clock(),
                Action::Report(report) => match report.severity() {
                    Severity::Notice => info!("{report}"),
                    Severity::Warning => warn!("{report}"),
                },
            }
        }
    }

    /// How long nothing needs to be done, unless something happens.
    pub(super) fn idle(&self) -> Duration {
        let Some(timeout) = self.engine.poll_timeout() else { return TURN_MAX };
        let ticks = timeout.0.wrapping_sub(self.counter.now().0).cast_signed();
        let nanos = self.rate.span(ticks.max(0)).as_nanos_rounded();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(TURN_MAX)
    }

    fn read_system_clock(&mut self) {
        match self.clock.discipline() {
            Ok(discipline) => self.engine.handle(Event::Discipline(discipline), self.counter.now()),
            Err(error) if !self.discipline_hidden => {
                warn!(%error, "leap seconds and the quality of the system clock are not known");
                self.discipline_hidden = true;
            }
            Err(_) => {}
        }
        let reading = self.clock.read();
        self.engine.handle(Event::Reading(reading), self.counter.now());
    }
}

/// What the engine says of its reference.
pub(super) fn engine_config(config: &config::Clock) -> EngineConfig {
    EngineConfig {
        stratum: u8::try_from(config.stratum.get())
            .ok()
            .and_then(sidereal_ntp::Stratum::new)
            .unwrap_or(sidereal_ntp::Stratum::UNSYNCHRONISED),
        reference_id: config.reference_id.0,
        root_delay: span(config.root_delay.0),
        root_dispersion: span(config.root_dispersion.0),
    }
}

fn span(length: Duration) -> Span {
    Span::from_nanos(i128::from(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
}

/// How long reading the counter takes, as the next power of two of a second: the shortest step between two readings that
/// follow one another (RFC 5905 §7.3).
fn precision(counter: LocalCounter, rate: Rate) -> i8 {
    const TRIES: usize = 1000;
    let step = |_| {
        let Ticks(before) = counter.now();
        counter.now().0.wrapping_sub(before)
    };
    let shortest = (0..TRIES).map(step).filter(|ticks| *ticks > 0).min().unwrap_or(1);
    let seconds = rate.span(i64::try_from(shortest).unwrap_or(i64::MAX)).as_secs_f64();
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the clamp leaves what a counter can have")]
    let log2 = seconds.log2().ceil().clamp(-30.0, 0.0) as i8;
    log2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;
    use std::time::Instant;

    #[test]
    fn the_clock_comes_to_agree_with_the_system() {
        let config = Config::parse(config::DEFAULT, Path::new("default.toml")).unwrap();
        for counter in [LocalCounter::best(), LocalCounter::MonotonicRaw] {
            let (mut keeper, mut reader) = ClockKeeper::new(counter, &config.clock, LeapTable::built_in());
            let deadline = Instant::now() + Duration::from_secs(20);
            while reader.get().system.stratum != sidereal_ntp::Stratum::PRIMARY {
                assert!(Instant::now() < deadline, "never synchronised: {:?}", reader.get());
                std::thread::sleep(keeper.idle());
                keeper.handle(Event::Timer);
                reader.refresh();
            }
            let snapshot = reader.get();
            let ours = LeapTable::built_in().tai_to_utc(snapshot.local.instant(counter.now()));
            let off = (ours - crate::leap::now()).abs();
            assert!(off < Span::from_nanos(100_000_000), "{off} s off: far beyond any delay of this test's own");
            assert!((-30..0).contains(&snapshot.system.precision));
        }
    }
}
