//! How long a burst takes from being found to being handed over.

use sidereal_nic::BURST;
use sidereal_time::Ticks;

/// Learned from the bursts before, for each number of packets by itself: reading clocks costs as much for one packet as for
/// many. What took less than was thought is followed four times as readily as what took more.
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
    const READINESS: u64 = 16;
    const HESITATION: u64 = 64;
    /// A burst that took longer was interrupted: the next will not be.
    const MOST_TICKS: u64 = 1 << 20;

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
        *scaled = match *scaled {
            0 => took,
            known if took < known => known - (known - took) / Self::READINESS,
            // One burst in a while is twice as slow; what is twice as slow for good is learned in some steps.
            known => known + (took - known).min(known) / Self::HESITATION,
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
        pace.learn(Ticks(7), Ticks(1007), 4);
        assert_eq!(told(&pace), 1000);
        pace.learn(Ticks(0), Ticks(1640), 4);
        let slower = told(&pace) - 1000;
        pace.learn(Ticks(0), Ticks(1000 + slower - 640), 4);
        assert_eq!(slower, 10);
        assert!(told(&pace) < 1000 - 25, "{}", told(&pace));
    }

    #[test]
    fn an_interrupted_burst_says_nothing() {
        let mut pace = Pace::default();
        pace.learn(Ticks(0), Ticks(500), 4);
        pace.learn(Ticks(0), Ticks(1 << 20), 4);
        pace.learn(Ticks(500), Ticks(0), 4);
        pace.learn(Ticks(0), Ticks(500), 40);
        assert_eq!(told(&pace), 500);
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
