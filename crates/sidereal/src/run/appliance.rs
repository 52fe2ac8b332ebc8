//! One thread per worker, one for the engine, one for the exception path; the main thread serves the operator.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{Idle, Placement, TxOptions, nic_clock_ring, ptp_link};
use sidereal_engine::Event;
use sidereal_nic::{RxQueue, TxQueue};
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_ops::{ControlSocket, LinkState};
use sidereal_time::ClockId;
use std::convert::Infallible;
use std::iter::once;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

use super::board::Board;
use super::clock::ClockKeeper;
use super::exception::{self, ExceptionPath};
use super::link::LinkWatch;
use super::mailbox::{Mail, Mailbox, Postbox, mailbox};
use super::ports::{self, Memberships, OpenPort, PortClock, Queues};
use super::reload::reload;
use super::serve_control;
use super::signals::Signals;
use super::start::Start;
use super::state::StateFile;
use super::waiting::{Ready, wait};
use super::worker::{Common, Links, ticks_per_second};
use crate::command::Failure;
use crate::config::{self, Config, Port, PortKind};

/// How often the counters are read.
const TICK: Duration = Duration::from_secs(1);

/// How long an idle worker sleeps on sockets, which wake it: no longer than a stop may take.
const SLEEP_ON_SOCKETS: Duration = Duration::from_millis(20);

/// How long an idle worker sleeps on a DPDK port, which cannot wake it: what a request may have to wait.
#[cfg(feature = "dpdk")]
const SLEEP_ON_DPDK: Duration = Duration::from_micros(50);

pub(super) fn run(
    mut config: Config,
    path: &Path,
    control: &ControlSocket,
    signals: &mut Signals,
    state: StateFile,
) -> Result<(), Failure> {
    super::lock_memory(&config)?;
    signals.wake_by_descriptor().map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))?;
    let counter = LocalCounter::best();
    if let Err(unfit) = LocalCounter::tsc() {
        warn!("{unfit}: CLOCK_MONOTONIC_RAW is read instead, which takes longer");
    }
    let hertz = ticks_per_second(counter);
    // Before the engine is made: PTP clocks have their identities from the MAC addresses of ports.
    let mut stamping = super::stamping(&config, path, counter)?;
    let opened = ports::open_all(&config, &mut stamping, counter)?;
    let macs = ports::macs(&config, &opened);
    let clocks: Vec<Option<ClockId>> = opened.iter().map(|open| Some(open.clock.as_ref()?.id)).collect();
    let Start { mut keeper, snapshot, policy, mut board } =
        Start::new(counter, &config, (&macs, &stamping), hertz, state)?;
    let (mut policy, _) = sidereal_publish::table(policy);

    let mut workers = Workers::default();
    let common = Common { config: &config, counter, snapshot, policy: &policy };
    if let Err(failure) = workers.start_ports(&common, opened, &mut keeper, &mut board) {
        // Ports that are open already are closed in order.
        workers.stop();
        return Err(failure);
    }
    let threads = Threads::start(workers, keeper)?;
    info!(ports = config.ports.len(), workers = threads.workers.threads.len(), "serving");

    let mut next_tick = Instant::now();
    while threads.all_run() {
        let mut descriptors: Vec<PollFd<'_>> =
            signals.descriptor().into_iter().chain([control.as_fd()]).map(PollFd::readable).collect();
        if let Err(error) = poll(&mut descriptors, Some(next_tick.saturating_duration_since(Instant::now()))) {
            warn!(%error, "cannot wait for requests");
            thread::sleep(TICK);
        }
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            for (port, state) in board.tick() {
                let clock = clocks.get(port).copied().flatten();
                link_events(&config, (port, clock), state).into_iter().for_each(|event| threads.tell_engine(event));
            }
            policy.collect();
        }
        serve_control(control, &mut board);
        if signals.stop() {
            threads.stop();
            return Ok(());
        }
        if signals.reload()
            && let Some(reloaded) = reload(&mut config, (&macs, &stamping), path, hertz)
        {
            policy.replace(reloaded.policy);
            reloaded.events.into_iter().for_each(|event| threads.tell_engine(event));
            board.set_leap(reloaded.leap);
        }
    }
    threads.stop();
    Err(Failure::Failed("a thread has ended by itself".into()))
}

/// All threads but the main one.
struct Threads {
    workers: Workers,
    engine: JoinHandle<()>,
    to_engine: Postbox,
}

