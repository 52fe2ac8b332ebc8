//! The hand of the test on a link: its time and its cable.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use sidereal_time::Ticks;
use std::sync::Arc;

/// A link's time and cable. Clones are the same link's.
#[derive(Debug, Clone)]
pub struct SimControl(Arc<State>);

#[derive(Debug)]
struct State {
    ticks: AtomicU64,
    up: AtomicBool,
}

impl SimControl {
    pub(crate) fn new(ticks: Ticks) -> Self {
        Self(Arc::new(State { ticks: AtomicU64::new(ticks.0), up: AtomicBool::new(true) }))
    }

    /// Where the counter stands.
    #[must_use]
    pub fn ticks(&self) -> Ticks {
        Ticks(self.0.ticks.load(Ordering::Relaxed))
    }

    /// Sets the counter.
    pub fn set_ticks(&self, ticks: Ticks) {
        self.0.ticks.store(ticks.0, Ordering::Relaxed);
    }

    /// Lets the counter run on; it wraps at 64 bits.
    pub fn advance(&self, ticks: u64) {
        self.0.ticks.fetch_add(ticks, Ordering::Relaxed);
    }

    /// Plugs the cable in or pulls it. Without a link both queues refuse what they shall send; what is under way arrives.
    pub fn set_link(&self, up: bool) {
        self.0.up.store(up, Ordering::Relaxed);
    }

    /// Whether the cable is plugged in.
    #[must_use]
    pub fn link_up(&self) -> bool {
        self.0.up.load(Ordering::Relaxed)
    }
}
