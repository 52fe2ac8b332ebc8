//! Workers on threads of their own.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use sidereal_nic::{RxQueue, TxQueue};

use crate::limits::{DRAIN_TURNS, IDLE_TURNS};
use crate::{TickSource, Worker};

/// What a worker without traffic does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Looks again at once: the core is its own.
    Spin,
    /// Lets other threads of its core run, then looks again.
    Yield,
    /// Sleeps until packets arrive where the port can wake it, or for this long.
    Sleep(Duration),
}

/// Where a worker's thread runs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The core it is pinned to.
    pub core: Option<usize>,
    /// Its SCHED_FIFO priority, 1 to 99.
    pub real_time: Option<u8>,
    /// What it does without traffic.
    pub idle: Idle,
}

/// Why a thread cannot run where it should.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    /// It cannot be pinned to its core.
    #[error(transparent)]
    Pin(#[from] sidereal_cpu::PinError),
    /// It cannot be given real-time priority.
    #[error(transparent)]
    RealTime(#[from] sidereal_cpu::RealTimeError),
}

impl Placement {
    /// Moves the calling thread to where it belongs.
    ///
    /// # Errors
    /// Where the core does not exist, or the priority is not granted.
    pub fn apply(&self) -> Result<(), PlacementError> {
        if let Some(core) = self.core {
            sidereal_cpu::pin(core)?;
        }
        if let Some(priority) = self.real_time {
            sidereal_cpu::real_time(priority)?;
        }
        Ok(())
    }
}

/// Turns `worker` until `stop` is set, then goes on until nothing has arrived for a while.
pub fn run<R: RxQueue, T: TxQueue<R::Packet>, C: TickSource>(
    worker: &mut Worker<R, T, C>,
    idle: Idle,
    stop: &AtomicBool,
) {
    let mut empty_turns = 0u32;
    while !stop.load(Relaxed) {
        if worker.turn() > 0 {
            empty_turns = 0;
            continue;
        }
        empty_turns = empty_turns.saturating_add(1);
        match idle {
            Idle::Spin => core::hint::spin_loop(),
            _ if empty_turns < IDLE_TURNS => core::hint::spin_loop(),
            Idle::Yield => std::thread::yield_now(),
            Idle::Sleep(at_most) => worker.wait(at_most),
        }
    }
    let mut empty_turns = 0;
    while empty_turns < DRAIN_TURNS {
        empty_turns = if worker.turn() > 0 { 0 } else { empty_turns + 1 };
    }
}