impl Threads {
    /// Starts the engine's thread. The workers have the NTP port by now: sockets of associations are bound beside theirs.
    fn start(workers: Workers, keeper: ClockKeeper) -> Result<Self, Failure> {
        let started = mailbox()
            .map_err(|error| Failure::Failed(format!("cannot reach the engine: {error}")))
            .and_then(|(to_engine, mail)| Ok((spawn("sd-engine", move || keep_clock(keeper, mail))?, to_engine)));
        match started {
            Ok((engine, to_engine)) => Ok(Self { workers, engine, to_engine }),
            Err(failure) => {
                workers.stop();
                Err(failure)
            }
        }
    }

    fn tell_engine(&self, event: Event<'static>) {
        if !self.to_engine.send(event) {
            error!("the engine does not listen any more");
        }
    }

    fn all_run(&self) -> bool {
        !self.engine.is_finished() && self.workers.all_run()
    }

    /// Lets the workers answer what has arrived and the engine save what it knows, and waits for all threads.
    fn stop(self) {
        drop(self.to_engine);
        self.workers.stop();
        join(self.engine);
    }
}

/// The threads that move packets.
#[derive(Default)]
struct Workers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    exception: Option<JoinHandle<()>>,
    memberships: Vec<Memberships>,
}

impl Workers {
    /// Starts a thread for each queue of the ports that are open. Comes back once all of them serve.
    fn start_ports(
        &mut self,
        common: &Common<'_>,
        opened: Vec<OpenPort>,
        keeper: &mut ClockKeeper,
        board: &mut Board,
    ) -> Result<(), Failure> {
        let (report, reports) = mpsc::channel();
        let mut paths = Vec::new();
        for (port, opened) in common.config.ports.iter().zip(opened) {
            let transmit = ports::transmit(&opened);
            let statements = opened.statements();
            board.add_port(port, statements, opened.mac, LinkWatch::new(opened.link, opened.speed.clone()));
            let mut links: Vec<Links> = Vec::new();
            if let (PortKind::Dpdk(dpdk), Some(mac)) = (&port.kind, opened.mac) {
                let (path, path_links) = ExceptionPath::open(port, dpdk, mac)?;
                board.add_exception_path(path.counts());
                paths.push(path);
                let by_nic = opened.capabilities.rx_stamps.get().by_nic().is_some();
                let ptp = ports::ptp_services(common.config, port, mac)?;
                self.memberships.push(Memberships::join(port, dpdk, &ptp));
                let of_engine = if ptp.is_empty() {
                    Vec::new()
                } else {
                    let (of_workers, of_engine) = ptp_link(&ptp, keeper.responders(), port.queues, by_nic);
                    keeper.attach_ptp(of_engine);
                    of_workers
                };
                let mut of_engine = of_engine.into_iter();
                links.extend(path_links.into_iter().map(|link| Links {
                    exception: Some(link),
                    ptp: of_engine.next(),
                    nic_clock: None,
                }));
            }
            if let Some(PortClock { id, clock }) = opened.clock {
                let (of_worker, of_engine) = nic_clock_ring(clock);
                keeper.attach_clock(id, of_engine);
                if let Some(links) = links.first_mut() {
                    links.nic_clock = Some(of_worker);
                }
            }
            if let PortKind::Kernel(kernel) = &port.kind {
                common.serve_over_ptp((port, kernel, &opened.speed), keeper, board)?;
            }
            let mac = opened.mac;
            let mut starter = Starter { common, port, mac, transmit, board, links: links.into_iter(), report: &report };
            match opened.queues {
                Queues::Kernel(queues) => starter.start(
                    queues,
                    SLEEP_ON_SOCKETS,
                    &self.stop,
                    &mut self.threads,
                    || Ok::<_, Infallible>(()),
                )?,
                #[cfg(feature = "dpdk")]
                Queues::Dpdk(eal, queues) => {
                    let enter = move || sidereal_nic_dpdk::WorkerThread::register(eal);
                    starter.start(queues, SLEEP_ON_DPDK, &self.stop, &mut self.threads, enter)?;
                }
            }
        }
        drop(report);
        if !paths.is_empty() {
            let stop = Arc::clone(&self.stop);
            self.exception = Some(spawn("sd-exception", move || exception::serve(paths, &stop))?);
        }
        // The channel ends when every worker has said that it serves, or why it does not.
        reports.into_iter().collect::<Result<(), String>>().map_err(Failure::Failed)
    }

    fn all_run(&self) -> bool {
        !self.threads.iter().chain(&self.exception).any(JoinHandle::is_finished)
    }

