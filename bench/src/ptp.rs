//! Delay_Req of every kind, and a judge that answers them frame to frame.

use core::net::{IpAddr, Ipv4Addr};
use sidereal_dataplane::{Framing, NicStamps, PtpJudge, PtpService, PtpTerms, PtpTime, PtpVerdict};
use sidereal_engine::NicClocks;
use sidereal_nic::RxChecksums;
use sidereal_ptp::{
    Address, ClockIdentity, Destination, MessageClass, MessageType, PortIdentity, PortKey, Responder, Responders,
    SdoId, Transport,
};
use sidereal_time::{ClockModel, NtpClock, Span, Ticks};

use crate::{FRAME, Frame, clock, model};

/// A kind of Delay_Req.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PtpKind {
    /// To the group over IPv4.
    Multicast,
    /// To the master over IPv4, as in hybrid operation (IEEE 1588-2019 16.9).
    Hybrid,
    /// To the group over Ethernet.
    Ethernet,
}

impl PtpKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Multicast, Self::Hybrid, Self::Ethernet];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Multicast => "multicast",
            Self::Hybrid => "hybrid",
            Self::Ethernet => "ethernet",
        }
    }
}

/// A judge whose port leads, and a ring of Delay_Req from as many clients.
#[derive(Debug)]
pub struct PtpBench {
    judge: PtpJudge,
    responders: Responders,
    local: ClockModel,
    clock: NtpClock,
    requests: Vec<Frame>,
    next: usize,
    now: Ticks,
    buffer: [u8; FRAME],
}

/// The MAC address of the port.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Its IP address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

impl PtpBench {
    /// Delay_Req of `kind` from `clients` clients, which ask in turn.
    ///
    /// # Panics
    /// Where one cannot be built: a fault of the benchmark.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the benchmark's own constants")]
    pub fn new(kind: PtpKind, clients: u32) -> Self {
        let framing = framing(kind, MAC, ADDRESS).expect("a framing");
        let identity = PortIdentity { clock: ClockIdentity::from_mac(MAC), number: 1 };
        let key = PortKey(0);
        let responder = Responder {
            key,
            identity,
            domain: 0,
            sdo_id: SdoId::DEFAULT,
            minor_version: 1,
            log_min_delay_req_interval: 0,
            ingress_latency: Span::ZERO,
        };
        Self {
            judge: PtpJudge::new(vec![PtpService { key, domain: 0, identity, framing }]),
            responders: Responders::new([responder]),
            local: model(),
            clock: clock(),
            requests: (0..clients).map(|client| request(kind, client)).collect(),
            next: 0,
            now: Ticks(1 << 30),
            buffer: [0; FRAME],
        }
    }

    /// Answers the next client's Delay_Req, from frame to frame. Returns the length of the answer.
    ///
    /// # Panics
    /// Where it is not answered: it would be measured as a fast one.
    #[inline]
    #[expect(clippy::panic, reason = "a benchmark that measures something else must not go on")]
    pub fn answer(&mut self) -> usize {
        let len = self.arrive();
        let (local, clock, now) = (&self.local, &self.clock, self.now);
        let time = PtpTime { local, local_ntp: clock, realtime_ntp: clock, nics: &NicClocks::default(), now };
        let terms = PtpTerms { responders: &self.responders, time: Some(time), nic_stamps: NicStamps::claimed(false) };
        let verdict = self.judge.frame(&mut self.buffer, len, RxChecksums::Unknown, None, &terms);
        let Some(PtpVerdict::DelayResp { len, .. }) = verdict else { panic!("no answer but {verdict:?}") };
        len
    }

    /// What [`Self::answer`] does besides answering: copies the next client's request into the buffer, as a NIC would. Returns
    /// its length.
    ///
    /// # Panics
    /// Where there is no client.
    #[inline]
    #[expect(clippy::panic, reason = "a benchmark that measures something else must not go on")]
    pub fn arrive(&mut self) -> usize {
        let Some(request) = self.requests.get(self.next) else { panic!("no client {}", self.next) };
        self.buffer = request.bytes;
        self.next = if self.next + 1 == self.requests.len() { 0 } else { self.next + 1 };
        self.now.0 += 100;
        request.len
    }
}

/// The Delay_Req of one client.
#[expect(clippy::expect_used, reason = "the benchmark's own constants")]
fn request(kind: PtpKind, client: u32) -> Frame {
    let [_, high, middle, low] = client.to_be_bytes();
    let mac = [2, 1, 0, high, middle, low];
    let identity = PortIdentity { clock: ClockIdentity::from_mac(mac), number: 1 };
    let mut message = [0; 44];
    (message[0], message[1], message[3]) = (MessageType::DelayReq.bits(), 0x12, 44);
    message[20..30].copy_from_slice(&identity.to_be_bytes());
    let to = match kind {
        PtpKind::Hybrid => {
            message[6] = 0x04;
            Destination::Unicast(Address::Ip(ADDRESS.into()))
        }
        PtpKind::Multicast | PtpKind::Ethernet => Destination::Primary,
    };
    let mut bytes = [0; FRAME];
    let framing = framing(kind, mac, Ipv4Addr::new(11, high, middle, low)).expect("a framing");
    let len = framing.frame(MessageClass::Event, to, Some(MAC), &message, &mut bytes);
    Frame { bytes, len }
}

fn framing(kind: PtpKind, mac: [u8; 6], address: Ipv4Addr) -> Option<Framing> {
    match kind {
        PtpKind::Multicast | PtpKind::Hybrid => Framing::new(Transport::UdpIpv4, mac, Some(IpAddr::V4(address)), None),
        PtpKind::Ethernet => Framing::new(Transport::Ethernet, mac, None, None),
    }
}
