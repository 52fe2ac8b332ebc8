//! How fast the links of the kernel's interfaces are.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is looked: links are set to another speed when a cable is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Interfaces that are known at a time; those beyond have no known speed.
const INTERFACES_MAX: usize = 64;

/// How fast the links of interfaces are, by their indices.
#[derive(Debug)]
pub(super) struct LinkSpeeds {
    directory: PathBuf,
    megabits: Vec<(u32, u32)>,
    looked: Option<Instant>,
}

impl Default for LinkSpeeds {
    fn default() -> Self {
        Self::of(Path::new(INTERFACES))
    }
}

impl LinkSpeeds {
    fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), megabits: Vec::new(), looked: None }
    }

    /// How fast the link of an interface is, in megabits a second; 0 where the kernel does not say.
    pub(super) fn megabits(&mut self, index: u32, now: Instant) -> u32 {
        if self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.look();
        }
        self.megabits.iter().find(|(known, _)| *known == index).map_or(0, |(_, megabits)| *megabits)
    }

    fn look(&mut self) {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten().take(INTERFACES_MAX);
        let known = entries.filter_map(|entry| Some((number(&entry.path().join("ifindex"))?, megabits(&entry.path()))));
        self.megabits = known.collect();
    }
}

/// Where the kernel tells of its interfaces.
const INTERFACES: &str = "/sys/class/net";

/// How fast the link of the interface called `name` is, in megabits a second; 0 where the kernel does not say.
pub(super) fn link_megabits(name: &str) -> u32 {
    megabits(&Path::new(INTERFACES).join(name))
}

/// The speed of an interface; -1 is what the kernel says of one that is down.
fn megabits(interface: &Path) -> u32 {
    number(&interface.join("speed")).unwrap_or(0)
}

fn number(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_as_fast_as_the_kernel_says() {
        let directory = tempfile::tempdir().unwrap();
        let interface = directory.path().join("eth0");
        std::fs::create_dir(&interface).unwrap();
        std::fs::write(interface.join("ifindex"), "7\n").unwrap();
        let mut speeds = LinkSpeeds::of(directory.path());
        let mut now = Instant::now();
        for (says, megabits) in [("1000\n", 1000), ("100000\n", 100_000), ("-1\n", 0), ("", 0)] {
            std::fs::write(interface.join("speed"), says).unwrap();
            now += LOOK_EVERY;
            assert_eq!((speeds.megabits(7, now), speeds.megabits(8, now)), (megabits, 0), "{says}");
        }
        std::fs::remove_dir_all(&interface).unwrap();
        assert_eq!(speeds.megabits(7, now + LOOK_EVERY), 0);
    }
}
