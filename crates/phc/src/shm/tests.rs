//! A real segment, which a second mapping of it writes to as another program would.

use std::process;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering, fence};
use std::thread;

use proptest::prelude::*;
use sidereal_cpu::LocalCounter;
use sidereal_time::{Instant, Span, Utc};

use super::{
    CLOCK_MICROS, CLOCK_NANOS, CLOCK_SECONDS, COUNT, LEAP, MODE, PRECISION, RECEIVE_MICROS, RECEIVE_NANOS,
    RECEIVE_SECONDS, SHM_BYTES, ShmError, ShmImage, ShmSegment, VALID, WORDS, get,
};
use crate::{ReferenceSample, SampleFault, SystemClock};

/// A segment that is removed at the end of its test.
struct Segment {
    key: i32,
    id: i32,
}

impl Segment {
    /// A segment with a key of this test run.
    fn new(bytes: usize, permissions: i32) -> Self {
        static NEXT: AtomicI32 = AtomicI32::new(1);
        let own = i32::try_from(process::id() & 0x00ff_ffff).unwrap() << 6;
        let key = own + NEXT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the call takes numbers alone.
        let id = unsafe { libc::shmget(key, bytes, libc::IPC_CREAT | libc::IPC_EXCL | permissions) };
        assert!(id >= 0, "{}", std::io::Error::last_os_error());
        Self { key, id }
    }

    fn open(&self) -> ShmSegment {
        ShmSegment::open_key(self.key).unwrap()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID takes no argument.
        unsafe { libc::shmctl(self.id, libc::IPC_RMID, core::ptr::null_mut()) };
    }
}

fn put(words: &[AtomicU32; WORDS], at: usize, value: u32) {
    words[at].store(value, Ordering::Relaxed);
}

fn put_stamp(words: &[AtomicU32; WORDS], [seconds, micros, nanos]: [usize; 3], stamp: Instant<Utc>) {
    let (whole, rest) = stamp.split();
    let whole = u64::try_from(whole).unwrap().to_ne_bytes();
    let (halves, _) = whole.as_chunks();
    put(words, seconds, u32::from_ne_bytes(halves[0]));
    put(words, seconds + 1, u32::from_ne_bytes(halves[1]));
    let rest = u32::try_from(rest.as_nanos_rounded()).unwrap();
    put(words, micros, rest / 1_000);
    put(words, nanos, rest);
}

/// What a program does that writes in mode 1.
fn write(words: &[AtomicU32; WORDS], clock: Instant<Utc>, receive: Instant<Utc>) {
    put(words, MODE, 1);
    put(words, VALID, 0);
    words[COUNT].fetch_add(1, Ordering::Relaxed);
    fence(Ordering::Release);
    put_stamp(words, [CLOCK_SECONDS, CLOCK_MICROS, CLOCK_NANOS], clock);
    put_stamp(words, [RECEIVE_SECONDS, RECEIVE_MICROS, RECEIVE_NANOS], receive);
    put(words, PRECISION, (-20i32).cast_unsigned());
    fence(Ordering::Release);
    words[COUNT].fetch_add(1, Ordering::Release);
    words[VALID].store(1, Ordering::Release);
}

fn image(fields: &[(usize, u32)]) -> ShmImage {
    let mut words = [0; WORDS];
    fields.iter().for_each(|(at, value)| words[*at] = *value);
    ShmImage(words)
}

#[test]
fn a_sample_is_taken_once_and_placed() {
    let segment = Segment::new(SHM_BYTES, 0o600);
    let (mut reader, writer) = (segment.open(), segment.open());
    let mut system = SystemClock::new(LocalCounter::best());
    assert!(!reader.is_writable_by_others());
    assert_eq!(reader.take(&mut system), None);
    let now = system.read();
    let clock = now.at() + Span::from_nanos(1_500_000_123);
    write(writer.words(), clock, now.at());
    let Some(ReferenceSample::Time { reading, leap_step: 0 }) = reader.take(&mut system) else { panic!("a sample") };
    assert_eq!(reading.at(), clock);
    let apart = reading.ticks().0.abs_diff(now.ticks().0) as f64 / LocalCounter::best().nominal_hertz();
    assert!(apart <= (reading.window() + now.window()).as_secs_f64(), "{apart} s");
    // 2^-20 s and the window of the system clock's readings.
    assert!(reading.window() >= Span::from_nanos(953), "{reading:?}");
    assert_eq!(reader.take(&mut system), None);
    assert_eq!(writer.words()[VALID].load(Ordering::Relaxed), 0, "marked as taken");
    assert_eq!(reader.counts().accepted, 1);
}

#[test]
fn mode_0_has_no_count() {
    let segment = Segment::new(SHM_BYTES, 0o600);
    let (mut reader, writer) = (segment.open(), segment.open());
    let mut system = SystemClock::new(LocalCounter::best());
    for _ in 0..3 {
        let now = system.read().at();
        put_stamp(writer.words(), [CLOCK_SECONDS, CLOCK_MICROS, CLOCK_NANOS], now);
        put_stamp(writer.words(), [RECEIVE_SECONDS, RECEIVE_MICROS, RECEIVE_NANOS], now);
        put(writer.words(), VALID, 1);
        assert!(reader.take(&mut system).is_some());
        assert!(reader.take(&mut system).is_none());
    }
    assert_eq!(reader.counts().accepted, 3);
}

