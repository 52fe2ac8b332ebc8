//! Pulses per second that the kernel stamps: `/dev/ppsN` (RFC 2783).

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use sidereal_time::{Instant, Span, Utc};

use crate::ioctl::Request;
use crate::{ClockError, device};

/// The size of what `PPS_FETCH` reads and writes: two sequence numbers, two stamps, the mode; the timeout.
const FETCH_BYTES: usize = 64;
/// The mode bits of the edges that are stamped (RFC 2783 §3.3).
const CAPTURE_ASSERT: i32 = 0x01;
const CAPTURE_CLEAR: i32 = 0x02;

// The kernel's header derives the numbers of these requests from pointers to their structures, not from the structures.
// SAFETY: PPS_GETPARAMS fills a `struct pps_kparams`, which `Parameters` lays out; all bits are integers.
const GET_PARAMETERS: Request<Parameters> = unsafe { Request::new(libc::_IOR::<*mut u8>(b'p' as u32, 0xa1)) };
// SAFETY: PPS_SETPARAMS reads a `struct pps_kparams`.
const SET_PARAMETERS: Request<Parameters> = unsafe { Request::new(libc::_IOW::<*mut u8>(b'p' as u32, 0xa2)) };
// SAFETY: PPS_GETCAP fills an `int`.
const GET_CAPABILITIES: Request<i32> = unsafe { Request::new(libc::_IOR::<*mut u8>(b'p' as u32, 0xa3)) };
// SAFETY: PPS_FETCH reads and fills a `struct pps_fdata`, which has 64 bytes and the alignment of its 64-bit seconds.
const FETCH: Request<FetchBuffer> = unsafe { Request::new(libc::_IOWR::<*mut u8>(b'p' as u32, 0xa4)) };

/// `struct pps_kparams`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Parameters {
    api_version: i32,
    mode: i32,
    /// What the kernel adds to the stamps of either edge, where the mode says so.
    offsets: [[u64; 2]; 2],
}

#[repr(C, align(8))]
struct FetchBuffer([u8; FETCH_BYTES]);

/// Which edge of the pulse begins the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PpsEdge {
    /// The line goes active.
    #[default]
    Assert,
    /// The line goes inactive.
    Clear,
}

impl PpsEdge {
    const fn mode(self) -> i32 {
        match self {
            Self::Assert => CAPTURE_ASSERT,
            Self::Clear => CAPTURE_CLEAR,
        }
    }
}

/// The last edge of one kind, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PpsInfo {
    /// How many edges there were, modulo 2^32; 0 where there was none.
    pub sequence: u32,
    /// What the system clock showed at the last.
    pub at: Instant<Utc>,
}

impl PpsInfo {
    /// Reads the kernel's answer, a `struct pps_fdata` of 64 bytes. `None` where it is shorter, where there was no edge, or
    /// where the stamp of the last is no time.
    #[must_use]
    pub fn parse(reply: &[u8], edge: PpsEdge) -> Option<Self> {
        let (sequence_at, stamp_at) = match edge {
            PpsEdge::Assert => (0, 8),
            PpsEdge::Clear => (4, 24),
        };
        if reply.len() < FETCH_BYTES {
            return None;
        }
        let sequence = u32::from_ne_bytes(*reply.get(sequence_at..)?.first_chunk()?);
        let seconds = i64::from_ne_bytes(*reply.get(stamp_at..)?.first_chunk()?);
        let nanos = i32::from_ne_bytes(*reply.get(stamp_at + 8..)?.first_chunk()?);
        if sequence == 0 || !(0..1_000_000_000).contains(&nanos) {
            return None;
        }
        Some(Self { sequence, at: Instant::from_secs(seconds) + Span::from_nanos(nanos.into()) })
    }
}

/// A pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// What the system clock showed; [`crate::SystemClock::locate`] places it on the counter.
    pub at: Instant<Utc>,
    /// How many pulses came between this and the one fetched before, and were not seen.
    pub missed: u32,
}

/// A source of pulses.
#[derive(Debug)]
pub struct Pps {
    device: File,
    name: String,
    edge: PpsEdge,
    last: Option<u32>,
}

impl Pps {
    /// Opens a device, `/dev/ppsN`, and sees to it that `edge` is stamped. Where it is not yet, that needs CAP_SYS_TIME.
    ///
    /// # Errors
    /// Where there is no such device, it may not be read, or it cannot stamp this edge.
    pub fn open(path: &Path, edge: PpsEdge) -> Result<Self, ClockError> {
        let name = path.display().to_string();
        let error = |action| move |source| ClockError::new(&path.display().to_string(), action, source);
        let device = device::open(path, libc::O_RDONLY).map_err(error("open"))?;
        let mut capabilities = 0;
        GET_CAPABILITIES.send(device.as_fd(), &mut capabilities).map_err(error("ask about"))?;
        if capabilities & edge.mode() == 0 {
            let source = std::io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            return Err(ClockError::Unsupported { clock: name, action: "stamp this edge by", source });
        }
        let mut parameters = Parameters::default();
        GET_PARAMETERS.send(device.as_fd(), &mut parameters).map_err(error("ask for the mode of"))?;
        if parameters.mode & edge.mode() == 0 {
            parameters.mode |= edge.mode();
            SET_PARAMETERS.send(device.as_fd(), &mut parameters).map_err(error("set the edge of"))?;
        }
        let mut pps = Self { device, name, edge, last: None };
        // A pulse from before is not counted: who knows how old it is.
        pps.last = pps.info()?.map(|info| info.sequence);
        Ok(pps)
    }

