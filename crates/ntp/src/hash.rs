//! Which set of a fixed table an address belongs to, so that nobody who does not know the secret can choose addresses
//! that crowd one set.

use core::net::IpAddr;

/// An address as one number, an IPv4 address in its IPv6-mapped form (RFC 4291 §2.5.5.2): both spellings of one client
/// are one client.
#[inline]
pub(crate) fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Whether `bits` is an IPv4 address in IPv6-mapped form.
#[inline]
pub(crate) const fn is_ipv4(bits: u128) -> bool {
    bits >> 32 == 0xffff
}

/// Bits without a pattern: the fractions of the square roots of 2, 3 and 5, made odd.
const MIX: [u64; 3] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b];

/// A hash of addresses under a secret: two folded multiplications, which is enough where an attacker never sees the hash
/// and costs a few cycles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressHasher {
    secret: [u64; 2],
}

impl AddressHasher {
    /// Any secret will do: the constants keep one with few bits set from making the multiplications trivial.
    pub(crate) const fn new(secret: [u64; 2]) -> Self {
        let [first, second] = secret;
        Self { secret: [first ^ MIX[0], second ^ MIX[1]] }
    }

    #[inline]
    pub(crate) const fn hash(&self, address: u128) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (upper, lower) = ((address >> 64) as u64, address as u64);
        let [first, second] = self.secret;
        fold(fold(lower ^ first, upper ^ second) ^ second, MIX[2])
    }
}

/// The product's two halves, one laid over the other.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

/// How a hash is used: the index of a set and a tag that tells the clients of one set apart.
#[inline]
pub(crate) const fn index_and_tag(hash: u64, set_mask: usize) -> (usize, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is the tag, the lower one the index")]
    let (tag, index) = ((hash >> 32) as u32, hash as usize & set_mask);
    (index, tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;

    #[test]
    fn both_spellings_of_an_ipv4_client_are_one_client() {
        let plain: IpAddr = "192.0.2.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(address_bits(plain), address_bits(mapped));
        assert!(is_ipv4(address_bits(mapped)));
        assert!(!is_ipv4(address_bits(IpAddr::V6(Ipv6Addr::LOCALHOST))));
    }

    #[test]
    fn neighbouring_addresses_spread_over_the_sets() {
        for secret in [[0, 0], [1, 2], [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]] {
            let hasher = AddressHasher::new(secret);
            let (mut counts, mut tags) = ([0u32; 64], std::collections::BTreeSet::new());
            for host in 0..6400u32 {
                let address = address_bits(IpAddr::from((0x0a00_0000 + host).to_be_bytes()));
                let (index, tag) = index_and_tag(hasher.hash(address), 63);
                counts[index] += 1;
                tags.insert(tag);
            }
            assert!(counts.iter().all(|count| (50..=170).contains(count)), "{counts:?}");
            assert!(tags.len() > 6390, "{}", tags.len());
        }
    }
}
