//! The values of a PTP instance that are written as text.

use core::fmt;
use core::str::FromStr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_ptp::{ClockIdentity, PortIdentity};

use super::{Invalid, written_as_text};

written_as_text!(Identity, MasterIdentity, UserDescription);

/// The identity of a PTP clock: sixteen hexadecimal digits, with dots, colons or dashes between them if you like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = &"001122.fffe.334455")]
pub struct Identity(pub ClockIdentity);

impl FromStr for Identity {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let what = || format!("{text:?} is not the identity of a clock");
        match text.parse() {
            Ok(ClockIdentity::ALL | ClockIdentity([0, 0, 0, 0, 0, 0, 0, 0])) => {
                Err(Invalid::new(what(), "write an identity of its own: all ones means every clock, all zeros none"))
            }
            Ok(identity) => Ok(Self(identity)),
            Err(_) => Err(Invalid::new(what(), "write sixteen hexadecimal digits, such as \"001122.fffe.334455\"")),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which masters are meant: all ports of a clock (`001122.fffe.334455`), or one (`001122.fffe.334455-1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = &"001122.fffe.334455", example = &"001122.fffe.334455-1")]
pub struct MasterIdentity(pub PortIdentity);

impl FromStr for MasterIdentity {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Sixteen digits with dashes between them are a clock, not a shorter one and the number of a port.
        if let Ok(Identity(clock)) = text.parse() {
            return Ok(Self(PortIdentity { clock, number: PortIdentity::ALL.number }));
        }
        match text.parse() {
            Ok(port @ PortIdentity { number: 1..=0xfffe, .. }) => Ok(Self(port)),
            _ => Err(Invalid::new(
                format!("{text:?} is neither the identity of a clock nor that of a port"),
                "write sixteen hexadecimal digits (\"001122.fffe.334455\"), and after a dash the number of the port, 1 \
                 to 65534, where only one is meant (\"001122.fffe.334455-1\")",
            )),
        }
    }
}

impl fmt::Display for MasterIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.number == PortIdentity::ALL.number { self.0.clock.fmt(f) } else { self.0.fmt(f) }
    }
}

/// What a clock is, for people: at most 128 bytes (userDescription, IEEE 1588-2019 8.2.5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("maxLength" = UserDescription::MAX), example = &"GM 1;Frankfurt")]
pub struct UserDescription(String);

impl UserDescription {
    /// The longest, in bytes.
    const MAX: usize = 128;
}

impl FromStr for UserDescription {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() <= Self::MAX {
            return Ok(Self(text.to_owned()));
        }
        let remedy = format!("write at most {} bytes: messages have no room for more", Self::MAX);
        Err(Invalid::new(format!("{text:?} has {} bytes", text.len()), remedy))
    }
}

impl fmt::Display for UserDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: ClockIdentity = ClockIdentity([0, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55]);

    #[test]
    fn a_master_is_a_clock_or_one_of_its_ports() {
        for (text, port) in [
            ("001122.fffe.334455", Some(0xffff)),
            ("00:11:22:ff:fe:33:44:55", Some(0xffff)),
            ("00-11-22-ff-fe-33-44-55", Some(0xffff)),
            ("001122.fffe.334455-7", Some(7)),
            ("00-11-22-ff-fe-33-44-55-65534", Some(65_534)),
            ("001122.fffe.334455-0", None),
            ("001122.fffe.334455-65535", None),
            ("001122.fffe", None),
            ("001122.fffe.33445g", None),
            ("ffffff.ffff.ffffff", None),
            ("", None),
        ] {
            let master = text.parse::<MasterIdentity>();
            assert_eq!(master.as_ref().ok().map(|master| master.0.number), port, "{text}");
            if let Ok(master) = master {
                assert_eq!((master.0.clock, master.to_string().parse()), (CLOCK, Ok(master)));
            }
        }
    }

    #[test]
    fn an_identity_is_one_clock() {
        assert_eq!("001122.fffe.334455".parse(), Ok(Identity(CLOCK)));
        assert_eq!(Identity(CLOCK).to_string(), "001122.fffe.334455");
        for text in ["001122.fffe.334455-1", "0000000000000000", "ffff:ffff:ffff:ffff", "x", ""] {
            let invalid = text.parse::<Identity>().unwrap_err();
            assert!(invalid.what.contains(text), "{invalid}");
        }
    }

    #[test]
    fn a_description_fits_into_a_message() {
        assert_eq!("x".repeat(128).parse::<UserDescription>().unwrap().to_string().len(), 128);
        assert!("ä".repeat(65).parse::<UserDescription>().unwrap_err().what.contains("has 130 bytes"));
    }
}
