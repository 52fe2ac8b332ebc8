//! `sidereal run`: serve time until told to stop.
//!
//! [`appliance`] lays the program out in threads, [`single`] in one; both are made of the same parts: ports that are
//! opened here, a [`clock`] that keeps the engine going, a [`board`] that knows how everything is, and [`signals`].

mod appliance;
mod board;
mod clock;
mod corrections;
mod exception;
mod happened;
mod host_clocks;
mod link;
mod link_speeds;
mod mailbox;
mod ports;
mod ptp;
mod ptp_management;
mod reference_clocks;
mod reload;
mod resolve;
mod signals;
mod single;
mod sockets;
mod start;
mod state;
mod view;
mod waiting;
mod worker;

use sidereal_cpu::LocalCounter;
use sidereal_ops::{BindError, ControlSocket, Reply, Request, Served};
use std::path::Path;
use tracing::{debug, info, warn};

use self::board::Board;
use self::signals::Signals;
use self::state::StateFile;
use crate::command::Failure;
use crate::config::{Config, LogFilter, Mode, StateDirectory};
use crate::stamping::Stamping;
use crate::{host, logging};

/// Runs with the configuration in the file at `path`, and comes back once a signal says so and all is drained.
pub(crate) fn run(path: &Path, log_level: Option<LogFilter>) -> Result<(), Failure> {
    let config = Config::load(path)?;
    logging::start(config.ops.log, log_level.as_ref().unwrap_or(&config.ops.log_level));
    info!(version = env!("CARGO_PKG_VERSION"), configuration = %path.display(), "sidereal begins");
    for warning in host::warnings(&config) {
        warn!("{warning}");
    }
    // Before what takes time: a signal that comes meanwhile is heeded as soon as that is done.
    let mut signals = Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let directory = config.state.directory.as_path();
    let opened = StateDirectory::open(directory);
    let _lock = opened.map_err(|invalid| Failure::Failed(format!("{}\n  help: {}", invalid.what, invalid.remedy)))?;
    let state = StateFile::new(directory);
    let control = ControlSocket::bind(config.ops.socket.as_path());
    match (config.mode, control) {
        (Mode::Appliance, Ok(control)) => appliance::run(config, path, &control, &mut signals, state),
        (Mode::Single, Ok(control)) => single::run(config, path, Some(&control), &signals, state),
        // A simulator has no Unix sockets, and nobody who would ask there.
        (Mode::Single, Err(error @ BindError::System { .. })) => {
            warn!("{error}: nobody can ask how the program is");
            single::run(config, path, None, &signals, state)
        }
        (_, Err(error)) => Err(Failure::Failed(format!("{error}\n  help: set `ops.socket` to another path"))),
    }?;
    info!("sidereal ends");
    Ok(())
}

/// Keeps the program's memory from being paged out, if that is wanted.
fn lock_memory(config: &Config) -> Result<(), Failure> {
    if config.workers.lock_memory {
        sidereal_cpu::lock_memory().map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(())
}

/// Has the NICs of kernel ports stamp, where `config`, the file at `path`, wants it.
fn stamping(config: &Config, path: &Path, counter: LocalCounter) -> Result<Stamping, Failure> {
    Stamping::enable(config, counter)
        .map_err(|refused| Failure::from(Config::refuse(path, &refused.key, refused.invalid)))
}

/// Requests that are answered before something else gets its turn.
const REQUESTS_PER_TURN: usize = 16;

/// Answers who asks at the control socket.
fn serve_control(control: &ControlSocket, board: &mut Board) {
    for _ in 0..REQUESTS_PER_TURN {
        let answer = |request| match request {
            Request::Status => Reply::Status(Box::new(board.status())),
            Request::Sources => Reply::Sources(board.sources()),
            Request::Ptp => Reply::Ptp(board.ptp()),
        };
        match control.serve_once(answer) {
            Ok(Served::Nothing) => return,
            Ok(Served::Answered) => {}
            Ok(Served::Unanswered(error)) => debug!(%error, "who asked at the control socket is gone"),
            Err(error) => return warn!(%error, "the control socket cannot be read"),
        }
    }
}
