//! Everything in one thread: `poll(2)` on all sockets, and in between the engine.
//!
//! Nothing else of the system is used for time and packets, so that simulators which stand in for libc can run it. They
//! know no Unix sockets: without a control socket it runs all the same.

use sidereal_cpu::LocalCounter;
use sidereal_nic_kernel::{Mode, UdpRx, UdpTx};
use sidereal_ops::ControlSocket;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::{debug, info};

use super::board::Board;
use super::clock::ClockKeeper;
use super::link::LinkWatch;
use super::ports::{self, Queues};
use super::reload::reload;
use super::serve_control;
use super::signals::Signals;
use super::start::Start;
use super::state::StateFile;
use super::waiting::{Ready, wait};
use super::worker::{Common, Links, ticks_per_second};
use crate::command::Failure;
use crate::config::{Config, PortKind};
use crate::engine_config::kernel_macs;
use crate::stamping::Stamping;

type Worker = sidereal_dataplane::Worker<UdpRx, UdpTx>;

/// How often the counters are read.
const TICK: Duration = Duration::from_secs(1);

/// The longest that the last requests may take once the program is told to stop.
const DRAIN: Duration = Duration::from_millis(100);

pub(super) fn run(
    mut config: Config,
    path: &Path,
    control: Option<&ControlSocket>,
    signals: &Signals,
    state: StateFile,
) -> Result<(), Failure> {
    // The only counter that a simulator which stands in for libc can give us.
    let counter = LocalCounter::MonotonicRaw;
    let hertz = ticks_per_second(counter);
    let macs = kernel_macs(&config);
    let stamping = super::stamping(&config, path, counter)?;
    let Start { mut keeper, snapshot, policy, mut board } =
        Start::new(counter, &config, (&macs, &stamping), hertz, state)?;
    let (mut policy, _) = sidereal_publish::table(policy);
    let common = Common { config: &config, counter, snapshot, policy: &policy };
    let mut workers = workers(&common, &stamping, &mut keeper, &mut board)?;
    settle(&config)?;
    info!(ports = config.ports.len(), "serving in one thread");

    let mut next_tick = Instant::now();
    loop {
        let at_most = keeper.idle().min(next_tick.saturating_duration_since(Instant::now()));
        let of_control = control.map(AsFd::as_fd);
        let of_workers = workers.iter().flat_map(|worker| worker.rx().sockets());
        let ready = wait(of_control.into_iter().chain(of_workers).chain(keeper.descriptors()), at_most);
        let mut ready = ready.iter().copied();
        let is_asked = of_control.is_some() && ready.next().is_some_and(Ready::any);
        let is_tick = Instant::now() >= next_tick;
        for worker in &mut workers {
            let sockets = worker.rx().sockets().count();
            // Only those that are ready are read: simulators hand a packet to whoever reads first.
            let is_ready = ready.by_ref().take(sockets).filter(|ready| ready.any()).count() > 0;
            if is_ready || is_tick {
                worker.turn();
            }
        }
        keeper.turn(&ready.collect::<Vec<Ready>>());
        if is_tick {
            next_tick = Instant::now() + TICK;
            board.tick();
            policy.collect();
        }
        if let Some(control) = control.filter(|_| is_asked) {
            serve_control(control, &mut board);
        }
        if signals.stop() {
            break;
        }
        if signals.reload()
            && let Some(reloaded) = reload(&mut config, (&macs, &stamping), path, hertz)
        {
            policy.replace(reloaded.policy);
            reloaded.events.into_iter().for_each(|event| keeper.handle(event));
            board.set_leap(reloaded.leap);
        }
    }
    drain(&mut workers);
    keeper.stop();
    Ok(())
}

fn workers(
    common: &Common<'_>,
    stamping: &Stamping,
    keeper: &mut ClockKeeper,
    board: &mut Board,
) -> Result<Vec<Worker>, Failure> {
    let mut workers = Vec::new();
    for port in &common.config.ports {
        let PortKind::Kernel(kernel) = &port.kind else {
            return Err(Failure::Usage(format!("port \"{}\": mode = \"single\" has kernel ports only", port.name)));
        };
        let opened = ports::open_kernel((common.config, stamping), port, kernel, Mode::Single)?;
        let transmit = ports::transmit(&opened);
        let statements = opened.statements();
        board.add_port(port, statements, opened.mac, LinkWatch::new(opened.link, opened.speed.clone()));
        common.serve_over_ptp((port, kernel, &opened.speed), keeper, board)?;
        #[cfg_attr(not(feature = "dpdk"), expect(irrefutable_let_patterns, reason = "there is one backend only"))]
        if let Queues::Kernel(queues) = opened.queues {
            for (queue, pair) in queues.into_iter().enumerate() {
                let service = ports::service(common.config, port, None, &opened.speed);
                workers.push(common.worker(
                    pair,
                    (service, transmit.clone()),
                    Links::default(),
                    (queue, None),
                    board,
                )?);
            }
        }
    }
    Ok(workers)
}

/// What the configuration wants of the one thread.
fn settle(config: &Config) -> Result<(), Failure> {
    super::lock_memory(config)?;
    if let Some(priority) = config.workers.real_time.0 {
        let priority = u8::try_from(priority.get()).unwrap_or(u8::MAX);
        sidereal_cpu::real_time(priority).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(())
}

/// Answers what has arrived before the program was told to stop.
fn drain(workers: &mut [Worker]) {
    let deadline = Instant::now() + DRAIN;
    for worker in workers {
        while worker.turn() > 0 && Instant::now() < deadline {}
    }
    debug!("drained");
}
