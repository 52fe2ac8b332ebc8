//! What is wrong with a configuration: file, line, value, remedy.

use core::fmt;
use core::ops::Range;
use std::path::{Path, PathBuf};

use super::values::Invalid;

/// Everything that was found wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    /// In the order of the file, at least one.
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it is at any one place.
    pub position: Option<Position>,
    /// What is wrong, and what to do about it.
    pub invalid: Invalid,
}

/// A place in a file, as editors count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl ConfigError {
    /// The problems of `file`, put in order.
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.position);
        Self { file: file.to_owned(), problems }
    }

    /// One problem with the file as a whole.
    pub(super) fn whole(file: &Path, invalid: Invalid) -> Self {
        Self::new(file, vec![Problem { position: None, invalid }])
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl core::error::Error for ConfigError {}

/// For each problem `FILE:LINE:COLUMN: what is wrong`, and the remedy on a line of its own.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:", self.file.display())?;
            if let Some(Position { line, column }) = problem.position {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " {}\n  help: {}", problem.invalid.what, problem.invalid.remedy)?;
        }
        Ok(())
    }
}

impl Position {
    /// The place of the byte at `offset` of `text`.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        Self { line: before.matches('\n').count() + 1, column: column + 1 }
    }
}

impl Problem {
    /// What the TOML parser, or a value's own parser behind it, says about `text`.
    pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().map(|span| narrow(text, span, error.message()));
        let position = span.map(|span| Position::of(text, span.start));
        let message = error.message();
        let invalid = match message.split_once('\n') {
            Some((what, remedy)) => Invalid { what: what.into(), remedy: remedy.into() },
            None => Invalid { what: message.into(), remedy: remedy_of(message) },
        };
        Self { position, invalid }
    }
}

/// The parser points at a whole array where one element is wrong; the message of a value begins with the value as it was
/// written, by which the element is found again.
fn narrow(text: &str, span: Range<usize>, message: &str) -> Range<usize> {
    let value = message.strip_prefix('"').and_then(|rest| rest.split('"').next());
    let value = value.or_else(|| message.split_once(" is out of range").map(|(number, _)| number));
    let inner = text.get(span.clone()).filter(|inner| inner.starts_with('['));
    match (value, inner) {
        (Some(value), Some(inner)) if !value.is_empty() => inner.find(value).map_or(span.clone(), |at| {
            let quoted = inner.get(..at).is_some_and(|before| before.ends_with(['"', '\'']));
            let start = span.start + at - usize::from(quoted);
            start..span.end
        }),
        _ => span,
    }
}

/// What to do about what serde and the TOML parser find wrong by themselves.
fn remedy_of(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let first = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(first, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2));
    if message.starts_with("unknown field") {
        match nearest {
            Some((_, nearest)) => format!("did you mean `{nearest}`?"),
            None => format!("remove it; what may stand here is {}", known.join(", ")),
        }
    } else if message.starts_with("unknown variant") {
        match nearest {
            Some((_, nearest)) => format!("did you mean \"{nearest}\"?"),
            None => format!("write one of \"{}\"", known.join("\", \"")),
        }
    } else if message.starts_with("missing field") {
        format!("add `{first} = ...` to this table; `sidereal config schema` describes it")
    } else if message.starts_with("invalid type") || message.starts_with("wanted") {
        "write a value of the right type; `sidereal config schema` describes every key".into()
    } else if message.starts_with("duplicate key") {
        "keep one of them".into()
    } else {
        "the file must be TOML (https://toml.io); `sidereal config default` shows a whole one".into()
    }
}
