//! Signals: no thread, and nothing done in a handler but a flag set and a byte written.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The signals that this program heeds.
#[derive(Debug)]
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    waker: Option<UnixStream>,
}

impl Signals {
    /// Catches SIGTERM and SIGINT (stop), and SIGHUP (reload). One thread alone is woken from its `poll(2)` by the signal
    /// itself.
    pub(super) fn catch() -> io::Result<Self> {
        let (stop, reload) = (Arc::default(), Arc::default());
        for (signal, noticed) in [(SIGINT, &stop), (SIGTERM, &stop), (SIGHUP, &reload)] {
            flag::register(signal, Arc::clone(noticed))?;
        }
        Ok(Self { stop, reload, waker: None })
    }

    /// Makes something that becomes readable when a signal comes: of several threads, any may be the one that it
    /// interrupts.
    pub(super) fn wake_by_descriptor(&mut self) -> io::Result<()> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            pipe::register(signal, writer.try_clone()?)?;
        }
        self.waker = Some(reader);
        Ok(())
    }

    /// What becomes readable when a signal comes.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.waker.as_ref().map(AsFd::as_fd)
    }

    /// Whether the program was told to stop since this was last asked.
    pub(super) fn stop(&self) -> bool {
        self.drain();
        self.stop.swap(false, Relaxed)
    }

    /// Whether it was told to reload since this was last asked.
    pub(super) fn reload(&self) -> bool {
        self.reload.swap(false, Relaxed)
    }

    /// Takes the bytes that signals have left. They are written after the flags are set.
    fn drain(&self) {
        let Some(mut waker) = self.waker.as_ref() else { return };
        let mut bytes = [0; 64];
        while waker.read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_nic_kernel::poll::{PollFd, poll};
    use std::time::Duration;

    #[test]
    fn each_signal_is_noticed_once_and_as_itself_and_wakes() {
        let mut signals = Signals::catch().unwrap();
        assert!(signals.descriptor().is_none());
        signals.wake_by_descriptor().unwrap();
        assert!(!signals.stop() && !signals.reload());
        signal_hook::low_level::raise(SIGHUP).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        let readable = || poll(&mut [PollFd::readable(signals.descriptor().unwrap())], Some(Duration::ZERO)).unwrap();
        assert_eq!(readable(), 1);
        assert!(!signals.stop() && signals.reload() && !signals.reload());
        assert_eq!(readable(), 0);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(signals.stop() && !signals.stop());
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert!(signals.stop() && !signals.reload());
    }
}
