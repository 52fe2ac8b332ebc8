//! The broadcast server (RFC 5905 §3, RFC 9769 §4).

use super::measure::Departure;
use super::options::Poll;
use super::{Context, Transmit};
use crate::mac::Key;
use crate::message::{Mode, ReplyHeader, Times, Version};
use sidereal_time::{LocalClock, NtpTimestamp, StampSource, Ticks};

/// What is broadcast.
#[derive(Debug, Clone)]
pub struct BroadcasterOptions {
    /// The version of the messages.
    pub version: Version,
    /// The key of every message: without one, anybody can broadcast in our name.
    pub key: Option<Key>,
    /// Whether each message also tells when the one before it really left.
    pub interleaved: bool,
    /// How often.
    pub poll: Poll,
}

impl Default for BroadcasterOptions {
    /// Version 4, every 64 s, without a key, in basic mode.
    fn default() -> Self {
        Self { version: Version::V4, key: None, interleaved: false, poll: Poll::MINUTE }
    }
}

/// Tells the time to a whole network, unasked. Says nothing while there is no time to tell.
#[derive(Debug)]
pub struct Broadcaster {
    options: BroadcasterOptions,
    next: Ticks,
    sequence: u32,
    departure: Departure,
}

impl Broadcaster {
    /// Begins at `now`.
    #[must_use]
    pub fn new(options: &BroadcasterOptions, now: Ticks) -> Self {
        Self { options: options.clone(), next: now, sequence: 0, departure: Departure::Lost }
    }

    /// When [`Self::poll_transmit`] is to be called next.
    #[must_use]
    pub const fn poll_timeout(&self) -> Ticks {
        self.next
    }

    /// Writes the message that is due at `now`, if one is and there is a time to tell. `buffer` holds
    /// [`super::MAX_MESSAGE_LEN`] bytes, or nothing is sent.
    pub fn poll_transmit(&mut self, now: Ticks, context: &mut Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        let clock: &LocalClock = context.clock;
        if clock.passed(self.next, now).is_negative() {
            return None;
        }
        self.next = clock.later(now, self.options.poll.as_span());
        let time = context.time?;
        let origin = match self.departure {
            Departure::At(departed) if self.options.interleaved => time.at(departed.ticks),
            _ => NtpTimestamp::UNKNOWN,
        };
        let times = Times { origin, receive: NtpTimestamp::UNKNOWN, transmit: time.at(now) };
        let BroadcasterOptions { version, key, poll, .. } = &self.options;
        let header = ReplyHeader::new(context.system);
        let len = header.write_unasked(*version, Mode::Broadcast, poll.exponent(), &times, key.as_ref(), buffer)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.departure = Departure::Awaited;
        Some(Transmit { len, sequence: self.sequence, stamp_wanted: self.options.interleaved, fresh_port: false })
    }

    /// When message `sequence` left, `None` where nobody knows. Without it, the next message is of basic mode.
    pub fn transmitted(&mut self, sequence: u32, left: Option<Ticks>, source: StampSource) {
        if sequence == self.sequence && self.departure == Departure::Awaited {
            self.departure = Departure::new(left, source);
        }
    }
}
