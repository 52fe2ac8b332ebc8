//! Random numbers: one stream for each part of the world.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers. ChaCha, because its values are the same in every version of the library.
pub(crate) type Stream = ChaCha8Rng;

/// The stream of the part called `name` in the run `seed`. Parts do not share streams, so that another part in the world
/// changes nothing for those that were there before.
pub(crate) fn stream(seed: u64, name: &str) -> Stream {
    Stream::from_seed(key(seed, name))
}

/// 32 bytes that tell the part `name` in the run `seed` from every other.
pub(crate) fn key(seed: u64, name: &str) -> [u8; 32] {
    let mut key = [0; 32];
    let (words, _) = key.as_chunks_mut::<8>();
    for (word, value) in words.iter_mut().zip([seed, hash(name), name.len() as u64, 0]) {
        *word = value.to_le_bytes();
    }
    key
}

/// FNV-1a, 64 bits: enough to tell names apart; nobody attacks a simulation.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::stream;
    use rand::Rng;

    #[test]
    fn streams_depend_on_seed_and_name_alone() {
        let first = |seed, name| stream(seed, name).next_u64();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }
}
