//! The kernel's sockets do what every backend must. The tests over veth need root.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod network;

use network::Namespace;
use sidereal_nic::conformance::{Harness, Kind, run};
use sidereal_nic::{Capabilities, Flow};
use sidereal_nic_kernel::{Mode, Timestamping, UdpOptions, UdpPort, UdpRx, UdpTx};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;

struct Sockets<'n> {
    rx: UdpRx,
    tx: UdpTx,
    capabilities: Capabilities,
    flow: Flow,
    peer: UdpSocket,
    /// The peer's namespace, where the link can be cut.
    peer_namespace: Option<&'n Namespace>,
}

impl Harness for Sockets<'_> {
    type Rx = UdpRx;
    type Tx = UdpTx;

    fn queue(&mut self) -> (&mut UdpRx, &mut UdpTx) {
        (&mut self.rx, &mut self.tx)
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn kind(&self) -> Kind {
        Kind::Datagrams { flow: self.flow }
    }

    fn send(&mut self, packet: &[u8]) -> bool {
        self.peer.send(packet).is_ok()
    }

    fn receive(&mut self, packet: &mut [u8]) -> Option<usize> {
        self.peer.recv(packet).ok()
    }

    fn pool(&self) -> usize {
        128
    }

    fn set_link(&mut self, up: bool) -> bool {
        let Some(namespace) = self.peer_namespace else { return false };
        namespace.ip(if up { "link set veth0 up" } else { "link set veth0 down" });
        true
    }
}

fn open(bind: &[IpAddr], mode: Mode) -> UdpPort {
    UdpPort::open(&UdpOptions {
        addresses: bind.to_vec(),
        port: 0,
        interface: None,
        queues: NonZeroU16::MIN,
        shared: false,
        mode,
        timestamping: Timestamping::Software,
    })
    .unwrap()
}

fn connect(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    let peer = UdpSocket::bind(any).unwrap();
    peer.connect(server).unwrap();
    peer.set_nonblocking(true).unwrap();
    peer
}

fn check(port: UdpPort, peer: UdpSocket, peer_namespace: Option<&Namespace>) {
    let (local, server) = (peer.local_addr().unwrap(), peer.peer_addr().unwrap());
    let flow = Flow {
        source: local.ip(),
        source_port: local.port(),
        destination: server.ip(),
        destination_port: server.port(),
    };
    let capabilities = port.capabilities;
    let (rx, tx) = port.queues.into_iter().next().unwrap();
    let report = run(&mut Sockets { rx, tx, capabilities, flow, peer, peer_namespace });
    assert!(report.passed(), "{report}");
}

/// On the loopback of this namespace; `bind` may be wider than `server`.
fn check_loopback(bind: &[&str], server: &str, mode: Mode) {
    let bind: Vec<IpAddr> = bind.iter().map(|address| address.parse().unwrap()).collect();
    let port = open(&bind, mode);
    let peer = connect(SocketAddr::new(server.parse().unwrap(), port.port));
    check(port, peer, None);
}

/// Over a veth link between two namespaces.
fn check_veth(server: &str, mode: Mode) {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    let mut port = here.enter(|| open(&["0.0.0.0".parse().unwrap(), "::".parse().unwrap()], mode));
    // IPv4 replies are not fragmented; the link carries 1500 bytes with their headers.
    port.capabilities.max_length = if server.contains(':') { port.capabilities.max_length } else { 1472 };
    let peer = there.enter(|| connect(SocketAddr::new(server.parse().unwrap(), port.port)));
    check(port, peer, Some(&there));
}

#[test]
fn loopback_ipv4_burst() {
    check_loopback(&["127.0.0.1"], "127.0.0.1", Mode::Burst);
}

#[test]
fn loopback_ipv6_burst() {
    check_loopback(&["127.0.0.1", "::1"], "::1", Mode::Burst);
}

#[test]
fn loopback_all_addresses_single() {
    check_loopback(&["0.0.0.0", "::"], "127.0.0.1", Mode::Single);
}

#[test]
fn loopback_all_ipv6_addresses_single() {
    check_loopback(&["::"], "::1", Mode::Single);
}

#[test]
fn veth_ipv4_burst() {
    check_veth("10.77.0.1", Mode::Burst);
}

#[test]
fn veth_ipv6_burst() {
    check_veth("fd77::1", Mode::Burst);
}

#[test]
fn veth_ipv4_single() {
    check_veth("10.77.0.1", Mode::Single);
}
