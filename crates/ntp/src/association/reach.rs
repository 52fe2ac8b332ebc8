//! The reach register (RFC 5905 §13): the outcome of the last eight polls, one bit each.

/// Polls without an answer after which a source that does not answer is asked more rarely (UNREACH of RFC 5905 §7.2).
const UNREACHABLE_POLLS: u8 = 12;

/// Eight polls, the last one in the lowest bit; and for how long there has been no answer at all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    bits: u8,
    silent: u8,
}

impl Reach {
    /// A poll begins.
    pub(super) const fn polled(&mut self) {
        self.bits <<= 1;
        self.silent = if self.bits == 0 { self.silent.saturating_add(1) } else { 0 };
    }

    /// It is answered.
    pub(super) const fn answered(&mut self) {
        self.bits |= 1;
        self.silent = 0;
    }

    pub(super) const fn bits(self) -> u8 {
        self.bits
    }

    pub(super) const fn is_reachable(self) -> bool {
        self.bits != 0
    }

    /// Whether there has been no answer for so long that asking at this pace is a waste.
    pub(super) const fn is_lost(self) -> bool {
        self.silent > UNREACHABLE_POLLS
    }
}
