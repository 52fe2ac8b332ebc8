//! The table of leap seconds: from a file, or built in.

use sidereal_ntp::LeapIndicator;
use sidereal_ops::LeapStatus;
use sidereal_time::{Instant, LeapTable, Utc};
use std::path::Path;
use std::time::SystemTime;

/// A table of leap seconds, and where it is from.
#[derive(Debug, Clone)]
pub(crate) struct Leap {
    /// The table.
    pub(crate) table: LeapTable,
    source: String,
    /// Why it is not the file's, where it is not.
    problem: Option<String>,
}

impl Leap {
    /// The table in the file at `path`. A file that is missing or broken is never a reason to stop: the built-in table
    /// takes its place, and `problem` says why.
    pub(crate) fn load(path: &Path) -> Self {
        let read = std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| LeapTable::parse(&text).map_err(|error| error.to_string()));
        match read {
            Ok(table) => Self { table, source: path.display().to_string(), problem: None },
            Err(error) => Self {
                table: LeapTable::built_in(),
                source: "built in".into(),
                problem: Some(format!("{}: {error}; the built-in table of leap seconds is used", path.display())),
            },
        }
    }

    /// What is to be said about the table at `now`.
    pub(crate) fn warnings(&self, now: Instant<Utc>) -> Vec<String> {
        let expired = self.expired(now).then(|| {
            let since = self.table.expires().map(date).unwrap_or_default();
            format!("the table of leap seconds ({}) has expired ({since}): update the file", self.source)
        });
        self.problem.clone().into_iter().chain(expired).collect()
    }

    /// Logs why the table is not the file's. That a table has expired is the engine's to say.
    pub(crate) fn tell_problem(&self) {
        if let Some(problem) = &self.problem {
            tracing::warn!("{problem}");
        }
    }

    /// What `status` says about the table at `now`.
    pub(crate) fn status(&self, now: Instant<Utc>) -> LeapStatus {
        LeapStatus { source: self.source.clone(), expires: self.table.expires().map(date), expired: self.expired(now) }
    }

    fn expired(&self, now: Instant<Utc>) -> bool {
        self.table.expires().is_some_and(|expires| expires <= now)
    }
}

/// The system's idea of the time, for comparing with dates.
pub(crate) fn now() -> Instant<Utc> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Instant::from_nanos(i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX >> 17))
}

/// The leap indicator, as status and query name it.
pub(crate) const fn indicator_name(leap: LeapIndicator) -> &'static str {
    match leap {
        LeapIndicator::None => "none",
        LeapIndicator::Insert => "insert",
        LeapIndicator::Delete => "delete",
        LeapIndicator::Unknown => "unsynchronised",
    }
}

fn date(instant: Instant<Utc>) -> String {
    let (seconds, _) = instant.split();
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| instant.to_string(), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_broken_file_is_replaced_and_an_old_one_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leap-seconds.list");
        let now = Instant::from_secs(1_700_000_000);
        let missing = Leap::load(&path);
        assert_eq!(missing.table, LeapTable::built_in());
        assert!(missing.warnings(now)[0].contains("leap-seconds.list: No such file"), "{:?}", missing.warnings(now));

        std::fs::write(&path, "nonsense\n").unwrap();
        assert!(Leap::load(&path).problem.unwrap().contains("the built-in table"));

        // NTP seconds: 3913056000 is 2024-01-01, 3692217600 is 2017-01-01.
        std::fs::write(&path, "#@ 3913056000\n3692217600 37\n").unwrap();
        let leap = Leap::load(&path);
        assert_eq!(leap.warnings(now), Vec::<String>::new());
        let later = Instant::from_secs(1_704_067_200);
        assert!(leap.warnings(later)[0].contains("has expired (2024-01-01T00:00:00Z)"), "{:?}", leap.warnings(later));
        assert!(leap.status(later).expired && !leap.status(now).expired);
    }
}
