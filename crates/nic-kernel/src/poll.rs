//! `poll(2)` for the mode in which one thread does everything.

use crate::calls;
use core::marker::PhantomData;
use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A descriptor to wait for.
#[derive(Debug)]
#[repr(transparent)]
pub struct PollFd<'fd> {
    raw: libc::pollfd,
    borrowed: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> PollFd<'fd> {
    /// Waits until `fd` can be read; on a socket also until something is on its error queue.
    #[must_use]
    pub fn readable(fd: BorrowedFd<'fd>) -> Self {
        let raw = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN | libc::POLLPRI, revents: 0 };
        Self { raw, borrowed: PhantomData }
    }

    /// Waits only for errors, among them TX stamps.
    #[must_use]
    pub fn errors(fd: BorrowedFd<'fd>) -> Self {
        let raw = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
        Self { raw, borrowed: PhantomData }
    }

    /// Whether the last [`poll`] found it readable, broken, or with something on its error queue.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.raw.revents != 0
    }

    /// Whether the last [`poll`] found something to receive, if only an error of the network.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.raw.revents & !libc::POLLPRI != 0
    }

    /// Whether the last [`poll`] found an error, or something on the error queue of a socket.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.raw.revents & (libc::POLLERR | libc::POLLPRI) != 0
    }
}

/// Waits until one of `fds` is ready, `timeout` long at the most (rounded up to milliseconds; `None` is for ever). Returns
/// how many are; none also where a signal came.
///
/// # Errors
/// Only where the kernel has no memory for so many descriptors, or the process may not have so many.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    calls::poll(fds, timeout)
}
