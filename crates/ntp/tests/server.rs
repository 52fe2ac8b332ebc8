//! The server as its caller sees it: requests in, replies out.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking")]

use core::net::IpAddr;
use proptest::prelude::*;
use sidereal_ntp::client::{ReplyError, Request};
use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, Answer, Arrival, BodyError, DropReason, HEADER_LEN, Header, KeyId, KeyTable,
    KissCode, LeapIndicator, MAX_REQUEST_LEN, MacFault, Mode, Moment, Policy, RateLimit, RateLimitOptions, ReferenceId,
    ReplyHeader, ReplyKind, Server, ServerLimits, Stratum, SystemVariables, Version,
};
use sidereal_time::{NtpShort, NtpTimestamp, Ticks, TxToken};

const KEYS: &str = "1 MD5 one\n2 SHA1 two\n3 SHA256 three\n4 SHA512 four\n\
                    5 AES128 ASCII:0123456789abcdef\n6 AES256 ASCII:0123456789abcdef0123456789abcdef";

const SYSTEM: SystemVariables = SystemVariables {
    leap: LeapIndicator::Insert,
    stratum: Stratum::PRIMARY,
    precision: -25,
    root_delay: NtpShort::from_bits(0x0001_0203),
    root_dispersion: NtpShort::from_bits(0x0405_0607),
    reference_id: ReferenceId(*b"PPS\0"),
    reference_time: NtpTimestamp::from_bits(0x1122_3344_5566_7788),
};

/// A server and the world around it.
struct Lab {
    server: Server,
    policy: Policy,
    system: SystemVariables,
    now: u64,
}

impl Lab {
    fn new() -> Self {
        let limits = ServerLimits { interleaved_clients: 100, rate_limit_prefixes: 100, secret: [3, 4] };
        let policy = Policy { keys: KeyTable::parse(KEYS).unwrap(), interleaved: true, ..Policy::default() };
        Self { server: Server::new(&limits), policy, system: SYSTEM, now: 0xe000_0000_0000_0000 }
    }

    fn answer_to(&mut self, client: &str, buffer: &mut [u8], len: usize) -> Answer {
        self.now += 1 << 32;
        let arrival = Arrival {
            client: client.parse().unwrap(),
            receive: NtpTimestamp::from_bits(self.now),
            ticks: Ticks(self.now >> 2),
        };
        let transmit = NtpTimestamp::from_bits(self.now + 1001);
        let moment = Moment { header: ReplyHeader::new(&self.system), transmit };
        self.server.answer(buffer, len, &arrival, &moment, &self.policy)
    }

    /// The reply to `request`, and its kind and token.
    fn ask(&mut self, request: &[u8]) -> Result<(Vec<u8>, ReplyKind, Option<TxToken>), DropReason> {
        let mut buffer = [request, &[0xcc; 100]].concat();
        match self.answer_to("192.0.2.1", &mut buffer, request.len()) {
            Answer::Reply { len, kind, token } => {
                assert!(len <= request.len());
                assert!(buffer[request.len()..].iter().all(|byte| *byte == 0xcc), "wrote behind the request");
                Ok((buffer[..len].to_vec(), kind, token))
            }
            Answer::Drop(reason) => Err(reason),
        }
    }

    fn dropped(&mut self, request: &[u8]) -> DropReason {
        self.ask(request).unwrap_err()
    }
}

fn time(bits: u64) -> NtpTimestamp {
    NtpTimestamp::from_bits(bits)
}

/// A plain request whose first byte says this version and mode.
fn request(version: u8, mode: Mode) -> Vec<u8> {
    let mut request = vec![0; HEADER_LEN];
    assert_eq!(Request::basic(time(0x0102_0304_0506_0708)).write(None, &mut request), Some(HEADER_LEN));
    request[0] = version << 3 | mode.to_bits();
    request[2] = 10;
    request
}

