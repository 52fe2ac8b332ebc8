//! The keys that are shared with clients and peers, and the file they are kept in.
//!
//! The file has chrony's format: one key a line, `ID TYPE KEY`, or `ID KEY` for an MD5 key. TYPE is a name of
//! [`Algorithm`]. KEY is `HEX:` and hexadecimal digits, or the characters themselves, with or without `ASCII:` before them.
//! Empty lines and lines that begin with one of `!`, `;`, `#`, `%` are skipped.

use crate::mac::{Algorithm, KEY_ID_LEN, Key, KeyError, KeyId, MacFault};
use crate::message::Version;
use zeroize::Zeroizing;

/// Keys by number.
#[derive(Debug, Default)]
pub struct KeyTable {
    /// In the order of their numbers.
    keys: Vec<Key>,
}

impl KeyTable {
    /// The keys of a file with this text.
    ///
    /// # Errors
    /// [`KeyFileError`] for the first line that is not right. A number that is given twice is an error too: which of the
    /// keys is meant would be a guess.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut numbered: Vec<(usize, Key)> = Vec::new();
        for (line, content) in text.lines().enumerate().map(|(index, content)| (index + 1, content.trim())) {
            if !content.is_empty() && !content.starts_with(['!', ';', '#', '%']) {
                let key = parse_line(content).map_err(|problem| KeyFileError { line, problem })?;
                numbered.push((line, key));
            }
        }
        // Stable, so that of two keys with one number the second is the one that stands further down.
        numbered.sort_by_key(|(_, key)| key.id());
        for ((first, key), (line, next)) in numbered.iter().zip(numbered.iter().skip(1)) {
            if key.id() == next.id() {
                let problem = KeyFileProblem::Duplicate { id: key.id(), first: *first };
                return Err(KeyFileError { line: *line, problem });
            }
        }
        Ok(Self { keys: numbered.into_iter().map(|(_, key)| key).collect() })
    }

    /// The key with number `id`.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&Key> {
        self.keys.binary_search_by_key(&id, Key::id).ok().and_then(|index| self.keys.get(index))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key with which `mac`, a key identifier and a digest, is the MAC of `message`.
    ///
    /// # Errors
    /// [`MacFault`]: which of its parts is wrong.
    pub fn verify(&self, version: Version, message: &[u8], mac: &[u8]) -> Result<&Key, MacFault> {
        let (id, digest) = mac.split_first_chunk::<KEY_ID_LEN>().ok_or(MacFault::Wrong)?;
        let id = KeyId::new(u32::from_be_bytes(*id)).ok_or(MacFault::CryptoNak)?;
        let key = self.get(id).ok_or(MacFault::UnknownKey)?;
        if key.verify(version, message, digest) { Ok(key) } else { Err(MacFault::Wrong) }
    }
}

/// What is wrong with a key file. Never says anything of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct KeyFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: KeyFileProblem,
}

/// What is wrong with a line of a key file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileProblem {
    /// A line has two or three words.
    #[error("expected `ID TYPE KEY` or `ID KEY`, found {words} word(s)")]
    Words {
        /// How many there are.
        words: usize,
    },
    /// The first word is not a number from 1 to 2^32 - 1. It is not shown: with its columns mixed up it may be the secret.
    #[error("the first word is not a key number from 1 to 4294967295")]
    Id,
    /// The type is one that chrony has and this program has not.
    #[error("key type `{0}` is not supported; supported are MD5, SHA1, SHA256, SHA512, AES128 and AES256")]
    Unsupported(&'static str),
    /// The type is none at all. It is not shown: it may be part of a secret with a space in it.
    #[error("the second of three words is not a key type: MD5, SHA1, SHA256, SHA512, AES128 or AES256")]
    Algorithm,
    /// What follows `HEX:` is not an even number of hexadecimal digits.
    #[error("after `HEX:` an even number of hexadecimal digits must follow")]
    Hexadecimal,
    /// The algorithm does not take the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The number was given before.
    #[error("key number {id} was given on line {first} already")]
    Duplicate {
        /// The number.
        id: KeyId,
        /// Where it was given first.
        first: usize,
    },
}

/// Types of chrony's key files that are not supported here.
const UNSUPPORTED: [&str; 7] = ["SHA384", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "TIGER", "WHIRLPOOL"];

fn parse_line(line: &str) -> Result<Key, KeyFileProblem> {
    let mut words = line.split_whitespace();
    let (id, algorithm, key) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(id), Some(key), None, None) => (id, Algorithm::Md5, key),
        (Some(id), Some(name), Some(key), None) => (id, parse_algorithm(name)?, key),
        _ => return Err(KeyFileProblem::Words { words: line.split_whitespace().count() }),
    };
    let id = id.parse().ok().and_then(KeyId::new).ok_or(KeyFileProblem::Id)?;
    Ok(Key::new(id, algorithm, &parse_secret(key)?)?)
}

fn parse_algorithm(name: &str) -> Result<Algorithm, KeyFileProblem> {
    Algorithm::from_name(name).ok_or_else(|| {
        let unsupported = UNSUPPORTED.into_iter().find(|known| *known == name);
        unsupported.map_or(KeyFileProblem::Algorithm, KeyFileProblem::Unsupported)
    })
}

