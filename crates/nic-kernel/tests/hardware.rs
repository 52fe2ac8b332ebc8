//! Hardware stamps where there are none to be had: on veth, whose driver knows the kernel's alone. (`cargo run --example stamps`
//! shows them where a NIC takes them.)
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod network;

use network::Namespace;
use sidereal_nic::{Burst, Packet, RxQueue, RxStamps, Stamped, TxQueue, TxStamps};
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{
    AssociationSocket, Beside, Mode, OpenError, PtpError, PtpSocket, RxFilter, StampingError, Timestamping, UdpOptions,
    UdpPort, enable_stamping, hardware_stamping, stamping,
};
use sidereal_ptp::{Destination, MessageClass, Transport};
use sidereal_time::{ClockId, Counter, Stamp, TxStamp, TxToken};
use std::net::UdpSocket;
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(3);
/// A clock that veth does not have.
const CLOCK: ClockId = ClockId(1);

fn hardware(bind_phc: Option<u32>) -> Timestamping {
    Timestamping::Hardware { clock: CLOCK, bind_phc, filter: RxFilter::PtpV2Event }
}

fn link() -> (Namespace, Namespace) {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    (here, there)
}

fn options(interface: Option<&str>, timestamping: Timestamping) -> UdpOptions {
    UdpOptions {
        addresses: vec!["0.0.0.0".parse().unwrap()],
        port: 0,
        interface: interface.map(str::to_owned),
        queues: NonZeroU16::MIN,
        shared: false,
        mode: Mode::Burst,
        timestamping,
    }
}

fn is_of_the_kernel(stamp: Option<Stamp>) -> bool {
    // The kernel begins to stamp what comes a moment after it was first asked to.
    stamp.is_none_or(|stamp| stamp.counter == Counter::Realtime)
}

#[test]
fn an_interface_without_a_clock_is_refused_by_name() {
    let (here, _there) = link();
    here.enter(|| {
        let can = hardware_stamping("veth0").unwrap();
        assert_eq!((can.device.as_str(), can.phc_index, can.is_usable()), ("veth0", None, false));
        for filter in [RxFilter::All, RxFilter::Ntp, RxFilter::PtpV2Event, RxFilter::None] {
            let error = enable_stamping("veth0", filter).unwrap_err();
            assert!(matches!(&error, StampingError::Unsupported { device } if device == "veth0"), "{error}");
        }
        assert!(stamping("veth0").is_err());
    });
}

#[test]
fn stamps_of_a_nic_need_its_interface_and_its_virtual_clock() {
    let (here, _there) = link();
    here.enter(|| {
        let nowhere = UdpPort::open(&options(None, hardware(None)));
        assert!(matches!(nowhere, Err(OpenError::NoInterface)), "{nowhere:?}");
        let foreign = UdpPort::open(&options(Some("veth0"), hardware(Some(9))));
        assert!(matches!(foreign, Err(OpenError::VirtualClock { index: 9 })), "{foreign:?}");
        let socket = AssociationSocket::connect("10.77.0.2:9".parse().unwrap()).unwrap();
        let foreign = socket.by_interface("veth0", hardware(Some(9)));
        assert!(matches!(foreign, Err(OpenError::VirtualClock { index: 9 })), "{foreign:?}");
        let socket = AssociationSocket::connect("10.77.0.2:9".parse().unwrap()).unwrap();
        let absent = socket.by_interface("sd-absent0", Timestamping::Software);
        assert!(matches!(absent, Err(OpenError::NoSuchInterface(_))), "{absent:?}");
        for transport in [Transport::Ethernet, Transport::UdpIpv4, Transport::UdpIpv6] {
            let foreign = PtpSocket::open("veth0", transport, Beside::Nobody, hardware(Some(9)));
            assert!(matches!(foreign, Err(PtpError::VirtualClock { index: 9, .. })), "{foreign:?}");
        }
    });
}

