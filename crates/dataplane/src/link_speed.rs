//! How long a frame is on the link: a NIC stamps its beginning, and NTP's receive timestamps are of its end.

use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use sidereal_time::{Span, StampSource};
use std::sync::Arc;

/// How fast a link is, told by whoever looks at the port now and then.
#[derive(Debug, Clone, Default)]
pub struct LinkSpeed(Arc<AtomicU32>);

impl LinkSpeed {
    /// What follows a frame on the link and is measured with it: its check sequence, in bytes.
    const CHECK_SEQUENCE: usize = 4;

    /// A link of so many megabits a second; 0 where that is not known.
    #[must_use]
    pub fn of(megabits: u32) -> Self {
        Self(Arc::new(AtomicU32::new(megabits)))
    }

    /// Its speed is now this, likewise.
    pub fn set(&self, megabits: u32) {
        self.0.store(megabits, Relaxed);
    }

    /// In megabits a second; 0 where that is not known.
    #[must_use]
    pub fn megabits(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// How long a frame of `len` bytes that has this stamp took from there to its end, its check sequence not counted in `len`:
    /// what only NICs stamp at the beginning; zero of other stamps, and where the speed is not known.
    #[must_use]
    pub fn reception(&self, source: StampSource, len: usize) -> Span {
        let bits = (len + Self::CHECK_SEQUENCE) as i128 * 8;
        match (source, i128::from(self.0.load(Relaxed))) {
            (StampSource::Hardware | StampSource::Latch, megabits @ 1..) => {
                Span::from_units(bits * Span::from_nanos(1000).units() / megabits)
            }
            _ => Span::ZERO,
        }
    }
}

/// How long the frame of a UDP datagram of `payload` bytes to or from `peer` is, without its check sequence.
#[must_use]
pub const fn frame_len(peer: IpAddr, payload: usize) -> usize {
    const ETHERNET: usize = 14;
    const UDP: usize = 8;
    let ip = if peer.is_ipv4() { 20 } else { 40 };
    ETHERNET + ip + UDP + payload
}
