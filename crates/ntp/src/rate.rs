//! The rate limit: a token bucket for each prefix of addresses, in fixed memory and at constant cost.
//!
//! A bucket is kept as the generic cell rate algorithm keeps it (ITU-T I.371): one number, the tick at which the bucket
//! will be full again. Four buckets share a cache line, chosen by a hash of the prefix; a new prefix takes the place of
//! the one that has been full longest, so that a limited one is forgotten only when four busier ones meet it.

use crate::hash::{AddressHasher, index_and_tag, is_ipv4};
use sidereal_time::Ticks;

/// Buckets in one set.
const WAYS: usize = 4;
/// The most sets a table has, so that its memory stays bounded whatever is asked: 1 GiB.
const MAX_SETS: usize = 1 << 24;

/// The farthest ahead that a bucket's full time may lie, in ticks: beyond 2^63 it would pass for the past.
const MAX_TOLERANCE: u64 = 1 << 62;

/// What a rate limit is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitOptions {
    /// Requests that a prefix may send each second, on average; at least 1.
    pub requests_per_second: u32,
    /// Requests that it may send at once after a silence; at least 1.
    pub burst: u32,
    /// Leading bits of an IPv4 address that make a prefix, up to 32.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that make a prefix, up to 128.
    pub ipv6_prefix: u8,
    /// Whether a limited prefix is told so, once each second, with the kiss code RATE.
    pub kiss_of_death: bool,
}

/// Why there is no rate limit with these options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitError {
    /// Nobody could ever be answered.
    #[error("requests per second must be at least 1")]
    NoRequests,
    /// Likewise.
    #[error("burst must be at least 1")]
    NoBurst,
    /// An IPv4 address has 32 bits.
    #[error("IPv4 prefix length {0} is more than 32")]
    Ipv4Prefix(u8),
    /// An IPv6 address has 128 bits.
    #[error("IPv6 prefix length {0} is more than 128")]
    Ipv6Prefix(u8),
    /// The counter is slower than the requests that it should tell apart.
    #[error(
        "a counter of {ticks_per_second} ticks per second cannot tell {requests_per_second} requests per second apart"
    )]
    CounterTooSlow {
        /// The counter's rate.
        ticks_per_second: u64,
        /// The limit that was asked for.
        requests_per_second: u32,
    },
}

/// A rate limit in ticks of the workers' counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Ticks in which a bucket gains one request, rounded down.
    interval: u64,
    /// How far ahead of now a bucket's full time may lie for a request to pass.
    tolerance: u64,
    ticks_per_second: u64,
    ipv4_mask: u128,
    ipv6_mask: u128,
    kiss_of_death: bool,
}

impl RateLimit {
    /// The limit that `options` ask for, by a counter of `ticks_per_second`.
    ///
    /// # Errors
    /// Where an option is out of its range, or the counter too slow for it.
    pub fn new(options: &RateLimitOptions, ticks_per_second: u64) -> Result<Self, RateLimitError> {
        let RateLimitOptions { requests_per_second, burst, ipv4_prefix, ipv6_prefix, kiss_of_death } = *options;
        let interval = ticks_per_second.checked_div(requests_per_second.into()).ok_or(RateLimitError::NoRequests)?;
        if interval == 0 {
            return Err(RateLimitError::CounterTooSlow { ticks_per_second, requests_per_second });
        }
        let waiting = burst.checked_sub(1).ok_or(RateLimitError::NoBurst)?;
        let host_bits = |length: u8, bits: u8| bits.checked_sub(length).map(u32::from);
        let ipv4_host = host_bits(ipv4_prefix, 32).ok_or(RateLimitError::Ipv4Prefix(ipv4_prefix))?;
        let ipv6_host = host_bits(ipv6_prefix, 128).ok_or(RateLimitError::Ipv6Prefix(ipv6_prefix))?;
        Ok(Self {
            interval,
            tolerance: interval.saturating_mul(waiting.into()).min(MAX_TOLERANCE),
            ticks_per_second,
            ipv4_mask: u128::MAX.checked_shl(ipv4_host).unwrap_or(0),
            ipv6_mask: u128::MAX.checked_shl(ipv6_host).unwrap_or(0),
            kiss_of_death,
        })
    }
}

/// What the rate limit says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateVerdict {
    /// Within the limit.
    Pass,
    /// Over it, and the prefix has not been told within this second.
    Kiss,
    /// Over it.
    Drop,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct RateTable {
    sets: Box<[Set]>,
    mask: usize,
}

