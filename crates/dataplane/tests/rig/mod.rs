//! A worker on a simulated NIC, and the hand that feeds it.
#![allow(dead_code, reason = "each test binary uses its own part of the rig")]
#![allow(clippy::unwrap_used, reason = "the rig is part of tests")]

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{
    EnginePtp, FrameReceiver, FrameSender, Framing, Judge, LinkSpeed, OverPtp, Parts, PtpService, ResidenceReader,
    Service, TxOptions, TxStrategy, Worker, WorkerCounters, WorkerLink, ptp_link, residence,
};
use sidereal_engine::{SNAPSHOT_WORDS, SmearKind, SmearedClocks, Snapshot};
use sidereal_nic_sim::{SimControl, SimOptions, SimPort, SimRx, SimTx, link};
use sidereal_ntp::{KeyTable, Policy, Server, ServerLimits, Stratum, SystemVariables};
use sidereal_ptp::{ClockIdentity, NTP_DOMAIN, NtpCarrier, PortIdentity, PortKey, Responders, Transport};
use sidereal_publish::{SeqlockWriter, TableWriter, seqlock, table};
use sidereal_time::{ClockModel, Counter, Instant, NtpClock, NtpShort, Rate, Span, Ticks};
use sidereal_wire::build::UdpFrame;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The server's IPv4 address.
pub(crate) const SERVER: &str = "10.77.0.1";
/// The server's IPv6 address.
pub(crate) const SERVER6: &str = "fd77::1";
/// Its MAC address.
pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The clockIdentity of its PTP instances.
pub(crate) const SERVER_CLOCK: ClockIdentity = ClockIdentity::from_mac(SERVER_MAC);
/// Keys 1 (MD5) and 4 (AES-128-CMAC).
pub(crate) const KEYS: &str =
    "1 MD5 HEX:0102030405060708090A0B0C0D0E0F10\n4 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";

/// A worker, the other end of its cable, and everything that is shared with it.
pub(crate) struct Rig {
    pub(crate) worker: Worker<SimRx, SimTx>,
    pub(crate) client: SimPort,
    pub(crate) control: SimControl,
    /// Not known at first.
    pub(crate) speed: LinkSpeed,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) residence: ResidenceReader,
    pub(crate) snapshot: SeqlockWriter<Snapshot, SNAPSHOT_WORDS>,
    pub(crate) policy: TableWriter<Policy>,
    pub(crate) for_kernel: FrameReceiver,
    pub(crate) of_kernel: FrameSender,
    pub(crate) responders: TableWriter<Responders>,
    pub(crate) engine: EnginePtp,
}

impl Rig {
    /// A worker that serves as stratum 1 on a NIC of this kind.
    pub(crate) fn new(options: &SimOptions) -> Self {
        Self::with(options, judge(None, None), Vec::new(), false)
    }

    /// The same, on a port that smears leap seconds so.
    pub(crate) fn smearing(options: &SimOptions, smear: Option<SmearKind>) -> Self {
        Self::with(options, judge(smear, None), Vec::new(), false)
    }

    /// The same, on a port that carries PTP.
    pub(crate) fn carrying(options: &SimOptions, ptp: Vec<PtpService>) -> Self {
        Self::with(options, judge(None, None), ptp, false)
    }

    /// The same, where the NIC is said to stamp event messages.
    pub(crate) fn stamping(options: &SimOptions, ptp: Vec<PtpService>) -> Self {
        Self::with(options, judge(None, None), ptp, true)
    }

    /// The same, where NTP over PTP is dealt with so; see [`over_ptp`].
    pub(crate) fn over_ptp(options: &SimOptions, over_ptp: OverPtp, ptp: Vec<PtpService>) -> Self {
        Self::with(options, judge(None, Some(over_ptp)), ptp, false)
    }

    fn with(options: &SimOptions, judge: Judge, ptp: Vec<PtpService>, by_nic: bool) -> Self {
        let (client, port, control) = link(options);
        let (snapshot, snapshot_reader) = seqlock(snapshot_at(LocalCounter::MonotonicRaw.now()));
        let (policy, policy_reader) = table(policy());
        let counters = Arc::new(WorkerCounters::new());
        let speed = LinkSpeed::default();
        let (residence, residence_reader) = residence();
        let (link, for_kernel, of_kernel) = WorkerLink::new();
        let (responders, _) = table(Responders::default());
        let (mut workers_ptp, engine) = ptp_link(&ptp, &responders, 1, by_nic);
        let worker_ptp = workers_ptp.pop().filter(|_| !ptp.is_empty());
        let worker = Worker::new(Parts {
            rx: port.rx,
            tx: port.tx,
            counter: LocalCounter::MonotonicRaw,
            transmit: TxOptions { strategy: TxStrategy::of(&options.capabilities(), None), link: speed.clone() },
            snapshot: snapshot_reader,
            policy: policy_reader,
            judge,
            counters: Arc::clone(&counters),
            residence,
            link: Some(link),
            ptp: worker_ptp,
            nic_clock: None,
        });
        let residence = residence_reader;
        Self {
            worker,
            client,
            control,
            speed,
            counters,
            residence,
            snapshot,
            policy,
            for_kernel,
            of_kernel,
            responders,
            engine,
        }
    }

