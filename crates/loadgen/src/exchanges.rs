//! Requests out, replies in: which belongs to which, and what is wrong with those that do not.

use core::net::SocketAddr;

use hdrhistogram::Histogram;
use sidereal_ntp::HEADER_LEN;
use sidereal_ntp::client::{ReplyError, Request};
use sidereal_ptp::MessageClass;
use sidereal_time::NtpTimestamp;

use crate::delay::{self, DELAY_REQ_LEN};
use crate::report::{RoundTrip, Wrong};
use crate::{Clients, Mode};

/// Requests that can be outstanding, as a power of two. A reply that comes after so many further requests is too late: at a
/// million per second, 65 ms.
const SLOT_BITS: u32 = 16;
const SLOTS: usize = 1 << SLOT_BITS;
/// The longest request, in bytes.
pub(crate) const REQUEST_LEN: usize = if HEADER_LEN > DELAY_REQ_LEN { HEADER_LEN } else { DELAY_REQ_LEN };
/// The longest round trip that the histogram tells apart, in nanoseconds.
const LONGEST_NS: u64 = 10_000_000_000;
/// The clients' ports are drawn from here up.
const FIRST_PORT: u16 = 1024;

/// All exchanges of all clients. Takes turns among the clients; knows an NTP reply by the random timestamps of its request, and
/// a Delay_Resp by who asked and by its sequenceId: both say where to look.
#[derive(Debug)]
pub struct Exchanges {
    clients: Clients,
    mode: Mode,
    /// Of each client, the receive timestamp in the server's last reply.
    last_receive: Vec<NtpTimestamp>,
    slots: Vec<Slot>,
    next_slot: usize,
    next_client: u32,
    random: fastrand::Rng,
    counts: Counts,
    round_trips: Histogram<u64>,
}

/// One outstanding request.
#[derive(Debug, Clone, Copy)]
struct Slot {
    state: State,
    port: u16,
    client: u32,
    receive: NtpTimestamp,
    transmit: NtpTimestamp,
    sent_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Waiting,
    Answered,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: u64,
    received: u64,
    interleaved: u64,
    wrong: Wrong,
}

/// What a datagram from the server was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer to a request, with times.
    Answer {
        /// From the request's departure to the reply's arrival, in nanoseconds.
        round_trip_ns: u64,
        /// Whether it carries the transmit timestamp of the reply before (RFC 9769).
        interleaved: bool,
    },
    /// A second answer to the same request.
    Duplicate,
    /// The answer to no request, or to one of too long ago.
    Origin,
    /// The answer to one client's request, sent to another, or to another port.
    Address,
    /// Not an NTP reply at all.
    Malformed,
    /// A kiss code instead of times (RFC 5905 §7.4).
    Kiss,
    /// An answer of a server that says that its clock follows nothing.
    Unsynchronised,
}

impl Exchanges {
    /// No exchanges yet. `seed` decides all random numbers.
    #[must_use]
    pub fn new(clients: Clients, mode: Mode, seed: u64) -> Self {
        #[expect(clippy::expect_used, reason = "constants within what hdrhistogram allows")]
        let round_trips = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds of a histogram");
        Self {
            clients,
            mode,
            last_receive: vec![NtpTimestamp::UNKNOWN; clients.count() as usize],
            slots: vec![Slot::EMPTY; SLOTS],
            next_slot: 0,
            next_client: 0,
            random: fastrand::Rng::with_seed(seed),
            counts: Counts::default(),
            round_trips,
        }
    }

    /// Forgets what is outstanding and what was counted; the clients remember their last replies.
    pub fn restart(&mut self) {
        self.slots.fill(Slot::EMPTY);
        self.counts = Counts::default();
        self.round_trips.reset();
    }

