//! What the benchmarks measure: requests of every kind, a judge that answers them frame to frame, and the clock it reads.
#![forbid(unsafe_code)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use sidereal_dataplane::{Judge, Service, Terms, Verdict};
use sidereal_nic::RxChecksums;
use sidereal_ntp::client::Request;
use sidereal_ntp::{
    KeyId, KeyTable, LeapIndicator, Moment, Policy, RateLimit, RateLimitOptions, ReferenceId, ReplyHeader, Server,
    ServerLimits, Stratum, SystemVariables,
};
use sidereal_time::{ClockModel, Counter, Instant, NtpClock, NtpShort, NtpTimestamp, Rate, Span, Ticks};
use sidereal_wire::build::UdpFrame;

pub use ptp::{PtpBench, PtpKind};

mod ptp;

/// The key file that authenticated requests are made with.
const KEYS: &str = "4 AES128 HEX:404142434445464748494A4B4C4D4E4F";

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 48 bytes in an IPv4 packet.
    Plain,
    /// The same in an IPv6 packet.
    Ipv6,
    /// With an AES-128-CMAC.
    Cmac,
    /// Of a client that asks in interleaved mode.
    Interleaved,
    /// Of a client that asks within its rate limit.
    RateLimited,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Ipv6, Self::Cmac, Self::Interleaved, Self::RateLimited];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ipv6 => "ipv6",
            Self::Cmac => "cmac",
            Self::Interleaved => "interleaved",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// A judge, its policy, and a ring of requests from as many clients.
#[derive(Debug)]
pub struct Bench {
    kind: Kind,
    judge: Judge,
    policy: Policy,
    moment: Moment,
    clock: NtpClock,
    requests: Vec<Frame>,
    next: usize,
    now: Ticks,
    buffer: [u8; FRAME],
}

/// Room for every frame here.
const FRAME: usize = 160;
/// Where the NTP message of an untagged IPv4 frame begins.
const IPV4_PAYLOAD: usize = 14 + 20 + 8;

#[derive(Debug, Clone)]
struct Frame {
    bytes: [u8; FRAME],
    len: usize,
}

impl Bench {
    /// Requests of `kind` from `clients` clients, which ask in turn.
    ///
    /// # Panics
    /// Where a request cannot be built: a fault of the benchmark.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the benchmark's own constants")]
    pub fn new(kind: Kind, clients: u32) -> Self {
        let limits = ServerLimits { interleaved_clients: 1 << 21, rate_limit_prefixes: 1 << 16, secret: [7, 11] };
        let service = Service {
            addresses: vec!["10.77.0.1".parse().expect("an address"), "fd77::1".parse().expect("an address")],
            ntp_port: 123,
            vlans: Vec::new(),
            smear: None,
            over_ptp: None,
        };
        let rate_limit = (kind == Kind::RateLimited).then(|| {
            let options = RateLimitOptions {
                requests_per_second: 1_000_000_000,
                burst: 1_000_000,
                ipv4_prefix: 32,
                ipv6_prefix: 64,
                kiss_of_death: true,
            };
            RateLimit::new(&options, 1_000_000_000).expect("a rate limit")
        });
        let policy = Policy {
            keys: KeyTable::parse(KEYS).expect("a key file"),
            interleaved: true,
            rate_limit,
            ..Policy::default()
        };
        let clock = clock();
        let moment = Moment { header: ReplyHeader::new(&system()), transmit: clock.at(Ticks(1000)) };
        let requests = (0..clients).map(|client| Frame::request(kind, client, &policy.keys)).collect();
        let judge = Judge::new(service, Server::new(&limits));
        let mut bench =
            Self { kind, judge, policy, moment, clock, requests, next: 0, now: Ticks(1 << 30), buffer: [0; FRAME] };
        // Interleaved clients are answered so from their third request on: whoever is measured has come that far.
        for _ in 0..2 * clients {
            bench.answer();
        }
        bench
    }

