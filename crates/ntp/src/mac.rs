//! Message authentication with symmetric keys (RFC 5905 §7.3, RFC 8573): a key identifier and a digest at the end of a
//! message.
//!
//! With a hash function the digest is that of the key followed by the message. AES-CMAC is AES-128 by RFC 8573; AES-256
//! and the hash functions beyond MD5 are common practice. Since version 4 tells a MAC from an extension field by its
//! length (RFC 7822 §3), digests longer than 20 bytes are cut to 20 there.

use crate::cmac::Cmac;
use crate::message::Version;
use aes::{Aes128Enc, Aes256Enc};
use core::fmt;
use core::num::NonZeroU32;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

/// The longest MAC there is, in bytes: a key identifier and a digest of SHA-512.
pub const MAX_MAC_LEN: usize = KEY_ID_LEN + MAX_DIGEST_LEN;
/// The longest digest, in bytes.
pub(crate) const MAX_DIGEST_LEN: usize = 64;
/// The longest digest in version 4, in bytes.
pub(crate) const MAX_DIGEST_LEN_V4: usize = 20;
/// The shortest digest, in bytes: MD5 and AES-CMAC.
pub(crate) const MIN_DIGEST_LEN: usize = 16;
/// Length of the key identifier before the digest, in bytes.
pub(crate) const KEY_ID_LEN: usize = 4;

/// The number of a key, agreed upon by both sides. Zero is none: a MAC with it is a crypto-NAK (RFC 5905 §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(NonZeroU32);

impl KeyId {
    /// The identifier `number`, unless that is zero.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MD5 of key and message; deprecated by RFC 8573, still the default of key files.
    Md5,
    /// SHA-1 of key and message.
    Sha1,
    /// SHA-256 of key and message.
    Sha256,
    /// SHA-512 of key and message.
    Sha512,
    /// AES-128-CMAC (RFC 4493), recommended by RFC 8573.
    Aes128Cmac,
    /// CMAC with AES-256.
    Aes256Cmac,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512, Self::Aes128Cmac, Self::Aes256Cmac];

    /// Its name in key files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Aes128Cmac => "AES128",
            Self::Aes256Cmac => "AES256",
        }
    }

    /// The algorithm with this name in key files.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Length of its digest in a message of `version`, in bytes.
    #[must_use]
    pub const fn digest_len(self, version: Version) -> usize {
        let full = match self {
            Self::Md5 | Self::Aes128Cmac | Self::Aes256Cmac => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        };
        if version.number() >= 4 && full > MAX_DIGEST_LEN_V4 { MAX_DIGEST_LEN_V4 } else { full }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An empty secret protects nothing.
    #[error("the key is empty")]
    Empty,
    /// AES has keys of one length only.
    #[error("{algorithm} needs a key of {expected} bytes, this one has {found}")]
    Length {
        /// The algorithm.
        algorithm: Algorithm,
        /// What it needs, in bytes.
        expected: usize,
        /// What it was given, in bytes.
        found: usize,
    },
}

/// Why a MAC was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MacFault {
    /// A crypto-NAK instead of a MAC.
    #[error("crypto-NAK instead of a MAC")]
    CryptoNak,
    /// Its key identifier is not among the keys.
    #[error("unknown key identifier")]
    UnknownKey,
    /// It is not that of the message with its key, or not as long.
    #[error("wrong MAC")]
    Wrong,
}

/// A symmetric key, ready for use: AES keys are expanded and hash functions have absorbed theirs. Its memory is cleared when
/// it is dropped, and it is never printed.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    algorithm: Algorithm,
    prepared: Prepared,
}

/// What each algorithm knows before its first byte of message.
#[derive(Clone)]
enum Prepared {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
    Aes128(Cmac<Aes128Enc>),
    Aes256(Cmac<Aes256Enc>),
}

