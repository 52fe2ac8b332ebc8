//! The backend does what every backend must.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod eal;
mod network;

use std::thread;
use std::time::{Duration, Instant};

use eal::open;
use network::{in_its_own_network, ip};
use sidereal_nic::conformance::{Harness, Kind, run};
use sidereal_nic::{Burst, Capabilities, Content, Packet, RxQueue, TxQueue};
use sidereal_nic_dpdk::{DpdkPort, DpdkRx, DpdkTx, Link, Mbuf};

/// An experimental EtherType, between addresses that nobody has.
const HEADER: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];

/// A port whose peer is a port, too.
struct Pair {
    port: DpdkPort,
    peer: DpdkPort,
    /// The kernel's interface below the port, if there is one.
    interface: Option<&'static str>,
    /// What the peer has received and not handed on.
    arrived: Burst<Mbuf>,
}

impl Pair {
    fn new(port: &str, peer: &str, interface: Option<&'static str>) -> Self {
        let (mut port, mut peer) = (open(port).unwrap(), open(peer).unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        while [&mut port, &mut peer].into_iter().any(|port| port.monitor.read().link != Link::Up) {
            assert!(Instant::now() < deadline, "the link does not come up");
            thread::sleep(Duration::from_millis(5));
        }
        Self { port, peer, interface, arrived: Burst::new() }
    }
}

impl Harness for Pair {
    type Rx = DpdkRx;
    type Tx = DpdkTx;

    fn queue(&mut self) -> (&mut DpdkRx, &mut DpdkTx) {
        let (rx, tx) = &mut self.port.queues[0];
        (rx, tx)
    }

    fn capabilities(&self) -> Capabilities {
        self.port.capabilities
    }

    fn kind(&self) -> Kind {
        Kind::Frames { header: HEADER }
    }

    fn send(&mut self, packet: &[u8]) -> bool {
        self.peer.queues[0].1.originate(packet, None)
    }

    fn receive(&mut self, packet: &mut [u8]) -> Option<usize> {
        if self.arrived.is_empty() {
            self.peer.queues[0].0.receive(&mut self.arrived);
        }
        let mut next = self.arrived.pop_at(0)?;
        let Content::Frame { buffer, len, .. } = next.content() else { return None };
        packet[..len].copy_from_slice(&buffer[..len]);
        Some(len)
    }

    fn pool(&self) -> usize {
        8192
    }

    fn set_link(&mut self, up: bool) -> bool {
        let Some(interface) = self.interface else { return false };
        ip(&format!("link set {interface} {}", if up { "up" } else { "down" }));
        if up {
            // net_af_packet is told once more, at its next send, that the link was down; what it was to send leaves with the
            // burst after that.
            let mut frame = [0; 60];
            frame[..HEADER.len()].copy_from_slice(&HEADER);
            self.port.queues[0].1.originate(&frame, None);
        }
        true
    }
}

#[test]
fn on_af_packet() {
    in_its_own_network("on_af_packet", || {
        let (port, peer) = ("net_af_packet0,iface=left,qdisc_bypass=1", "net_af_packet1,iface=right,qdisc_bypass=1");
        let report = run(&mut Pair::new(port, peer, Some("left")));
        assert!(report.passed(), "{report}");
    });
}

#[test]
fn on_af_xdp() {
    in_its_own_network("on_af_xdp", || {
        let (port, peer) = ("net_af_xdp0,iface=left,busy_budget=0", "net_af_xdp1,iface=right,busy_budget=0");
        let report = run(&mut Pair::new(port, peer, Some("left")));
        assert!(report.passed(), "{report}");
    });
}

#[test]
fn on_memif() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("memif");
    let device = |role| format!("net_memif_{role}0,role={role},id=0,socket={},socket-abstract=no", socket.display());
    let report = run(&mut Pair::new(&device("server"), &device("client"), None));
    assert!(report.passed(), "{report}");
}