#[test]
fn ntp_has_the_kernels_stamps_where_the_nic_takes_none() {
    let (here, there) = link();
    let port = here.enter(|| UdpPort::open(&options(Some("veth0"), hardware(None)))).unwrap();
    assert_eq!(port.capabilities.rx_stamps.get(), RxStamps::Hardware(Stamped::Ptp));
    assert_eq!(port.capabilities.tx_stamps.get(), TxStamps::Hardware);
    let (mut rx, mut tx) = port.queues.into_iter().next().unwrap();
    let mut client = there.enter(|| {
        let address = format!("10.77.0.1:{}", port.port).parse().unwrap();
        AssociationSocket::connect(address).unwrap().by_interface("veth0", hardware(None)).unwrap()
    });
    for key in 0..3 {
        client.send(b"question", Some(TxToken::new(key))).unwrap();
        let mut burst = Burst::new();
        let end = Instant::now() + TIMEOUT;
        while rx.receive(&mut burst) == 0 {
            assert!(Instant::now() < end);
            rx.wait(Duration::from_millis(10));
        }
        let packet = burst.first_mut().unwrap();
        assert!(is_of_the_kernel(packet.stamp()));
        packet.reply(8, Some(TxToken::new(key)));
        tx.transmit(&mut burst);
        let (token, left) = loop {
            assert!(Instant::now() < end);
            if let Some(answered) = tx.poll_stamp() {
                break answered;
            }
        };
        assert_eq!(token.redeem(), key);
        assert!(matches!(left, TxStamp::Stamped(stamp) if stamp.counter == Counter::Realtime), "{left:?}");
        poll(&mut [PollFd::readable(client.as_fd())], Some(TIMEOUT)).unwrap();
        client.read_notice();
        let (token, left) = client.poll_stamp().unwrap();
        assert_eq!(token.redeem(), key);
        assert!(matches!(left, TxStamp::Stamped(stamp) if stamp.counter == Counter::Realtime), "{left:?}");
        let received = client.receive(&mut [0; 16]).unwrap().unwrap();
        assert!(is_of_the_kernel(received.stamp));
    }
    assert_eq!((tx.stamp_counts().lost, client.stamp_counts().lost), (0, 0));
}

#[test]
fn ptp_has_no_stamp_where_the_nic_takes_none() {
    let (here, there) = link();
    for transport in [Transport::Ethernet, Transport::UdpIpv4] {
        let open = || PtpSocket::open("veth0", transport, Beside::Nobody, hardware(None)).unwrap();
        let (mut ours, mut theirs) = (here.enter(open), there.enter(open));
        let sent = Instant::now();
        ours.send(MessageClass::Event, Destination::Primary, &[0; 44], Some(TxToken::new(5))).unwrap();
        let received = loop {
            assert!(sent.elapsed() < TIMEOUT);
            if let Some(received) = theirs.receive(0, &mut [0; 64]).unwrap() {
                break received;
            }
        };
        assert_eq!((received.len >= 44, received.stamp), (true, None));
        let (token, left) = loop {
            assert!(sent.elapsed() < TIMEOUT);
            if let Some(answered) = ours.poll_stamp() {
                break answered;
            }
        };
        assert_eq!((token.redeem(), left), (5, TxStamp::Lost));
        assert!(sent.elapsed() >= Duration::from_millis(200), "a NIC has its time");
        assert_eq!(ours.stamp_counts().lost, 1);
    }
}

#[test]
fn an_association_speaks_by_its_interface_alone() {
    let (here, there) = link();
    let peer = there.enter(|| UdpSocket::bind("10.77.0.2:0").unwrap());
    let address = peer.local_addr().unwrap();
    let mut socket =
        here.enter(|| AssociationSocket::connect(address).unwrap().by_interface("lo", Timestamping::Software).unwrap());
    peer.set_nonblocking(true).unwrap();
    let _ = socket.send(b"question", None);
    std::thread::sleep(Duration::from_millis(50));
    assert!(peer.recv(&mut [0; 16]).is_err(), "it went by another interface");
}
