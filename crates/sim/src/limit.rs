//! Limits: what must hold of the runs of a scenario.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_time::Span;

use crate::truth::Statistic;

/// A limit on one statistic of one host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The host, by its number.
    pub host: usize,
    /// What is limited.
    pub statistic: Statistic,
    /// What is made of the values of all runs.
    pub of: Of,
    /// It may not be larger.
    pub at_most: Option<f64>,
    /// It may not be smaller.
    pub at_least: Option<f64>,
    /// From when on, from the beginning of the run.
    pub from: Span,
    /// Until when.
    pub until: Span,
}

/// What is made of the values of all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Their median.
    Median,
    /// The largest.
    #[default]
    Largest,
    /// The smallest.
    Smallest,
    /// Their sum.
    Total,
}

impl Of {
    /// Of these values. A run that has no value, because the host never got so far, counts as infinitely large; without
    /// runs there is none.
    #[must_use]
    pub fn all(self, values: &[Option<f64>]) -> Option<f64> {
        let mut values: Vec<f64> = values.iter().map(|value| value.unwrap_or(f64::INFINITY)).collect();
        values.sort_by(f64::total_cmp);
        match self {
            Self::Median => median(&values),
            Self::Largest => values.last().copied(),
            Self::Smallest => values.first().copied(),
            Self::Total => (!values.is_empty()).then(|| values.iter().sum()),
        }
    }

    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Largest => "largest",
            Self::Smallest => "smallest",
            Self::Total => "total",
        }
    }
}

impl Limit {
    /// Whether `value` keeps it.
    #[must_use]
    pub fn holds(&self, value: Option<f64>) -> bool {
        let Some(value) = value else { return false };
        self.at_most.is_none_or(|most| value <= most) && self.at_least.is_none_or(|least| value >= least)
    }
}

/// The median of ascending values: of an even number the mean of the two in the middle.
pub(crate) fn median(ascending: &[f64]) -> Option<f64> {
    let middle = ascending.len() / 2;
    let upper = *ascending.get(middle)?;
    if ascending.len() % 2 == 1 { Some(upper) } else { Some((ascending.get(middle - 1)? + upper) / 2.0) }
}

#[cfg(test)]
mod tests {
    use super::Of;

    #[test]
    fn values_of_all_runs_become_one() {
        let values = [Some(3.0), Some(1.0), Some(2.0), Some(10.0)];
        let all = [Of::Median, Of::Largest, Of::Smallest, Of::Total].map(|of| of.all(&values));
        assert_eq!(all, [Some(2.5), Some(10.0), Some(1.0), Some(16.0)]);
        assert_eq!(Of::Median.all(&values[..3]), Some(2.0));
        assert_eq!(Of::Largest.all(&[Some(1.0), None]), Some(f64::INFINITY));
        assert_eq!(Of::Total.all(&[]), None);
    }
}