/// Buckets that share a cache line. All zeros are buckets of nobody, full since the beginning.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Set {
    full_at: [u64; WAYS],
    tags: [u32; WAYS],
    /// The second in which the prefix was last told, counted from 1; 0 where it never was.
    kissed: [u32; WAYS],
}

impl RateTable {
    /// A table of at least `prefixes` buckets, up to a bound.
    pub(crate) fn new(prefixes: usize) -> Self {
        let sets = prefixes.div_ceil(WAYS).clamp(1, MAX_SETS).next_power_of_two();
        Self { sets: vec![Set::default(); sets].into_boxed_slice(), mask: sets - 1 }
    }

    /// Takes a request of `client` at `now` out of its bucket, if that holds one: else nothing is done.
    pub(crate) fn passes(&mut self, client: u128, now: Ticks, limit: &RateLimit, hasher: &AddressHasher) -> bool {
        let Some((full_at, _)) = self.bucket(client, now, limit, hasher) else { return true };
        let debt = ahead(*full_at, now);
        let passes = debt <= limit.tolerance;
        if passes {
            *full_at = now.0.wrapping_add(debt).wrapping_add(limit.interval);
        }
        passes
    }

    /// Takes a request of `client` at `now` out of its bucket, and says what becomes of one that the bucket does not hold.
    pub(crate) fn take(&mut self, client: u128, now: Ticks, limit: &RateLimit, hasher: &AddressHasher) -> RateVerdict {
        if self.passes(client, now, limit, hasher) {
            return RateVerdict::Pass;
        }
        let Some((_, kissed)) = self.bucket(client, now, limit, hasher) else { return RateVerdict::Drop };
        if !limit.kiss_of_death {
            return RateVerdict::Drop;
        }
        #[expect(clippy::cast_possible_truncation, reason = "only this second and the one before it are told apart")]
        let second = (now.0.checked_div(limit.ticks_per_second).unwrap_or(0) as u32).wrapping_add(1);
        if core::mem::replace(kissed, second) == second { RateVerdict::Drop } else { RateVerdict::Kiss }
    }

    /// The bucket of `client`'s prefix: when it is full, and when the prefix was last told.
    #[inline]
    fn bucket(
        &mut self,
        client: u128,
        now: Ticks,
        limit: &RateLimit,
        hasher: &AddressHasher,
    ) -> Option<(&mut u64, &mut u32)> {
        let prefix = client & if is_ipv4(client) { limit.ipv4_mask } else { limit.ipv6_mask };
        let (index, tag) = index_and_tag(hasher.hash(prefix), self.mask);
        let set = self.sets.get_mut(index)?;
        let way = set.tags.iter().position(|known| *known == tag).unwrap_or_else(|| set.evict(tag, now));
        set.full_at.get_mut(way).zip(set.kissed.get_mut(way))
    }
}

impl Set {
    /// Gives `tag` the bucket that is full, or will be first, and returns its place.
    fn evict(&mut self, tag: u32, now: Ticks) -> usize {
        let victim = (0..WAYS).min_by_key(|way| self.full_at.get(*way).map(|at| ahead(*at, now))).unwrap_or(0);
        if let (Some(full_at), Some(known), Some(kissed)) =
            (self.full_at.get_mut(victim), self.tags.get_mut(victim), self.kissed.get_mut(victim))
        {
            (*full_at, *known, *kissed) = (now.0, tag, 0);
        }
        victim
    }
}