fn with_mac(mut request: Vec<u8>, key: u32) -> Vec<u8> {
    let keys = KeyTable::parse(KEYS).unwrap();
    let version = Header::of(&request).unwrap().version().unwrap();
    let len = request.len();
    request.resize(len + 68, 0);
    let len = keys.get(KeyId::new(key).unwrap()).unwrap().append(version, &mut request, len).unwrap();
    request.truncate(len);
    request
}

#[test]
fn a_basic_reply_has_every_field_right() {
    let mut lab = Lab::new();
    for version in 1..=4 {
        let (reply, kind, token) = lab.ask(&request(version, Mode::Client)).unwrap();
        assert_eq!((reply.len(), kind, token), (HEADER_LEN, ReplyKind::Basic, None));
        let header = Header::of(&reply).unwrap();
        assert_eq!(header.leap(), LeapIndicator::Insert);
        assert_eq!(header.version(), Version::new(version));
        assert_eq!(header.mode(), Mode::Server);
        assert_eq!(header.stratum_byte(), 1);
        assert_eq!((header.poll(), header.precision()), (10, -25));
        assert_eq!((header.root_delay(), header.root_dispersion()), (SYSTEM.root_delay, SYSTEM.root_dispersion));
        assert_eq!((header.reference_id(), header.reference_time()), (SYSTEM.reference_id, SYSTEM.reference_time));
        assert_eq!(header.origin(), time(0x0102_0304_0506_0708));
        assert_eq!(header.receive(), time(lab.now | 1));
        assert_eq!(header.transmit(), time(lab.now + 1000));
    }
    lab.policy.interleaved = false;
    let (reply, ..) = lab.ask(&request(4, Mode::Client)).unwrap();
    let header = Header::of(&reply).unwrap();
    assert_eq!((header.receive(), header.transmit()), (time(lab.now), time(lab.now + 1001)));
}

#[test]
fn an_unsynchronised_clock_says_so() {
    let mut lab = Lab::new();
    lab.system = SystemVariables { stratum: Stratum::UNSYNCHRONISED, ..SYSTEM };
    let (reply, ..) = lab.ask(&request(4, Mode::Client)).unwrap();
    let header = Header::of(&reply).unwrap();
    assert_eq!((header.leap(), header.stratum_byte()), (LeapIndicator::Unknown, 0));
    assert_eq!(header.reference_id(), ReferenceId::NONE);
}

#[test]
fn every_mode_and_version_has_its_outcome() {
    let mut lab = Lab::new();
    for version in [0, 5, 6, 7] {
        assert_eq!(lab.dropped(&request(version, Mode::Client)), DropReason::UnknownVersion);
    }
    for (mode, reason) in [
        (Mode::Reserved, DropReason::ReservedMode),
        (Mode::SymmetricActive, DropReason::SymmetricUnauthenticated),
        (Mode::SymmetricPassive, DropReason::SymmetricPassive),
        (Mode::Server, DropReason::Response),
        (Mode::Broadcast, DropReason::Broadcast),
        (Mode::Control, DropReason::Control),
        (Mode::Private, DropReason::Private),
    ] {
        for version in 2..=4 {
            assert_eq!(lab.dropped(&request(version, mode)), reason);
        }
    }
    let (reply, ..) = lab.ask(&request(1, Mode::Reserved)).unwrap();
    assert_eq!(reply[0], 0x40 | 1 << 3 | 4);
    assert_eq!(lab.dropped(&request(4, Mode::Client)[..47]), DropReason::TooShort);
    assert_eq!(lab.dropped(&[]), DropReason::TooShort);
    let long = [request(4, Mode::Client), vec![0; MAX_REQUEST_LEN]].concat();
    assert_eq!(lab.dropped(&long), DropReason::TooLong);
    assert_eq!(lab.answer_to("::1", &mut [0x23; 48], 49), Answer::Drop(DropReason::TooLong));
}

