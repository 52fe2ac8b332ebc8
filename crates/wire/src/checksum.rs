//! The Internet checksum (RFC 1071).

use crate::eight;

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
        // A plain NTP message goes in one step.
        match data.split_first_chunk::<48>() {
            Some((message, [])) => self.add_message(message),
            _ if data.is_empty() => self,
            _ => self.add_any(data),
        }
    }

    /// Adds 48 bytes in one chain of additions, each of which takes in the carry of the one before.
    #[inline(always)]
    fn add_message(self, message: &[u8; 48]) -> Self {
        let (sum, carry) = self.0.overflowing_add(eight(message, 0));
        let (sum, carry) = sum.carrying_add(eight(message, 8), carry);
        let (sum, carry) = sum.carrying_add(eight(message, 16), carry);
        let (sum, carry) = sum.carrying_add(eight(message, 24), carry);
        let (sum, carry) = sum.carrying_add(eight(message, 32), carry);
        let (sum, carry) = sum.carrying_add(eight(message, 40), carry);
        Self(sum).add_eight(carry as u64)
    }

    /// Adds bytes of any length.
    #[inline(never)]
    fn add_any(mut self, data: &[u8]) -> Self {
        let (words, rest) = data.as_chunks::<8>();
        for word in words {
            self = self.add_eight(eight(word, 0));
        }
        let (fields, rest) = rest.as_chunks::<2>();
        for field in fields {
            self = self.add_field(u16::from_be_bytes(*field));
        }
        match rest {
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
