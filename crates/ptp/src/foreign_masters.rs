//! The masters that a port hears, and which of them count (foreignMasterDS, IEEE 1588-2019 9.3.2.4, 9.3.2.5).

use arrayvec::ArrayVec;
use sidereal_time::{LocalClock, Span, Ticks};

use crate::address::Address;
use crate::bmca::{ComparisonSet, Relation};
use crate::identity::PortIdentity;
use crate::message::{Announce, Flags};

/// How many foreign masters a port remembers; the standard asks for five.
pub const MAX_FOREIGN_MASTERS: usize = 16;
/// `FOREIGN_MASTER_TIME_WINDOW`, in Announce intervals (IEEE 1588-2019 9.3.2.4.4).
const TIME_WINDOW: i128 = 4;
/// `FOREIGN_MASTER_THRESHOLD`: how many Announce within the window make a master count (IEEE 1588-2019 9.3.2.4.4).
const THRESHOLD: usize = 2;

/// One master that is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignMaster {
    /// The port that announces itself (foreignMasterPortIdentity).
    pub source: PortIdentity,
    /// Where its messages come from, where that is known.
    pub from: Option<Address>,
    /// What it said last.
    pub announce: Announce,
    /// The flags of that.
    pub flags: Flags,
    sequence_id: u16,
    /// When the last Announce came, the latest at the end; those out of the window are gone.
    heard: ArrayVec<Ticks, THRESHOLD>,
}

/// An Announce as a port received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// sourcePortIdentity.
    pub source: PortIdentity,
    /// Where it came from, where that is known.
    pub from: Option<Address>,
    /// sequenceId.
    pub sequence_id: u16,
    /// flagField.
    pub flags: Flags,
    /// What it says, as [`crate::AcceptableMasters`] left it.
    pub announce: Announce,
}

/// What was made of an Announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// It counts.
    Noted,
    /// It was here before.
    Duplicate,
    /// A master of this identity announces itself from another address: two share an identity. The one heard first stays,
    /// until it falls silent.
    OtherAddress,
    /// There is no room, and everybody in it counts.
    Full,
}

/// The masters that a port hears: so many at most, whoever sends. The parent is never dropped for another.
#[derive(Debug, Clone, Default)]
pub struct ForeignMasters {
    masters: ArrayVec<ForeignMaster, MAX_FOREIGN_MASTERS>,
    parent: Option<PortIdentity>,
    evicted: u64,
}

impl ForeignMasters {
    /// Takes an Announce that came at `now`, where `interval` is the port's Announce interval. The caller has left out what
    /// never counts: our own, those with alternateMasterFlag, those from too many steps away (IEEE 1588-2019 9.3.2.5).
    ///
    /// Where there is no room for a new master, it takes the place of the one that has been silent for longest of those that do
    /// not count.
    pub fn announce(&mut self, heard: &Heard, now: Ticks, interval: Span, clock: &LocalClock) -> Announced {
        self.expire(now, interval, clock);
        if let Some(known) = self.masters.iter_mut().find(|master| master.source == heard.source) {
            return known.hear(heard, now);
        }
        if self.masters.is_full() && !self.evict(now, clock) {
            return Announced::Full;
        }
        self.masters.push(ForeignMaster::new(heard, now));
        Announced::Noted
    }

    /// Forgets at `now` what is out of the window of four intervals, the parent excepted.
    pub fn expire(&mut self, now: Ticks, interval: Span, clock: &LocalClock) {
        let window = Span::from_units(interval.units() * TIME_WINDOW);
        let parent = self.parent;
        self.masters.retain(|master| {
            master.heard.retain(|at| clock.passed(*at, now) <= window);
            !master.heard.is_empty() || parent == Some(master.source)
        });
    }

    /// Makes `source` the parent: it counts, however seldom it is heard, until it is forgotten or another is followed.
    pub const fn follow(&mut self, source: PortIdentity) {
        self.parent = Some(source);
    }

    /// Forgets the parent, which has been silent for too long.
    pub fn forget_parent(&mut self) {
        let parent = self.parent.take();
        self.masters.retain(|master| parent != Some(master.source));
    }

    /// Forgets everybody, as a port does that begins anew.
    pub fn clear(&mut self) {
        self.masters.clear();
        self.parent = None;
    }

    /// Erbest: the best master that the port `receiver` with this localPriority hears, of those that count since [`Self::expire`]
    /// was called last, and its data set (IEEE 1588-2019 9.3.2.3).
    #[must_use]
    pub fn best(
        &self,
        receiver: PortIdentity,
        local_priority: u8,
        compare: impl Fn(&ComparisonSet, &ComparisonSet) -> Relation,
    ) -> Option<(&ForeignMaster, ComparisonSet)> {
        self.masters
            .iter()
            .filter(|master| self.counts(master))
            .map(|master| {
                let set = ComparisonSet::received(&master.announce, master.source, receiver, local_priority);
                (master, set)
            })
            .reduce(|best, other| if compare(&best.1, &other.1).is_b() { other } else { best })
    }

    /// All that are heard.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ForeignMaster> {
        self.masters.iter()
    }

    /// How many were dropped for others before they counted.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn counts(&self, master: &ForeignMaster) -> bool {
        master.qualified() || self.parent == Some(master.source)
    }

    /// Makes room for another; whether there was any to be made.
    fn evict(&mut self, now: Ticks, clock: &LocalClock) -> bool {
        let silent = |master: &ForeignMaster| master.heard.last().map(|at| clock.passed(*at, now));
        let victim = self
            .masters
            .iter()
            .enumerate()
            .filter(|(_, master)| !self.counts(master))
            .max_by_key(|(_, master)| silent(master))
            .map(|(index, _)| index);
        if let Some(index) = victim {
            self.masters.swap_remove(index);
            self.evicted += 1;
        }
        victim.is_some()
    }
}

impl ForeignMaster {
    /// Whether it was heard often enough of late to count (IEEE 1588-2019 9.3.2.5).
    #[must_use]
    pub const fn qualified(&self) -> bool {
        self.heard.is_full()
    }

    /// When it was heard last; `None` of a parent that has been silent for long.
    #[must_use]
    pub fn last_heard(&self) -> Option<Ticks> {
        self.heard.last().copied()
    }

    fn new(heard: &Heard, now: Ticks) -> Self {
        Self {
            source: heard.source,
            from: heard.from,
            announce: heard.announce,
            flags: heard.flags,
            sequence_id: heard.sequence_id,
            heard: [now].into_iter().collect(),
        }
    }

    fn hear(&mut self, heard: &Heard, now: Ticks) -> Announced {
        if self.from.is_some() && heard.from.is_some() && self.from != heard.from {
            return Announced::OtherAddress;
        }
        if self.sequence_id == heard.sequence_id {
            return Announced::Duplicate;
        }
        if self.heard.is_full() {
            self.heard.remove(0);
        }
        self.heard.push(now);
        self.from = heard.from.or(self.from);
        self.announce = heard.announce;
        self.flags = heard.flags;
        self.sequence_id = heard.sequence_id;
        Announced::Noted
    }
}

#[cfg(test)]
mod tests;
