//! The engine and what it wants done: clocks read and steered, packets sent, names resolved, snapshots for the workers,
//! words for the log.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::SnapshotReader;
use sidereal_engine::{Action, Engine, EngineConfig, Event, SNAPSHOT_WORDS, Severity, Snapshot};
use sidereal_publish::{SeqlockWriter, seqlock};
use sidereal_time::{LeapTable, LocalClock, Rate, Ticks};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use tracing::{info, warn};

use super::host_clocks::HostClocks;
use super::reference_clocks::ReferenceClocks;
use super::resolve::Resolver;
use super::sockets::{Happened, Sockets};
use super::state::StateFile;
use super::view::{View, ViewReader};
use super::waiting::Ready;
use crate::config::Config;

/// Keeps the engine going. It waits for nothing: whoever has it decides in which thread it runs, and waits for its
/// descriptors.
pub(super) struct ClockKeeper {
    counter: LocalCounter,
    rate: Rate,
    engine: Engine,
    writer: SeqlockWriter<Snapshot, SNAPSHOT_WORDS>,
    clocks: HostClocks,
    sockets: Sockets,
    references: ReferenceClocks,
    resolver: Resolver,
    state: StateFile,
    view: View,
}

/// The longest time between two turns: the host may have slept, and its counter with it.
const TURN_MAX: Duration = Duration::from_secs(1);

impl ClockKeeper {
    /// An engine that does by `counter` what `engine_config` says, with the sockets and devices of `config`; and the readers
    /// of what it publishes, for workers and for people.
    pub(super) fn new(
        counter: LocalCounter,
        config: &Config,
        engine_config: EngineConfig,
        leap_table: LeapTable,
        state: StateFile,
    ) -> (Self, SnapshotReader, ViewReader) {
        let rate = Rate::from_hertz(counter.nominal_hertz());
        let local = LocalClock { counter: counter.counter(), width: 64, rate, precision: precision(counter, rate) };
        let clocks = HostClocks::new(counter, config);
        let engine = Engine::new(local, engine_config, leap_table, counter.now());
        let (writer, snapshots) = seqlock(engine.snapshot());
        let view = View::default();
        let reader = view.reader();
        let mut keeper = Self {
            counter,
            rate,
            engine,
            writer,
            clocks,
            sockets: Sockets::new(counter, config),
            references: ReferenceClocks::new(counter, config),
            resolver: Resolver::system(),
            state,
            view,
        };
        keeper.identify();
        (keeper, snapshots, reader)
    }

