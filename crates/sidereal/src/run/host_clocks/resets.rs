//! Whether a clock that jumped was reset by its driver, as drivers do when they bring a link up again, or set by somebody.

use sidereal_engine::ClockReading;
use sidereal_time::{Rate, Span};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after a change of a link a clock that jumps was reset by its driver: the link is up some seconds later.
const SETTLING: Duration = Duration::from_secs(10);

/// A clock that went on by so much more or less than the counter has jumped,
const JUMP: Span = Span::from_nanos(1_000_000);
/// if that is also more than this part of the time: what is less may be steering.
const JUMP_DIVISOR: i128 = 8;

/// What is known of a clock and of the links whose packets it stamps.
#[derive(Debug)]
pub(super) struct Resets {
    links: Links,
    last: Option<ClockReading>,
}

impl Resets {
    /// Of a clock that stamps what passes these interfaces.
    pub(super) fn new(interfaces: impl Iterator<Item = String>) -> Self {
        Self::of(Links::under(Path::new("/sys/class/net"), interfaces))
    }

    const fn of(links: Links) -> Self {
        Self { links, last: None }
    }

    /// Takes note of a reading at `now`, by a counter whose ticks are `tick` long. Says whether the clock has jumped since the last
    /// one, with a link down or a moment ago.
    pub(super) fn notice(&mut self, reading: ClockReading, tick: Rate, now: Instant) -> bool {
        let has_jumped = self.last.replace(reading).is_some_and(|last| has_jumped(&last, &reading, tick));
        self.links.look(now, has_jumped);
        has_jumped && self.links.are_unsteady()
    }

    /// What the next reading shows is no jump: we have set the clock, or it is another.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// Whether a clock went on between two readings as no clock does that is steered at most.
fn has_jumped(last: &ClockReading, now: &ClockReading, tick: Rate) -> bool {
    let shown = match (last, now) {
        (ClockReading::Tai(last), ClockReading::Tai(now)) => now.at() - last.at(),
        (ClockReading::Utc(last), ClockReading::Utc(now)) => now.at() - last.at(),
        _ => return false,
    };
    let passed = tick.span(now.ticks().0.wrapping_sub(last.ticks().0).cast_signed());
    let granted = JUMP + Span::from_units(passed.abs().units() / JUMP_DIVISOR) + last.window() + now.window();
    (shown - passed).abs() > granted
}

/// The links of interfaces.
#[derive(Debug)]
struct Links {
    /// Where the kernel tells of interfaces.
    interfaces: PathBuf,
    links: Vec<Link>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    interface: String,
    /// How often it went up or down, nothing where it is gone; and when that last was another count than before.
    changes: Option<u64>,
    changed: Option<Instant>,
    is_up: bool,
}

impl Links {
    fn under(root: &Path, interfaces: impl Iterator<Item = String>) -> Self {
        let link = |interface| Link { interface, changes: None, changed: None, is_up: true };
        Self { interfaces: root.to_owned(), links: interfaces.map(link).collect(), looked: None }
    }

    /// Looks at them, `at_once` or if that is due.
    fn look(&mut self, now: Instant, at_once: bool) {
        if !at_once && self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_EVERY) {
            return;
        }
        let is_first = self.looked.replace(now).is_none();
        for link in &mut self.links {
            let says = |file: &str| std::fs::read_to_string(self.interfaces.join(&link.interface).join(file)).ok();
            let changes = says("carrier_changes").and_then(|count| count.trim().parse().ok());
            link.is_up = says("carrier").is_some_and(|carrier| carrier.trim() == "1");
            if changes != link.changes && !is_first {
                link.changed = Some(now);
            }
            link.changes = changes;
        }
    }

