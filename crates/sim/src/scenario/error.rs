//! What is wrong with a scenario: file, line, value, remedy.

use core::fmt;
use core::ops::Range;

use super::values::Invalid;

/// Everything that was found wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    file: String,
    /// Line and column from 1, where it is at one place; in the order of the file.
    problems: Vec<(Option<(usize, usize)>, Invalid)>,
}

impl ScenarioError {
    /// One problem with the file as a whole.
    pub(crate) fn whole(file: &str, invalid: Invalid) -> Self {
        Self { file: file.to_owned(), problems: vec![(None, invalid)] }
    }

    /// What the TOML parser, or a value's own parser behind it, says about `text`.
    pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message();
        let (what, remedy) = message.split_once('\n').unwrap_or((message, remedy_of(message)));
        Self::at(file, text, vec![(error.span(), Invalid::new(what, remedy))])
    }

    /// Problems at places of `text`, in bytes.
    pub(super) fn at(file: &str, text: &str, problems: Vec<(Option<Range<usize>>, Invalid)>) -> Self {
        let place = |span: Range<usize>| {
            let before = text.get(..span.start).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let column = before.get(line_start..).map_or(0, |line| line.chars().count());
            (before.matches('\n').count() + 1, column + 1)
        };
        let mut problems: Vec<_> = problems.into_iter().map(|(span, invalid)| (span.map(place), invalid)).collect();
        problems.sort_by_key(|(place, _)| *place);
        Self { file: file.to_owned(), problems }
    }
}

fn remedy_of(message: &str) -> &'static str {
    if message.starts_with("unknown field") {
        "remove it, or write one of the keys that are expected there"
    } else if message.starts_with("unknown variant") {
        "write one of those that are expected"
    } else if message.starts_with("missing field") {
        "add it to this table"
    } else if message.starts_with("invalid type") {
        "write a value of the right type"
    } else {
        "the file must be TOML (https://toml.io); `sidereal sim --fuzz --seed 1 --print` shows a scenario"
    }
}

impl core::error::Error for ScenarioError {}

/// For each problem `FILE:LINE:COLUMN: what is wrong`, and the remedy on a line of its own.
impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (place, invalid)) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:", self.file)?;
            if let Some((line, column)) = place {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " {}\n  help: {}", invalid.what, invalid.remedy)?;
        }
        Ok(())
    }
}