    /// Writes the next request, to be sent at `now_ns`, and returns who asks, and how long it is.
    pub fn request(&mut self, now_ns: u64, message: &mut [u8; REQUEST_LEN]) -> (SocketAddr, usize) {
        let client = self.next_client;
        self.next_client = if client + 1 < self.clients.count() { client + 1 } else { 0 };
        let number = self.next_slot;
        self.next_slot = (number + 1) % SLOTS;
        self.counts.sent += 1;
        if self.mode == Mode::DelayReq {
            let port = MessageClass::Event.udp_port();
            if let Some(slot) = self.slots.get_mut(number) {
                *slot = Slot { state: State::Waiting, port, client, sent_ns: now_ns, ..Slot::EMPTY };
            }
            let len = delay::write(client, sequence_id_of(number), message);
            return (SocketAddr::new(self.clients.address(client), port), len);
        }

        let transmit = nonce(self.random.u64(..), number, false);
        let last_receive = match self.mode {
            Mode::Basic | Mode::DelayReq => NtpTimestamp::UNKNOWN,
            Mode::Interleaved => self.last_receive.get(client as usize).copied().unwrap_or_default(),
        };
        let request = if last_receive.is_unknown() {
            Request::basic(transmit)
        } else {
            Request::interleaved(last_receive, nonce(self.random.u64(..), number, true), transmit)
        };
        let port = self.random.u16(FIRST_PORT..);
        if let Some(slot) = self.slots.get_mut(number) {
            let Request { receive, transmit, .. } = request;
            *slot = Slot { state: State::Waiting, port, client, receive, transmit, sent_ns: now_ns };
        }
        // 48 bytes are enough for a request without a key.
        let len = request.write(None, message).unwrap_or(0);
        (SocketAddr::new(self.clients.address(client), port), len)
    }

    /// Judges a datagram from the server that was sent `to` one of the clients and arrived at `now_ns`.
    pub fn reply(&mut self, to: SocketAddr, message: &[u8], now_ns: u64) -> Outcome {
        let outcome = match self.mode {
            Mode::Basic | Mode::Interleaved => self.judge(to, message, now_ns),
            Mode::DelayReq => self.judge_delay_resp(to, message, now_ns),
        };
        let wrong = &mut self.counts.wrong;
        match outcome {
            Outcome::Answer { round_trip_ns, interleaved } => {
                self.counts.received += 1;
                self.counts.interleaved += u64::from(interleaved);
                self.round_trips.saturating_record(round_trip_ns);
            }
            Outcome::Duplicate => wrong.duplicate += 1,
            Outcome::Origin => wrong.origin += 1,
            Outcome::Address => wrong.address += 1,
            Outcome::Malformed => wrong.malformed += 1,
            Outcome::Kiss => wrong.kiss += 1,
            Outcome::Unsynchronised => wrong.unsynchronised += 1,
        }
        outcome
    }

    fn judge(&mut self, to: SocketAddr, message: &[u8], now_ns: u64) -> Outcome {
        let Some(origin) = message.get(24..).and_then(<[u8]>::first_chunk) else { return Outcome::Malformed };
        let origin = NtpTimestamp::from_be_bytes(*origin);
        let Some(slot) = self.slots.get_mut(slot_of(origin)) else { return Outcome::Origin };
        if slot.state == State::Empty || (origin != slot.transmit && origin != slot.receive) {
            return Outcome::Origin;
        }
        if to != SocketAddr::new(self.clients.address(slot.client), slot.port) {
            return Outcome::Address;
        }
        if slot.state == State::Answered {
            return Outcome::Duplicate;
        }
        let request = Request { receive: slot.receive, ..Request::basic(slot.transmit) };
        let reply = match request.check(message, None) {
            Ok(reply) => reply,
            Err(ReplyError::Kiss(_) | ReplyError::UnknownKiss(_)) => {
                slot.state = State::Answered;
                return Outcome::Kiss;
            }
            Err(ReplyError::Bogus) => return Outcome::Origin,
            Err(_) => return Outcome::Malformed,
        };
        slot.state = State::Answered;
        if !reply.is_synchronised() {
            return Outcome::Unsynchronised;
        }
        if let Some(last_receive) = self.last_receive.get_mut(slot.client as usize) {
            *last_receive = reply.receive;
        }
        Outcome::Answer { round_trip_ns: now_ns.saturating_sub(slot.sent_ns), interleaved: reply.interleaved }
    }

    fn judge_delay_resp(&mut self, to: SocketAddr, message: &[u8], now_ns: u64) -> Outcome {
        let Some((requesting, sequence_id)) = delay::read(message) else { return Outcome::Malformed };
        let Some(slot) = self.slots.get_mut(usize::from(sequence_id)) else { return Outcome::Origin };
        if slot.state == State::Empty || requesting != delay::identity(slot.client) {
            return Outcome::Origin;
        }
        if to != SocketAddr::new(self.clients.address(slot.client), MessageClass::General.udp_port()) {
            return Outcome::Address;
        }
        if slot.state == State::Answered {
            return Outcome::Duplicate;
        }
        slot.state = State::Answered;
        Outcome::Answer { round_trip_ns: now_ns.saturating_sub(slot.sent_ns), interleaved: false }
    }

