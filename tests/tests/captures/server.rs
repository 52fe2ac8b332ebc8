//! Real requests, captured between two chronyd, given to our server with the clock that the other server had: our reply
//! is compared with the one that was captured, every field of it.

use crate::{KEYS, Message, NTP_PORT, messages};
use sidereal_ntp::{
    Answer, Arrival, DropReason, HEADER_LEN, Header, KeyTable, Moment, Policy, ReplyHeader, ReplyKind, Server,
    ServerLimits,
};
use sidereal_time::{NtpTimestamp, Ticks, TxToken};

fn server() -> Server {
    Server::new(&ServerLimits { interleaved_clients: 100, rate_limit_prefixes: 1, secret: [1, 2] })
}

fn policy(keys: &str, interleaved: bool) -> Policy {
    Policy { keys: KeyTable::parse(keys).unwrap(), interleaved, ..Policy::default() }
}

/// Our reply to `request`, at the times and with the clock of `captured`; `transmit` is when it leaves.
fn answer(
    server: &mut Server,
    policy: &Policy,
    request: &Message,
    captured: Header<'_>,
    transmit: NtpTimestamp,
) -> Result<(Vec<u8>, ReplyKind, Option<TxToken>), DropReason> {
    let arrival = Arrival { client: request.source, receive: captured.receive(), ticks: Ticks(0) };
    let moment = Moment { header: ReplyHeader::new(&captured.system()), transmit };
    let mut buffer = request.bytes.clone();
    match server.answer(&mut buffer, request.bytes.len(), &arrival, &moment, policy) {
        Answer::Reply { len, kind, token } => Ok((buffer[..len].to_vec(), kind, token)),
        Answer::Drop(reason) => Err(reason),
    }
}

/// Every field, each under its name, and then every byte.
fn assert_same(ours: &[u8], captured: &[u8], place: &str) {
    let (a, b) = (Header::of(ours).unwrap(), Header::of(captured).unwrap());
    assert_eq!(a.leap(), b.leap(), "{place}: leap");
    assert_eq!(a.version(), b.version(), "{place}: version");
    assert_eq!(a.mode(), b.mode(), "{place}: mode");
    assert_eq!(a.stratum_byte(), b.stratum_byte(), "{place}: stratum");
    assert_eq!(a.poll(), b.poll(), "{place}: poll");
    assert_eq!(a.precision(), b.precision(), "{place}: precision");
    assert_eq!(a.root_delay(), b.root_delay(), "{place}: root delay");
    assert_eq!(a.root_dispersion(), b.root_dispersion(), "{place}: root dispersion");
    assert_eq!(a.reference_id(), b.reference_id(), "{place}: reference identifier");
    assert_eq!(a.reference_time(), b.reference_time(), "{place}: reference timestamp");
    assert_eq!(a.origin(), b.origin(), "{place}: origin timestamp");
    assert_eq!(a.receive(), b.receive(), "{place}: receive timestamp");
    assert_eq!(a.transmit(), b.transmit(), "{place}: transmit timestamp");
    assert_eq!(ours[HEADER_LEN..], captured[HEADER_LEN..], "{place}: MAC");
}

/// Every request with the reply that followed it.
fn exchanges(messages: &[Message]) -> Vec<(&Message, &Message)> {
    let mut exchanges = Vec::new();
    for (index, request) in messages.iter().enumerate().filter(|(_, message)| message.is_request()) {
        assert_eq!(request.destination_port, NTP_PORT);
        let reply = messages[index + 1..].iter().find(|message| !message.is_request());
        exchanges.push((request, reply.expect("every captured request was answered")));
    }
    assert!(exchanges.len() >= 8, "{} exchanges", exchanges.len());
    exchanges
}

