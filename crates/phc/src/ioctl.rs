//! ioctl(2), with the type of its argument.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A request whose argument is a pointer to a `T`.
#[derive(Debug)]
pub(crate) struct Request<T> {
    number: libc::Ioctl,
    argument: PhantomData<fn(T) -> T>,
}

impl<T> Request<T> {
    /// # Safety
    /// Whatever file it is sent to, a kernel that knows the request `number` must read and write nothing but a `T` behind
    /// the pointer, and leave a valid `T` there.
    pub(crate) const unsafe fn new(number: libc::Ioctl) -> Self {
        Self { number, argument: PhantomData }
    }

    /// Sends the request.
    pub(crate) fn send(&self, file: BorrowedFd<'_>, argument: &mut T) -> io::Result<()> {
        let argument: *mut T = argument;
        // SAFETY: whoever made the request promised that the kernel keeps to the `T`, which is exclusively ours.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), self.number, argument) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
