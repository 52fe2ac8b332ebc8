//! The same promises as in `interleavings.rs`, kept by real threads for long enough to meet.
#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sidereal_publish::{Words, seqlock, table};

const READERS: usize = 3;
const PUBLICATIONS: u64 = 500_000;
const TABLES: usize = 50_000;

/// A value of several cache lines, all of whose words follow from the first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Block(u64);

impl Words<24> for Block {
    fn to_words(&self) -> [u64; 24] {
        core::array::from_fn(|n| self.0.wrapping_mul(n as u64 + 1))
    }
    fn from_words(words: [u64; 24]) -> Self {
        let block = Self(words[0]);
        assert_eq!(block.to_words(), words, "words of two publications");
        block
    }
}

#[test]
fn copies_are_whole_and_in_order() {
    let (mut writer, reader) = seqlock(Block(0));
    thread::scope(|scope| {
        for mut reader in std::iter::repeat_n(reader, READERS) {
            scope.spawn(move || {
                let mut last = 0;
                while last < PUBLICATIONS {
                    let changed = reader.refresh();
                    assert_eq!(changed, reader.get().0 != last);
                    assert!(reader.get().0 >= last);
                    last = reader.get().0;
                    thread::yield_now();
                }
            });
        }
        for number in 1..=PUBLICATIONS {
            writer.publish(&Block(number));
        }
    });
}

#[test]
fn an_unchanged_value_is_not_copied() {
    let (mut writer, mut reader) = seqlock(Block(7));
    assert!(!reader.refresh());
    assert_eq!(*reader.get(), Block(7));
    writer.publish(&Block(8));
    assert_eq!(*reader.get(), Block(7), "a copy stays as it is until the next refresh");
    assert!(reader.refresh());
    assert!(!reader.refresh());
    assert_eq!(*reader.get(), Block(8));
}

/// A table that counts how many of its kind are alive.
struct Counted {
    numbers: Vec<usize>,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { numbers: vec![number; 64], alive: Arc::clone(alive) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.numbers.fill(usize::MAX);
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn tables_are_whole_in_order_and_freed() {
    let alive = Arc::new(AtomicUsize::new(0));
    let (mut writer, reader) = table(Counted::new(0, &alive));
    let readers: Vec<_> = std::iter::once(reader).chain((1..READERS).map(|_| writer.reader())).collect();
    thread::scope(|scope| {
        for mut reader in readers {
            scope.spawn(move || {
                let mut last = 0;
                while last < TABLES {
                    let numbers = &reader.current().numbers;
                    assert!(numbers.iter().all(|number| *number == numbers[0]));
                    assert!(numbers[0] >= last && numbers[0] <= TABLES);
                    last = numbers[0];
                    thread::yield_now();
                }
            });
        }
        for number in 1..=TABLES {
            writer.replace(Counted::new(number, &alive));
        }
    });
    assert_eq!(writer.collect(), 0);
    assert_eq!(alive.load(Ordering::Relaxed), 1, "only the current table is left");
    drop(writer);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_reader_holds_back_what_it_may_hold_and_no_more() {
    let alive = Arc::new(AtomicUsize::new(0));
    let (mut writer, mut behind) = table(Counted::new(0, &alive));
    let mut ahead = writer.reader();
    for number in 1..=3 {
        writer.replace(Counted::new(number, &alive));
        assert_eq!(ahead.current().numbers[0], number);
    }
    assert_eq!(writer.collect(), 3, "the reader that stayed behind may follow the pointer to any of them");
    let late = writer.reader();
    assert_eq!(behind.current().numbers[0], 3);
    assert_eq!(writer.collect(), 0);
    writer.replace(Counted::new(4, &alive));
    drop((behind, ahead));
    assert_eq!(writer.collect(), 1, "the reader that came last still holds it");
    drop(late);
    assert_eq!(writer.collect(), 0);
    assert_eq!(alive.load(Ordering::Relaxed), 1);
}

#[test]
fn readers_outlive_the_writer() {
    let alive = Arc::new(AtomicUsize::new(0));
    let (mut writer, mut reader) = table(Counted::new(0, &alive));
    writer.replace(Counted::new(1, &alive));
    drop(writer);
    assert_eq!(alive.load(Ordering::Relaxed), 2);
    assert_eq!(reader.current().numbers[0], 1);
    drop(reader);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}