impl Key {
    /// The key with number `id` and these secret bytes.
    ///
    /// # Errors
    /// [`KeyError`] where the algorithm takes no key of this length.
    pub fn new(id: KeyId, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        let wrong_length = |expected| KeyError::Length { algorithm, expected, found: secret.len() };
        let prepared = match algorithm {
            Algorithm::Md5 => Prepared::Md5(Md5::new_with_prefix(secret)),
            Algorithm::Sha1 => Prepared::Sha1(Sha1::new_with_prefix(secret)),
            Algorithm::Sha256 => Prepared::Sha256(Sha256::new_with_prefix(secret)),
            Algorithm::Sha512 => Prepared::Sha512(Sha512::new_with_prefix(secret)),
            Algorithm::Aes128Cmac => Prepared::Aes128(Cmac::new(secret.try_into().map_err(|_| wrong_length(16))?)),
            Algorithm::Aes256Cmac => Prepared::Aes256(Cmac::new(secret.try_into().map_err(|_| wrong_length(32))?)),
        };
        Ok(Self { id, algorithm, prepared })
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Length of its MAC in a message of `version`, key identifier included, in bytes.
    #[must_use]
    pub const fn mac_len(&self, version: Version) -> usize {
        KEY_ID_LEN + self.algorithm.digest_len(version)
    }

    /// Appends the MAC of the message in `buffer[..len]`. Returns the length with it, or `None` where the buffer is too
    /// short for it; the message is untouched either way.
    #[must_use]
    pub fn append(&self, version: Version, buffer: &mut [u8], len: usize) -> Option<usize> {
        let (message, rest) = buffer.split_at_mut_checked(len)?;
        let mac = rest.get_mut(..self.mac_len(version))?;
        let (id, digest) = mac.split_first_chunk_mut::<KEY_ID_LEN>()?;
        *id = self.id.number().to_be_bytes();
        digest.copy_from_slice(self.digest(message).get(..digest.len())?);
        Some(len + self.mac_len(version))
    }

    /// Whether `digest` is that of `message`, in a message of `version`. Takes the same time wherever they differ.
    #[must_use]
    pub fn verify(&self, version: Version, message: &[u8], digest: &[u8]) -> bool {
        digest.len() == self.algorithm.digest_len(version)
            && self.digest(message).get(..digest.len()).is_some_and(|expected| equal(expected, digest))
    }

    fn digest(&self, message: &[u8]) -> [u8; MAX_DIGEST_LEN] {
        match &self.prepared {
            Prepared::Md5(state) => hashed(state, message),
            Prepared::Sha1(state) => hashed(state, message),
            Prepared::Sha256(state) => hashed(state, message),
            Prepared::Sha512(state) => hashed(state, message),
            Prepared::Aes128(cmac) => padded(&cmac.digest(message)),
            Prepared::Aes256(cmac) => padded(&cmac.digest(message)),
        }
    }
}

/// The digest of `message` by a hash function that has absorbed its key.
fn hashed<H: Digest + Clone>(state: &H, message: &[u8]) -> [u8; MAX_DIGEST_LEN] {
    padded(&state.clone().chain_update(message).finalize())
}

/// `digest` with zeros after it.
fn padded(digest: &[u8]) -> [u8; MAX_DIGEST_LEN] {
    let mut padded = [0; MAX_DIGEST_LEN];
    padded.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    padded
}

/// Whether two digests are equal, in a time that depends on their length alone. Digests are made of 32-bit words.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
    let words = a.iter().zip(b).map(|(a, b)| u32::from_ne_bytes(*a).ct_eq(&u32::from_ne_bytes(*b)));
    bool::from(words.fold(Choice::from(u8::from(a.len() == b.len())), |all, word| all & word))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Algorithm::{
        Aes128Cmac, Aes256Cmac, Md5 as Md5Hash, Sha1 as Sha1Hash, Sha256 as Sha256Hash, Sha512 as Sha512Hash,
    };
    use proptest::prelude::*;

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let pairs = (0..hexadecimal.len()).step_by(2);
        pairs.map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
    }

    fn key(algorithm: Algorithm, secret: &[u8]) -> Key {
        Key::new(KeyId::new(7).unwrap(), algorithm, secret).unwrap()
    }

    /// The four messages of RFC 4493 §4 and NIST SP 800-38B appendix D are beginnings of this one.
    const MESSAGE: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                           30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

    #[test]
    fn aes_128_cmac_gives_the_digests_of_rfc_4493() {
        let key = key(Aes128Cmac, &bytes("2b7e151628aed2a6abf7158809cf4f3c"));
        for (len, digest) in [
            (0, "bb1d6929e95937287fa37d129b756746"),
            (16, "070a16b46b4d4144f79bdd9dd04a287c"),
            (40, "dfa66747de9ae63030ca32611497c827"),
            (64, "51f0bebf7e3b9d92fc49741779363cfe"),
        ] {
            assert!(key.verify(Version::V4, &bytes(MESSAGE)[..len], &bytes(digest)), "{len}");
        }
    }

    #[test]
    fn aes_256_cmac_gives_the_digests_of_sp_800_38b() {
        let key = key(Aes256Cmac, &bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"));
        for (len, digest) in [
            (0, "028962f61b7bf89efc6b551f4667d983"),
            (16, "28a7023f452e8f82bd4bf28d8c37c35c"),
            (40, "aaf3d8f1de5640c232f5b169b9c911e6"),
            (64, "e1992190549f6ed5696a2c056c315410"),
        ] {
            assert!(key.verify(Version::V4, &bytes(MESSAGE)[..len], &bytes(digest)), "{len}");
        }
    }

    /// The digests of "abc" in RFC 1321 and FIPS 180-4, with the key "a" and the message "bc".
    #[test]
    fn hash_functions_take_the_key_first_and_are_cut_in_version_4() {
        for (algorithm, digest) in [
            (Md5Hash, "900150983cd24fb0d6963f7d28e17f72"),
            (Sha1Hash, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Sha256Hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Sha512Hash,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let (key, digest) = (key(algorithm, b"a"), bytes(digest));
            let cut = &digest[..digest.len().min(20)];
            assert!(key.verify(Version::V3, b"bc", &digest), "{algorithm}");
            assert!(key.verify(Version::V4, b"bc", cut), "{algorithm}");
            assert_eq!(key.verify(Version::V4, b"bc", &digest), digest.len() <= 20, "{algorithm}");
            assert_eq!(key.mac_len(Version::V4), 4 + cut.len());
            assert_eq!(key.mac_len(Version::V3), 4 + digest.len());
        }
    }

    #[test]
    fn keys_have_the_length_that_their_algorithm_takes() {
        for (algorithm, expected, found) in [(Aes128Cmac, 16, 15), (Aes128Cmac, 16, 32), (Aes256Cmac, 32, 16)] {
            let error = Key::new(KeyId::new(1).unwrap(), algorithm, &vec![0; found]).unwrap_err();
            assert_eq!(error, KeyError::Length { algorithm, expected, found });
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Key::new(KeyId::new(1).unwrap(), algorithm, &[]).unwrap_err(), KeyError::Empty);
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(KeyId::new(0), None);
    }

    #[test]
    fn a_buffer_without_room_is_left_alone() {
        let mut buffer = [1; 67];
        assert_eq!(key(Md5Hash, b"a").append(Version::V4, &mut buffer, 48), None);
        assert_eq!(key(Md5Hash, b"a").append(Version::V4, &mut buffer, 68), None);
        assert_eq!(buffer, [1; 67]);
    }

    proptest! {
        #[test]
        fn a_changed_message_fails(
            algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
            version in 1u8..=4,
            mut message in proptest::collection::vec(any::<u8>(), 1..200),
            at: proptest::sample::Index,
            flip in 1u8..,
        ) {
            let version = Version::new(version).unwrap();
            let secret = [9; 32];
            let key = key(algorithm, if algorithm == Aes128Cmac { &secret[..16] } else { &secret });
            let len = message.len();
            message.resize(len + MAX_MAC_LEN, 0);
            let end = key.append(version, &mut message, len).unwrap();
            message.truncate(end);
            prop_assert_eq!(end, len + key.mac_len(version));
            prop_assert!(key.verify(version, &message[..len], &message[len + 4..]));
            let at = at.index(end - 4);
            message[if at < len { at } else { at + 4 }] ^= flip;
            prop_assert!(!key.verify(version, &message[..len], &message[len + 4..]));
        }
    }
}
