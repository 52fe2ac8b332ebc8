//! Reference clocks that leave their samples in shared memory, as gpsd and others do for ntpd's driver 28 (`SHM`).

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use sidereal_time::{Instant, Reading, Span, Utc};

use crate::sample::{SECONDS_MAX, leap_step};
use crate::{Located, ReferenceSample, SampleCounts, SampleFault, SystemClock};

/// The key of unit 0: "NTP0". That of unit `n` is `n` more.
const KEY: libc::key_t = 0x4e54_5030;
/// The size of the segment, as a program writes it whose `time_t` has 64 bits.
pub const SHM_BYTES: usize = 96;
const WORDS: usize = SHM_BYTES / 4;
/// The fields, in words of 32 bits.
const MODE: usize = 0;
const COUNT: usize = 1;
const CLOCK_SECONDS: usize = 2;
const CLOCK_MICROS: usize = 4;
const RECEIVE_SECONDS: usize = 6;
const RECEIVE_MICROS: usize = 8;
const LEAP: usize = 9;
const PRECISION: usize = 10;
const VALID: usize = 12;
const CLOCK_NANOS: usize = 13;
const RECEIVE_NANOS: usize = 14;
/// Only the owner may write to a segment that we make: who can, sets our clock.
const PERMISSIONS: libc::c_int = 0o600;
/// The permission bits with which others than the owner can write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// How often a sample is read again that its writer was changing.
const TRIES: u32 = 4;

/// The words of a segment, copied at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShmImage([u32; WORDS]);

impl ShmImage {
    /// The words as they stand in memory; `None` where there are fewer than 96 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.get(..SHM_BYTES)?.as_chunks();
        let mut image = [0; WORDS];
        for (word, bytes) in image.iter_mut().zip(words) {
            *word = u32::from_ne_bytes(*bytes);
        }
        Some(Self(image))
    }

    /// Whether the writer says that there is a sample.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.0[VALID] != 0
    }

    /// Reads the sample. The nanoseconds of a stamp count where they agree with its microseconds: writers that do not know
    /// of them leave anything there.
    ///
    /// # Errors
    /// Where a field is out of range, or the source says that it does not know the time.
    pub fn sample(&self) -> Result<ShmSample, SampleFault> {
        if self.0[MODE] > 1 {
            return Err(SampleFault::WrongMode);
        }
        let clock = self.stamp(CLOCK_SECONDS, CLOCK_MICROS, CLOCK_NANOS)?;
        let receive = self.stamp(RECEIVE_SECONDS, RECEIVE_MICROS, RECEIVE_NANOS)?;
        let leap_step = leap_step(self.0[LEAP].cast_signed())?;
        let granularity = clock.granularity + receive.granularity;
        let precision = precision(self.0[PRECISION].cast_signed()).max(granularity);
        Ok(ShmSample { clock: clock.at, system: receive.at, leap_step, precision })
    }

    fn stamp(&self, seconds: usize, micros: usize, nanos: usize) -> Result<ShmStamp, SampleFault> {
        let seconds = self.long(seconds);
        let (micros, nanos) = (self.0[micros], self.0[nanos]);
        if !(0..=SECONDS_MAX).contains(&seconds) || micros >= 1_000_000 {
            return Err(SampleFault::BadTime);
        }
        let has_nanos = nanos / 1_000 == micros;
        let (nanos, granularity) = if has_nanos { (nanos, 1) } else { (micros * 1_000, 1_000) };
        let at = Instant::from_secs(seconds) + Span::from_nanos(nanos.into());
        Ok(ShmStamp { at, granularity: Span::from_nanos(granularity) })
    }

    /// The 64-bit number in two words.
    fn long(&self, at: usize) -> i64 {
        let [first, second] = [self.0[at], self.0[at + 1]].map(u64::from);
        let (low, high) = if cfg!(target_endian = "little") { (first, second) } else { (second, first) };
        (high << 32 | low).cast_signed()
    }
}

struct ShmStamp {
    at: Instant<Utc>,
    granularity: Span,
}

/// How good a source says it is, as a power of two of a second. 0, which most that do not know leave there, and what makes
/// no sense, tell nothing.
fn precision(exponent: i32) -> Span {
    match exponent {
        -31..=-1 => Span::from_units(Span::SECOND.units() >> exponent.unsigned_abs()),
        _ => Span::ZERO,
    }
}

/// A sample as it stands in shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShmSample {
    /// What the reference clock showed.
    pub clock: Instant<Utc>,
    /// What the system clock showed then.
    pub system: Instant<Utc>,
    /// What is added to UTC at the end of this UTC day, in seconds: -1, 0 or 1.
    pub leap_step: i8,
    /// How good it is, as the source says, and no better than its stamps can be.
    pub precision: Span,
}

impl ShmSample {
    fn reading(&self, located: Located) -> ReferenceSample {
        let reading = Reading::new(located.ticks, self.clock, located.window + self.precision);
        ReferenceSample::Time { reading, leap_step: self.leap_step }
    }
}

/// Why there is no shared memory.
#[derive(Debug, thiserror::Error)]
pub enum ShmError {
    /// It is there, of another size: written by a 32-bit program, or by something else.
    #[error(
        "the shared memory with key {key:#010x} is smaller than {SHM_BYTES} bytes: a 32-bit program made it (`ipcrm -M {key:#010x}` removes it)"
    )]
    TooSmall {
        /// Its key.
        key: i32,
    },
    /// It is there, and we may not have it.
    #[error("may not use the shared memory with key {key:#010x}: {source} (`ipcs -m` shows whose it is)")]
    Forbidden {
        /// Its key.
        key: i32,
        /// What the kernel said.
        source: io::Error,
    },
    /// It could not be made or attached.
    #[error("cannot have the shared memory with key {key:#010x}: {source}")]
    Failed {
        /// Its key.
        key: i32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ShmError {
    fn new(key: i32, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EINVAL) => Self::TooSmall { key },
            Some(libc::EACCES | libc::EPERM) => Self::Forbidden { key, source },
            _ => Self::Failed { key, source },
        }
    }
}

