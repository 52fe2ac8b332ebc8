//! Everything in one thread: `poll(2)` on the sockets, the control socket and the signals, and in between the engine.

use sidereal_cpu::LocalCounter;
use sidereal_engine::Event;
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{Mode, UdpRx, UdpTx};
use sidereal_ops::ControlSocket;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

use super::board::Board;
use super::clock::ClockKeeper;
use super::link::LinkWatch;
use super::ports::{self, Queues};
use super::reload::reload;
use super::serve_control;
use super::signals::Signals;
use super::worker::{Common, ticks_per_second};
use crate::command::Failure;
use crate::config::{Config, PortKind};
use crate::leap::Leap;
use crate::policy;

type Worker = sidereal_dataplane::Worker<UdpRx, UdpTx>;

/// How often the counters are read.
const TICK: Duration = Duration::from_secs(1);

/// The longest that the last requests may take once the program is told to stop.
const DRAIN: Duration = Duration::from_millis(100);

pub(super) fn run(mut config: Config, path: &Path, control: &ControlSocket, signals: &Signals) -> Result<(), Failure> {
    // The only counter that a simulator which stands in for libc can give us.
    let counter = LocalCounter::MonotonicRaw;
    let hertz = ticks_per_second(counter);
    let leap = Leap::load(config.clock.leap_seconds.as_path());
    leap.tell_problem();
    let (mut keeper, snapshot) = ClockKeeper::new(counter, &config.clock, leap.table.clone());
    let policy = policy::policy(&config, hertz)?;
    let (mut policy, _) = sidereal_publish::table(policy);
    let mut board = Board::new(&config, counter, snapshot.clone(), leap);
    let mut workers = workers(&Common { config: &config, counter, snapshot, policy: &policy }, &mut board)?;
    settle(&config)?;
    info!(ports = config.ports.len(), "serving in one thread");

    let mut next_tick = Instant::now();
    loop {
        wait(&workers, control, signals, keeper.idle().min(next_tick.saturating_duration_since(Instant::now())));
        for worker in &mut workers {
            worker.turn();
        }
        keeper.handle(Event::Timer);
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            board.tick();
            policy.collect();
        }
        serve_control(control, &mut board);
        if signals.stop() {
            break;
        }
        if signals.reload()
            && let Some(reloaded) = reload(&mut config, path, hertz)
        {
            policy.replace(reloaded.policy);
            reloaded.events.into_iter().for_each(|event| keeper.handle(event));
            board.set_leap(reloaded.leap);
        }
    }
    drain(&mut workers);
    Ok(())
}

fn workers(common: &Common<'_>, board: &mut Board) -> Result<Vec<Worker>, Failure> {
    let mut workers = Vec::new();
    for port in &common.config.ports {
        let PortKind::Kernel(kernel) = &port.kind else {
            return Err(Failure::Usage(format!("port \"{}\": mode = \"single\" has kernel ports only", port.name)));
        };
        let opened = ports::open_kernel(common.config, port, kernel, Mode::Single)?;
        board.add_port(port, &opened.capabilities, opened.mac, LinkWatch::new(opened.link));
        #[cfg_attr(not(feature = "dpdk"), expect(irrefutable_let_patterns, reason = "there is one backend only"))]
        if let Queues::Kernel(queues) = opened.queues {
            for (queue, pair) in queues.into_iter().enumerate() {
                let service = ports::service(common.config, port);
                workers.push(common.worker(pair, service, None, (queue, None), board)?);
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

/// Waits until there is something to do, `at_most` this long.
fn wait(workers: &[Worker], control: &ControlSocket, signals: &Signals, at_most: Duration) {
    let sockets = workers.iter().flat_map(|worker| worker.rx().sockets());
    let others = signals.descriptors().into_iter().chain([control.as_fd()]);
    let mut descriptors: Vec<PollFd<'_>> = sockets.chain(others).map(PollFd::readable).collect();
    if let Err(error) = poll(&mut descriptors, Some(at_most)) {
        warn!(%error, "cannot wait for packets");
        std::thread::sleep(at_most.min(Duration::from_millis(10)));
    }
}

/// Answers what has arrived before the program was told to stop.
fn drain(workers: &mut [Worker]) {
    let deadline = Instant::now() + DRAIN;
    for worker in workers {
        while worker.turn() > 0 && Instant::now() < deadline {}
    }
    debug!("drained");
}
