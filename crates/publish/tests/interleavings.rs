//! Every interleaving, and every value that the memory model lets a load see, of short runs:
//! `RUSTFLAGS="--cfg loom" cargo test -p sidereal-publish --release`.
#![cfg(loom)]
#![allow(unsafe_code, reason = "looks into loom's cells, which report every access that is not ordered")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use sidereal_publish::{TableReader, Words, seqlock, table};

/// Two words that belong together.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair(u64);

impl Words<2> for Pair {
    fn to_words(&self) -> [u64; 2] {
        [self.0, self.0 + 100]
    }
    fn from_words([first, second]: [u64; 2]) -> Self {
        assert_eq!(first + 100, second, "words of two publications");
        Self(first)
    }
}

#[test]
fn a_copy_is_whole_and_never_older_than_the_last() {
    loom::model(|| {
        let (mut writer, mut reader) = seqlock(Pair(0));
        let reading = thread::spawn(move || {
            let mut last = 0;
            for _ in 0..2 {
                let changed = reader.refresh();
                let now = reader.get().0;
                assert_eq!(changed, now != last);
                assert!(now >= last);
                last = now;
            }
            reader
        });
        writer.publish(&Pair(1));
        writer.publish(&Pair(2));
        let mut reader = reading.join().unwrap();
        reader.refresh();
        assert_eq!(*reader.get(), Pair(2), "what was published before is seen");
        assert!(!reader.refresh());
    });
}

#[test]
fn readers_do_not_disturb_each_other() {
    loom::model(|| {
        let (mut writer, mut reader) = seqlock(Pair(0));
        let mut other = reader.clone();
        let reading = thread::spawn(move || {
            other.refresh();
            assert!(other.get().0 <= 1);
        });
        let writing = thread::spawn(move || writer.publish(&Pair(1)));
        reader.refresh();
        assert!(reader.get().0 <= 1);
        reading.join().unwrap();
        writing.join().unwrap();
    });
}

/// A table whose every access loom checks: one that is not ordered after its making and before its freeing is reported.
struct Watched {
    number: UnsafeCell<usize>,
    freed: Arc<AtomicUsize>,
}

// SAFETY: the cell is changed by `drop` alone; loom fails the test if any access is concurrent with it.
unsafe impl Sync for Watched {}

impl Watched {
    fn new(number: usize, freed: &Arc<AtomicUsize>) -> Self {
        Self { number: UnsafeCell::new(number), freed: Arc::clone(freed) }
    }

    fn number(&self) -> usize {
        // SAFETY: loom fails the test where somebody changes the number meanwhile.
        self.number.with(|number| unsafe { *number })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: as in `number`.
        self.number.with_mut(|number| unsafe { *number = usize::MAX });
        self.freed.fetch_add(1, Ordering::Relaxed);
    }
}

fn look_twice(reader: &mut TableReader<Watched>) {
    let first = reader.current().number();
    let second = reader.current().number();
    assert!(first <= second, "table {second} after table {first}");
    assert!(second <= 2, "table {second} was freed");
}

#[test]
fn a_table_is_freed_once_and_only_after_its_readers() {
    loom::model(|| {
        let freed = Arc::new(AtomicUsize::new(0));
        let (mut writer, mut reader) = table(Watched::new(0, &freed));
        let reading = thread::spawn(move || {
            look_twice(&mut reader);
            reader
        });
        writer.replace(Watched::new(1, &freed));
        writer.replace(Watched::new(2, &freed));
        let mut reader = reading.join().unwrap();
        assert_eq!(reader.current().number(), 2, "what was published before is seen");
        assert_eq!(writer.collect(), 0);
        assert_eq!(freed.load(Ordering::Relaxed), 2);
        drop(writer);
        assert_eq!(reader.current().number(), 2, "the last table lives as long as its reader");
        drop(reader);
        assert_eq!(freed.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_reader_that_goes_gives_its_tables_back() {
    loom::model(|| {
        let freed = Arc::new(AtomicUsize::new(0));
        let (mut writer, mut reader) = table(Watched::new(0, &freed));
        let reading = thread::spawn(move || look_twice(&mut reader));
        writer.replace(Watched::new(1, &freed));
        reading.join().unwrap();
        assert_eq!(writer.collect(), 0);
        assert_eq!(freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn the_slowest_of_two_readers_decides() {
    let mut model = loom::model::Builder::new();
    // Three threads: all interleavings with up to three preemptions find what there is to find in reasonable time.
    model.preemption_bound = Some(3);
    model.check(|| {
        let freed = Arc::new(AtomicUsize::new(0));
        let (mut writer, mut reader) = table(Watched::new(0, &freed));
        let mut other = writer.reader();
        let reading = thread::spawn(move || look_twice(&mut reader));
        let reading_too = thread::spawn(move || look_twice(&mut other));
        writer.replace(Watched::new(1, &freed));
        drop(writer);
        reading.join().unwrap();
        reading_too.join().unwrap();
        assert_eq!(freed.load(Ordering::Relaxed), 2);
    });
}