    /// Whether one of them is down, or was a moment ago, when they were last looked at.
    fn are_unsteady(&self) -> bool {
        let Some(now) = self.looked else { return false };
        let has_changed = |at: Instant| now.saturating_duration_since(at) < SETTLING;
        self.links.iter().any(|link| !link.is_up || link.changed.is_some_and(has_changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::{Instant as TimeInstant, Reading, Tai, Ticks};

    /// What the kernel tells of one interface, in a tree of our own.
    struct Made {
        root: tempfile::TempDir,
    }

    impl Made {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir(root.path().join("eth0")).unwrap();
            let made = Self { root };
            made.says("3\n", "1\n");
            made
        }

        fn says(&self, changes: &str, carrier: &str) {
            std::fs::write(self.root.path().join("eth0/carrier_changes"), changes).unwrap();
            std::fs::write(self.root.path().join("eth0/carrier"), carrier).unwrap();
        }

        fn links(&self) -> Links {
            Links::under(self.root.path(), ["eth0".to_owned()].into_iter())
        }
    }

    fn reading(ticks: u64, at_ns: i128) -> ClockReading {
        let at = TimeInstant::<Tai>::from_nanos(at_ns);
        ClockReading::Tai(Reading::new(Ticks(ticks), at, Span::from_nanos(500)))
    }

    #[test]
    fn a_clock_jumps_where_no_steering_explains_it() {
        let last = reading(1_000, 5_000_000_000);
        for (nanos, jumps) in [(62_500_000, false), (63_500_000, false), (120_000_000, true), (-5_000_000_000, true)] {
            let now = reading(1_000 + 62_500_000, 5_000_000_000 + nanos);
            assert_eq!(has_jumped(&last, &now, Rate::NANOSECOND), jumps, "{nanos}");
        }
    }

    #[test]
    fn who_jumps_with_the_link_was_reset_and_who_jumps_alone_was_set() {
        let made = Made::new();
        let mut resets = Resets::of(made.links());
        let begin = Instant::now();
        let mut notice = |second: u64, at_s: i128| {
            let now = begin + Duration::from_secs(second);
            resets.notice(reading(second * 1_000_000_000, at_s * 1_000_000_000), Rate::NANOSECOND, now)
        };
        assert!(!notice(0, 1000) && !notice(1, 1001), "it runs");
        assert!(!notice(2, 5000), "somebody has set it");
        made.says("5\n", "1\n");
        assert!(!notice(3, 5001), "the link was down and up, and the clock went on");
        assert!(notice(4, 0), "the driver begins anew");
        assert!(!notice(5, 1), "and that is told once");
        assert!(!notice(60, 56) && !notice(61, 9000), "long after that, it was somebody");
        made.says("6\n", "0\n");
        assert!(notice(62, 3), "while the link is down");
        resets.forget();
        assert!(!resets.notice(reading(0, 0), Rate::NANOSECOND, begin + Duration::from_secs(63)), "by ourselves");
    }

    #[test]
    fn links_are_unsteady_while_down_and_for_a_while_after() {
        let made = Made::new();
        let mut links = made.links();
        let begin = Instant::now();
        for (second, changes, carrier, unsteady) in [
            (0, "3\n", "1\n", false),
            (1, "3\n", "1\n", false),
            (2, "4\n", "0\n", true),
            (20, "4\n", "0\n", true),
            (21, "5\n", "1\n", true),
            (30, "5\n", "1\n", true),
            (31, "5\n", "1\n", false),
            (40, "7\n", "1\n", true),
        ] {
            made.says(changes, carrier);
            links.look(begin + Duration::from_secs(second), false);
            assert_eq!(links.are_unsteady(), unsteady, "after {second} s");
        }
        std::fs::remove_dir_all(made.root.path().join("eth0")).unwrap();
        links.look(begin + Duration::from_secs(40), false);
        assert!(links.are_unsteady());
        links.look(begin + Duration::from_secs(60), true);
        assert!(links.are_unsteady(), "an interface that is gone is down");
        assert!(!Links::under(made.root.path(), core::iter::empty()).are_unsteady(), "of no interface, no link is");
    }
}
