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

    /// The number, of a type whose greatest fits: another does not compile.
    #[must_use]
    pub fn to_u8(self) -> u8 {
        const { assert!(MAX <= u8::MAX as u32, "may not fit") };
        u8::try_from(self.0).unwrap_or(u8::MAX)
    }

    /// The number, of a type whose greatest fits: another does not compile.
    #[must_use]
    pub fn to_u16(self) -> u16 {
        const { assert!(MAX <= u16::MAX as u32, "may not fit") };
        u16::try_from(self.0).unwrap_or(u16::MAX)
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

/// Makes types of powers of two of a second, each with the range that makes sense and an example in words.
macro_rules! powers_of_two {
    ($($(#[$doc:meta])+ $name:ident: $min:literal to $max:literal, $example:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "i64", into = "i8")]
        #[schemars(with = "i8", extend("minimum" = $min, "maximum" = $max))]
        pub struct $name(i8);

        impl $name {
            /// The exponent; one that is written into the program and out of range does not compile.
            #[must_use]
            pub const fn literal<const EXPONENT: i8>() -> Self {
                const { assert!($min <= EXPONENT && EXPONENT <= $max, "out of range") };
                Self(EXPONENT)
            }

            /// The exponent.
            #[must_use]
            pub const fn get(self) -> i8 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = Invalid;
            fn try_from(exponent: i64) -> Result<Self, Invalid> {
                let known = i8::try_from(exponent).ok().filter(|exponent| ($min..=$max).contains(exponent));
                known.map(Self).ok_or_else(|| {
                    let remedy = format!("write a power of two of a second, from {} to {}: {}", $min, $max, $example);
                    Invalid::new(format!("{exponent} is out of range"), remedy)
                })
            }
        }

        impl From<$name> for i8 {
            fn from(power: $name) -> Self {
                power.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

powers_of_two! {
    /// How often a source is asked: a power of two of a second, from -6 (64 times a second) to 17 (once in a day and a half).
    Poll: -6 to 17, "6 for 64 s";
    /// How often a PTP message is sent: a power of two of a second, from -7 (128 times a second) to 6 (once in 64 seconds).
    LogInterval: -7 to 6, "-3 for 8 a second";
}

/// Makes types of numbers with a fraction, each with the range that makes sense.
macro_rules! decimals {
    ($($(#[$doc:meta])+ $name:ident: $min:literal to $max:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "f64", into = "f64")]
        #[schemars(with = "f64", extend("minimum" = $min, "maximum" = $max))]
        pub struct $name(f64);

        impl $name {
            /// The number; what is out of range becomes the nearest within.
            #[must_use]
            pub const fn nearest(number: f64) -> Self {
                Self(number.clamp($min, $max))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = Invalid;
            fn try_from(number: f64) -> Result<Self, Invalid> {
                if ($min..=$max).contains(&number) {
                    return Ok(Self(number));
                }
                let remedy = format!("write a number from {} to {}", $min, $max);
                Err(Invalid::new(format!("{number} is out of range"), remedy))
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    )+};
}

decimals! {
    /// A relative frequency, in parts per million.
    Ppm: 0.001 to 100_000.0;
    /// How many times as long: 1 or more.
    Ratio: 1.0 to 1_000.0;
    /// A share: 0.5 is the half.
    Share: 0.01 to 1.0;
    /// A factor in the gain of a controller.
    Gain: 0.0 to 10.0;
    /// The power of an interval in the gain of a controller.
    Exponent: -1.0 to 1.0;
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
