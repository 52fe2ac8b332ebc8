//! A small value, copied whole.

use core::marker::PhantomData;

use crossbeam_utils::CachePadded;

use crate::sync::{Arc, AtomicU64, Ordering, fence, spin_loop};

/// How often [`SeqlockReader::refresh`] tries to copy a value that changes under its eyes before it keeps the last copy.
const READ_TRIES: u32 = 4;

/// A value that can be told in `N` words of 64 bits.
///
/// A value read from a seqlock always consists of words that were written together, yet [`Self::from_words`] is total:
/// any words give a value, so that no reader can fail.
pub trait Words<const N: usize>: Copy {
    /// The value in words.
    fn to_words(&self) -> [u64; N];

    /// The value that these words tell.
    fn from_words(words: [u64; N]) -> Self;
}

/// A value that one writer changes and any number of readers copy, `initial` at first.
pub fn seqlock<T: Words<N>, const N: usize>(initial: T) -> (SeqlockWriter<T, N>, SeqlockReader<T, N>) {
    let shared = Arc::new(CachePadded::new(Shared {
        sequence: AtomicU64::new(0),
        words: initial.to_words().map(AtomicU64::new),
    }));
    let writer = SeqlockWriter { shared: Arc::clone(&shared), sequence: 0, value: PhantomData };
    (writer, SeqlockReader { shared, sequence: 0, copy: initial })
}

/// The one that changes the value.
#[derive(Debug)]
pub struct SeqlockWriter<T, const N: usize> {
    shared: Arc<CachePadded<Shared<N>>>,
    /// The sequence number of the last publication; always even.
    sequence: u64,
    value: PhantomData<fn(T)>,
}

/// One that copies the value; clone it for each thread that reads.
#[derive(Debug, Clone)]
pub struct SeqlockReader<T, const N: usize> {
    shared: Arc<CachePadded<Shared<N>>>,
    /// The sequence number under which `copy` was read; always even.
    sequence: u64,
    copy: T,
}

/// The sequence number is even while the words belong together and odd while they are being written.
///
/// Memory orders, for publication number `s` -> `s + 2`:
///
/// - The writer's release fence stands between its store of `s + 1` and its stores of the words; the reader's acquire
///   fence stands between its loads of the words and its second load of the sequence. A reader that saw any word of
///   this publication therefore also sees at least `s + 1` the second time, and throws the copy away.
/// - The writer's release store of `s + 2` pairs with the reader's acquire load the first time. A reader that saw
///   `s + 2` therefore reads words at least as new as this publication.
///
/// Together: where both loads gave the same even number, the words are exactly those of that publication. The words are
/// atomics, read and written relaxed, so that the race which the sequence number detects is not undefined behaviour.
#[derive(Debug)]
struct Shared<const N: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

impl<T: Words<N>, const N: usize> SeqlockWriter<T, N> {
    /// Makes `value` what readers get from now on. Never waits.
    pub fn publish(&mut self, value: &T) {
        let words = value.to_words();
        self.shared.sequence.store(self.sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, new) in self.shared.words.iter().zip(words) {
            word.store(new, Ordering::Relaxed);
        }
        self.sequence += 2;
        self.shared.sequence.store(self.sequence, Ordering::Release);
    }
}

impl<T: Words<N>, const N: usize> SeqlockReader<T, N> {
    /// Copies the value if it has changed since the last copy, and tells whether it has. Costs one load where nothing
    /// changed; tries a bounded number of times while the writer is at work, then keeps the last copy.
    #[inline]
    pub fn refresh(&mut self) -> bool {
        let sequence = self.shared.sequence.load(Ordering::Acquire);
        sequence != self.sequence && self.copy_from(sequence)
    }

    /// The last copy.
    #[inline]
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.copy
    }

    #[cold]
    fn copy_from(&mut self, mut sequence: u64) -> bool {
        for _ in 0..READ_TRIES {
            if sequence.is_multiple_of(2) {
                let words = self.shared.words.each_ref().map(|word| word.load(Ordering::Relaxed));
                fence(Ordering::Acquire);
                if self.shared.sequence.load(Ordering::Relaxed) == sequence {
                    self.sequence = sequence;
                    self.copy = T::from_words(words);
                    return true;
                }
            }
            spin_loop();
            sequence = self.shared.sequence.load(Ordering::Acquire);
        }
        false
    }
}
