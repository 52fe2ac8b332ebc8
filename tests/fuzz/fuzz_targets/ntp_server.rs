//! The whole server: any policy, any requests one after another, and TX stamps that come or do not.
//!
//! The input is one byte of policy and then requests, each after one byte of choices and one that halves its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, Answer, Arrival, DropReason, Header, KeyId, KeyTable, LeapIndicator, Mode,
    Moment, Policy, RateLimit, RateLimitOptions, ReplyHeader, ReplyKind, Server, ServerLimits, Stratum,
    SystemVariables,
};
use sidereal_time::{NtpTimestamp, Ticks};

const KEYS: &str = "1 MD5 one\n2 SHA512 two\n3 AES128 ASCII:0123456789abcdef\n";
const ACTIONS: [AccessAction; 4] =
    [AccessAction::Allow, AccessAction::Drop, AccessAction::Deny, AccessAction::Restrict];

fuzz_target!(|input: &[u8]| {
    let Some((choice, mut input)) = input.split_first() else { return };
    let keys = || KeyTable::parse(KEYS).unwrap_or_default();
    let signing = keys();
    let action = ACTIONS[usize::from(choice & 3)];
    let rule = AccessRule { action, require_key: choice & 4 != 0 };
    let options = RateLimitOptions {
        requests_per_second: 10,
        burst: 3,
        ipv4_prefix: 24,
        ipv6_prefix: 64,
        kiss_of_death: choice & 8 != 0,
    };
    let policy = Policy {
        access: AccessTable::new([("10.0.0.0/25".parse().unwrap_or_default(), rule)]),
        keys: keys(),
        rate_limit: if choice & 16 != 0 { RateLimit::new(&options, 1000).ok() } else { None },
        interleaved: choice & 32 != 0,
        ..Policy::default()
    };
    let stratum = if choice & 64 != 0 { Stratum::UNSYNCHRONISED } else { Stratum::PRIMARY };
    let system = SystemVariables { leap: LeapIndicator::None, stratum, ..SystemVariables::UNSYNCHRONISED };
    let mut server = Server::new(&ServerLimits { interleaved_clients: 8, rate_limit_prefixes: 8, secret: [1, 2] });
    let (mut now, mut last_receive) = (1u64 << 40, NtpTimestamp::UNKNOWN);

    while let Some((&[client, how], rest)) = input.split_first_chunk() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(how) * 2));
        input = rest;
        now += u64::from(how) << 8;
        let mut request = bytes.to_vec();
        if how & 1 != 0 && request.len() >= 48 {
            request[24..32].copy_from_slice(&last_receive.to_be_bytes());
        }
        let version = Header::of(&request).and_then(Header::version);
        let key = KeyId::new(u32::from(client & 3)).and_then(|id| signing.get(id));
        if let (Some(version), Some(key)) = (version, key) {
            let len = request.len();
            request.resize(len + 68, 0);
            let signed = key.append(version, &mut request, len).unwrap_or(len);
            request.truncate(signed);
        }
        let arrival = Arrival {
            client: [10, 0, 0, client].into(),
            receive: NtpTimestamp::from_bits(now),
            ticks: Ticks(now >> 8),
        };
        let moment = Moment { header: ReplyHeader::new(&system), transmit: NtpTimestamp::from_bits(now + 77) };
        let asked = request.len();
        let Answer::Reply { len, kind, token } = server.answer(&mut request, asked, &arrival, &moment, &policy) else {
            continue;
        };
        assert!(len <= asked, "a reply longer than its request");
        assert!(action != AccessAction::Drop || client >= 128, "a reply to a client that is to be dropped");
        let Some(reply) = Header::of(&request) else { panic!("a reply without a header") };
        assert!(matches!(reply.mode(), Mode::Server | Mode::SymmetricPassive));
        let kiss = matches!(kind, ReplyKind::Kiss(_));
        assert_eq!(reply.stratum_byte(), if kiss { 0 } else { stratum.to_wire() });
        assert!(!policy.interleaved || reply.receive() != reply.transmit());
        if !kiss {
            last_receive = reply.receive();
        }
        if let Some(token) = token {
            server.transmitted(token, (how & 2 != 0).then_some(NtpTimestamp::from_bits(now + 99)));
        }
        let again = server.answer(&mut request, len, &arrival, &moment, &policy);
        assert!(
            matches!(again, Answer::Drop(DropReason::Response | DropReason::SymmetricPassive)),
            "a reply was answered: {again:?}"
        );
    }
});
