//! What is appended to Announce: the path it took, and other timescales.

use crate::identity::ClockIdentity;
use crate::octets::{Reader, Text, TooLong};
use crate::tlv::{TlvType, TlvWriter};

/// The clocks that an Announce has passed, its grandmaster first (PATH_TRACE, IEEE 1588-2019 16.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathTrace<'a>(&'a [[u8; 8]]);

impl<'a> PathTrace<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (identities, rest) = value.as_chunks();
        rest.is_empty().then_some(Self(identities))
    }

    pub(crate) const fn of(identities: &'a [[u8; 8]]) -> Self {
        Self(identities)
    }

    /// One after another.
    pub fn iter(self) -> impl ExactSizeIterator<Item = ClockIdentity> + 'a {
        self.0.iter().copied().map(ClockIdentity)
    }

    /// Whether an Announce with it has passed `identity`: it has come round in a loop.
    #[must_use]
    pub fn contains(self, identity: ClockIdentity) -> bool {
        self.0.contains(&identity.0)
    }

    /// Appends the path of `identities` to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(identities: impl IntoIterator<Item = ClockIdentity>, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(TlvType::PATH_TRACE, |value| identities.into_iter().try_for_each(|identity| value.put(&identity.0)))
    }
}

/// How far another timescale is from the grandmaster's (ALTERNATE_TIME_OFFSET_INDICATOR, IEEE 1588-2019 16.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlternateTimeOffset<'a> {
    /// keyField: which timescale.
    pub key: u8,
    /// currentOffset: seconds to be added to the grandmaster's time.
    pub current_offset_s: i32,
    /// jumpSeconds: how much longer that is after the next jump.
    pub jump_s: i32,
    /// timeOfNextJump: the second of the grandmaster's time from which on; below 2^48.
    pub time_of_next_jump_s: u64,
    /// displayName: what people call it, at most ten characters.
    pub display_name: Text<'a>,
}

impl<'a> AlternateTimeOffset<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let key = reader.u8()?;
        let current_offset_s = reader.i32()?;
        let jump_s = reader.i32()?;
        let [a, b, c, d, e, f] = reader.array()?;
        Some(Self {
            key,
            current_offset_s,
            jump_s,
            time_of_next_jump_s: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            display_name: Text::parse(reader)?,
        })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it, or the time of the next jump needs more than 48 bits.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        let [0, 0, time_of_next_jump @ ..] = self.time_of_next_jump_s.to_be_bytes() else { return Err(TooLong) };
        tlvs.put(TlvType::ALTERNATE_TIME_OFFSET_INDICATOR, |value| {
            value.put(&[self.key])?;
            value.put(&self.current_offset_s.to_be_bytes())?;
            value.put(&self.jump_s.to_be_bytes())?;
            value.put(&time_of_next_jump)?;
            self.display_name.write(value)
        })
    }
}