    /// Requests sent since the last restart.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.counts.sent
    }

    /// Those that were answered with times.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.counts.received
    }

    /// How many of the answers were interleaved.
    #[must_use]
    pub const fn interleaved(&self) -> u64 {
        self.counts.interleaved
    }

    /// What came besides answers.
    #[must_use]
    pub const fn wrong(&self) -> Wrong {
        self.counts.wrong
    }

    /// How long the answers took; `None` without answers.
    #[must_use]
    pub fn round_trip(&self) -> Option<RoundTrip> {
        RoundTrip::of(&self.round_trips)
    }
}

impl Slot {
    const EMPTY: Self = Self {
        state: State::Empty,
        port: 0,
        client: 0,
        receive: NtpTimestamp::UNKNOWN,
        transmit: NtpTimestamp::UNKNOWN,
        sent_ns: 0,
    };
}

/// The sequenceId of the Delay_Req in a slot.
#[expect(clippy::cast_possible_truncation, reason = "there are as many slots as sequenceIds")]
const fn sequence_id_of(slot: usize) -> u16 {
    slot as u16
}

/// A random timestamp with the slot's number in it, and a bit that tells a request's two apart. Never 0, "unknown".
const fn nonce(random: u64, slot: usize, is_receive: bool) -> NtpTimestamp {
    let random = random << (SLOT_BITS + 1) | 1 << 63;
    NtpTimestamp::from_bits(random | (slot as u64) << 1 | is_receive as u64)
}