#[test]
fn a_mac_is_answered_with_one_of_the_same_key() {
    let mut lab = Lab::new();
    for version in 1..=4 {
        for key in 1..=6 {
            let mut plain = request(version, Mode::Client);
            if version == 4 {
                plain.extend([0xf0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
            }
            let (reply, kind, _) = lab.ask(&with_mac(plain, key)).unwrap();
            assert_eq!(kind, ReplyKind::Authenticated);
            let (message, mac) = reply.split_at(HEADER_LEN);
            let verified = lab.policy.keys.verify(Version::new(version).unwrap(), message, mac).unwrap();
            assert_eq!(verified.id(), KeyId::new(key).unwrap());
        }
    }
    let mut symmetric = request(4, Mode::SymmetricActive);
    symmetric[31] = 1; // an origin timestamp that may be one of our receive timestamps
    let (reply, kind, token) = lab.ask(&with_mac(symmetric, 5)).unwrap();
    assert_eq!((kind, token), (ReplyKind::Symmetric, None));
    assert_eq!(Header::of(&reply).unwrap().mode(), Mode::SymmetricPassive);
}

#[test]
fn a_mac_that_fails_is_not_answered() {
    let mut lab = Lab::new();
    let good = with_mac(request(4, Mode::Client), 5);
    let changed = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        bad
    };
    assert_eq!(lab.dropped(&changed(40)), DropReason::WrongMac);
    assert_eq!(lab.dropped(&changed(67)), DropReason::WrongMac);
    assert_eq!(lab.dropped(&changed(51)), DropReason::UnknownKey);
    assert_eq!(lab.dropped(&[&good[..48], &[0; 4]].concat()), DropReason::CryptoNak);
    assert_eq!(lab.dropped(&good[..67]), DropReason::MacLength);
    assert_eq!(lab.dropped(&[&good[..], &[0; 12]].concat()), DropReason::ExtensionFieldLength);
    // Full length where version 4 cuts it: no extension field either.
    let uncut = with_mac(request(3, Mode::Client), 4);
    assert!(lab.ask(&uncut).is_ok());
    assert_eq!(lab.dropped(&[&request(4, Mode::Client)[..], &uncut[48..]].concat()), DropReason::ExtensionFieldLength);
}

#[test]
fn unknown_extension_fields_are_skipped() {
    let mut lab = Lab::new();
    let mut asked = request(4, Mode::Client);
    asked.extend([0x01, 0x04, 0, 36]);
    asked.resize(48 + 36, 7);
    assert_eq!(lab.ask(&asked).unwrap().0.len(), HEADER_LEN);
}

#[test]
fn access_rules_drop_kiss_and_require_keys() {
    let mut lab = Lab::new();
    let plain = request(4, Mode::Client);
    let mut with_rule = |action, require_key, request: &[u8]| {
        let rule = AccessRule { action, require_key };
        lab.policy.access = AccessTable::new([("192.0.2.0/24".parse().unwrap(), rule)]);
        lab.ask(request).map(|(reply, kind, _)| (reply, kind))
    };
    assert_eq!(with_rule(AccessAction::Drop, false, &plain), Err(DropReason::Access));
    assert_eq!(with_rule(AccessAction::Allow, true, &plain), Err(DropReason::KeyRequired));
    assert_eq!(with_rule(AccessAction::Allow, true, &with_mac(plain.clone(), 2)).unwrap().1, ReplyKind::Authenticated);
    for (action, code) in [(AccessAction::Deny, KissCode::Deny), (AccessAction::Restrict, KissCode::Restrict)] {
        for request in [plain.clone(), with_mac(plain.clone(), 3)] {
            let (reply, kind) = with_rule(action, false, &request).unwrap();
            assert_eq!((kind, reply.len()), (ReplyKind::Kiss(code), request.len()));
            let header = Header::of(&reply).unwrap();
            assert_eq!((header.leap(), header.stratum_byte()), (LeapIndicator::Unknown, 0));
            assert_eq!((header.reference_id(), header.poll()), (code.reference_id(), 10));
            assert_eq!(header.reference_time(), NtpTimestamp::UNKNOWN);
            assert_eq!(header.origin(), time(0x0102_0304_0506_0708));
            assert!(header.receive() != header.transmit());
            let error = Request { poll: 10, ..Request::basic(time(0x0102_0304_0506_0708)) }.check(&reply, None);
            assert_eq!(error, Err(ReplyError::Kiss(code)));
        }
    }
}

#[test]
fn the_rate_limit_kisses_once_and_then_drops() {
    let mut lab = Lab::new();
    let options =
        RateLimitOptions { requests_per_second: 1, burst: 3, ipv4_prefix: 32, ipv6_prefix: 64, kiss_of_death: true };
    // The laboratory's counter makes 2^30 steps between two requests: 100 requests in one second.
    lab.policy.rate_limit = Some(RateLimit::new(&options, 100 << 30).unwrap());
    let outcomes: Vec<_> = (0..10).map(|_| lab.ask(&request(4, Mode::Client)).map(|(_, kind, _)| kind)).collect();
    assert_eq!(outcomes[..3], [Ok(ReplyKind::Basic); 3]);
    assert_eq!(outcomes[3], Ok(ReplyKind::Kiss(KissCode::Rate)));
    assert!(outcomes[4..].iter().filter(|outcome| outcome.is_ok()).count() <= 1, "at most as another second begins");
    assert!(outcomes[4..].contains(&Err(DropReason::RateLimited)));
    let mut buffer = request(4, Mode::Client);
    assert!(matches!(lab.answer_to("192.0.2.2", &mut buffer, 48), Answer::Reply { kind: ReplyKind::Basic, .. }));
}

/// RFC 9769 §2, figure 1, with a server that saves pairs from the second request on.
#[test]
fn a_client_becomes_interleaved() {
    for key in [None, Some(5)] {
        let mut lab = Lab::new();
        let mut buffer = [0; 100];
        let mut exchange = |lab: &mut Lab, request: Request, stamp: Option<u64>| {
            let keys = KeyTable::parse(KEYS).unwrap();
            let key = key.and_then(KeyId::new).and_then(|id| keys.get(id));
            let len = request.write(key, &mut buffer).unwrap();
            let (reply, kind, token) = lab.ask(&buffer[..len]).unwrap();
            let asked = token.is_some();
            if let Some(token) = token {
                lab.server.transmitted(token, stamp.map(time));
            }
            (request.check(&reply, key).unwrap(), kind, asked)
        };
        let interleaved = if key.is_some() { ReplyKind::InterleavedAuthenticated } else { ReplyKind::Interleaved };

        let (first, _, asked) = exchange(&mut lab, Request::basic(time(11)), None);
        assert!(!first.interleaved && !asked);
        let request = Request::interleaved(first.receive, time(12), time(13));
        let (second, _, asked) = exchange(&mut lab, request, Some(7000));
        assert!(!second.interleaved && asked);
        let request = Request::interleaved(second.receive, time(14), time(15));
        let (third, kind, _) = exchange(&mut lab, request, Some(8000));
        assert_eq!((third.interleaved, third.transmit, kind), (true, time(7000), interleaved));
        assert_eq!(third.receive, time(lab.now | 1));
        // The third reply was lost: the client asks again with the second one's timestamp.
        let (fourth, _, asked) = exchange(&mut lab, request, None);
        assert!(!fourth.interleaved && asked);
        // The fourth reply's stamp never came.
        let request = Request::interleaved(fourth.receive, time(16), time(17));
        let (fifth, ..) = exchange(&mut lab, request, Some(9001));
        assert!(!fifth.interleaved);
        let request = Request::interleaved(fifth.receive, time(18), time(19));
        let (sixth, ..) = exchange(&mut lab, request, Some(9101));
        assert_eq!((sixth.interleaved, sixth.transmit), (true, time(9000)));
        // Equal receive and transmit timestamps: the client could not tell what it got.
        let request = Request { receive: time(21), ..Request::interleaved(sixth.receive, time(20), time(21)) };
        let (_, kind, asked) = exchange(&mut lab, request, None);
        assert!(kind != interleaved && !asked);
        // Where the mode is not offered, nothing is interleaved and no stamp asked for.
        lab.policy.interleaved = false;
        let (last, _, asked) = exchange(&mut lab, Request::interleaved(sixth.receive, time(22), time(23)), None);
        assert!(!last.interleaved && !asked);
    }
}

#[test]
fn a_client_refuses_what_is_not_its_reply() {
    let mut lab = Lab::new();
    let keys = KeyTable::parse(KEYS).unwrap();
    let (key, other) = (keys.get(KeyId::new(5).unwrap()), keys.get(KeyId::new(6).unwrap()));
    let (request, mut buffer) = (Request::basic(time(5)), [0; 100]);
    let len = request.write(key, &mut buffer).unwrap();
    let (good, ..) = lab.ask(&buffer[..len]).unwrap();
    assert!(request.check(&good, key).is_ok() && request.check(&good, None).is_ok());
    let changed = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        bad
    };
    let no_time = [&good[..40], &[0; 8], &good[48..]].concat();
    let crypto_nak = [&good[..48], &[0; 4]].concat();
    for (message, key, error) in [
        (&good[..47], None, ReplyError::Body(BodyError::TooShort)),
        (&good[..50], None, ReplyError::Body(BodyError::MacLength)),
        (&changed(0, 0x1c), None, ReplyError::Version(3)),
        (&changed(0, 0x23), None, ReplyError::Mode(Mode::Client)),
        (&changed(31, 9), None, ReplyError::Bogus),
        (&changed(31, 0), None, ReplyError::Bogus),
        (&good[..48], key, ReplyError::Unauthenticated),
        (&good, other, ReplyError::Mac(MacFault::UnknownKey)),
        (&changed(60, !good[60]), key, ReplyError::Mac(MacFault::Wrong)),
        (&crypto_nak, key, ReplyError::Mac(MacFault::CryptoNak)),
        (&no_time, None, ReplyError::NoTime),
        (&changed(1, 0), None, ReplyError::UnknownKiss(SYSTEM.reference_id)),
    ] {
        assert_eq!(request.check(message, key), Err(error));
    }
}

