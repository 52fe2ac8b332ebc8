//! The engine and what it wants done: clocks read and steered, packets sent, names resolved, snapshots for the workers,
//! words for the log.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{EngineNicClock, EnginePtp, OverPtpServer, SnapshotReader};
use sidereal_engine::{Action, ClockStatus, Engine, EngineConfig, Event, SNAPSHOT_WORDS, Severity, Snapshot};
use sidereal_ptp::{Responders, Transport};
use sidereal_publish::{SeqlockWriter, TableWriter, seqlock};
use sidereal_time::{ClockId, LeapTable, Rate};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use tracing::{info, warn};

use super::corrections::Corrections;
use super::happened::Happened;
use super::host_clocks::HostClocks;
use super::ptp::PtpPorts;
use super::ptp_management::ManagementSocket;
use super::reference_clocks::ReferenceClocks;
use super::resolve::Resolver;
use super::sockets::Sockets;
use super::state::StateFile;
use super::view::{SeenClock, Shown, View, ViewReader};
use super::waiting::Ready;
use crate::command::Failure;
use crate::config::{Config, SocketPath};
use crate::counter::{Locator, local_clock};
use crate::stamping::Stamping;

/// Keeps the engine going. It waits for nothing: whoever has it decides in which thread it runs, and waits for its
/// descriptors.
pub(super) struct ClockKeeper {
    counter: LocalCounter,
    rate: Rate,
    engine: Engine,
    writer: SeqlockWriter<Snapshot, SNAPSHOT_WORDS>,
    clocks: HostClocks,
    corrections: Corrections,
    sockets: Sockets,
    ptp: PtpPorts,
    responders: TableWriter<Responders>,
    management: Option<ManagementSocket>,
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
        (config, stamping): (&Config, &Stamping),
        engine_config: EngineConfig,
        leap_table: LeapTable,
        state: StateFile,
    ) -> Result<(Self, SnapshotReader, ViewReader), Failure> {
        let local = local_clock(counter);
        let clocks = HostClocks::new(counter, stamping);
        let engine = Engine::new(local, engine_config, leap_table, counter.now());
        let (writer, snapshots) = seqlock(engine.snapshot());
        let view = View::default();
        let reader = view.reader();
        let mut keeper = Self {
            counter,
            rate: local.rate,
            engine,
            writer,
            clocks,
            corrections: Corrections::new(local.rate),
            sockets: Sockets::new(counter, config, stamping),
            ptp: PtpPorts::open(counter, config, stamping)?,
            responders: sidereal_publish::table(Responders::default()).0,
            management: config.ops.ptp_management.as_ref().map(management_socket).transpose()?,
            references: ReferenceClocks::new(counter, config),
            resolver: Resolver::system(),
            state,
            view,
        };
        keeper.identify();
        Ok((keeper, snapshots, reader))
    }

    /// Who answers Delay_Req, for workers to read.
    pub(super) fn responders(&self) -> &TableWriter<Responders> {
        &self.responders
    }

    /// Adds a port whose PTP messages come by its workers.
    pub(super) fn attach_ptp(&mut self, link: EnginePtp) {
        self.ptp.attach(link);
    }

    /// Has a clock read by the worker at the other end of `clock`.
    pub(super) fn attach_clock(&mut self, id: ClockId, clock: EngineNicClock) {
        self.clocks.attach(id, clock);
    }

    /// Has NTP that PTP carries answered on an interface of the kernel.
    pub(super) fn serve_ntp_over_ptp(
        &mut self,
        interface: &str,
        transport: Transport,
        server: OverPtpServer,
    ) -> Result<(), Failure> {
        self.ptp.serve_ntp(interface, transport, server)
    }

    /// What to wait for, in the order that [`Self::turn`] wants.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let of_management = self.management.iter().map(AsFd::as_fd);
        let of_sockets = self.ptp.descriptors().chain(self.sockets.descriptors());
        of_sockets.chain(of_management).chain(self.references.descriptors())
    }

    /// How long nothing needs to be done unless a descriptor is ready.
    pub(super) fn idle(&self) -> Duration {
        let now = Instant::now();
        let of_others = [
            self.ptp.idle(now),
            self.sockets.idle(now),
            self.references.idle(now),
            self.resolver.idle(),
            self.clocks.idle(),
            TURN_MAX,
        ];
        of_others.into_iter().fold(self.until_timeout(), Duration::min)
    }

    /// Does what is to be done, with the descriptors that are `ready`.
    pub(super) fn turn(&mut self, ready: &[Ready]) {
        let now = Instant::now();
        let (of_ptp, ready) = split(ready, self.ptp.count());
        let (of_sockets, ready) = split(ready, self.sockets.count());
        let (of_management, of_references) = split(ready, usize::from(self.management.is_some()));
        // First, because others wait for these answers.
        let model = self.engine.snapshot().local;
        for happened in self.ptp.turn(of_ptp, &mut locator(self.counter, &self.engine, &mut self.clocks), &model, now) {
            self.handle(happened.event());
        }
        if of_management.iter().any(|ready| ready.any()) {
            self.manage();
        }
        let mut locator = locator(self.counter, &self.engine, &mut self.clocks);
        for happened in self.sockets.turn(of_sockets, &mut locator, now) {
            self.handle(happened.event());
        }
        for stray in self.sockets.take_strays() {
            let heard = self.ptp.hear_stray(&stray, &self.engine.snapshot().local);
            for happened in heard.unwrap_or_else(|| vec![stray.datagram()]) {
                self.handle(happened.event());
            }
        }
        for event in self.references.turn(of_references, self.clocks.system(), now) {
            self.handle(event);
        }
        for resolved in self.resolver.poll(now) {
            self.handle(resolved.event());
        }
        for event in self.clocks.take_answers() {
            self.handle(event);
        }
        for event in self.clocks.look_for_rivals(now) {
            self.handle(event);
        }
        self.handle(Event::Timer);
        if self.view.is_due(now) {
            self.responders.collect();
            self.show(now);
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

    /// Shows how everything is.
    fn show(&mut self, now: Instant) {
        self.count_answers();
        let at = self.counter.now();
        let mut ptp = self.engine.ptp();
        for instance in &mut ptp {
            for (name, count) in self.ptp.counts(instance.port) {
                match instance.counts.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += count,
                    None => instance.counts.push((name, count)),
                }
            }
        }
        let status = self.engine.status(at);
        let seen = |clock: &ClockStatus| SeenClock {
            id: clock.id,
            method: self.clocks.method(clock.id),
            corrections: self.corrections.of(clock.id),
        };
        let shown = Shown {
            clocks: status.clocks.iter().map(seen).collect(),
            status: Some(status),
            sources: self.engine.sources(at),
            ptp,
        };
        self.view.show(shown, now);
    }

    /// Lets the engine count what was answered without it.
    fn count_answers(&mut self) {
        let answered = self.ptp.take_answered();
        self.tell_all(&answered);
    }

    /// Hands the engine what management clients have sent.
    fn manage(&mut self) {
        self.count_answers();
        let messages = self.management.as_mut().map(ManagementSocket::receive).unwrap_or_default();
        for (client, message) in messages {
            self.handle(Event::PtpManagement { client, message: &message });
        }
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
            Action::Steer { clock, adjustment, cause } => match self.clocks.steer(clock, &adjustment) {
                Ok(()) => cause.into_iter().for_each(|cause| self.corrections.note(clock, cause, self.counter.now())),
                Err(event) => self.tell(event),
            },
            Action::WouldSteer { clock, cause } => self.corrections.note(clock, cause, self.counter.now()),
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
            Action::SendPtp(outgoing) => {
                if let Some(happened) = self.ptp.send(&outgoing) {
                    self.tell(happened.event());
                }
            }
            Action::PublishResponders(responders) => {
                self.responders.replace(responders.clone());
                self.ptp.set_responders(responders);
            }
            Action::AnswerManagement { client, payload } => {
                if let Some(management) = &self.management {
                    management.answer(client, &payload);
                }
            }
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

fn locator<'a>(counter: LocalCounter, engine: &'a Engine, clocks: &'a mut HostClocks) -> Locator<'a> {
    Locator { counter, engine, system: clocks.system() }
}

/// The first `count` of what is ready, and the rest.
fn split(ready: &[Ready], count: usize) -> (&[Ready], &[Ready]) {
    ready.split_at_checked(count).unwrap_or((ready, &[]))
}

fn management_socket(path: &SocketPath) -> Result<ManagementSocket, Failure> {
    ManagementSocket::bind(path.as_path()).map_err(|error| {
        Failure::Failed(format!("{error}\n  help: set `ops.ptp_management` to another path, or leave it out"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::engine_config::{Macs, engine_config};
    use crate::run::waiting::wait;
    use sidereal_ntp::{KeyTable, Stratum};
    use sidereal_time::Span;
    use std::path::Path;

    #[test]
    fn the_clock_comes_to_agree_with_the_system() {
        let config = Config::parse(config::DEFAULT, Path::new("default.toml")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for counter in [LocalCounter::best(), LocalCounter::MonotonicRaw] {
            let engine_config =
                engine_config(&config, &KeyTable::default(), &Macs::new(), &Stamping::default(), None).unwrap();
            let state = StateFile::new(directory.path());
            let (mut keeper, mut reader, view) =
                ClockKeeper::new(counter, (&config, &Stamping::default()), engine_config, LeapTable::built_in(), state)
                    .unwrap();
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
