//! What follows the header: extension fields and a message authentication code (RFC 7822 §3).
//!
//! Only their lengths tell them apart. In version 4 what is left of a message is a MAC when it is as long as one, 20 or 24
//! bytes; 4 bytes are a crypto-NAK; 28 bytes and more begin with an extension field, since the last field of a message
//! without a MAC is at least that long. In versions 1 to 3 all that follows the header is the MAC (RFC 1305 appendix C).

use crate::mac::{KEY_ID_LEN, MAX_DIGEST_LEN, MAX_DIGEST_LEN_V4, MIN_DIGEST_LEN};
use crate::message::{HEADER_LEN, Version};

/// Length of a field's own header: its type and its length.
const FIELD_HEADER_LEN: usize = 4;
/// The shortest extension field, in bytes, and shorter only than what may stand last without a MAC.
const MIN_FIELD_LEN: usize = 16;
/// The shortest rest of a message that is an extension field, in bytes.
const MIN_LAST_FIELD_LEN: usize = 28;
/// Fields and MACs are made of 32-bit words.
const WORD_LEN: usize = 4;

/// Why what follows a header is neither extension fields nor a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BodyError {
    /// There is not even a whole header.
    #[error("message shorter than an NTP header")]
    TooShort,
    /// A field says it is shorter than 16 bytes, not a multiple of four, or longer than the rest of the message.
    #[error("extension field with a wrong length")]
    FieldLength,
    /// The rest of the message has the length of neither a field nor a MAC.
    #[error("trailing bytes that are neither an extension field nor a MAC")]
    MacLength,
}

/// A message taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    covered: &'a [u8],
    mac: &'a [u8],
}

impl<'a> Body<'a> {
    /// Finds the extension fields and the MAC of `message`, header included.
    ///
    /// # Errors
    /// [`BodyError`] where a length is wrong.
    pub fn of(message: &'a [u8], version: Version) -> Result<Self, BodyError> {
        let mut rest = message.get(HEADER_LEN..).ok_or(BodyError::TooShort)?;
        if version >= Version::V4 {
            while rest.len() >= MIN_LAST_FIELD_LEN {
                rest = split_field(rest).ok_or(BodyError::FieldLength)?.1;
            }
        }
        if !is_mac_len(rest.len(), version) {
            return Err(BodyError::MacLength);
        }
        let covered = message.get(..message.len() - rest.len()).ok_or(BodyError::TooShort)?;
        Ok(Self { covered, mac: rest })
    }

    /// The extension fields, in order.
    #[must_use]
    pub fn fields(&self) -> ExtensionFields<'a> {
        ExtensionFields(self.covered.get(HEADER_LEN..).unwrap_or_default())
    }

    /// What the MAC covers: header and extension fields.
    #[must_use]
    pub const fn covered(&self) -> &'a [u8] {
        self.covered
    }

    /// The MAC: a key identifier and a digest, or of a crypto-NAK the identifier alone; empty where there is none.
    #[must_use]
    pub const fn mac(&self) -> &'a [u8] {
        self.mac
    }
}

/// An extension field (RFC 7822 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionField<'a> {
    /// What it means, by the registry of RFC 9748.
    pub field_type: u16,
    /// Its value, with the padding.
    pub value: &'a [u8],
}

/// The extension fields of a message whose lengths have been checked.
#[derive(Debug, Clone, Copy)]
pub struct ExtensionFields<'a>(&'a [u8]);

impl<'a> Iterator for ExtensionFields<'a> {
    type Item = ExtensionField<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (field, rest) = split_field(self.0)?;
        self.0 = rest;
        Some(field)
    }
}

/// The first extension field of `bytes` and what follows it.
fn split_field(bytes: &[u8]) -> Option<(ExtensionField<'_>, &[u8])> {
    let [t0, t1, l0, l1] = *bytes.first_chunk::<FIELD_HEADER_LEN>()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if len < MIN_FIELD_LEN || !len.is_multiple_of(WORD_LEN) {
        return None;
    }
    let (field, rest) = bytes.split_at_checked(len)?;
    let value = field.get(FIELD_HEADER_LEN..)?;
    Some((ExtensionField { field_type: u16::from_be_bytes([t0, t1]), value }, rest))
}

