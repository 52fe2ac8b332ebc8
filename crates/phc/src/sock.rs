//! Reference clocks that send their samples as datagrams to a UNIX socket, as gpsd and others do for chrony's `SOCK`
//! driver.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use sidereal_time::{Instant, Reading, Span, Utc};

use crate::sample::{SECONDS_MAX, leap_step};
use crate::{ReferenceSample, SampleCounts, SampleFault, SystemClock};

/// The size of a sample, of a program whose `time_t` has 64 bits.
pub const SOCK_BYTES: usize = 40;
/// What the last field of a sample holds: "SOCK".
const MAGIC: i32 = 0x534f_434b;
/// How many datagrams one call takes from the socket: a flood does not hold up who calls.
const BURST: usize = 16;
/// Only the owner may send samples: who can, sets our clock.
const MODE: u32 = 0o600;

/// A sample as it is sent.
///
/// | bytes | field |
/// |---|---|
/// | 0..8, 8..16 | the system clock's time: seconds and microseconds |
/// | 16..24 | the true time less that, in seconds, floating point |
/// | 24..28 | not 0: the sample is of a pulse, and only fractions of a second count |
/// | 28..32 | leap indicator, as in NTP |
/// | 32..36 | padding |
/// | 36..40 | magic number |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SockSample {
    /// What the system clock showed.
    pub system: Instant<Utc>,
    /// True time less the system clock's.
    pub offset: Span,
    /// Whether only the fractions of a second count.
    pub is_pulse: bool,
    /// What is added to UTC at the end of this UTC day, in seconds: -1, 0 or 1.
    pub leap_step: i8,
}

impl SockSample {
    /// Reads a sample.
    ///
    /// # Errors
    /// Where it has another size or magic number, or a field is out of range.
    pub fn parse(datagram: &[u8]) -> Result<Self, SampleFault> {
        let datagram: &[u8; SOCK_BYTES] = datagram.try_into().map_err(|_| SampleFault::WrongSize)?;
        let [seconds, micros, offset] = [0, 8, 16].map(|at| u64::from_ne_bytes(array(datagram, at)));
        let [pulse, leap, magic] = [24, 28, 36].map(|at| i32::from_ne_bytes(array(datagram, at)));
        if magic != MAGIC {
            return Err(SampleFault::WrongMagic);
        }
        let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds <= SECONDS_MAX);
        let (Some(seconds), 0..1_000_000) = (seconds, micros) else { return Err(SampleFault::BadTime) };
        let offset = f64::from_bits(offset);
        if !offset.is_finite() || offset.abs() > SECONDS_MAX as f64 {
            return Err(SampleFault::BadOffset);
        }
        let system = Instant::from_secs(seconds) + Span::from_nanos(i128::from(micros) * 1_000);
        let is_pulse = pulse != 0;
        // A pulse tells no time: whoever sends it need not know of leap seconds.
        let leap_step = match leap_step(leap) {
            Err(SampleFault::Unsynchronised) if is_pulse => 0,
            step => step?,
        };
        Ok(Self { system, offset: Span::from_secs_f64(offset), is_pulse, leap_step })
    }
}

/// The bytes from `at` on; they are there, because both lengths are known where it is called.
fn array<const N: usize>(datagram: &[u8; SOCK_BYTES], at: usize) -> [u8; N] {
    core::array::from_fn(|i| datagram.get(at + i).copied().unwrap_or(0))
}

/// A socket that takes samples.
#[derive(Debug)]
pub struct SockReference {
    socket: UnixDatagram,
    path: PathBuf,
    counts: SampleCounts,
}

impl SockReference {
    /// Makes the socket, which only our user may write to. A socket that a program left behind is replaced; one that a
    /// program still listens on, and anything else at that place, stays.
    ///
    /// # Errors
    /// Where something is there that stays, or the folder is missing or not ours to write.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket && is_dead(path)? {
            fs::remove_file(path)?;
        }
        let socket = UnixDatagram::bind(path)?;
        let reference = Self { socket, path: path.to_owned(), counts: SampleCounts::default() };
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        reference.socket.set_nonblocking(true)?;
        Ok(reference)
    }

    /// The next sample that is good, if there is one; at most sixteen datagrams are taken. `system` places it on the
    /// counter. Bad ones are counted.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn receive(&mut self, system: &mut SystemClock) -> io::Result<Option<ReferenceSample>> {
        // One byte more shows what is too long.
        let mut buffer = [0; SOCK_BYTES + 1];
        for _ in 0..BURST {
            let len = match self.socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let sample = SockSample::parse(buffer.get(..len).unwrap_or(&buffer));
            let sample = sample.and_then(|sample| place(&sample, system).ok_or(SampleFault::Unlocated));
            self.counts.count(&sample);
            if let Ok(sample) = sample {
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }

    /// What became of the samples so far.
    #[must_use]
    pub const fn counts(&self) -> SampleCounts {
        self.counts
    }
}

