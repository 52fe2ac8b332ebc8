//! The kernel's files, below a root that tests can put elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

/// Where `/sys` and `/proc` are.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self(root)
    }

    /// Where `path`, which begins with a slash, is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The text of a file without the white space around it; `None` where there is none.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The number that a file holds.
    pub(crate) fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// The names in a folder, in order; none where it cannot be read.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// The last name of what a symbolic link leads to.
    pub(crate) fn link(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Where a path leads to in the end, by the names of this machine, not below the root.
    pub(crate) fn real_path(&self, path: &str) -> Option<PathBuf> {
        self.path(path).canonicalize().ok()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The processors that a file lists; none where there is no such file.
    pub(crate) fn cores(&self, path: &str) -> Cores {
        self.text(path).map(|text| Cores::parse(&text)).unwrap_or_default()
    }
}

/// A set of processors, written as the kernel writes it: `0-3,7`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cores(pub(crate) BTreeSet<usize>);

/// More processors than any kernel is built for: what a made-up list can make us count to.
const CORES_MAX: usize = 1 << 16;

impl Cores {
    /// What is no number is left out.
    fn parse(text: &str) -> Self {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().ok()?;
            let last: usize = last.trim().parse().ok()?;
            Some(first..=last.min(CORES_MAX))
        };
        Self(text.split(',').filter_map(range).flatten().collect())
    }

    pub(crate) fn contains(&self, core: usize) -> bool {
        self.0.contains(&core)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of `self` that are not among `others`.
    pub(crate) fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).copied().collect())
    }
}

impl FromIterator<usize> for Cores {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> Self {
        Self(cores.into_iter().collect())
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for &core in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == core => *last = core,
                _ => ranges.push((core, core)),
            }
        }
        let range = |(first, last): &(usize, usize)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        f.write_str(&ranges.iter().map(range).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        for (text, cores) in [("0-3,7", vec![0, 1, 2, 3, 7]), ("5", vec![5]), ("", vec![]), ("x,2-1,(null)", vec![])] {
            assert_eq!(Cores::parse(text), cores.into_iter().collect(), "{text}");
        }
        assert_eq!(Cores::parse("0-99999999999").0.len(), CORES_MAX + 1);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let root = Root::new("/nonexistent".into());
        assert_eq!((root.text("/a"), root.names("/a"), root.link("/a")), (None, vec![], None));
        assert!(root.cores("/a").is_empty() && !root.exists("/a"));
    }

    proptest! {
        #[test]
        fn a_list_that_is_written_reads_the_same(cores in prop::collection::btree_set(0..300_usize, 0..40)) {
            let cores = Cores(cores);
            prop_assert_eq!(Cores::parse(&cores.to_string()), cores);
        }

        #[test]
        fn any_text_is_read(text in ".{0,60}") {
            let _ = Cores::parse(&text);
        }
    }
}
