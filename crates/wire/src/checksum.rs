//! The Internet checksum (RFC 1071).

use crate::{eight, four};

/// The Internet checksum of `data`: the complement of the ones' complement sum of its 16-bit big-endian words, a last odd
/// byte padded with zero. It is 0 for data that contains its own right checksum. `data` is shorter than 2 GiB.
#[inline]
#[must_use]
pub fn checksum(data: &[u8]) -> u16 {
    !Sum::ZERO.add_bytes(data).fold()
}

/// A ones' complement sum under way, its carries not yet brought home. The sum of 16-bit words does not depend on the order
/// of their bytes as long as all of them have the same (RFC 1071 §2 (B)), so words are added as they lie in memory.
///
/// Every addition is of less than 2^33, so there is room for 2^31 of them.
#[derive(Clone, Copy)]
pub(crate) struct Sum(u64);

impl Sum {
    pub(crate) const ZERO: Self = Self(0);

    /// Adds one field of 16 bits.
    #[inline]
    pub(crate) const fn add_field(self, value: u16) -> Self {
        Self(self.0 + value.to_be() as u64)
    }

    /// Adds four bytes as they lie in memory.
    #[inline]
    pub(crate) const fn add_four(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds eight bytes as they lie in memory.
    #[inline]
    pub(crate) const fn add_eight(self, word: u64) -> Self {
        Self(self.0 + (word & 0xffff_ffff) + (word >> 32))
    }

    /// Adds bytes that begin at an even place of what is summed up.
    #[inline(always)]
    pub(crate) fn add_bytes(self, data: &[u8]) -> Self {
        // A plain NTP message goes in one step.
        match data.split_first_chunk::<48>() {
            Some((message, rest)) => self.add_message(message).add_rest(rest),
            None => self.add_rest(data),
        }
    }

    /// Adds 48 bytes: carries collect in the upper half of a wide sum, so that two chains of additions run side by side.
    #[inline(always)]
    fn add_message(self, message: &[u8; 48]) -> Self {
        let sum = u128::from(eight(message, 0))
            + u128::from(eight(message, 8))
            + u128::from(eight(message, 16))
            + u128::from(eight(message, 24))
            + u128::from(eight(message, 32))
            + u128::from(eight(message, 40));
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (low, carries) = (sum as u64, (sum >> 64) as u64);
        Self(self.0 + carries).add_eight(low)
    }

    #[inline]
    fn add_rest(self, rest: &[u8]) -> Self {
        if rest.is_empty() { self } else { self.add_any(rest) }
    }

    /// Adds bytes of any length.
    #[inline(never)]
    fn add_any(mut self, data: &[u8]) -> Self {
        let (words, rest) = data.as_chunks::<4>();
        for word in words {
            self = self.add_four(four(word, 0));
        }
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.add_four(four(&last, 0))
    }

    /// The sum of the 16-bit words, in host order.
    #[inline]
    pub(crate) const fn fold(self) -> u16 {
        // Of a number and its halves in exchange, the upper half of the sum is the sum of the halves with its carry.
        let sum = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        let sum = (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16;
        u16::from_be(sum)
    }
}