/// How far `tick` lies ahead of `now`; 0 if it has passed. Ticks wrap.
#[inline]
const fn ahead(tick: u64, now: Ticks) -> u64 {
    let ahead = tick.wrapping_sub(now.0);
    if ahead.cast_signed() < 0 { 0 } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::address_bits;
    use proptest::prelude::*;

    const HASHER: AddressHasher = AddressHasher::new([1, 2]);
    const TICKS_PER_SECOND: u64 = 1_000_000_000;

    fn limit(requests_per_second: u32, burst: u32, kiss_of_death: bool) -> RateLimit {
        let options = RateLimitOptions { requests_per_second, burst, ipv4_prefix: 24, ipv6_prefix: 64, kiss_of_death };
        RateLimit::new(&options, TICKS_PER_SECOND).unwrap()
    }

    fn client(text: &str) -> u128 {
        address_bits(text.parse().unwrap())
    }

    fn passed(table: &mut RateTable, text: &str, now: u64, limit: &RateLimit) -> bool {
        table.take(client(text), Ticks(now), limit, &HASHER) == RateVerdict::Pass
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (mut table, limit) = (RateTable::new(16), limit(10, 5, false));
        let start = u64::MAX - 50; // the counter wraps on the way
        assert_eq!((0..20).filter(|_| passed(&mut table, "192.0.2.1", start, &limit)).count(), 5);
        let steps =
            (1..=300).filter(|step| passed(&mut table, "192.0.2.1", start.wrapping_add(step * 10_000_000), &limit));
        assert_eq!(steps.count(), 30);
    }

    #[test]
    fn prefixes_share_a_bucket_and_others_do_not() {
        let (mut table, limit) = (RateTable::new(1024), limit(1, 1, false));
        assert!(passed(&mut table, "192.0.2.1", 5, &limit));
        assert!(!passed(&mut table, "192.0.2.255", 5, &limit));
        assert!(!passed(&mut table, "::ffff:192.0.2.7", 5, &limit));
        assert!(passed(&mut table, "192.0.3.1", 5, &limit));
        assert!(passed(&mut table, "2001:db8::1", 5, &limit));
        assert!(!passed(&mut table, "2001:db8::ffff:0:1", 5, &limit));
        assert!(passed(&mut table, "2001:db8:0:1::1", 5, &limit));
    }

    #[test]
    fn a_prefix_is_told_once_each_second() {
        let (mut table, limit) = (RateTable::new(16), limit(1, 1, true));
        let verdicts: Vec<RateVerdict> = (0..40)
            .map(|step| table.take(client("::1"), Ticks(step * TICKS_PER_SECOND / 20), &limit, &HASHER))
            .collect();
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        assert_eq!((count(RateVerdict::Pass), count(RateVerdict::Kiss), count(RateVerdict::Drop)), (2, 2, 36));
    }

    #[test]
    fn a_full_set_forgets_an_idle_prefix_before_a_limited_one() {
        let (mut table, limit) = (RateTable::new(WAYS), limit(1, 10, false));
        while passed(&mut table, "10.0.0.1", 5, &limit) {}
        for other in 0..100 {
            assert!(passed(&mut table, &format!("10.0.{}.1", other + 1), 5 + other, &limit));
        }
        assert!(!passed(&mut table, "10.0.0.1", 200, &limit));
    }

    #[test]
    fn a_prefix_that_was_forgotten_begins_anew() {
        let (mut table, limit) = (RateTable::new(WAYS), limit(1, 1, true));
        let mut take = |host: u64, now| table.take(client(&format!("10.0.{host}.1")), Ticks(now), &limit, &HASHER);
        for host in 0..5 {
            assert_eq!(take(host, host + 1), RateVerdict::Pass);
            assert_eq!(take(host, host + 1), RateVerdict::Kiss, "{host} takes the place of one that was told");
            assert_eq!(take(host, host + 1), RateVerdict::Drop);
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let good = RateLimitOptions {
            requests_per_second: 1,
            burst: 1,
            ipv4_prefix: 32,
            ipv6_prefix: 128,
            kiss_of_death: true,
        };
        assert!(RateLimit::new(&good, 1).is_ok());
        assert!(RateLimit::new(&RateLimitOptions { ipv4_prefix: 0, ipv6_prefix: 0, ..good }, 1).is_ok());
        for (options, error) in [
            (RateLimitOptions { requests_per_second: 0, ..good }, RateLimitError::NoRequests),
            (RateLimitOptions { burst: 0, ..good }, RateLimitError::NoBurst),
            (RateLimitOptions { ipv4_prefix: 33, ..good }, RateLimitError::Ipv4Prefix(33)),
            (RateLimitOptions { ipv6_prefix: 129, ..good }, RateLimitError::Ipv6Prefix(129)),
            (
                RateLimitOptions { requests_per_second: 2, ..good },
                RateLimitError::CounterTooSlow { ticks_per_second: 1, requests_per_second: 2 },
            ),
        ] {
            assert_eq!(RateLimit::new(&options, 1), Err(error));
        }
    }

    proptest! {
        /// Whatever the times of its requests, a client gets no more than its burst and its rate.
        #[test]
        fn never_more_than_burst_and_rate(gaps in proptest::collection::vec(0u64..300_000_000, 1..200), burst in 1u32..20) {
            let (mut table, limit) = (RateTable::new(16), limit(10, burst, false));
            let (mut now, mut passed_count) = (0, 0u64);
            for gap in gaps {
                now += gap;
                passed_count += u64::from(passed(&mut table, "192.0.2.1", now, &limit));
            }
            prop_assert!(passed_count <= u64::from(burst) + now * 10 / TICKS_PER_SECOND);
        }
    }
}