fn parse_secret(word: &str) -> Result<Zeroizing<Vec<u8>>, KeyFileProblem> {
    let Some(digits) = word.strip_prefix("HEX:") else {
        return Ok(Zeroizing::new(word.strip_prefix("ASCII:").unwrap_or(word).as_bytes().to_vec()));
    };
    let mut secret = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.as_bytes().chunks(2) {
        let &[upper, lower] = pair else { return Err(KeyFileProblem::Hexadecimal) };
        let value = hexadecimal(upper).zip(hexadecimal(lower)).ok_or(KeyFileProblem::Hexadecimal)?;
        secret.push(value.0 << 4 | value.1);
    }
    Ok(secret)
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyFileProblem as Problem;
    use proptest::prelude::*;

    fn id(number: u32) -> KeyId {
        KeyId::new(number).unwrap()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let table = KeyTable::parse(
            "# comment\n! comment\n; comment\n% comment\n\n \t 20 SHA1 HEX:00ff\r\n\
             1 secret\n  # indented comment\n3 MD5 ASCII:secret\n4294967295 AES128 HEX:000102030405060708090A0b0c0d0e0f\n\
             5 SHA512 #not!a;comment",
        )
        .unwrap();
        assert_eq!(table.len(), 5);
        assert_eq!(table.get(id(1)).unwrap().algorithm(), Algorithm::Md5);
        assert_eq!(table.get(id(u32::MAX)).unwrap().algorithm(), Algorithm::Aes128Cmac);
        assert!(table.get(id(2)).is_none());
        // Keys 1 and 3 are the same secret, told in two ways.
        let mut message = [7; 68];
        assert_eq!(table.get(id(1)).unwrap().append(Version::V4, &mut message, 48), Some(68));
        assert!(table.get(id(3)).unwrap().verify(Version::V4, &message[..48], &message[52..]));
        assert!(!table.get(id(20)).unwrap().verify(Version::V4, &message[..48], &message[52..]));
    }

    #[test]
    fn errors_name_the_line_and_never_the_secret() {
        let aes =
            |expected, found| Problem::Key(KeyError::Length { algorithm: Algorithm::Aes128Cmac, expected, found });
        for (text, line, problem) in [
            ("1 a\nSECRET", 2, Problem::Words { words: 1 }),
            ("1 MD5 SECRET words", 1, Problem::Words { words: 4 }),
            ("SECRET MD5 1", 1, Problem::Id),
            ("0 MD5 SECRET", 1, Problem::Id),
            ("4294967296 SECRET", 1, Problem::Id),
            ("1 SECRET words", 1, Problem::Algorithm),
            ("1 TIGER SECRET", 1, Problem::Unsupported("TIGER")),
            ("1 MD5 HEX:SECRET", 1, Problem::Hexadecimal),
            ("1 MD5 HEX:ABC", 1, Problem::Hexadecimal),
            ("1 MD5 HEX:", 1, Problem::Key(KeyError::Empty)),
            ("1 AES128 SECRET", 1, aes(16, 6)),
            ("\n2 SECRET\n1 a\n2 SECRET", 4, Problem::Duplicate { id: id(2), first: 2 }),
        ] {
            let error = KeyTable::parse(text).unwrap_err();
            assert_eq!(error, KeyFileError { line, problem }, "{text}");
            assert!(!error.to_string().contains("SECRET"), "{error}");
            assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
        }
        assert!(!format!("{:?}", KeyTable::parse("1 SECRET").unwrap()).contains("SECRET"));
    }

    #[test]
    fn a_mac_fails_for_a_named_reason() {
        let table = KeyTable::parse("1 MD5 one\n2 AES128 ASCII:0123456789abcdef").unwrap();
        let mut message = [1; 68];
        let _ = table.get(id(2)).unwrap().append(Version::V4, &mut message, 48);
        let (message, mac) = message.split_at(48);
        assert_eq!(table.verify(Version::V4, message, mac).unwrap().id(), id(2));
        assert_eq!(table.verify(Version::V4, &[1; 47], mac).unwrap_err(), MacFault::Wrong);
        assert_eq!(table.verify(Version::V4, message, &mac[..19]).unwrap_err(), MacFault::Wrong);
        assert_eq!(table.verify(Version::V4, message, &mac[..3]).unwrap_err(), MacFault::Wrong);
        assert_eq!(table.verify(Version::V4, message, &[0; 4]).unwrap_err(), MacFault::CryptoNak);
        let other = |number: u32| [&number.to_be_bytes(), &mac[4..]].concat();
        assert_eq!(table.verify(Version::V4, message, &other(1)).unwrap_err(), MacFault::Wrong);
        assert_eq!(table.verify(Version::V4, message, &other(3)).unwrap_err(), MacFault::UnknownKey);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([0-9]{1,3} (MD5 |SHA1 |AES128 )?(HEX:|ASCII:)?[0-9a-fA-F!#]{0,32}\\PC?\n?)*") {
            if let Err(error) = KeyTable::parse(&text) {
                prop_assert!((1..=text.lines().count()).contains(&error.line));
            }
        }

        #[test]
        fn written_keys_are_read_back(secrets in proptest::collection::btree_map(1u32.., any::<[u8; 32]>(), 0..20)) {
            let text: String = secrets.iter().rev().map(|(id, secret)| {
                format!("{id} AES256 HEX:{}\n", secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }).collect();
            let table = KeyTable::parse(&text).unwrap();
            prop_assert_eq!(table.len(), secrets.len());
            for (number, secret) in secrets {
                let mut message = [0; 68];
                let _ = Key::new(id(number), Algorithm::Aes256Cmac, &secret).unwrap().append(Version::V4, &mut message, 48);
                prop_assert_eq!(table.verify(Version::V4, &message[..48], &message[48..]).unwrap().id(), id(number));
            }
        }
    }
}