#[test]
fn the_nonces_of_a_request_are_never_zero_nor_equal() {
    assert_eq!(Request::basic(time(0)).transmit, time(1));
    for (receive, transmit) in [(0, 0), (0, 1), (1, 0), (7, 7)] {
        let request = Request::interleaved(time(9), time(receive), time(transmit));
        assert!(request.receive != request.transmit, "{receive} {transmit}");
        assert!(!request.receive.is_unknown() && !request.transmit.is_unknown());
    }
}

#[test]
fn clients_of_the_basic_mode_cost_no_stamp() {
    let mut lab = Lab::new();
    let (reply, ..) = lab.ask(&request(4, Mode::Client)).unwrap();
    let mut next = request(4, Mode::Client);
    next[24..32].copy_from_slice(&reply[40..48]); // RFC 5905: the server's transmit timestamp
    assert_eq!(lab.ask(&next).unwrap().2, None);
}

#[test]
fn names_and_places_are_unique() {
    let mut names: Vec<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    names.extend(ReplyKind::ALL.iter().map(|kind| kind.name()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), DropReason::ALL.len() + ReplyKind::ALL.len());
    assert!(DropReason::ALL.iter().enumerate().all(|(index, reason)| reason.index() == index));
    assert!(ReplyKind::ALL.iter().enumerate().all(|(index, kind)| kind.index() == index));
}

