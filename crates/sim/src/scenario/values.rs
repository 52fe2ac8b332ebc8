//! The values of a scenario that are written as text.

use core::fmt;
use core::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sidereal_time::{Instant, Span, Utc};

/// What is wrong with a value, and on the next line what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n{remedy}")]
pub struct Invalid {
    /// What is wrong, with the value.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Invalid {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

macro_rules! written_as_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}
written_as_text!(Length, Date, Probability);

/// A length of time: `10us`, `-50ms`, `1h 30m`. Whole nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length(pub Span);

impl FromStr for Length {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let parsed = humantime::parse_duration(digits).ok().and_then(|length| i128::try_from(length.as_nanos()).ok());
        let nanos = parsed.ok_or_else(|| {
            Invalid::new(
                format!("{text:?} is not a length of time"),
                "write a number and a unit, such as \"10us\" or \"4h\"",
            )
        })?;
        Ok(Self(Span::from_nanos(if negative { -nanos } else { nanos })))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.abs().as_nanos_rounded();
        let length = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let sign = if self.0.is_negative() { "-" } else { "" };
        write!(f, "{sign}{}", humantime::format_duration(length))
    }
}

/// An instant of UTC: `2026-06-30T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(pub Instant<Utc>);

impl FromStr for Date {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parsed = humantime::parse_rfc3339(text).ok();
        let since = parsed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanos = since.and_then(|since| i128::try_from(since.as_nanos()).ok());
        nanos.map(|nanos| Self(Instant::from_nanos(nanos))).ok_or_else(|| {
            Invalid::new(format!("{text:?} is not a date of UTC since 1970"), "write it as \"2026-06-30T12:00:00Z\"")
        })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u64::try_from(self.0.as_nanos_rounded()).unwrap_or(0);
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        write!(f, "{}", humantime::format_rfc3339(time))
    }
}

/// A probability, written as a number or in per cent: `"0.1%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Probability(pub f64);

impl FromStr for Probability {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
        let value = number.trim().parse::<f64>().ok().map(|value| value * unit);
        value.filter(|value| (0.0..=1.0).contains(value)).map(Self).ok_or_else(|| {
            Invalid::new(format!("{text:?} is not a probability"), "write it in per cent, from \"0%\" to \"100%\"")
        })
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Date, Length, Probability};
    use sidereal_time::{Instant, Span};

    #[test]
    fn texts_are_read_and_written() {
        for (text, nanos) in [("10us", 10_000), ("-50ms", -50_000_000), ("1h 30m", 5_400_000_000_000), ("0s", 0)] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length.0, Span::from_nanos(nanos), "{text}");
            assert_eq!(length.to_string().parse(), Ok(length));
        }
        let date: Date = "2026-06-30T12:00:00Z".parse().unwrap();
        assert_eq!(date.0, Instant::from_secs(1_782_820_800));
        assert_eq!(date.to_string(), "2026-06-30T12:00:00Z");
        assert_eq!("0.5%".parse(), Ok(Probability(0.005)));
        assert_eq!("0.25".parse(), Ok(Probability(0.25)));
    }

    #[test]
    fn nonsense_is_refused_with_a_remedy() {
        assert!("ten".parse::<Length>().unwrap_err().to_string().contains("such as \"10us\""));
        assert!("1969-01-01T00:00:00Z".parse::<Date>().is_err());
        for text in ["-1%", "101%", "NaN", ""] {
            assert!(text.parse::<Probability>().is_err(), "{text}");
        }
    }
}