/// The number of the slot of a request with this timestamp.
const fn slot_of(nonce: NtpTimestamp) -> usize {
    (nonce.to_bits() >> 1) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// An exchange takes this long here, in nanoseconds.
    const ROUND_TRIP_NS: u64 = 14_000;

    fn exchanges(clients: u32, mode: Mode) -> Exchanges {
        Exchanges::new(Clients::new("10.77.64.0/18".parse().unwrap(), clients).unwrap(), mode, 7)
    }

    fn ask(exchanges: &mut Exchanges, now_ns: u64) -> (SocketAddr, [u8; HEADER_LEN]) {
        let mut request = [0; HEADER_LEN];
        let (from, len) = exchanges.request(now_ns, &mut request);
        assert_eq!(len, HEADER_LEN);
        (from, request)
    }

    /// What a server at stratum 1 answers; `origin` is the place in the request of the timestamp that goes back.
    fn answer(request: &[u8; HEADER_LEN], origin: usize, receive: u64) -> [u8; HEADER_LEN] {
        let mut reply = [0; HEADER_LEN];
        reply[..4].copy_from_slice(&[0x24, 1, 6, 0xe7]);
        reply[12..16].copy_from_slice(b"GPS\0");
        reply[24..32].copy_from_slice(&request[origin..origin + 8]);
        reply[32..40].copy_from_slice(&receive.to_be_bytes());
        reply[40..48].copy_from_slice(&(receive + 1).to_be_bytes());
        reply
    }

    const BASIC: usize = 40;
    const INTERLEAVED: usize = 32;
    const RECEIVE: u64 = 0xee00_0000_1234_5678;

    #[test]
    fn a_server_that_answers_all_is_measured_so() {
        let mut exchanges = exchanges(16_382, Mode::Basic);
        for number in 0..200_000 {
            let (from, request) = ask(&mut exchanges, number);
            let outcome = exchanges.reply(from, &answer(&request, BASIC, RECEIVE), number + ROUND_TRIP_NS);
            assert_eq!(outcome, Outcome::Answer { round_trip_ns: ROUND_TRIP_NS, interleaved: false });
        }
        assert_eq!((exchanges.sent(), exchanges.received()), (200_000, 200_000));
        assert_eq!(exchanges.wrong(), Wrong::default());
        let round_trip = exchanges.round_trip().unwrap();
        for value in [round_trip.min, round_trip.p50, round_trip.p999, round_trip.max] {
            assert!((value - 14.0).abs() < 0.02, "{value}");
        }
        exchanges.restart();
        assert_eq!((exchanges.sent(), exchanges.received(), exchanges.round_trip()), (0, 0, None));
    }

    #[test]
    fn a_server_that_drops_one_in_a_hundred() {
        let mut exchanges = exchanges(100, Mode::Basic);
        for number in 0..10_000 {
            let (from, request) = ask(&mut exchanges, number);
            if number % 100 != 0 {
                exchanges.reply(from, &answer(&request, BASIC, RECEIVE), number);
            }
        }
        assert_eq!((exchanges.sent(), exchanges.received()), (10_000, 9_900));
        assert_eq!(exchanges.wrong(), Wrong::default());
    }

    #[test]
    fn a_server_that_answers_twice() {
        let mut exchanges = exchanges(100, Mode::Interleaved);
        for number in 0..500 {
            let (from, request) = ask(&mut exchanges, number);
            let reply = answer(&request, BASIC, RECEIVE);
            assert!(matches!(exchanges.reply(from, &reply, number), Outcome::Answer { .. }));
            assert_eq!(exchanges.reply(from, &reply, number), Outcome::Duplicate);
            if number >= 100 {
                // Once in each mode is twice too.
                assert_eq!(exchanges.reply(from, &answer(&request, INTERLEAVED, RECEIVE), number), Outcome::Duplicate);
            }
        }
        assert_eq!((exchanges.received(), exchanges.wrong().duplicate), (500, 900));
    }

    #[test]
    fn a_server_with_a_wrong_origin_or_the_wrong_client() {
        let mut exchanges = exchanges(100, Mode::Basic);
        let (from, request) = ask(&mut exchanges, 0);
        let right = answer(&request, BASIC, RECEIVE);
        for byte in 24..32 {
            let mut wrong = right;
            wrong[byte] ^= 1;
            assert_eq!(exchanges.reply(from, &wrong, 1), Outcome::Origin);
        }
        // A basic request has nothing that an interleaved reply could answer.
        assert_eq!(exchanges.reply(from, &answer(&request, INTERLEAVED, RECEIVE), 1), Outcome::Origin);
        let other = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
        assert_eq!(exchanges.reply(other("10.77.64.2", from.port()), &right, 1), Outcome::Address);
        assert_eq!(exchanges.reply(SocketAddr::new(from.ip(), from.port() ^ 1), &right, 1), Outcome::Address);
        assert!(matches!(exchanges.reply(from, &right, 1), Outcome::Answer { .. }));
        assert_eq!(exchanges.wrong(), Wrong { origin: 9, address: 2, ..Wrong::default() });
    }

    #[test]
    fn a_server_that_has_no_time_to_give() {
        let mut exchanges = exchanges(100, Mode::Basic);
        let mut outcome = |change: &dyn Fn(&mut [u8; HEADER_LEN])| {
            let (from, request) = ask(&mut exchanges, 0);
            let mut reply = answer(&request, BASIC, RECEIVE);
            change(&mut reply);
            exchanges.reply(from, &reply, 1)
        };
        let kiss = |code: &'static [u8; 4]| {
            move |reply: &mut [u8; HEADER_LEN]| {
                reply[0] |= 0xc0;
                reply[1] = 0;
                reply[12..16].copy_from_slice(code);
            }
        };
        assert_eq!(outcome(&kiss(b"RATE")), Outcome::Kiss);
        assert_eq!(outcome(&kiss(b"XABC")), Outcome::Kiss);
        assert_eq!(outcome(&kiss(b"\0\0\0\0")), Outcome::Unsynchronised);
        assert_eq!(outcome(&|reply| reply[0] |= 0xc0), Outcome::Unsynchronised);
        assert_eq!(outcome(&|reply| reply[1] = 16), Outcome::Unsynchronised);
        assert_eq!(outcome(&|reply| reply[0] = 0x23), Outcome::Malformed, "a client's message");
        assert_eq!(outcome(&|reply| reply[0] = 0x1c), Outcome::Malformed, "version 3");
        let (from, request) = ask(&mut exchanges, 0);
        assert_eq!(exchanges.reply(from, &answer(&request, BASIC, RECEIVE)[..47], 1), Outcome::Malformed);
        assert_eq!(exchanges.reply(from, &[], 1), Outcome::Malformed);
        assert_eq!(exchanges.received(), 0);
        let wrong = Wrong { kiss: 2, unsynchronised: 3, malformed: 4, ..Wrong::default() };
        assert_eq!(exchanges.wrong(), wrong);
    }

    #[test]
    fn interleaved_clients_echo_the_last_receive_timestamp() {
        let mut exchanges = exchanges(10, Mode::Interleaved);
        for round in 0..4 {
            for client in 0..10 {
                let receive = RECEIVE + round * 1000 + client;
                let (from, request) = ask(&mut exchanges, 0);
                let origin = if round == 0 { 0 } else { receive - 1000 };
                assert_eq!(request[24..32], origin.to_be_bytes());
                let place = if round == 0 { BASIC } else { INTERLEAVED };
                let outcome = exchanges.reply(from, &answer(&request, place, receive), 5);
                assert_eq!(outcome, Outcome::Answer { round_trip_ns: 5, interleaved: round > 0 });
            }
            // What a client has learned outlasts the run.
            if round == 1 {
                exchanges.restart();
            }
        }
        assert_eq!((exchanges.received(), exchanges.interleaved()), (20, 20));
    }

    #[test]
    fn a_reply_of_an_earlier_run_or_of_too_long_ago_answers_nothing() {
        let mut exchanges = exchanges(100, Mode::Basic);
        let (from, request) = ask(&mut exchanges, 0);
        exchanges.restart();
        assert_eq!(exchanges.reply(from, &answer(&request, BASIC, RECEIVE), 1), Outcome::Origin);
        let (from, request) = ask(&mut exchanges, 0);
        for _ in 0..SLOTS {
            ask(&mut exchanges, 0);
        }
        assert_eq!(exchanges.reply(from, &answer(&request, BASIC, RECEIVE), 1), Outcome::Origin);
    }

    #[test]
    fn delay_req_are_known_by_who_asked_and_when() {
        let mut exchanges = exchanges(3, Mode::DelayReq);
        let mut ask = || {
            let mut request = [0; REQUEST_LEN];
            let (from, len) = exchanges.request(1_000, &mut request);
            assert_eq!((len, from.port()), (DELAY_REQ_LEN, 319));
            let requesting: [u8; 10] = request[20..30].try_into().unwrap();
            let mut answer = [0; 54];
            answer[..44].copy_from_slice(&request[..44]);
            (answer[0], answer[3], answer[39]) = (9, 54, 7);
            answer[44..].copy_from_slice(&requesting);
            (SocketAddr::new(from.ip(), 320), answer)
        };
        let ((first, answer), (second, other)) = (ask(), ask());
        let mut reply = |to, message: &[u8]| exchanges.reply(to, message, 1_000 + ROUND_TRIP_NS);
        assert_eq!(reply(second, &answer), Outcome::Address);
        assert_eq!(reply(first, &[&other[..44], &answer[44..]].concat()), Outcome::Origin, "another's sequenceId");
        assert_eq!(reply(first, &answer[..53]), Outcome::Malformed);
        assert_eq!(reply(first, &[&answer[..34], &[0; 10], &answer[44..]].concat()), Outcome::Malformed, "no time");
        assert_eq!(reply(first, &answer), Outcome::Answer { round_trip_ns: ROUND_TRIP_NS, interleaved: false });
        assert_eq!(reply(first, &answer), Outcome::Duplicate);
        assert_eq!(reply(second, &other), Outcome::Answer { round_trip_ns: ROUND_TRIP_NS, interleaved: false });
        assert_eq!((exchanges.sent(), exchanges.received()), (2, 2));
    }

    #[test]
    fn clients_take_turns() {
        let mut exchanges = exchanges(3, Mode::Basic);
        let addresses: Vec<String> = (0..4).map(|_| ask(&mut exchanges, 0).0.ip().to_string()).collect();
        assert_eq!(addresses, ["10.77.64.1", "10.77.64.2", "10.77.64.3", "10.77.64.1"]);
    }

    proptest! {
        #[test]
        fn nothing_a_server_sends_is_too_strange(
            message in vec(any::<u8>(), 0..120), changes in vec((0..48_usize, any::<u8>()), 0..4), now_ns: u64,
        ) {
            let mut exchanges = exchanges(100, Mode::Interleaved);
            let (from, request) = ask(&mut exchanges, 1000);
            exchanges.reply(from, &message, now_ns);
            let mut reply = answer(&request, BASIC, RECEIVE);
            for (at, value) in changes {
                reply[at] = value;
            }
            exchanges.reply(from, &reply, now_ns);
            exchanges.reply(from, &[&reply[..], &message].concat(), now_ns);
            let Wrong { duplicate, origin, address, malformed, kiss, unsynchronised } = exchanges.wrong();
            let wrong = duplicate + origin + address + malformed + kiss + unsynchronised;
            prop_assert_eq!(exchanges.received() + wrong, 3);
            prop_assert!(exchanges.received() <= 1);
        }
    }
}