#[test]
fn faults_are_counted() {
    let segment = Segment::new(SHM_BYTES, 0o600);
    let (mut reader, writer) = (segment.open(), segment.open());
    let mut system = SystemClock::new(LocalCounter::best());
    let now = system.read().at();
    write(writer.words(), now, now + Span::from_secs(1_000));
    assert_eq!(reader.take(&mut system), None);
    write(writer.words(), now, now);
    put(writer.words(), LEAP, 3);
    assert_eq!(reader.take(&mut system), None);
    write(writer.words(), now, now);
    put(writer.words(), MODE, 2);
    assert_eq!(reader.take(&mut system), None);
    let counts = reader.counts();
    let of =
        [SampleFault::Unlocated, SampleFault::Unsynchronised, SampleFault::WrongMode].map(|fault| counts.of(fault));
    assert_eq!((counts.accepted, of), (0, [1, 1, 1]));
}

#[test]
fn a_sample_is_whole_or_torn_while_another_thread_writes() {
    const WRITES: u32 = 200_000;
    let segment = Segment::new(SHM_BYTES, 0o600);
    let (mut reader, writer) = (segment.open(), segment.open());
    let start = SystemClock::new(LocalCounter::best()).read().at();
    let writing = thread::spawn(move || {
        for n in 0..WRITES {
            // Both stamps are the same: what is not of one piece shows.
            let stamp = start + Span::from_nanos(i128::from(n) * 1_000_003);
            write(writer.words(), stamp, stamp);
        }
    });
    let mut whole = 0;
    while !writing.is_finished() {
        if let Some(Ok(image)) = reader.copy() {
            let sample = image.sample().unwrap();
            assert_eq!(sample.clock, sample.system);
            whole += 1;
        }
    }
    writing.join().unwrap();
    assert!(whole > 0);
}

#[test]
fn a_segment_that_is_too_small_is_named() {
    let segment = Segment::new(SHM_BYTES - 16, 0o600);
    let error = ShmSegment::open_key(segment.key).unwrap_err();
    assert!(matches!(error, ShmError::TooSmall { key } if key == segment.key), "{error}");
    assert!(error.to_string().contains(&format!("{:#010x}", segment.key)), "{error}");
}

#[test]
fn what_others_may_write_to_is_told() {
    let segment = Segment::new(SHM_BYTES, 0o666);
    assert!(segment.open().is_writable_by_others());
    // The segment is there already: its permissions stay.
    assert!(get(segment.key, libc::IPC_CREAT | 0o600).is_ok());
}

#[test]
fn nanoseconds_count_where_they_agree() {
    let stamp = |micros, nanos| {
        let image = image(&[(CLOCK_MICROS, micros), (CLOCK_NANOS, nanos)]);
        image.sample().map(|sample| (sample.clock - Instant::EPOCH).as_nanos_rounded())
    };
    assert_eq!(stamp(250_000, 250_000_999), Ok(250_000_999));
    assert_eq!(stamp(250_000, 0), Ok(250_000_000), "a writer that does not know of nanoseconds");
    assert_eq!(stamp(250_000, 251_000_000), Ok(250_000_000));
    assert_eq!(stamp(1_000_000, 0), Err(SampleFault::BadTime));
    assert_eq!(stamp(u32::MAX, 0), Err(SampleFault::BadTime), "-1");
}

#[test]
fn the_window_is_what_the_source_says_or_what_its_stamps_can_tell() {
    let precision = |exponent: i32, nanos: u32| {
        let fields = [(PRECISION, exponent.cast_unsigned()), (CLOCK_MICROS, 1), (CLOCK_NANOS, nanos)];
        image(&fields).sample().unwrap().precision
    };
    assert_eq!(precision(-1, 1_000), Span::from_nanos(500_000_000));
    assert_eq!(precision(-30, 1_500), Span::from_nanos(2));
    assert_eq!(precision(-30, 0), Span::from_nanos(1_001), "one stamp in microseconds, one in nanoseconds");
    assert_eq!(precision(0, 1_000), Span::from_nanos(2));
    assert_eq!(precision(i32::MIN, 1_000), Span::from_nanos(2));
}

proptest! {
    #[test]
    fn any_memory_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        match ShmImage::from_bytes(&bytes) {
            Some(image) => drop(image.sample()),
            None => prop_assert!(bytes.len() < SHM_BYTES),
        }
    }

    #[test]
    fn what_was_written_is_read(clock in 0i64..1 << 60, receive in 0i64..1 << 60, leap in 0u32..3) {
        let words = [const { AtomicU32::new(0) }; WORDS];
        let [clock, receive] = [clock, receive].map(|nanos| Instant::from_nanos(nanos.into()));
        write(&words, clock, receive);
        put(&words, LEAP, leap);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        let image = ShmImage::from_bytes(&bytes).unwrap();
        prop_assert!(image.is_valid());
        let sample = image.sample().unwrap();
        prop_assert_eq!((sample.clock, sample.system), (clock, receive));
        prop_assert_eq!(sample.leap_step, [0, -1, 1][leap as usize]);
    }
}
