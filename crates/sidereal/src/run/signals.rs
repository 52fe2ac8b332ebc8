//! Signals as something to poll: no thread, and nothing done in a handler but one byte written.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The signals that this program heeds.
#[derive(Debug)]
pub(super) struct Signals {
    stop: UnixStream,
    reload: UnixStream,
}

impl Signals {
    /// Catches SIGTERM and SIGINT (stop), and SIGHUP (reload).
    pub(super) fn catch() -> io::Result<Self> {
        let (stop, stopped) = pair()?;
        pipe::register(SIGINT, stopped.try_clone()?)?;
        pipe::register(SIGTERM, stopped)?;
        let (reload, reloaded) = pair()?;
        pipe::register(SIGHUP, reloaded)?;
        Ok(Self { stop, reload })
    }

    /// What becomes readable when a signal comes.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.stop.as_fd(), self.reload.as_fd()]
    }

    /// Whether the program was told to stop since this was last asked.
    pub(super) fn stop(&self) -> bool {
        drained(&self.stop)
    }

    /// Whether it was told to reload since this was last asked.
    pub(super) fn reload(&self) -> bool {
        drained(&self.reload)
    }
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    Ok((reader, writer))
}

/// Takes the bytes that signals have left, and says whether there were any.
fn drained(mut stream: &UnixStream) -> bool {
    let mut bytes = [0; 64];
    let mut any = false;
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_noticed_once_and_as_itself() {
        let signals = Signals::catch().unwrap();
        assert!(!signals.stop() && !signals.reload());
        signal_hook::low_level::raise(SIGHUP).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert!(!signals.stop() && signals.reload() && !signals.reload());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(signals.stop() && !signals.stop());
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert!(signals.stop() && !signals.reload());
    }
}
