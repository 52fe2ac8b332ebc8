//! How much too late a T3 was at most.

use sidereal_time::Ticks;

use crate::limits::LATENESS_WINDOW_S;

/// The lateness of T3 in the last one to two windows, in two parts: of the time at which bursts are handed over, which every
/// burst shows, and of the model of the way behind that, which stamps show.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    pub(super) of_pace: Most,
    pub(super) of_model: Most,
    since: Ticks,
}

/// The most of this window and of the one before.
#[derive(Debug, Default)]
pub(super) struct Most {
    this: u64,
    before: u64,
}

impl Most {
    /// Something was so many ticks too late; a negative number is too early.
    #[inline]
    pub(super) fn note(&mut self, late: i64) {
        self.this = self.this.max(late.max(0).unsigned_abs());
    }

    fn most(&self) -> u64 {
        self.this.max(self.before)
    }

    fn turn(&mut self) {
        self.before = core::mem::take(&mut self.this);
    }
}

impl Lateness {
    /// In ticks. The model's part has the pace's in it, where stamps come.
    #[inline]
    pub(super) fn most(&self) -> u64 {
        self.of_pace.most().max(self.of_model.most())
    }

    /// Begins a new window if it is time to.
    #[inline]
    pub(super) fn turn(&mut self, now: Ticks, second: u64) {
        if now.0.wrapping_sub(self.since.0) >= second.saturating_mul(LATENESS_WINDOW_S) {
            self.since = now;
            self.of_pace.turn();
            self.of_model.turn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lateness;
    use crate::limits::LATENESS_WINDOW_S;
    use sidereal_time::Ticks;

    #[test]
    fn the_latest_is_remembered_for_two_windows_at_most() {
        let mut lateness = Lateness::default();
        lateness.of_pace.note(70);
        lateness.of_model.note(-900);
        lateness.of_model.note(40);
        assert_eq!(lateness.most(), 70);
        let window = 1000 * LATENESS_WINDOW_S;
        for (now, most) in [(window - 1, 70), (window, 70), (2 * window - 1, 70), (2 * window, 0)] {
            lateness.turn(Ticks(now), 1000);
            assert_eq!(lateness.most(), most, "at {now}");
        }
    }
}