#[test]
fn basic_and_authenticated_requests_get_the_captured_replies() {
    for (capture, kind) in [
        ("ntp4-basic.pcap", ReplyKind::Basic),
        ("ntp6-basic.pcap", ReplyKind::Basic),
        ("ntp4-key1.pcap", ReplyKind::Authenticated),
        ("ntp4-key4.pcap", ReplyKind::Authenticated),
        ("ntp4-symmetric.pcap", ReplyKind::Symmetric),
    ] {
        let (mut server, policy) = (server(), policy(KEYS, false));
        for (number, (request, captured)) in exchanges(&messages(capture)).into_iter().enumerate() {
            let place = format!("{capture}, exchange {number}");
            let header = captured.header();
            let (reply, found, token) = answer(&mut server, &policy, request, header, header.transmit())
                .unwrap_or_else(|reason| panic!("{place}: {reason:?}"));
            assert_eq!((found, token), (kind, None), "{place}");
            assert_same(&reply, &captured.bytes, &place);
        }
    }
}

/// The captured server interleaves from the third exchange on, as ours does. Its transmit time of one reply stands in the
/// next: that is the TX stamp that ours is given.
#[test]
fn interleaved_requests_get_the_captured_replies() {
    const CAPTURE: &str = "ntp4-interleaved.pcap";
    let (mut server, policy) = (server(), policy(KEYS, true));
    let messages = messages(CAPTURE);
    let exchanges = exchanges(&messages);
    let mut kinds = Vec::new();
    for (number, (request, captured)) in exchanges.iter().enumerate() {
        let place = format!("{CAPTURE}, exchange {number}");
        let header = captured.header();
        let (reply, kind, token) = answer(&mut server, &policy, request, header, header.transmit())
            .unwrap_or_else(|reason| panic!("{place}: {reason:?}"));
        assert_same(&reply, &captured.bytes, &place);
        kinds.push(kind);
        if let (Some(token), Some((_, next))) = (token, exchanges.get(number + 1)) {
            server.transmitted(token, Some(next.header().transmit()));
        }
    }
    assert_eq!(kinds[..2], [ReplyKind::Basic; 2]);
    assert!(kinds[2..].iter().all(|kind| *kind == ReplyKind::Interleaved), "{kinds:?}");
}

#[test]
fn symmetric_requests_are_not_answered_without_their_key() {
    let messages = messages("ntp4-symmetric.pcap");
    for (request, captured) in exchanges(&messages) {
        let mut lone = Message { bytes: request.bytes[..HEADER_LEN].to_vec(), ..*request };
        let header = captured.header();
        for (keys, reason) in [(KEYS, DropReason::SymmetricUnauthenticated), ("", DropReason::SymmetricUnauthenticated)]
        {
            let outcome = answer(&mut server(), &policy(keys, true), &lone, header, header.transmit());
            assert_eq!(outcome.unwrap_err(), reason);
        }
        lone.bytes.clone_from(&request.bytes);
        for (keys, reason) in [("", DropReason::UnknownKey), ("4 AES128 ASCII:0123456789abcdef", DropReason::WrongMac)]
        {
            let outcome = answer(&mut server(), &policy(keys, true), &lone, header, header.transmit());
            assert_eq!(outcome.unwrap_err(), reason);
        }
    }
}

/// Nothing that a server sent, to one client or to all, is ever answered.
#[test]
fn answers_and_broadcasts_are_dropped_by_name() {
    for (capture, reason) in [
        ("ntp4-basic.pcap", DropReason::Response),
        ("ntp6-basic.pcap", DropReason::Response),
        ("ntp4-interleaved.pcap", DropReason::Response),
        ("ntp4-key1.pcap", DropReason::Response),
        ("ntp4-key4.pcap", DropReason::Response),
        ("ntp4-symmetric.pcap", DropReason::SymmetricPassive),
        ("ntp4-broadcast.pcap", DropReason::Broadcast),
    ] {
        for message in messages(capture).iter().filter(|message| !message.is_request()) {
            let header = message.header();
            let outcome = answer(&mut server(), &policy(KEYS, true), message, header, header.transmit());
            assert_eq!(outcome.unwrap_err(), reason, "{capture}");
        }
    }
}
