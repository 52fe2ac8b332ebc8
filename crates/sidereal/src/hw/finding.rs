//! What was found wrong.

use schemars::JsonSchema;
use serde::Serialize;

/// Something on this machine that makes time worse than it could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// What was looked at: `governor`, `hugepages`, ...
    pub(crate) check: String,
    /// What was found, with its value.
    pub(crate) found: String,
    /// Why it matters.
    pub(crate) why: String,
    /// The command or the key that mends it.
    pub(crate) remedy: String,
}

/// Something that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Unchecked {
    /// What.
    pub(crate) check: String,
    /// Why not, or what tells instead.
    pub(crate) why: String,
}

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
    /// What was looked at and found good.
    pub(crate) good: Vec<String>,
    /// What was not looked at.
    pub(crate) unchecked: Vec<Unchecked>,
}

impl Report {
    /// Adds what a check has found: nothing where all is well.
    pub(crate) fn checked(&mut self, check: &str, findings: impl IntoIterator<Item = Wrong>) {
        let before = self.findings.len();
        let named = |Wrong { found, why, remedy }| Finding { check: check.to_owned(), found, why, remedy };
        self.findings.extend(findings.into_iter().map(named));
        if self.findings.len() == before {
            self.good.push(check.to_owned());
        }
    }

    /// Says that a check was left out.
    pub(crate) fn unchecked(&mut self, check: &str, why: impl Into<String>) {
        self.unchecked.push(Unchecked { check: check.to_owned(), why: why.into() });
    }
}

/// What one check found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) found: String,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

impl Wrong {
    pub(crate) fn new(found: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { found: found.into(), why: why.into(), remedy: remedy.into() }
    }
}
