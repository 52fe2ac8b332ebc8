//! CMAC (RFC 4493, NIST SP 800-38B) over AES, with its subkeys made once for each key: a server makes two of these for
//! every authenticated exchange, and the general implementation, which makes the subkeys anew and copies the key schedule
//! for each message, takes twice as long. It is the oracle of the tests.

use aes::Block;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, Key, KeyInit, consts::U16};
use zeroize::Zeroizing;

/// Length of a block and of a digest, in bytes.
const BLOCK_LEN: usize = 16;
/// What the reduction polynomial of GF(2^128) leaves in the lowest bits.
const REDUCTION: u128 = 0x87;

/// A prepared key. Its memory is cleared when it is dropped.
#[derive(Clone)]
pub(crate) struct Cmac<C> {
    cipher: C,
    /// K1 of RFC 4493 §2.3, mixed into a whole last block, and K2, mixed into a padded one; as they lie in memory.
    whole: Zeroizing<u128>,
    padded: Zeroizing<u128>,
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit> Cmac<C> {
    pub(crate) fn new(key: &Key<C>) -> Self {
        let cipher = C::new(key);
        let l = Zeroizing::new(u128::from_be(encrypt(&cipher, 0)));
        let whole = Zeroizing::new(double(*l));
        let padded = Zeroizing::new(double(*whole).to_be());
        Self { cipher, whole: Zeroizing::new(whole.to_be()), padded }
    }

    /// The digest of `message`.
    pub(crate) fn digest(&self, message: &[u8]) -> [u8; BLOCK_LEN] {
        // The last block is set aside, whole or not; only an empty message has an empty one.
        let set_aside = message.len().saturating_sub(1) / BLOCK_LEN * BLOCK_LEN;
        let (blocks, rest) = message.split_at_checked(set_aside).unwrap_or((message, &[]));
        let chained = blocks
            .as_chunks()
            .0
            .iter()
            .fold(0, |state, block| encrypt(&self.cipher, state ^ u128::from_ne_bytes(*block)));
        let last = match rest.first_chunk() {
            Some(block) => u128::from_ne_bytes(*block) ^ *self.whole,
            None => u128::from_ne_bytes(pad(rest)) ^ *self.padded,
        };
        encrypt(&self.cipher, chained ^ last).to_ne_bytes()
    }
}

/// `rest`, shorter than a block, and a one bit after it.
fn pad(rest: &[u8]) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    block.iter_mut().zip(rest.iter().chain(&[0x80])).for_each(|(to, from)| *to = *from);
    block
}

#[inline]
fn encrypt<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(cipher: &C, block: u128) -> u128 {
    let mut block = Block::from(block.to_ne_bytes());
    cipher.encrypt_block(&mut block);
    u128::from_ne_bytes(block.into())
}

/// `value` times x in GF(2^128), in constant time.
const fn double(value: u128) -> u128 {
    (value << 1) ^ ((value >> 127) * REDUCTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes::{Aes128Enc, Aes256Enc};
    use cmac::Mac;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digests_are_those_of_the_general_implementation(
            key: [u8; 32],
            message in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let short: [u8; 16] = *key.first_chunk().unwrap();
            let oracle = cmac::Cmac::<Aes128Enc>::new(&short.into()).chain_update(&message).finalize().into_bytes();
            prop_assert_eq!(Cmac::<Aes128Enc>::new(&short.into()).digest(&message), <[u8; 16]>::from(oracle));
            let oracle = cmac::Cmac::<Aes256Enc>::new(&key.into()).chain_update(&message).finalize().into_bytes();
            prop_assert_eq!(Cmac::<Aes256Enc>::new(&key.into()).digest(&message), <[u8; 16]>::from(oracle));
        }
    }
}