    /// Lets the workers answer what has arrived, and waits for them.
    fn stop(self) {
        self.stop.store(true, Relaxed);
        self.threads.into_iter().chain(self.exception).for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        error!(thread = name, "a thread has panicked");
    }
}

/// Starts the workers of one port.
struct Starter<'a, 'b> {
    common: &'a Common<'b>,
    port: &'a Port,
    /// The port's MAC address, where it is one of DPDK.
    mac: Option<[u8; 6]>,
    transmit: TxOptions,
    board: &'a mut Board,
    links: std::vec::IntoIter<Links>,
    report: &'a Sender<Result<(), String>>,
}

impl Starter<'_, '_> {
    /// Starts a thread for each of `queues`. `enter` is what the backend wants done on it first; what it gives lasts as
    /// long as the thread.
    fn start<R, T, G, E>(
        &mut self,
        queues: Vec<(R, T)>,
        sleep: Duration,
        stop: &Arc<AtomicBool>,
        threads: &mut Vec<JoinHandle<()>>,
        enter: impl Fn() -> Result<G, E> + Clone + Send + 'static,
    ) -> Result<(), Failure>
    where
        R: RxQueue + Send + 'static,
        R::Packet: Send,
        T: TxQueue<R::Packet> + Send + 'static,
        E: std::fmt::Display,
    {
        for (queue, pair) in queues.into_iter().enumerate() {
            let core = self.port.cores.get(queue).copied();
            let service = ports::service(self.common.config, self.port, self.mac, &self.transmit.link);
            let terms = (service, self.transmit.clone());
            let mut worker =
                self.common.worker(pair, terms, self.links.next().unwrap_or_default(), (queue, core), self.board)?;
            let placement = placement(&self.common.config.workers, core, sleep);
            let (stop, report, enter) = (Arc::clone(stop), self.report.clone(), enter.clone());
            let name = format!("{}/{queue}", self.port.name);
            let place = format!("worker {queue} of port \"{}\"", self.port.name);
            threads.push(spawn(&name, move || {
                // What can fail has failed before the first packet.
                match placement
                    .apply()
                    .map_err(|error| error.to_string())
                    .and_then(|()| enter().map_err(|error| error.to_string()))
                {
                    Ok(_guard) => {
                        let _ = report.send(Ok(()));
                        drop(report);
                        sidereal_dataplane::run(&mut worker, placement.idle, &stop);
                    }
                    Err(error) => drop(report.send(Err(format!("{place}: {error}")))),
                }
            })?);
        }
        Ok(())
    }
}

fn placement(workers: &config::Workers, core: Option<usize>, sleep: Duration) -> Placement {
    Placement {
        core,
        real_time: workers.real_time.0.and_then(|priority| u8::try_from(priority.get()).ok()),
        idle: match workers.idle {
            config::Idle::Spin => Idle::Spin,
            config::Idle::Yield => Idle::Yield,
            config::Idle::Sleep => Idle::Sleep(sleep),
        },
    }
}

/// What the engine is told of the link of a port of DPDK, which has this clock if any: that its PTP Ports can be used or not, and that
/// its clock may have begun anew. Interfaces of the kernel are watched where their sockets are.
fn link_events(config: &Config, (port, clock): (usize, Option<ClockId>), state: LinkState) -> Vec<Event<'static>> {
    let dpdk = config.ports.get(port).filter(|port| matches!(port.kind, PortKind::Dpdk(_)));
    let carried = config.ptp.iter().filter(|ptp| dpdk.is_some_and(|port| ptp.port == port.name));
    let usable = state == LinkState::Up;
    let reset = clock.filter(|_| usable).map(|clock| Event::ClockReset { clock });
    let ports = carried.map(|ptp| Event::PtpPort { port: ptp.options.port.key, usable });
    reset.into_iter().chain(ports).collect()
}

/// The engine's thread: it ends when nobody can tell it anything any more.
fn keep_clock(mut keeper: ClockKeeper, mut mail: Mailbox) {
    loop {
        let ready = wait(once(mail.as_fd()).chain(keeper.descriptors()), keeper.idle());
        let (_, of_keeper) = ready.split_first().unwrap_or((&Ready::NONE, &[]));
        keeper.turn(of_keeper);
        loop {
            match mail.next() {
                Mail::Event(event) => keeper.handle(event),
                Mail::Nothing => break,
                Mail::Closed => return keeper.stop(),
            }
        }
    }
}

/// A thread whose name, cut to what the kernel shows, says what it does.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map_err(|error| Failure::Failed(format!("cannot start the thread {name}: {error}")))
}