    /// What to wait for, in the order that [`Self::turn`] wants.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.descriptors().chain(self.references.descriptors())
    }

    /// How long nothing needs to be done unless a descriptor is ready.
    pub(super) fn idle(&self) -> Duration {
        let now = Instant::now();
        let of_others = [self.sockets.idle(now), self.references.idle(now), self.resolver.idle(), TURN_MAX];
        of_others.into_iter().fold(self.until_timeout(), Duration::min)
    }

    /// Does what is to be done, with the descriptors that are `ready`.
    pub(super) fn turn(&mut self, ready: &[Ready]) {
        let now = Instant::now();
        let (of_sockets, of_references) = ready.split_at_checked(self.sockets.count()).unwrap_or((ready, &[]));
        for happened in self.sockets.turn(of_sockets, self.clocks.system(), now) {
            self.handle(happened.event());
        }
        for event in self.references.turn(of_references, self.clocks.system(), now) {
            self.handle(event);
        }
        for resolved in self.resolver.poll(now) {
            self.handle(resolved.event());
        }
        for event in self.clocks.look_for_rivals(now) {
            self.handle(event);
        }
        self.handle(Event::Timer);
        if self.view.is_due(now) {
            let at = self.counter.now();
            self.view.show(self.engine.status(at), self.engine.sources(at), now);
        }
    }

    /// Tells the engine what has happened, and does what it wants done.
    pub(super) fn handle(&mut self, event: Event<'_>) {
        let is_new = matches!(event, Event::Configuration(_));
        self.tell(event);
        if is_new {
            self.identify();
        }
        while let Some(action) = self.engine.poll_action() {
            self.carry_out(action);
        }
    }

    /// Lets the engine save what it has learned.
    pub(super) fn stop(&mut self) {
        self.handle(Event::Stop);
    }

    /// Which of the engine's sources the reference clocks are.
    fn identify(&mut self) {
        let sources = self.engine.sources(self.counter.now());
        self.references.identify(&sources);
    }

    fn tell(&mut self, event: Event<'_>) {
        self.engine.handle(event, self.counter.now());
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Publish(snapshot) => self.writer.publish(&snapshot),
            Action::Report(report) => match report.severity() {
                Severity::Notice => info!("{report}"),
                Severity::Warning => warn!("{report}"),
            },
            Action::ReadClock(clock) => {
                for event in self.clocks.read(clock) {
                    self.tell(event);
                }
            }
            Action::Steer { clock, adjustment } => {
                if let Some(event) = self.clocks.steer(clock, &adjustment) {
                    self.tell(event);
                }
            }
            Action::Announce { clock, leap_step, tai_offset_s, synchronised, max_error, uncertainty } => {
                self.clocks.announce(
                    clock,
                    &sidereal_phc::Announcement {
                        leap_step,
                        tai_offset_s: Some(tai_offset_s),
                        synchronised,
                        max_error,
                        uncertainty,
                    },
                );
            }
            Action::Send(outgoing) => {
                let happened = self.sockets.send(&outgoing, Instant::now());
                self.tell_all(&happened);
            }
            Action::Listen { source, from } => self.sockets.listen(source, from, Instant::now()),
            Action::Close { source } => {
                let happened = self.sockets.close(source);
                self.tell_all(&happened);
            }
            Action::Resolve { source, name, port } => self.resolver.ask(source, name, port),
            Action::Save(saved) => self.state.save(&saved),
        }
    }

    fn tell_all(&mut self, happened: &[Happened]) {
        for happened in happened {
            self.tell(happened.event());
        }
    }

    fn until_timeout(&self) -> Duration {
        let Some(timeout) = self.engine.poll_timeout() else { return TURN_MAX };
        let ticks = timeout.0.wrapping_sub(self.counter.now().0).cast_signed();
        let nanos = self.rate.span(ticks.max(0)).as_nanos_rounded();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
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
    use crate::config;
    use crate::engine_config::engine_config;
    use crate::run::waiting::wait;
    use sidereal_ntp::{KeyTable, Stratum};
    use sidereal_time::Span;
    use std::path::Path;

    #[test]
    fn the_clock_comes_to_agree_with_the_system() {
        let config = Config::parse(config::DEFAULT, Path::new("default.toml")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for counter in [LocalCounter::best(), LocalCounter::MonotonicRaw] {
            let engine_config = engine_config(&config, &KeyTable::default(), None).unwrap();
            let state = StateFile::new(directory.path());
            let (mut keeper, mut reader, view) =
                ClockKeeper::new(counter, &config, engine_config, LeapTable::built_in(), state);
            let deadline = Instant::now() + Duration::from_secs(20);
            while reader.get().system.stratum != Stratum::PRIMARY {
                assert!(Instant::now() < deadline, "never synchronised: {:?}", reader.get());
                let ready = wait(keeper.descriptors(), keeper.idle());
                keeper.turn(&ready);
                reader.refresh();
            }
            let snapshot = reader.get();
            let ours = LeapTable::built_in().tai_to_utc(snapshot.local.instant(counter.now()));
            let off = (ours - crate::leap::now()).abs();
            assert!(off < Span::from_nanos(100_000_000), "{off} s off: far beyond any delay of this test's own");
            assert!((-30..0).contains(&snapshot.system.precision));
            assert!(view.get().status.is_some());
        }
    }
}