    /// The last pulse, unless it was fetched before or came before the device was opened. Never waits.
    ///
    /// # Errors
    /// Where the device fails, or is gone.
    pub fn fetch(&mut self) -> Result<Option<Pulse>, ClockError> {
        Ok(self.info()?.and_then(|info| news(&mut self.last, &info)))
    }

    fn info(&self) -> Result<Option<PpsInfo>, ClockError> {
        // A timeout of zero, which is valid (its flags are zero too): the answer comes at once.
        let mut buffer = FetchBuffer([0; FETCH_BYTES]);
        let sent = FETCH.send(self.device.as_fd(), &mut buffer);
        sent.map_err(|source| ClockError::new(&self.name, "fetch a pulse of", source))?;
        Ok(PpsInfo::parse(&buffer.0, self.edge))
    }
}

/// What of `info` is new after the pulse `last`.
fn news(last: &mut Option<u32>, info: &PpsInfo) -> Option<Pulse> {
    let passed = last.map_or(1, |last| info.sequence.wrapping_sub(last));
    *last = Some(info.sequence);
    let missed = passed.checked_sub(1)?;
    Some(Pulse { at: info.at, missed })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use sidereal_time::{Instant, Span};

    use super::{FETCH_BYTES, Parameters, Pps, PpsEdge, PpsInfo, Pulse, news};
    use crate::ClockError;

    fn reply(assert: (u32, i64, i32), clear: (u32, i64, i32)) -> [u8; FETCH_BYTES] {
        let mut reply = [0; FETCH_BYTES];
        for ((sequence, seconds, nanos), (sequence_at, stamp_at)) in [(assert, (0, 8)), (clear, (4, 24))] {
            reply[sequence_at..sequence_at + 4].copy_from_slice(&sequence.to_ne_bytes());
            reply[stamp_at..stamp_at + 8].copy_from_slice(&seconds.to_ne_bytes());
            reply[stamp_at + 8..stamp_at + 12].copy_from_slice(&nanos.to_ne_bytes());
        }
        reply
    }

    fn info(sequence: u32) -> PpsInfo {
        PpsInfo { sequence, at: Instant::EPOCH }
    }

    #[test]
    fn the_parameters_have_the_kernels_layout() {
        assert_eq!((size_of::<Parameters>(), align_of::<Parameters>()), (40, 8));
    }

    #[test]
    fn either_edge_is_read() {
        let reply = reply((7, 1_700_000_000, 5), (8, 1_700_000_000, 200_000_000));
        let second = Instant::from_secs(1_700_000_000);
        let assert = PpsInfo { sequence: 7, at: second + Span::from_nanos(5) };
        let clear = PpsInfo { sequence: 8, at: second + Span::from_nanos(200_000_000) };
        assert_eq!(PpsInfo::parse(&reply, PpsEdge::Assert), Some(assert));
        assert_eq!(PpsInfo::parse(&reply, PpsEdge::Clear), Some(clear));
    }

    #[test]
    fn no_pulse_and_no_time_are_nothing() {
        assert_eq!(PpsInfo::parse(&reply((0, 1, 1), (0, 0, 0)), PpsEdge::Assert), None);
        for nanos in [-1, 1_000_000_000] {
            assert_eq!(PpsInfo::parse(&reply((1, 1, nanos), (0, 0, 0)), PpsEdge::Assert), None);
        }
        assert_eq!(PpsInfo::parse(&[0; FETCH_BYTES - 1], PpsEdge::Assert), None);
    }

    #[test]
    fn no_pulse_counts_twice_and_missed_ones_are_counted() {
        let mut last = None;
        let pulse = |missed| Some(Pulse { at: Instant::EPOCH, missed });
        assert_eq!(news(&mut last, &info(u32::MAX - 1)), pulse(0));
        assert_eq!(news(&mut last, &info(u32::MAX - 1)), None);
        assert_eq!(news(&mut last, &info(u32::MAX)), pulse(0));
        assert_eq!(news(&mut last, &info(2)), pulse(2));
        assert_eq!(news(&mut last, &info(2)), None);
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let error = Pps::open(Path::new("/dev/pps-none"), PpsEdge::Assert).unwrap_err();
        assert!(error.to_string().contains("/dev/pps-none"), "{error}");
        let error = Pps::open(Path::new("/dev/null"), PpsEdge::Assert).unwrap_err();
        assert!(matches!(error, ClockError::Unsupported { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn any_answer_is_read(reply in proptest::collection::vec(any::<u8>(), 0..80)) {
            for edge in [PpsEdge::Assert, PpsEdge::Clear] {
                let long_enough = reply.len() >= FETCH_BYTES;
                prop_assert!(long_enough || PpsInfo::parse(&reply, edge).is_none());
            }
        }

        #[test]
        fn what_was_written_is_read(sequence in 1..u32::MAX, seconds: i32, nanos in 0..1_000_000_000) {
            let reply = reply((sequence, seconds.into(), nanos), (0, 0, 0));
            let read = PpsInfo::parse(&reply, PpsEdge::Assert).unwrap();
            let at = Instant::from_secs(seconds.into()) + Span::from_nanos(nanos.into());
            prop_assert_eq!((read.sequence, read.at), (sequence, at));
        }
    }
}
