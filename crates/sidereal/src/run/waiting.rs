//! Waiting for several descriptors at once.

use sidereal_nic_kernel::poll::{PollFd, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;
use tracing::warn;

/// How long to wait where `poll(2)` itself fails: for want of memory, which may come back.
const PAUSE: Duration = Duration::from_millis(10);

/// What `poll(2)` said of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    /// It can be read.
    pub(super) readable: bool,
    /// Something is on its error queue.
    pub(super) error: bool,
}

impl Ready {
    /// Not ready.
    pub(super) const NONE: Self = Self { readable: false, error: false };

    /// Whether there is anything.
    pub(super) const fn any(self) -> bool {
        self.readable || self.error
    }
}

/// Waits until one of `descriptors` is ready, `at_most` this long; says of each whether it is.
pub(super) fn wait<'a>(descriptors: impl Iterator<Item = BorrowedFd<'a>>, at_most: Duration) -> Vec<Ready> {
    let mut descriptors: Vec<PollFd<'_>> = descriptors.map(PollFd::readable).collect();
    if let Err(error) = poll(&mut descriptors, Some(at_most)) {
        warn!(%error, "cannot wait for packets");
        std::thread::sleep(at_most.min(PAUSE));
        return vec![Ready::NONE; descriptors.len()];
    }
    descriptors.iter().map(|fd| Ready { readable: fd.is_readable(), error: fd.has_error() }).collect()
}