/// A segment of shared memory.
#[derive(Debug)]
pub struct ShmSegment {
    words: NonNull<[AtomicU32; WORDS]>,
    is_writable: bool,
    is_writable_by_others: bool,
    /// What was seen last: in memory that we may not write to, it stays valid.
    last: Option<ShmImage>,
    counts: SampleCounts,
}

// SAFETY: the segment belongs to the process, not to a thread, and its words are atomics.
unsafe impl Send for ShmSegment {}

impl ShmSegment {
    /// Attaches the segment of a unit, 0 to 255, or makes it where it is not there: writable by our user alone. Where we may
    /// only read it, it is read.
    ///
    /// # Errors
    /// Where it is too small, or we may not even read it.
    pub fn open(unit: u8) -> Result<Self, ShmError> {
        Self::open_key(KEY + libc::key_t::from(unit))
    }

    /// The same, of any key.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_key(key: i32) -> Result<Self, ShmError> {
        let error = |source| ShmError::new(key, source);
        let (id, is_writable) = match get(key, libc::IPC_CREAT | PERMISSIONS) {
            Err(source) if source.raw_os_error() == Some(libc::EACCES) => (get(key, 0).map_err(error)?, false),
            id => (id.map_err(error)?, true),
        };
        let (words, is_writable) = match attach(id, if is_writable { 0 } else { libc::SHM_RDONLY }) {
            Err(source) if is_writable && source.raw_os_error() == Some(libc::EACCES) => {
                (attach(id, libc::SHM_RDONLY).map_err(error)?, false)
            }
            words => (words.map_err(error)?, is_writable),
        };
        let is_writable_by_others = permissions(id).is_some_and(|mode| mode & WRITABLE_BY_OTHERS != 0);
        Ok(Self { words, is_writable, is_writable_by_others, last: None, counts: SampleCounts::default() })
    }

    /// Whether others than its owner can write to it, and with that set our clock: worth a warning.
    #[must_use]
    pub const fn is_writable_by_others(&self) -> bool {
        self.is_writable_by_others
    }

    /// The sample that has come since the last call, if there is one; `system` places it on the counter. What is there but
    /// bad is counted. Ask at least once per second.
    pub fn take(&mut self, system: &mut SystemClock) -> Option<ReferenceSample> {
        let sample = self.copy()?.and_then(|image| {
            let sample = image.sample()?;
            let located = system.locate(sample.system).map_err(|_| SampleFault::Unlocated)?;
            Ok(sample.reading(located))
        });
        self.counts.count(&sample);
        sample.ok()
    }

    /// What became of the samples so far.
    #[must_use]
    pub const fn counts(&self) -> SampleCounts {
        self.counts
    }

    /// A sample that has not been seen; it is marked as taken where we may write.
    fn copy(&mut self) -> Option<Result<ShmImage, SampleFault>> {
        for _ in 0..TRIES {
            let before = self.words()[COUNT].load(Ordering::Acquire);
            let image = ShmImage(core::array::from_fn(|at| self.words()[at].load(Ordering::Relaxed)));
            // Whoever writes counts before and after: if the count is still the same, so was all that stands between.
            fence(Ordering::Acquire);
            let after = self.words()[COUNT].load(Ordering::Relaxed);
            if !image.is_valid() {
                return None;
            }
            // In mode 0 nobody counts.
            if image.0[MODE] != 0 && (before, image.0[COUNT]) != (after, after) {
                continue;
            }
            if self.is_writable {
                self.words()[VALID].store(0, Ordering::Release);
            }
            // Where we may not write, and where two programs share the segment, the same sample is met again.
            return (self.last.replace(image) != Some(image)).then_some(Ok(image));
        }
        Some(Err(SampleFault::Torn))
    }

    fn words(&self) -> &[AtomicU32; WORDS] {
        // SAFETY: the segment stays attached as long as `self` lives. It is large enough, page-aligned, and everybody in this
        // process sees it as atomics; what other processes write there is some number.
        unsafe { self.words.as_ref() }
    }
}

impl Drop for ShmSegment {
    fn drop(&mut self) {
        // SAFETY: it was attached by `attach`, and nothing borrows from it any more.
        unsafe { libc::shmdt(self.words.as_ptr().cast_const().cast()) };
    }
}

fn get(key: i32, flags: libc::c_int) -> io::Result<libc::c_int> {
    // SAFETY: the call takes numbers alone.
    let id = unsafe { libc::shmget(key, SHM_BYTES, flags) };
    if id < 0 { Err(io::Error::last_os_error()) } else { Ok(id) }
}

fn attach(id: libc::c_int, flags: libc::c_int) -> io::Result<NonNull<[AtomicU32; WORDS]>> {
    // SAFETY: a null address lets the kernel choose one where nothing is.
    let address = unsafe { libc::shmat(id, core::ptr::null(), flags) };
    // What fails is the address -1.
    match NonNull::new(address.cast()) {
        Some(words) if address.addr() != usize::MAX => Ok(words),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The permission bits of a segment, where the kernel tells them.
fn permissions(id: libc::c_int) -> Option<u32> {
    // SAFETY: all fields are integers (and padding), for which zero is a value.
    let mut about: libc::shmid_ds = unsafe { core::mem::zeroed() };
    // SAFETY: `about` is a shmid_ds to write to.
    let result = unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut about) };
    (result == 0).then(|| about.shm_perm.mode.into())
}

#[cfg(test)]
mod tests;