impl AsFd for SockReference {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for SockReference {
    fn drop(&mut self) {
        // Who still sends to it is told at once that nobody listens.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether nobody listens on a socket any more.
fn is_dead(path: &Path) -> io::Result<bool> {
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        outcome => outcome.map(|()| false),
    }
}

fn place(sample: &SockSample, system: &mut SystemClock) -> Option<ReferenceSample> {
    if sample.is_pulse {
        // The second began when the true time, which is the system clock's and the offset, was whole.
        let (second, fraction) = (sample.system + sample.offset).split();
        let rounded = second + i128::from(fraction >= Span::SECOND.half());
        let second = Instant::EPOCH + Span::from_nanos(rounded * 1_000_000_000);
        let located = system.locate(second - sample.offset).ok()?;
        return Some(ReferenceSample::Pulse { ticks: located.ticks, window: located.window });
    }
    // The system clock's time is told in whole microseconds, but the offset holds at that very time: nothing is lost.
    let located = system.locate(sample.system).ok()?;
    let reading = Reading::new(located.ticks, sample.system + sample.offset, located.window);
    Some(ReferenceSample::Time { reading, leap_step: sample.leap_step })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixDatagram;
    use std::{fs, io};

    use proptest::prelude::*;
    use sidereal_cpu::LocalCounter;
    use sidereal_time::{Instant, Span, Utc};

    use super::{BURST, MAGIC, SOCK_BYTES, SockReference, SockSample};
    use crate::{ReferenceSample, SampleFault, SystemClock};

    fn datagram(seconds: i64, micros: i64, offset: f64, pulse: i32, leap: i32, magic: i32) -> [u8; SOCK_BYTES] {
        let mut datagram = [0; SOCK_BYTES];
        datagram[..8].copy_from_slice(&seconds.to_ne_bytes());
        datagram[8..16].copy_from_slice(&micros.to_ne_bytes());
        datagram[16..24].copy_from_slice(&offset.to_ne_bytes());
        for (field, value) in datagram[24..].as_chunks_mut().0.iter_mut().zip([pulse, leap, -1, magic]) {
            *field = value.to_ne_bytes();
        }
        datagram
    }

    /// A datagram that tells of `system`, which has whole microseconds.
    fn told(system: Instant<Utc>, offset: f64, pulse: i32) -> [u8; SOCK_BYTES] {
        let (seconds, rest) = system.split();
        let micros = i64::try_from(rest.as_nanos_rounded() / 1_000).unwrap();
        datagram(i64::try_from(seconds).unwrap(), micros, offset, pulse, 0, MAGIC)
    }

    #[test]
    fn a_sample_is_read() {
        let sample = SockSample::parse(&datagram(1_700_000_000, 250_000, -0.125, 0, 1, MAGIC)).unwrap();
        assert_eq!(sample.system, Instant::from_nanos(1_700_000_000_250_000_000));
        assert_eq!(sample.offset, Span::from_nanos(-125_000_000));
        assert_eq!((sample.is_pulse, sample.leap_step), (false, -1));
    }

    #[test]
    fn bad_samples_have_names() {
        let good = datagram(1, 0, 0.0, 0, 0, MAGIC);
        let faulty = |datagram: &[u8]| SockSample::parse(datagram).unwrap_err();
        assert_eq!(faulty(&good[..SOCK_BYTES - 1]), SampleFault::WrongSize);
        assert_eq!(faulty(&[&good[..], &[0]].concat()), SampleFault::WrongSize);
        assert_eq!(faulty(&[]), SampleFault::WrongSize);
        assert_eq!(faulty(&datagram(1, 0, 0.0, 0, 0, MAGIC.swap_bytes())), SampleFault::WrongMagic);
        for (seconds, micros) in [(-1, 0), (1 << 41, 0), (0, -1), (0, 1_000_000), (i64::MIN, i64::MAX)] {
            assert_eq!(faulty(&datagram(seconds, micros, 0.0, 0, 0, MAGIC)), SampleFault::BadTime);
        }
        for offset in [f64::NAN, f64::INFINITY, -1e300] {
            assert_eq!(faulty(&datagram(1, 0, offset, 0, 0, MAGIC)), SampleFault::BadOffset);
        }
        assert_eq!(faulty(&datagram(1, 0, 0.0, 0, 3, MAGIC)), SampleFault::Unsynchronised);
        assert_eq!(faulty(&datagram(1, 0, 0.0, 0, -7, MAGIC)), SampleFault::BadLeap);
        assert!(SockSample::parse(&datagram(1, 0, 0.0, 1, 3, MAGIC)).is_ok(), "a pulse knows no leap seconds");
    }

    #[test]
    fn samples_come_through_a_socket_and_bad_ones_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gps.sock");
        let mut system = SystemClock::new(LocalCounter::best());
        let mut reference = SockReference::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(reference.receive(&mut system).unwrap().is_none());

        let sender = UnixDatagram::unbound().unwrap();
        let now = system.read();
        // Whole microseconds, as they are told.
        let told_at = Instant::from_nanos(now.at().as_nanos_rounded() / 1_000 * 1_000);
        sender.send_to(b"not a sample", &path).unwrap();
        sender.send_to(&told(told_at + Span::from_secs(100), 0.0, 0), &path).unwrap();
        sender.send_to(&told(told_at, 1.5, 0), &path).unwrap();
        let Some(ReferenceSample::Time { reading, leap_step: 0 }) = reference.receive(&mut system).unwrap() else {
            panic!("a sample")
        };
        assert_eq!(reading.at(), told_at + Span::from_nanos(1_500_000_000));
        let expected = system.locate(told_at).unwrap();
        let apart = reading.ticks().0.abs_diff(expected.ticks.0) as f64 / LocalCounter::best().nominal_hertz();
        assert!(apart <= (reading.window() + expected.window).as_secs_f64(), "{apart} s");
        let counts = reference.counts();
        assert_eq!(counts.accepted, 1);
        assert_eq!((counts.of(SampleFault::WrongSize), counts.of(SampleFault::Unlocated)), (1, 1));
        drop(reference);
        assert!(!path.exists());
    }