/// Bytes that look like a request often enough, with a MAC that is right often enough.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![any::<u8>(), Just(0x23), Just(0x1b), Just(0x21), Just(0x08)];
    let body = proptest::collection::vec(any::<u8>(), 0..120);
    let tail = prop_oneof![
        body.prop_map(|bytes| (bytes, None)),
        (0usize..4, 1u32..=6).prop_map(|(fields, key)| ([0xf1, 2, 0, 28].repeat(7).repeat(fields), Some(key))),
    ];
    (first, proptest::array::uniform32(any::<u8>()), tail).prop_map(|(first, header, (tail, key))| {
        let mut request = header.to_vec();
        request.resize(HEADER_LEN, 0x5a);
        request[0] = first;
        request.extend(tail);
        match key {
            Some(key) if Header::of(&request).unwrap().version().is_some() => with_mac(request, key),
            _ => request,
        }
    })
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_reply_is_longer_or_answered(
        requests in proptest::collection::vec(any_request(), 1..20),
        cut in 0usize..200,
        rate_limited: bool,
        action in proptest::sample::select(vec![AccessAction::Allow, AccessAction::Deny, AccessAction::Restrict]),
    ) {
        let mut lab = Lab::new();
        lab.policy.access = AccessTable::new([("192.0.2.1/32".parse().unwrap(), AccessRule { action, require_key: false })]);
        if rate_limited {
            let options = RateLimitOptions { requests_per_second: 1, burst: 2, ipv4_prefix: 0, ipv6_prefix: 0, kiss_of_death: true };
            lab.policy.rate_limit = Some(RateLimit::new(&options, 1 << 31).unwrap());
        }
        for request in requests {
            let request = &request[..request.len().saturating_sub(cut.saturating_sub(100))];
            if let Ok((reply, _, token)) = lab.ask(request) {
                prop_assert!(reply.len() <= request.len());
                if let Some(token) = token {
                    lab.server.transmitted(token, Some(time(lab.now)));
                }
                let again = lab.dropped(&reply);
                prop_assert!(matches!(again, DropReason::Response | DropReason::SymmetricPassive), "{again:?}");
            }
        }
    }

    #[test]
    fn a_client_reads_what_the_server_wrote(
        leap in 0u8..3, stratum in 1u8..=15, precision: i8, delay: u32, dispersion: u32, id in 1u32.., reference: u64,
        nonce: u64, key in proptest::option::of(1u32..=6), client: u128,
    ) {
        let mut lab = Lab::new();
        lab.system = SystemVariables {
            leap: LeapIndicator::from_bits(leap),
            stratum: Stratum::new(stratum).unwrap(),
            precision,
            root_delay: NtpShort::from_bits(delay),
            root_dispersion: NtpShort::from_bits(dispersion),
            reference_id: ReferenceId(id.to_be_bytes()),
            reference_time: time(reference),
        };
        let keys = KeyTable::parse(KEYS).unwrap();
        let key = key.and_then(KeyId::new).and_then(|id| keys.get(id));
        let (mut buffer, request) = ([0; 100], Request::basic(time(nonce)));
        let len = request.write(key, &mut buffer).unwrap();
        let Answer::Reply { len, .. } = lab.answer_to(&IpAddr::from(client.to_be_bytes()).to_string(), &mut buffer, len) else {
            panic!("not answered");
        };
        let reply = request.check(&buffer[..len], key).unwrap();
        prop_assert_eq!(reply.system, lab.system);
        prop_assert!(reply.is_synchronised());
        prop_assert_eq!((reply.receive, reply.transmit), (time(lab.now | 1), time(lab.now + 1000)));
        // Nobody else's request is answered by it, nor one that was promised a MAC it does not have.
        prop_assert_eq!(Request::basic(time(nonce ^ 2)).check(&buffer[..len], key), Err(ReplyError::Bogus));
        if key.is_some() {
            prop_assert_eq!(request.check(&buffer[..HEADER_LEN], key), Err(ReplyError::Unauthenticated));
        }
    }
}
