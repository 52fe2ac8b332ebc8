//! How long a burst takes from being found to being handed over.

use sidereal_nic::BURST;
use sidereal_time::Ticks;

/// Learned from the bursts before, for each number of packets by itself: reading clocks costs as much for one packet as for
/// many. What took less than was thought is followed sixteen times as readily as what took more, from the first burst on: it may have
/// been a cold one.
#[derive(Debug)]
pub(super) struct Pace {
    /// Ticks, times [`Self::SCALE`].
    scaled: [u64; BURST + 1],
}

impl Default for Pace {
    fn default() -> Self {
        Self { scaled: [0; BURST + 1] }
    }
}

impl Pace {
    const SCALE: u64 = 256;
    /// The part of a quicker burst's difference that is believed, and of a slower one's.
    const READINESS: u64 = 8;
    const HESITATION: u64 = 128;
    /// A burst that took longer was interrupted: the next will not be.
    const MOST_TICKS: u64 = 1 << 20;
    /// An excess counts up to what was thought and so many ticks more: one burst in a while is twice as slow, and what is slow for
    /// good is learned in some steps.
    const MOST_EXCESS: u64 = 1024 * Self::SCALE;

    #[inline]
    pub(super) fn leaving(&self, found: Ticks, packets: usize) -> Ticks {
        Ticks(found.0.wrapping_add(self.scaled.get(packets).map_or(0, |scaled| scaled / Self::SCALE)))
    }

    #[inline]
    pub(super) fn learn(&mut self, found: Ticks, left: Ticks, packets: usize) {
        let taken = left.0.wrapping_sub(found.0);
        let Some(scaled) = self.scaled.get_mut(packets) else { return };
        if taken >= Self::MOST_TICKS {
            return;
        }
        let took = taken * Self::SCALE;
        *scaled = if took < *scaled {
            *scaled - (*scaled - took) / Self::READINESS
        } else {
            *scaled + (took - *scaled).min(*scaled + Self::MOST_EXCESS) / Self::HESITATION
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use sidereal_time::Ticks;

    fn told(pace: &Pace) -> u64 {
        pace.leaving(Ticks(0), 4).0
    }

    #[test]
    fn quick_bursts_are_followed_sooner_than_slow_ones() {
        let mut pace = Pace::default();
        assert_eq!(told(&pace), 0);
        pace.learn(Ticks(7), Ticks(7 + 100_000), 4);
        assert_eq!(told(&pace), 8, "the first may be a cold one");
        for _ in 0..4000 {
            pace.learn(Ticks(0), Ticks(4000), 4);
        }
        let known = told(&pace);
        assert!((3990..=4000).contains(&known), "{known}");
        pace.learn(Ticks(0), Ticks(3200), 4);
        let quicker = told(&pace);
        assert!((95..=100).contains(&(known - quicker)), "{quicker}");
        pace.learn(Ticks(0), Ticks(100_000), 4);
        assert!((38..=40).contains(&(told(&pace) - quicker)), "{}", told(&pace));
    }

    #[test]
    fn an_interrupted_burst_says_nothing() {
        let mut pace = Pace::default();
        pace.learn(Ticks(0), Ticks(1 << 20), 4);
        pace.learn(Ticks(500), Ticks(0), 4);
        pace.learn(Ticks(0), Ticks(12_800), 40);
        assert_eq!(told(&pace), 0);
    }

    #[test]
    fn what_is_slower_for_good_is_learned() {
        let mut pace = Pace::default();
        pace.learn(Ticks(0), Ticks(100), 4);
        for _ in 0..2000 {
            pace.learn(Ticks(0), Ticks(5000), 4);
        }
        assert!((4800..=5000).contains(&told(&pace)), "{}", told(&pace));
    }
}
