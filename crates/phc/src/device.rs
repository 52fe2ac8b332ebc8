//! Character devices, opened by libc's own `open(2)`: the standard library's has another name (`open64`), which simulators
//! that preload libc do not see.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Opens a device, `libc::O_RDONLY` or `libc::O_RDWR`.
pub(crate) fn open(path: &Path, mode: libc::c_int) -> io::Result<File> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `path` is a string with its zero. No file is made, so that there is no third argument.
    let device = unsafe { libc::open(path.as_ptr(), mode | libc::O_CLOEXEC) };
    if device < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened just now and is nobody else's.
    Ok(unsafe { File::from_raw_fd(device) })
}

/// The numbers of an open character device; `None` where it is something else.
pub(crate) fn numbers(device: &File) -> Option<libc::dev_t> {
    let mut found = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `found` is a stat to write to.
    let result = unsafe { libc::fstat(device.as_raw_fd(), found.as_mut_ptr()) };
    // SAFETY: all fields are integers, for which zero is a value: whatever was not written is that.
    let found = unsafe { found.assume_init() };
    (result == 0 && found.st_mode & libc::S_IFMT == libc::S_IFCHR).then_some(found.st_rdev)
}
