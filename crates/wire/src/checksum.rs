//! The Internet checksum (RFC 1071).

use crate::{eight, field, four};

/// The Internet checksum of `data`: the complement of the ones' complement sum of its 16-bit big-endian words, a last odd
/// byte padded with zero. It is 0 for data that contains its own right checksum.
#[inline]
#[must_use]
pub fn checksum(data: &[u8]) -> u16 {
    !Sum::ZERO.add_bytes(data).fold()
}

/// A ones' complement sum under way. The sum of 16-bit words does not depend on the order of their bytes as long as all of
/// them have the same, nor on how many are added at once (RFC 1071 §2 (B) and (C)): words of up to 64 bits are added as they
/// lie in memory, and a carry comes round to the lowest bit.
#[derive(Clone, Copy)]
pub struct Sum(u64);

impl Sum {
    pub(crate) const ZERO: Self = Self(0);

    /// Adds one field of 16 bits.
    #[inline(always)]
    pub(crate) const fn add_field(self, value: u16) -> Self {
        self.add_eight(value.to_be() as u64)
    }

    /// Adds four bytes as they lie in memory.
    #[inline(always)]
    pub(crate) const fn add_four(self, word: u32) -> Self {
        self.add_eight(word as u64)
    }

    /// Adds eight bytes as they lie in memory.
    #[inline(always)]
    pub(crate) const fn add_eight(self, word: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum + carry as u64)
    }

    /// Adds bytes that begin at an even place of what is summed up.
    #[inline(always)]
    pub(crate) fn add_bytes(self, data: &[u8]) -> Self {
        // A plain NTP message goes in one step, and so do PTP's Delay_Req and Delay_Resp.
        if let Ok(message) = data.try_into() {
            self.add_message::<48>(message)
        } else if let Ok(message) = data.try_into() {
            self.add_message::<44>(message)
        } else if let Ok(message) = data.try_into() {
            self.add_message::<54>(message)
        } else if data.is_empty() {
            self
        } else {
            self.add_any(data)
        }
    }

    /// Adds `N` bytes, an even number, in one chain of additions, each of which takes in the carry of the one before.
    #[inline(always)]
    pub(crate) fn add_message<const N: usize>(self, message: &[u8; N]) -> Self {
        const { assert!(N.is_multiple_of(2)) };
        let (words, rest) = message.as_chunks::<8>();
        let (mut sum, mut carry) = (self.0, false);
        for word in words {
            (sum, carry) = sum.carrying_add(eight(word, 0), carry);
        }
        let (halves, rest) = rest.as_chunks::<4>();
        let (fields, _) = rest.as_chunks::<2>();
        let sum = Self(sum).add_eight(carry as u64);
        let sum = halves.iter().fold(sum, |sum, half| sum.add_four(four(half, 0)));
        fields.iter().fold(sum, |sum, bytes| sum.add_field(field(bytes, 0)))
    }

    /// Adds bytes of any length.
    #[inline(never)]
    fn add_any(mut self, data: &[u8]) -> Self {
        let (blocks, mut rest) = data.as_chunks::<16>();
        for block in blocks {
            self = self.add_message(block);
        }
        if let Some((word, after)) = rest.split_first_chunk::<8>() {
            (self, rest) = (self.add_eight(eight(word, 0)), after);
        }
        if let Some((half, after)) = rest.split_first_chunk::<4>() {
            (self, rest) = (self.add_four(four(half, 0)), after);
        }
        match rest {
            [first, second, last] => {
                self.add_field(u16::from_be_bytes([*first, *second])).add_field(u16::from_be_bytes([*last, 0]))
            }
            [first, second] => self.add_field(u16::from_be_bytes([*first, *second])),
            [last, ..] => self.add_field(u16::from_be_bytes([*last, 0])),
            [] => self,
        }
    }

    /// Whether the data, which contains its own checksum and something other than zeros, has the right one: whether the sum
    /// is the "all ones" form of zero. As 2^16 is 1 modulo 65535, sums of 16-bit words are numbers modulo 65535, and the
    /// compiler makes one multiplication of the question whether that divides a number.
    #[inline(always)]
    pub(crate) const fn is_right(self) -> bool {
        self.0.is_multiple_of(0xffff)
    }

    /// The sum of the 16-bit words, in host order.
    #[inline(always)]
    pub(crate) const fn fold(self) -> u16 {
        // Of a number and its halves in exchange, the upper half of the sum is the sum of the halves with its carry.
        let sum = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        let sum = (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16;
        u16::from_be(sum)
    }
}