    #[test]
    fn a_pulse_is_placed_where_the_second_began() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pps.sock");
        let mut system = SystemClock::new(LocalCounter::best());
        let mut reference = SockReference::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let now = system.read().at();
        let told_at = Instant::from_nanos(now.as_nanos_rounded() / 1_000 * 1_000);
        // The true second began 2 ms before `told_at`, which is `offset` from a whole second.
        let (_, fraction) = told_at.split();
        let offset = 0.002 - fraction.as_secs_f64();
        sender.send_to(&told(told_at, offset, 1), &path).unwrap();
        let Some(ReferenceSample::Pulse { ticks, .. }) = reference.receive(&mut system).unwrap() else {
            panic!("a pulse")
        };
        let expected = system.locate(told_at - Span::from_nanos(2_000_000)).unwrap().ticks;
        let apart = ticks.0.abs_diff(expected.0) as f64 / LocalCounter::best().nominal_hertz();
        assert!(apart < 1e-5, "{apart} s");
    }

    #[test]
    fn a_flood_is_taken_in_bursts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flood.sock");
        let mut system = SystemClock::new(LocalCounter::best());
        let mut reference = SockReference::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let sent = (0..1_000).take_while(|_| sender.send_to(b"flood", &path).is_ok()).count();
        assert!(sent > 0);
        assert!(reference.receive(&mut system).unwrap().is_none());
        assert_eq!(reference.counts().of(SampleFault::WrongSize), sent.min(BURST) as u64);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reference.sock");
        drop(UnixDatagram::bind(&path).unwrap());
        let reference = SockReference::bind(&path).unwrap();
        assert_eq!(SockReference::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists(), "who listens keeps his socket");
        drop(reference);
        fs::write(&path, "precious").unwrap();
        assert_eq!(SockReference::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    proptest! {
        #[test]
        fn any_datagram_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = SockSample::parse(&bytes);
        }

        #[test]
        fn any_field_is_read(seconds: i64, micros: i64, offset: f64, pulse: i32, leap: i32) {
            if let Ok(sample) = SockSample::parse(&datagram(seconds, micros, offset, pulse, leap, MAGIC)) {
                prop_assert!((0..1_000_000).contains(&micros) && offset.is_finite());
                prop_assert_eq!(sample.system, Instant::from_secs(seconds) + Span::from_nanos(i128::from(micros) * 1_000));
                prop_assert_eq!(sample.is_pulse, pulse != 0);
            }
        }
    }
}