/// Whether the end of a message of `version` may be this long: nothing, a crypto-NAK or a MAC.
const fn is_mac_len(len: usize, version: Version) -> bool {
    let longest = KEY_ID_LEN + if version.number() >= 4 { MAX_DIGEST_LEN_V4 } else { MAX_DIGEST_LEN };
    len == 0
        || len == KEY_ID_LEN
        || (len >= KEY_ID_LEN + MIN_DIGEST_LEN && len <= longest && len.is_multiple_of(WORD_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V3: Version = Version::V3;
    const V4: Version = Version::V4;

    /// A header, fields of these lengths, and `mac` bytes after them.
    fn message(fields: &[usize], mac: usize) -> Vec<u8> {
        let mut message = vec![0; HEADER_LEN];
        for (number, len) in fields.iter().enumerate() {
            message.extend([0xf0, u8::try_from(number).unwrap()]);
            message.extend(u16::try_from(*len).unwrap().to_be_bytes());
            message.resize(message.len() + len - FIELD_HEADER_LEN, 0xee);
        }
        message.resize(message.len() + mac, 0xaa);
        message
    }

    #[test]
    fn in_version_4_lengths_tell_fields_from_macs() {
        for (fields, mac) in [
            (&[][..], 0),
            (&[], 4),
            (&[], 20),
            (&[], 24),
            (&[28], 0),
            (&[16], 20),
            (&[16], 24),
            (&[16, 28], 0),
            (&[24, 16, 20, 44], 4),
        ] {
            let message = message(fields, mac);
            let body = Body::of(&message, V4).unwrap();
            assert_eq!(body.mac().len(), mac, "{fields:?} {mac}");
            assert_eq!(body.covered().len() + mac, message.len());
            let found: Vec<usize> = body.fields().map(|field| field.value.len() + FIELD_HEADER_LEN).collect();
            assert_eq!(found, fields);
        }
    }

    #[test]
    fn before_version_4_all_is_mac() {
        for mac in [0, 4, 20, 24, 36, 68] {
            let message = message(&[], mac);
            let body = Body::of(&message, V3).unwrap();
            assert_eq!((body.mac().len(), body.fields().count()), (mac, 0));
        }
        for mac in [1, 8, 12, 16, 21, 72] {
            assert_eq!(Body::of(&message(&[], mac), V3), Err(BodyError::MacLength), "{mac}");
        }
    }

    #[test]
    fn a_last_field_without_mac_must_be_long() {
        // RFC 7822 §3: 20 and 24 bytes would pass for a MAC, 16 for nothing.
        assert_eq!(Body::of(&message(&[16], 0), V4), Err(BodyError::MacLength));
        assert_eq!(Body::of(&message(&[20], 0), V4).unwrap().mac().len(), 20);
        assert_eq!(Body::of(&message(&[28, 16], 0), V4), Err(BodyError::MacLength));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for trailing in [1, 2, 3, 5, 8, 12, 16, 19, 21, 22, 23, 25, 27] {
            assert_eq!(Body::of(&message(&[], trailing), V4), Err(BodyError::MacLength), "{trailing}");
        }
        for wrong in [0u16, 4, 12, 15, 17, 18, 36, 0xffff, 0xfffc] {
            let mut message = message(&[32], 0);
            message[HEADER_LEN + 2..HEADER_LEN + 4].copy_from_slice(&wrong.to_be_bytes());
            assert_eq!(Body::of(&message, V4), Err(BodyError::FieldLength), "{wrong}");
        }
        assert_eq!(Body::of(&[0; 47], V4), Err(BodyError::TooShort));
    }

    proptest! {
        #[test]
        fn fields_come_back_as_they_were_written(
            fields in proptest::collection::vec((any::<u16>(), 3usize..40, any::<u8>()), 0..8),
            mac in prop_oneof![Just(0usize), Just(4), Just(20), Just(24)],
        ) {
            let mut message = vec![0; HEADER_LEN];
            for (index, (field_type, words, fill)) in fields.iter().enumerate() {
                // The last one without a MAC has the longer minimum.
                let words = if mac == 0 && index + 1 == fields.len() { words.max(&6) } else { words };
                message.extend(field_type.to_be_bytes());
                message.extend(u16::try_from(4 + 4 * words).unwrap().to_be_bytes());
                message.resize(message.len() + 4 * words, *fill);
            }
            message.resize(message.len() + mac, 0);
            // A short field and a crypto-NAK have the length of a MAC: the crypto-NAK then hides the field.
            prop_assume!(mac != 4 || fields.last().is_none_or(|(_, words, _)| *words >= 6));
            let body = Body::of(&message, V4).unwrap();
            prop_assert_eq!(body.mac().len(), mac);
            prop_assert_eq!(body.fields().count(), fields.len());
            for (found, (field_type, _, fill)) in body.fields().zip(&fields) {
                prop_assert_eq!(found.field_type, *field_type);
                prop_assert!(found.value.iter().all(|byte| byte == fill));
            }
        }

        #[test]
        fn any_bytes_are_taken_apart_or_refused(message in proptest::collection::vec(any::<u8>(), 0..300), version in 1u8..=4) {
            if let Ok(body) = Body::of(&message, Version::new(version).unwrap()) {
                let fields: usize = body.fields().map(|field| field.value.len() + FIELD_HEADER_LEN).sum();
                prop_assert_eq!(HEADER_LEN + fields + body.mac().len(), if version == 4 { message.len() } else { HEADER_LEN + body.mac().len() });
            }
        }
    }
}
