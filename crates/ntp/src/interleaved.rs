//! The server's memory of the interleaved mode (RFC 9769 §2): for each client that asks for it, the receive timestamp of
//! its last request and when the reply to it really left.
//!
//! The table is set-associative: a hash of the client's address alone (clients change their port, RFC 9109) chooses a set
//! of two cache lines, in which the oldest pair gives way. Several clients behind one address share a set and are told
//! apart by their receive timestamps, which are unique within it.
//!
//! The lowest bit of our timestamps tells receive (1) from transmit (0) timestamps, as RFC 9769 §2 proposes: clients of
//! the basic mode, which send back our transmit timestamp or zero, never touch the table. It also keeps the two from
//! being equal, which the same section demands.

use crate::hash::index_and_tag;
use sidereal_time::{NtpTimestamp, TxToken};

/// Pairs in one set.
const WAYS: usize = 5;
/// Bits of a token's upper half that name the way.
const WAY_BITS: u32 = 3;
/// The most sets a table has, so that its memory stays bounded whatever is asked: 2 GiB.
const MAX_SETS: usize = 1 << 24;
/// The bit that tells receive timestamps from transmit timestamps.
const RECEIVE_FLAG: u64 = 1;
/// The distance of two receive timestamps that differ least.
const RECEIVE_STEP: u64 = 2;

/// `time` as a receive timestamp.
#[inline]
pub(crate) const fn as_receive(time: NtpTimestamp) -> NtpTimestamp {
    NtpTimestamp::from_bits(time.to_bits() | RECEIVE_FLAG)
}

/// `time` as a transmit timestamp.
#[inline]
pub(crate) const fn as_transmit(time: NtpTimestamp) -> NtpTimestamp {
    NtpTimestamp::from_bits(time.to_bits() & !RECEIVE_FLAG)
}

/// Whether `origin`, sent by a client, may be a receive timestamp of ours.
#[inline]
pub(crate) const fn may_be_receive(origin: NtpTimestamp) -> bool {
    origin.to_bits() & RECEIVE_FLAG != 0
}

/// Makes receive timestamps unique where several packets in a row carry the same stamp, as those of a burst do that was
/// stamped as a whole.
#[derive(Debug, Default)]
pub(crate) struct ReceiveTimes {
    last: u64,
    repeated: u64,
}

impl ReceiveTimes {
    /// The receive timestamp of a packet stamped `time`.
    #[inline]
    pub(crate) const fn next(&mut self, time: NtpTimestamp) -> NtpTimestamp {
        let bits = as_receive(time).to_bits();
        self.repeated = if bits == self.last { self.repeated.wrapping_add(RECEIVE_STEP) } else { 0 };
        self.last = bits;
        NtpTimestamp::from_bits(bits.wrapping_add(self.repeated))
    }
}

/// What the table made of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The receive timestamp to send: that of the request, made unique.
    pub(crate) receive: NtpTimestamp,
    /// When the reply left that carried the request's origin timestamp, where that is known: the reply is interleaved.
    pub(crate) previous_transmit: Option<NtpTimestamp>,
    /// Asks for the time at which this reply leaves.
    pub(crate) token: TxToken,
}

/// The pairs.
#[derive(Debug)]
pub(crate) struct InterleavedTable {
    sets: Box<[Set]>,
    mask: usize,
}

/// Pairs that share two cache lines. A receive timestamp of zero is no pair's: they all have the lowest bit set.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(128))]
struct Set {
    receive: [u64; WAYS],
    /// When the reply left; 0 where that is not known.
    transmit: [u64; WAYS],
    tags: [u32; WAYS],
    /// Counts the pairs that a way has held, so that a late stamp finds only the pair it belongs to.
    generations: [u32; WAYS],
    /// The way that was filled longest ago.
    oldest: u8,
}

impl InterleavedTable {
    /// A table of at least `clients` pairs, up to a bound.
    pub(crate) fn new(clients: usize) -> Self {
        let sets = clients.div_ceil(WAYS).clamp(1, MAX_SETS).next_power_of_two();
        Self { sets: vec![Set::default(); sets].into_boxed_slice(), mask: sets - 1 }
    }

    /// Records a request with the receive timestamp `receive` of the client with this hash, and forgets the pair that
    /// `origin` belongs to: no pair is used twice.
    #[inline(never)]
    pub(crate) fn record(&mut self, client: u64, origin: NtpTimestamp, receive: NtpTimestamp) -> Option<Recorded> {
        let (index, tag) = index_and_tag(client, self.mask);
        let set = self.sets.get_mut(index)?;
        let receive = set.unique(tag, receive.to_bits());
        let (way, previous_transmit) = match set.find(tag, origin.to_bits()) {
            Some(way) => (way, set.transmit.get(way).copied().filter(|transmit| *transmit != 0)),
            None => (set.take_oldest(), None),
        };
        let generation = set.generations.get_mut(way)?;
        *generation = generation.wrapping_add(1);
        let token = TxToken::new(token_key(index, way, *generation)?);
        *set.receive.get_mut(way)? = receive;
        *set.transmit.get_mut(way)? = 0;
        *set.tags.get_mut(way)? = tag;
        Some(Recorded {
            receive: NtpTimestamp::from_bits(receive),
            previous_transmit: previous_transmit.map(NtpTimestamp::from_bits),
            token,
        })
    }