    /// Answers the next client's request, from frame to frame. Returns the length of the reply.
    ///
    /// # Panics
    /// Where a request is not answered as its kind must be: it would be measured as a fast one.
    #[inline]
    #[expect(clippy::panic, reason = "a benchmark that measures something else must not go on")]
    pub fn answer(&mut self) -> usize {
        let (client, len, receive) = self.arrive();
        let terms = Terms { now: self.now, moment: self.moment, policy: &self.policy };
        let verdict = self.judge.frame(&mut self.buffer, len, RxChecksums::Unknown, receive, &terms);
        let Verdict::Reply { len, token, .. } = verdict else { panic!("client {client} got no answer") };
        if self.kind == Kind::Interleaved {
            if let Some(token) = token {
                self.judge.server().transmitted(token, Some(receive));
            }
            if let Some(request) = self.requests.get_mut(client) {
                request.remember(&self.buffer);
            }
        }
        len
    }

    /// What [`Self::answer`] does besides answering: copies the next client's request into the buffer, as a NIC would, and
    /// stamps it. Returns the client, the length of the request and when it came.
    ///
    /// # Panics
    /// Where there is no client.
    #[inline]
    #[expect(clippy::panic, reason = "a benchmark that measures something else must not go on")]
    pub fn arrive(&mut self) -> (usize, usize, NtpTimestamp) {
        let client = self.next;
        let Some(request) = self.requests.get(client) else { panic!("no client {client}") };
        self.buffer = request.bytes;
        self.next = if client + 1 == self.requests.len() { 0 } else { client + 1 };
        self.now.0 += 100;
        (client, request.len, self.clock.at(self.now))
    }
}

impl Frame {
    /// The request of one client.
    #[expect(clippy::expect_used, reason = "the benchmark's own constants")]
    fn request(kind: Kind, client: u32, keys: &KeyTable) -> Self {
        let key = (kind == Kind::Cmac).then(|| keys.get(KeyId::new(4).expect("a key identifier")).expect("the key"));
        let [_, high, middle, low] = client.to_be_bytes();
        let (source, server): (IpAddr, &str) = match kind {
            Kind::Ipv6 => (
                Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 1, u16::from(high), u16::from_be_bytes([middle, low])).into(),
                "[fd77::1]:123",
            ),
            _ => (Ipv4Addr::new(11, high, middle, low).into(), "10.77.0.1:123"),
        };
        let mut request = Request::basic(NtpTimestamp::from_bits(u64::from(client) + 1));
        if kind == Kind::Interleaved {
            let nonce = NtpTimestamp::from_bits(2);
            request = Request::interleaved(NtpTimestamp::from_bits(3), nonce, request.transmit);
        }
        let mut message = [0; FRAME];
        let message_len = request.write(key, &mut message).expect("room for a request");
        let frame = UdpFrame {
            source_mac: [2, 0, 0, 0, 0, 2],
            destination_mac: [2, 0, 0, 0, 0, 1],
            source: SocketAddr::new(source, 4000),
            destination: server.parse().expect("an address"),
        };
        let mut bytes = [0; FRAME];
        let len = frame.write(&message[..message_len], &mut bytes);
        Self { bytes, len }
    }

    /// Writes the receive timestamp of `reply` into the origin of this client's next request, and leaves the UDP checksum out,
    /// as IPv4 allows, so that the client's own work is not measured.
    fn remember(&mut self, reply: &[u8; FRAME]) {
        self.bytes[IPV4_PAYLOAD - 2..IPV4_PAYLOAD].fill(0);
        self.bytes[IPV4_PAYLOAD + 24..IPV4_PAYLOAD + 32].copy_from_slice(&reply[IPV4_PAYLOAD + 32..IPV4_PAYLOAD + 40]);
    }
}

/// A clock of nanosecond ticks, as the workers read it.
#[must_use]
pub fn model() -> ClockModel {
    ClockModel {
        counter: Counter::MonotonicRaw,
        width: 64,
        reference_ticks: Ticks(1 << 30),
        reference: Instant::from_secs(1_767_225_637),
        rate: Rate::NANOSECOND,
        error: Span::from_nanos(100),
        drift_ppb: 10,
        generation: 1,
    }
}

/// [`model`] as NTP tells it.
#[must_use]
pub fn clock() -> NtpClock {
    NtpClock::new(&model(), 37, None)
}

fn system() -> SystemVariables {
    SystemVariables {
        leap: LeapIndicator::None,
        stratum: Stratum::PRIMARY,
        precision: -25,
        root_delay: NtpShort::from_bits(0),
        root_dispersion: NtpShort::from_bits(7),
        reference_id: ReferenceId(*b"TEST"),
        reference_time: clock().at(Ticks(0)),
    }
}
