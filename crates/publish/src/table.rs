//! A large value, borrowed where it lies.

use core::fmt;
use core::ptr::NonNull;

use crossbeam_utils::CachePadded;

use crate::sync::{Arc, AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering};

/// What the slot of a reader that is gone holds: later than every generation.
const GONE: u64 = u64::MAX;

/// A table that one writer replaces as a whole and any number of readers look at, `initial` at first.
pub fn table<T: Send + Sync>(initial: T) -> (TableWriter<T>, TableReader<T>) {
    let generation = 0;
    let shared = Arc::new(Shared {
        current: CachePadded::new(AtomicPtr::new(Table::allocate(generation, initial).as_ptr())),
        books: Mutex::new(Books { generation, retired: Vec::new(), slots: Vec::new() }),
    });
    let writer = TableWriter { shared };
    let reader = writer.reader();
    (writer, reader)
}

/// The one that replaces the table.
///
/// An old table is freed by a later [`replace`](Self::replace) or [`collect`](Self::collect), once every reader has
/// moved on to a newer one or is gone. A reader that never calls [`TableReader::current`] again holds back every table
/// since. What is left when the writer goes is freed with the last reader.
pub struct TableWriter<T> {
    shared: Arc<Shared<T>>,
}

/// One that looks at the table.
pub struct TableReader<T> {
    shared: Arc<Shared<T>>,
    /// The generation below which this reader holds nothing; [`GONE`] after it was dropped.
    slot: Slot,
    /// The table that `current` returned last: its generation is in `slot`.
    held: NonNull<Table<T>>,
}

type Slot = Arc<CachePadded<AtomicU64>>;

/// Generations count the replacements. A retired table is freed once its generation is below that in every slot.
///
/// Why no reader follows a pointer to freed memory: a slot holds the generation `h` of the table that its reader moved
/// to last, and the pointer only ever moves to later generations. Whatever the reader finds in `current` is therefore of
/// generation `h` or later, and none of those is freed while the slot says `h`: neither before the reader follows the
/// pointer nor until it has stored a later generation.
///
/// Memory orders:
///
/// - The writer's release swap of `current` pairs with the reader's acquire load: who finds a table finds it complete.
/// - The reader's release store to its slot (or of [`GONE`]) pairs with the writer's acquire load: all that the reader
///   ever did with older tables happens before the writer frees them.
struct Shared<T> {
    current: CachePadded<AtomicPtr<Table<T>>>,
    /// The writer's own; no reader locks it.
    books: Mutex<Books<T>>,
}

struct Books<T> {
    generation: u64,
    retired: Vec<Retired<T>>,
    slots: Vec<Slot>,
}

struct Table<T> {
    generation: u64,
    value: T,
}

/// A table that is no longer current, and freed when this is dropped. Not a `Box`: that would claim to be the only way to
/// the table while readers may still look at it.
struct Retired<T>(NonNull<Table<T>>);

impl<T: Send + Sync> TableWriter<T> {
    /// Makes `value` what readers get from now on, and frees the old tables that none can hold any more. Never waits for
    /// a reader.
    pub fn replace(&mut self, value: T) {
        let mut books = self.shared.books();
        books.generation += 1;
        let new = Table::allocate(books.generation, value);
        let old = self.shared.current.swap(new.as_ptr(), Ordering::AcqRel);
        books.retired.extend(NonNull::new(old).map(Retired));
        books.collect();
    }

    /// Frees the old tables that no reader can hold any more; how many are still kept.
    pub fn collect(&mut self) -> usize {
        self.shared.books().collect()
    }

    /// Another reader.
    #[must_use]
    pub fn reader(&self) -> TableReader<T> {
        let mut books = self.shared.books();
        // Under the lock, so that the table found is the one of this generation.
        let slot = Arc::new(CachePadded::new(AtomicU64::new(books.generation)));
        books.slots.push(Arc::clone(&slot));
        TableReader { shared: Arc::clone(&self.shared), slot, held: self.shared.current() }
    }
}

impl<T: Send + Sync> TableReader<T> {
    /// The table as it is now. Costs one load where it has not been replaced; never waits.
    #[inline]
    pub fn current(&mut self) -> &T {
        let current = self.shared.current();
        if current != self.held {
            self.move_to(current);
        }
        // SAFETY: `held` is of the generation in `slot`, so that the writer keeps it until `slot` changes; only
        // `move_to` and `drop` change `slot`, and both need the `&mut self` that this borrow holds.
        &unsafe { self.held.as_ref() }.value
    }

    #[cold]
    fn move_to(&mut self, current: NonNull<Table<T>>) {
        // SAFETY: `current` was loaded while `slot` held an earlier generation, which keeps it (see `Shared`).
        let generation = unsafe { current.as_ref() }.generation;
        self.held = current;
        self.slot.store(generation, Ordering::Release);
    }
}

impl<T> Drop for TableReader<T> {
    fn drop(&mut self) {
        self.slot.store(GONE, Ordering::Release);
    }
}

impl<T> Shared<T> {
    fn books(&self) -> MutexGuard<'_, Books<T>> {
        // A table whose destructor panicked has left the books: they are whole.
        self.books.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[inline]
    fn current(&self) -> NonNull<Table<T>> {
        // SAFETY: `current` is set from `Table::allocate` only.
        unsafe { NonNull::new_unchecked(self.current.load(Ordering::Acquire)) }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // The last owner is gone, and with it every reader.
        drop(Retired(self.current()));
    }
}

impl<T> Books<T> {
    fn collect(&mut self) -> usize {
        let mut oldest_held = GONE;
        self.slots.retain(|slot| {
            let held = slot.load(Ordering::Acquire);
            oldest_held = oldest_held.min(held);
            held != GONE
        });
        self.retired.retain(|retired| retired.generation() >= oldest_held);
        self.retired.len()
    }
}

impl<T> Table<T> {
    fn allocate(generation: u64, value: T) -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(Self { generation, value })))
    }
}

impl<T> Retired<T> {
    const fn generation(&self) -> u64 {
        // SAFETY: the table lives as long as this, and is only ever read.
        unsafe { self.0.as_ref() }.generation
    }
}

impl<T> Drop for Retired<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer is from `Table::allocate`, and `Books::collect` or the end of `Shared` has made sure that
        // no reader holds it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

// SAFETY: owns a `Table<T>` that readers on other threads may look at (`T: Sync`) and that is freed on any (`T: Send`).
unsafe impl<T: Send + Sync> Send for Retired<T> {}

// SAFETY: as the above: `held` points into a table which the reader shares with others, and may be the last to free.
unsafe impl<T: Send + Sync> Send for TableReader<T> {}

impl<T> fmt::Debug for TableWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for TableReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableReader").finish_non_exhaustive()
    }
}