    /// Completes the pair that `token` belongs to, if it is still there: the reply left at `at`.
    pub(crate) fn transmitted(&mut self, token: TxToken, at: NtpTimestamp) {
        let (index, way, generation) = token_parts(token.redeem());
        let Some(set) = self.sets.get_mut(index) else { return };
        if set.generations.get(way) == Some(&generation)
            && let Some(transmit) = set.transmit.get_mut(way)
        {
            *transmit = as_transmit(at).to_bits();
        }
    }
}

impl Set {
    fn find(&self, tag: u32, receive: u64) -> Option<usize> {
        self.receive.iter().zip(&self.tags).position(|(known, of)| *known == receive && *of == tag)
    }

    /// `receive`, or the next later one that no pair of the client has. Ends within `WAYS` steps.
    fn unique(&self, tag: u32, mut receive: u64) -> u64 {
        while self.find(tag, receive).is_some() {
            receive = receive.wrapping_add(RECEIVE_STEP);
        }
        receive
    }

    fn take_oldest(&mut self) -> usize {
        let way = usize::from(self.oldest);
        self.oldest = if way + 1 < WAYS { self.oldest + 1 } else { 0 };
        way
    }
}

fn token_key(index: usize, way: usize, generation: u32) -> Option<u64> {
    let place = u32::try_from((index << WAY_BITS) | way).ok()?;
    Some(u64::from(place) << 32 | u64::from(generation))
}

fn token_parts(key: u64) -> (usize, usize, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves; a set's index has 24 bits")]
    let (place, generation) = ((key >> 32) as usize, key as u32);
    (place >> WAY_BITS, place & ((1 << WAY_BITS) - 1), generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(bits: u64) -> NtpTimestamp {
        NtpTimestamp::from_bits(bits)
    }

    /// What the table holds of one client in the simplest way: all pairs ever saved.
    #[derive(Default)]
    struct Model {
        pairs: Vec<(u64, u64, Option<u64>)>,
    }

    #[test]
    fn a_pair_is_found_once_and_only_with_its_transmit_time() {
        let mut table = InterleavedTable::new(100);
        let first = table.record(42, time(1), time(101)).unwrap();
        assert_eq!((first.receive, first.previous_transmit), (time(101), None));
        table.transmitted(first.token, time(151));
        let second = table.record(42, time(101), time(201)).unwrap();
        assert_eq!(second.previous_transmit, Some(time(150)));
        // The request again, as after a lost reply: basic.
        let third = table.record(42, time(101), time(301)).unwrap();
        assert_eq!(third.previous_transmit, None);
        // No stamp came for the reply with 301.
        assert_eq!(table.record(42, time(301), time(401)).unwrap().previous_transmit, None);
        // Another client with the same timestamp, in the same set or not.
        table.transmitted(second.token, time(250));
        assert_eq!(table.record(42 | 1 << 40, time(201), time(501)).unwrap().previous_transmit, None);
    }

    #[test]
    fn a_stale_token_does_nothing() {
        let mut table = InterleavedTable::new(1);
        let stale = table.record(7, time(1), time(101)).unwrap().token;
        let tokens: Vec<TxToken> =
            (1..=5).map(|n| table.record(7, time(1), time(101 + 100 * n)).unwrap().token).collect();
        table.transmitted(stale, time(9999));
        table.transmitted(TxToken::new(u64::MAX), time(9999));
        assert_eq!(table.record(7, time(601), time(701)).unwrap().previous_transmit, None);
        drop(tokens);
    }

    #[test]
    fn clients_behind_one_address_get_different_timestamps() {
        let mut table = InterleavedTable::new(100);
        let mut seen: Vec<NtpTimestamp> =
            (0..5).map(|_| table.record(7, time(1), time(101)).unwrap().receive).collect();
        seen.sort_by_key(|at| at.to_bits());
        seen.dedup();
        assert_eq!(seen.len(), 5);
        assert!(seen.iter().all(|at| may_be_receive(*at)));
    }

    #[test]
    fn equal_stamps_in_a_row_become_different_timestamps() {
        let mut times = ReceiveTimes::default();
        let given: Vec<u64> = [8, 9, 8, 20, 8].map(|bits| times.next(time(bits)).to_bits()).to_vec();
        assert_eq!(given, [9, 11, 13, 21, 9]);
    }

    proptest! {
        /// An interleaved reply always carries the transmit time of the very reply that had its origin, once.
        #[test]
        fn replies_are_never_mixed_up(
            steps in proptest::collection::vec((0u64..6, any::<proptest::sample::Index>(), any::<bool>()), 1..400),
        ) {
            let mut table = InterleavedTable::new(10);
            let mut models: [Model; 6] = Default::default();
            for (now, (client, origin, stamped)) in (1u64..).zip(steps) {
                let model = models.get_mut(usize::try_from(client).unwrap()).unwrap();
                let asked = if model.pairs.is_empty() { None } else { Some(origin.index(model.pairs.len())) };
                let origin = asked.map_or(1, |index| model.pairs[index].0);
                // Half of the clients share their stamps: 8 packets carry the same one.
                let recorded = table.record(client << 32, time(origin), time((now & !7) << 8 | 1)).unwrap();
                if let Some(previous) = recorded.previous_transmit {
                    let (_, _, transmit) = model.pairs[asked.unwrap()];
                    prop_assert_eq!(Some(previous.to_bits()), transmit);
                }
                if let Some(index) = asked {
                    model.pairs[index].2 = None;
                }
                let receive = recorded.receive.to_bits();
                let transmit = stamped.then_some(now << 8 | 128);
                if let Some(at) = transmit {
                    table.transmitted(recorded.token, time(at));
                }
                model.pairs.retain(|(known, ..)| *known != receive);
                model.pairs.push((receive, now, transmit));
            }
        }
    }
}
