use core::fmt;

use serde_json::Value;

use crate::{Error, Result};

/// The document of `sidereal status --json`, read as any other program would: by the names in it.
#[derive(Clone, Debug)]
pub struct Status(Value);

impl Status {
    const SCHEMA: &str = "sidereal.status/1";

    pub(crate) fn parse(text: &str) -> Result<Self> {
        document(Self::SCHEMA, text).map(Self)
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

/// The document of `sidereal sources --json`, read likewise.
#[derive(Clone, Debug)]
pub struct Sources(Value);

impl Sources {
    const SCHEMA: &str = "sidereal.sources/1";

    pub(crate) fn parse(text: &str) -> Result<Self> {
        document(Self::SCHEMA, text).map(Self)
    }

    /// All sources.
    #[must_use]
    pub fn all(&self) -> Vec<Source<'_>> {
        self.0.get("sources").and_then(Value::as_array).into_iter().flatten().map(Source).collect()
    }

    /// The source called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn named(&self, name: &str) -> Result<Source<'_>> {
        let found = self.all().into_iter().find(|source| source.text("name") == name);
        found.ok_or_else(|| Error::Unexpected(format!("no source \"{name}\" in {self}")))
    }

    /// Whether each of the sources called `names` is in one of `states`.
    #[must_use]
    pub fn are(&self, names: &[&str], states: &[&str]) -> bool {
        names.iter().all(|name| self.named(name).is_ok_and(|source| states.contains(&source.text("state"))))
    }

    /// The name of the source that speaks for all that are followed.
    #[must_use]
    pub fn system_peer(&self) -> Option<&str> {
        self.0.get("system_peer").and_then(Value::as_str)
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// A source in [`Sources`].
#[derive(Clone, Copy, Debug)]
pub struct Source<'a>(&'a Value);

impl Source<'_> {
    /// A member that is text; empty where it is absent.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A member that is a whole number, if it is there.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(Value::as_i64)
    }

    /// One of its counts; 0 where it is not in the document.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.0.pointer(&format!("/counts/{name}")).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Whether a member is true.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool) == Some(true)
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// The document of `sidereal ptp --json` about a clock with one PTP instance, read likewise.
#[derive(Clone, Debug)]
pub struct Ptp(Value);

impl Ptp {
    const SCHEMA: &str = "sidereal.ptp/1";

    pub(crate) fn parse(text: &str) -> Result<Self> {
        document(Self::SCHEMA, text).map(Self)
    }

    /// A member of the instance by its path (`/port_ds/port_state`).
    #[must_use]
    pub fn get(&self, pointer: &str) -> &Value {
        self.0.pointer(&format!("/instances/0{pointer}")).unwrap_or(&Value::Null)
    }

    /// A member that is text; empty where it is absent.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.get(pointer).as_str().unwrap_or_default()
    }

    /// One of its counts; 0 where it is not in the document.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.get(&format!("/counts/{name}")).as_u64().unwrap_or(0)
    }
}

impl fmt::Display for Ptp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

fn document(schema: &str, text: &str) -> Result<Value> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| Error::Unexpected(format!("{schema}: {error} in {text}")))?;
    match document.pointer("/schema").and_then(Value::as_str) {
        Some(found) if found == schema => Ok(document),
        other => Err(Error::Unexpected(format!("schema {other:?} instead of {schema} in {text}"))),
    }
}
