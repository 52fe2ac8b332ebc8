//! From the main thread to the engine's: what is to be told, and a wake-up.

use sidereal_engine::Event;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};

/// Events that wait to be read: a reload brings two.
const EVENTS_MAX: usize = 16;

/// The main thread's side. The engine goes on for as long as somebody has it.
#[derive(Debug)]
pub(super) struct Postbox {
    events: SyncSender<Event<'static>>,
    wake: UnixStream,
}

/// The engine's side.
#[derive(Debug)]
pub(super) struct Mailbox {
    events: Receiver<Event<'static>>,
    woken: UnixStream,
}

/// What was in the mailbox.
#[derive(Debug)]
pub(super) enum Mail {
    /// An event.
    Event(Event<'static>),
    /// Nothing now.
    Nothing,
    /// Nobody will ever send anything any more.
    Closed,
}

/// Both sides.
pub(super) fn mailbox() -> io::Result<(Postbox, Mailbox)> {
    let (events, received) = mpsc::sync_channel(EVENTS_MAX);
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    Ok((Postbox { events, wake }, Mailbox { events: received, woken }))
}

impl Postbox {
    /// Sends `event`; whether there was room and somebody who listens.
    pub(super) fn send(&self, event: Event<'static>) -> bool {
        let sent = match self.events.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        // A stream that is full wakes as well.
        let _ = (&self.wake).write(&[1]);
        sent
    }
}

impl Mailbox {
    /// The next event.
    pub(super) fn next(&mut self) -> Mail {
        let mut bytes = [0; 64];
        while (&self.woken).read(&mut bytes).is_ok_and(|count| count > 0) {}
        match self.events.try_recv() {
            Ok(event) => Mail::Event(event),
            Err(TryRecvError::Empty) => Mail::Nothing,
            Err(TryRecvError::Disconnected) => Mail::Closed,
        }
    }
}

impl AsFd for Mailbox {
    /// What becomes readable when there is mail, or when the other side is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::waiting::wait;
    use std::iter::once;
    use std::time::Duration;

    #[test]
    fn mail_wakes_and_so_does_the_end() {
        let (postbox, mut mailbox) = mailbox().unwrap();
        let is_woken = |mailbox: &Mailbox| wait(once(mailbox.as_fd()), Duration::ZERO)[0].any();
        assert!(!is_woken(&mailbox));
        assert!(postbox.send(Event::Timer) && postbox.send(Event::Stop));
        assert!(is_woken(&mailbox));
        assert!(matches!(mailbox.next(), Mail::Event(Event::Timer)));
        assert!(matches!(mailbox.next(), Mail::Event(Event::Stop)));
        assert!(matches!(mailbox.next(), Mail::Nothing) && !is_woken(&mailbox));
        assert_eq!((0..100).filter(|_| postbox.send(Event::Timer)).count(), EVENTS_MAX);
        drop(postbox);
        assert!(is_woken(&mailbox));
        assert_eq!((0..100).take_while(|_| !matches!(mailbox.next(), Mail::Closed)).count(), EVENTS_MAX);
    }
}
