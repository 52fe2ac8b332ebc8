use core::fmt;

use serde_json::Value;

use crate::{Error, Result};

/// The document of `sidereal status --json`, read as any other program would: by the names in it.
#[derive(Clone, Debug)]
pub struct Status(Value);

impl Status {
    const SCHEMA: &str = "sidereal.status/1";

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| Error::Unexpected(format!("status: {error} in {text}")))?;
        match document.pointer("/schema").and_then(Value::as_str) {
            Some(Self::SCHEMA) => Ok(Self(document)),
            other => Err(Error::Unexpected(format!("status: schema {other:?} in {text}"))),
        }
    }

    /// A member by its path (`/clock/stratum`).
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// One of the workers' counts, all workers together; 0 where it is not in the document.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.of_workers("counts", |key| key == name)
    }

    /// Replies of one kind.
    #[must_use]
    pub fn replies(&self, kind: &str) -> u64 {
        self.of_workers("replies", |key| key == kind)
    }

    /// Replies of every kind.
    #[must_use]
    pub fn all_replies(&self) -> u64 {
        self.of_workers("replies", |_| true)
    }

    /// Drops for one reason.
    #[must_use]
    pub fn drops(&self, reason: &str) -> u64 {
        self.of_workers("drops", |key| key == reason)
    }

    /// Drops for every reason.
    #[must_use]
    pub fn all_drops(&self) -> u64 {
        self.of_workers("drops", |_| true)
    }

    fn of_workers(&self, table: &str, wanted: impl Fn(&str) -> bool) -> u64 {
        let workers = self.0.get("workers").and_then(Value::as_array).into_iter().flatten();
        let tables = workers.filter_map(|worker| worker.get(table)?.as_object());
        tables.flatten().filter(|(key, _)| wanted(key)).filter_map(|(_, value)| value.as_u64()).sum()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
