//! The links of interfaces whose packets a clock stamps: drivers reset the clock when they bring one up again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after a change of a link a clock that jumps was reset by its driver: the link is up some seconds later.
const SETTLING: Duration = Duration::from_secs(10);

/// What is known of them.
#[derive(Debug)]
pub(super) struct Links {
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
    pub(super) fn new(interfaces: impl Iterator<Item = String>) -> Self {
        Self::under(Path::new("/sys/class/net"), interfaces)
    }

    fn under(root: &Path, interfaces: impl Iterator<Item = String>) -> Self {
        let link = |interface| Link { interface, changes: None, changed: None, is_up: true };
        Self { interfaces: root.to_owned(), links: interfaces.map(link).collect(), looked: None }
    }

    /// Looks at them, if that is due.
    pub(super) fn look(&mut self, now: Instant) {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_EVERY) {
            return;
        }
        self.look_again(now);
    }

    /// Looks at them at once.
    pub(super) fn look_again(&mut self, now: Instant) {
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
    pub(super) fn are_unsteady(&self) -> bool {
        let Some(now) = self.looked else { return false };
        let has_changed = |at: Instant| now.saturating_duration_since(at) < SETTLING;
        self.links.iter().any(|link| !link.is_up || link.changed.is_some_and(has_changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_unsteady_while_down_and_for_a_while_after() {
        let root = tempfile::tempdir().unwrap();
        let eth0 = root.path().join("eth0");
        std::fs::create_dir(&eth0).unwrap();
        let says = |changes: &str, carrier: &str| {
            std::fs::write(eth0.join("carrier_changes"), changes).unwrap();
            std::fs::write(eth0.join("carrier"), carrier).unwrap();
        };
        let mut links = Links::under(root.path(), ["eth0".to_owned()].into_iter());
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
            says(changes, carrier);
            links.look(begin + Duration::from_secs(second));
            assert_eq!(links.are_unsteady(), unsteady, "after {second} s");
        }
        std::fs::remove_dir_all(&eth0).unwrap();
        links.look_again(begin + Duration::from_secs(40));
        assert!(links.are_unsteady(), "an interface that is gone is down");
        assert!(!Links::under(root.path(), core::iter::empty()).are_unsteady(), "of no interface, no link is");
    }
}
