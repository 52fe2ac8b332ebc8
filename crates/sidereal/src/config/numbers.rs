//! The numbers of a configuration.

use core::fmt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

use super::values::Invalid;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number; one that is written into the program and out of range does not compile.
    #[must_use]
    pub const fn literal<const NUMBER: u32>() -> Self {
        const { assert!(MIN <= NUMBER && NUMBER <= MAX, "out of range") };
        Self(NUMBER)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    fn parse(number: i64) -> Result<Self, Invalid> {
        u32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number)).map(Self).ok_or_else(|| {
            Invalid::new(format!("{number} is out of range"), format!("write a whole number from {MIN} to {MAX}"))
        })
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u32, const MAX: u32> Serialize for Whole<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: u32, const MAX: u32>;
        impl<const MIN: u32, const MAX: u32> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = Whole<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Whole::parse(number).map_err(E::custom)
            }
        }
        deserializer.deserialize_i64(Visitor)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("WholeFrom{MIN}To{MAX}").into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// Whether workers run under SCHED_FIFO: `false`, or a priority from 1 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RealTime(pub Option<Whole<1, 99>>);

impl Serialize for RealTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_bool(false),
            Some(priority) => priority.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RealTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const REMEDY: &str = "write false, or a priority from 1 (lowest) to 99, such as 50";
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RealTime;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false or a priority from 1 to 99")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<RealTime, E> {
                if on { Err(E::custom(Invalid::new("true says no priority", REMEDY))) } else { Ok(RealTime(None)) }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RealTime, E> {
                Whole::parse(number)
                    .map(|priority| RealTime(Some(priority)))
                    .map_err(|invalid| E::custom(Invalid::new(invalid.what, REMEDY)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for RealTime {
    fn schema_name() -> Cow<'static, str> {
        "RealTime".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether workers run under SCHED_FIFO: false, or a priority from 1 to 99.",
            "oneOf": [{ "const": false }, { "type": "integer", "minimum": 1, "maximum": 99 }]
        })
    }
}