    /// Sends `frame`, lets the worker turn once, and returns what comes back.
    pub(crate) fn ask(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        assert!(self.client.send(frame), "the link takes no frame");
        self.worker.turn();
        self.taken()
    }

    /// What the worker has sent.
    pub(crate) fn taken(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let taken = self.client.take(&mut buffer)?;
        Some(buffer[..taken.len].to_vec())
    }
}

/// A judge that serves port 123 of the two addresses, untagged and on VLAN 5.
pub(crate) fn judge(smear: Option<SmearKind>, over_ptp: Option<OverPtp>) -> Judge {
    let addresses = vec![SERVER.parse().unwrap(), SERVER6.parse().unwrap()];
    let limits = ServerLimits { interleaved_clients: 4096, rate_limit_prefixes: 1024, secret: [7, 11] };
    Judge::new(Service { addresses, ntp_port: 123, vlans: vec![5], smear, over_ptp }, Server::new(&limits))
}

/// How the server deals with NTP over PTP, on a link of a gigabit a second.
pub(crate) fn over_ptp(serves: bool) -> OverPtp {
    let source = PortIdentity { clock: SERVER_CLOCK, number: 1 };
    OverPtp { carrier: NtpCarrier { domain: NTP_DOMAIN, source }, serves, link: LinkSpeed::of(1000) }
}

/// The PTP Port `key` of the server in `domain`, over `transport`.
pub(crate) fn ptp_port(key: u16, domain: u8, transport: Transport, vlan: Option<u16>) -> PtpService {
    let address = match transport {
        Transport::UdpIpv4 => Some(SERVER.parse().unwrap()),
        Transport::UdpIpv6 => Some(SERVER6.parse().unwrap()),
        Transport::Ethernet => None,
    };
    PtpService {
        key: PortKey(key),
        domain,
        identity: PortIdentity { clock: SERVER_CLOCK, number: 1 },
        framing: Framing::new(transport, SERVER_MAC, address, vlan).unwrap(),
    }
}

/// Everything allowed, two keys, interleaved mode on.
pub(crate) fn policy() -> Policy {
    Policy { keys: KeyTable::parse(KEYS).unwrap(), interleaved: true, ..Policy::default() }
}

/// A snapshot whose counter stands at `now` one second after 2026-01-01 00:00:00 UTC.
pub(crate) fn snapshot_at(now: Ticks) -> Snapshot {
    let reference = Instant::from_secs(1_767_225_601 + 37);
    let model = ClockModel {
        counter: Counter::MonotonicRaw,
        width: 64,
        reference_ticks: now,
        reference,
        rate: Rate::NANOSECOND,
        error: Span::from_nanos(100),
        drift_ppb: 10,
        generation: 1,
    };
    let realtime =
        ClockModel { counter: Counter::Realtime, reference_ticks: Ticks(1_767_225_601_000_000_000), ..model };
    let (local_ntp, realtime_ntp) = (NtpClock::new(&model, 37, None), NtpClock::new(&realtime, 37, None));
    Snapshot {
        local: model,
        local_ntp,
        realtime_ntp,
        smeared: SmearedClocks::plain(local_ntp, realtime_ntp),
        nics: sidereal_engine::NicClocks::default(),
        system: SystemVariables {
            stratum: Stratum::PRIMARY,
            leap: sidereal_ntp::LeapIndicator::None,
            precision: -25,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_bits(7),
            reference_id: sidereal_ntp::ReferenceId(*b"TEST"),
            reference_time: NtpClock::new(&model, 37, None).at(now),
        },
        sequence: 1,
    }
}

/// A version 4 client request with this transmit timestamp, as a frame from `source` to the server.
pub(crate) fn request(source: &str, transmit: u64) -> Vec<u8> {
    frame(source, &message(transmit))
}

/// A plain version 4 client request.
pub(crate) fn message(transmit: u64) -> [u8; 48] {
    let mut message = [0; 48];
    message[0] = 0x23;
    message[40..].copy_from_slice(&transmit.to_be_bytes());
    message
}

/// `payload` as a frame from `source` (address and port) to the server's NTP port.
pub(crate) fn frame(source: &str, payload: &[u8]) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let server: IpAddr = if source.is_ipv4() { SERVER.parse().unwrap() } else { SERVER6.parse().unwrap() };
    let frame = UdpFrame {
        source_mac: [2, 0, 0, 0, 0, 2],
        destination_mac: [2, 0, 0, 0, 0, 1],
        source,
        destination: SocketAddr::new(server, 123),
    };
    let mut buffer = vec![0; 2048];
    let len = frame.write(payload, &mut buffer);
    assert!(len > 0);
    buffer.truncate(len);
    buffer
}
