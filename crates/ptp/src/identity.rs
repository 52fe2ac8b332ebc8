//! What clocks and their ports are called.

use core::fmt;
use core::str::FromStr;

/// The identity of a PTP Instance: an EUI-64 (clockIdentity, IEEE 1588-2019 7.5.2.2.2). Written as `001122.fffe.334455`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClockIdentity(pub [u8; 8]);

/// The identity of a PTP Port (portIdentity, IEEE 1588-2019 7.5.2.1). Written as `001122.fffe.334455-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PortIdentity {
    /// The PTP Instance.
    pub clock: ClockIdentity,
    /// Which of its ports, from 1; 0xFFFF stands for all.
    pub number: u16,
}

/// Why a text is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is not sixteen hexadecimal digits, as `001122.fffe.334455`; dots, colons and dashes between them do not count.
    #[error("not sixteen hexadecimal digits, such as 001122.fffe.334455")]
    Digits,
    /// What follows the last dash is no port number.
    #[error("no port number from 0 to 65535 after the dash, such as 001122.fffe.334455-1")]
    Port,
}

impl ClockIdentity {
    /// All ones: every clock (IEEE 1588-2019 15.3.1).
    pub const ALL: Self = Self([0xff; 8]);

    /// Made of the MAC address of a port, with FF-FE in the middle, as most implementations do (IEEE 1588-2008 7.5.2.2.2.2).
    #[must_use]
    pub const fn from_mac([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self([a, b, c, 0xff, 0xfe, d, e, f])
    }
}

impl PortIdentity {
    /// All ones: every port of every clock (IEEE 1588-2019 15.3.1).
    pub const ALL: Self = Self { clock: ClockIdentity::ALL, number: 0xffff };

    /// The identity in these ten bytes of a message.
    #[must_use]
    pub const fn from_be_bytes([a, b, c, d, e, f, g, h, high, low]: [u8; 10]) -> Self {
        Self { clock: ClockIdentity([a, b, c, d, e, f, g, h]), number: u16::from_be_bytes([high, low]) }
    }

    /// The ten bytes of a message.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        let (clock, number) = bytes.split_at_mut(8);
        clock.copy_from_slice(&self.clock.0);
        number.copy_from_slice(&self.number.to_be_bytes());
        bytes
    }
}

impl fmt::Display for ClockIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}.{d:02x}{e:02x}.{g:02x}{h:02x}{i:02x}")
    }
}

impl fmt::Display for PortIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.clock, self.number)
    }
}

impl FromStr for ClockIdentity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let digits = || text.chars().filter(|character| !matches!(character, '.' | ':' | '-'));
        if digits().count() != 16 || digits().any(|character| !character.is_ascii_hexdigit()) {
            return Err(IdentityError::Digits);
        }
        let value =
            digits().filter_map(|digit| digit.to_digit(16)).fold(0, |value, digit| value << 4 | u64::from(digit));
        Ok(Self(value.to_be_bytes()))
    }
}

impl FromStr for PortIdentity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let (clock, number) = text.rsplit_once('-').ok_or(IdentityError::Port)?;
        Ok(Self { clock: clock.parse()?, number: number.parse().map_err(|_| IdentityError::Port)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn identities_survive_a_round_trip(bytes: [u8; 10]) {
            let identity = PortIdentity::from_be_bytes(bytes);
            prop_assert_eq!(identity.to_be_bytes(), bytes);
            prop_assert_eq!(identity.to_string().parse(), Ok(identity));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (text.parse::<ClockIdentity>(), text.parse::<PortIdentity>());
        }
    }

    #[test]
    fn an_identity_is_read_as_people_write_it() {
        let identity = ClockIdentity::from_mac([0x62, 0x12, 0x47, 0x97, 0xe1, 0x23]);
        assert_eq!(identity.to_string(), "621247.fffe.97e123");
        assert_eq!("62:12:47:ff:fe:97:e1:23".parse(), Ok(identity));
        assert_eq!("621247".parse::<ClockIdentity>(), Err(IdentityError::Digits));
        assert_eq!("621247.fffe.97e123".parse::<PortIdentity>(), Err(IdentityError::Port));
    }
}
