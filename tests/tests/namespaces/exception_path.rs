//! Under DPDK, what is not time is the kernel's: ping, TCP, UDP of other ports, each answered exactly once.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use sidereal_tests::{
    CLIENT_IPV4, CLIENT_IPV6, Capture, Error, Link, Net, Options, Result, SERVER_IPV4, SERVER_IPV6, Sidereal,
    Transport, until_some,
};

use crate::request::{exchange, request, socket};

const PINGS: usize = 5;
const TCP_BYTES: usize = 1 << 20;
const TCP_PORT: u16 = 7777;
const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn the_kernel_answers_what_is_not_time() -> Result<()> {
    Net::run("kernel-path", Link::Dpdk, |net| {
        let server = Sidereal::start(net, &Options::new(Transport::Dpdk))?;
        let capture = Capture::start(net.client())?;

        for address in [IpAddr::V4(SERVER_IPV4), IpAddr::V6(SERVER_IPV6)] {
            let count = PINGS.to_string();
            let report = net.client().output(&["ping", "-n", "-c", &count, "-i", "0.2", &address.to_string()])?;
            assert!(report.contains(&format!("{PINGS} packets transmitted, {PINGS} received")), "{report}");
            assert!(!report.contains("DUP") && !report.contains("duplicates"), "{report}");
            tcp_echo(net, address)?;
        }
        // A port without a listener: the kernel says so, once.
        let other = net.client().inside(|| UdpSocket::bind((CLIENT_IPV4, 0)))?.map_err(Error::io("bind"))?;
        other.send_to(b"is anybody there?", (SERVER_IPV4, 9)).map_err(Error::io("send"))?;
        // Time, meanwhile, is answered by Sidereal alone: the kernel, which has no listener there, stays silent.
        let ntp = socket(net.client(), CLIENT_IPV4.into())?;
        for _ in 0..PINGS {
            assert_eq!(exchange(&ntp, &request())?.map(|reply| reply.mode), Some(4));
        }
        let status = server.status()?;
        assert!(status.count("to_kernel") > 0 && status.count("from_kernel") > 0, "{status}");
        assert_eq!(status.count("kernel_ring_full"), 0, "{status}");

        let recording = capture.stop()?;
        recording.faultless("ip || ipv6 || arp")?;
        for (what, filter, count) in [
            ("IPv4 echo requests", "icmp.type == 8", PINGS),
            ("IPv4 echo replies", "icmp.type == 0", PINGS),
            ("IPv6 echo requests", "icmpv6.type == 128", PINGS),
            ("IPv6 echo replies", "icmpv6.type == 129", PINGS),
            ("NTP requests", "ntp.flags.mode == 3 && !icmp", PINGS),
            ("NTP replies", "ntp.flags.mode == 4 && !icmp", PINGS),
            ("answers to port 9", "icmp.type == 3 && icmp.code == 3 && udp.dstport == 9", 1),
            ("answers that no port is open", "icmp.type == 3 || icmpv6.type == 1", 1),
            ("TCP resets", "tcp.flags.reset == 1", 0),
        ] {
            assert_eq!(recording.count(filter)?, count, "{what}");
        }
        let asked = recording.count(&format!("arp.opcode == 1 && arp.dst.proto_ipv4 == {SERVER_IPV4}"))?;
        let told = recording.count(&format!("arp.opcode == 2 && arp.src.proto_ipv4 == {SERVER_IPV4}"))?;
        assert_eq!(told, asked, "ARP replies");
        let asked = recording.count(&format!("icmpv6.type == 135 && ipv6.src == {CLIENT_IPV6}"))?;
        let told = recording.count(&format!("icmpv6.type == 136 && icmpv6.nd.na.target_address == {SERVER_IPV6}"))?;
        assert!(asked > 0 && told == asked, "{asked} neighbour solicitations, {told} advertisements");
        server.stop()
    })
}

/// A connection to the server's address, on which every byte comes back.
fn tcp_echo(net: &Net, address: IpAddr) -> Result<()> {
    let address = SocketAddr::new(address, TCP_PORT);
    let listener = net.server().inside(|| TcpListener::bind(address))?.map_err(Error::io("listen"))?;
    listener.set_nonblocking(true).map_err(Error::io("listen"))?;
    let sent: Vec<u8> = (0..TCP_BYTES).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
    let received = thread::scope(|scope| {
        let echo = scope.spawn(move || {
            let mut stream = until_some("a connection", TIMEOUT, || listener.accept().map(|(stream, _)| stream))?;
            stream.set_nonblocking(false).map_err(Error::io("the accepted connection"))?;
            let mut reader = stream.try_clone().map_err(Error::io("the accepted connection"))?;
            io::copy(&mut reader, &mut stream).map_err(Error::io("echo"))
        });
        let stream = net.client().inside(|| TcpStream::connect_timeout(&address, TIMEOUT));
        let received = stream.and_then(|stream| {
            let stream = stream.map_err(Error::io(format!("connecting to {address}")))?;
            carry(&stream, &sent).map_err(Error::io("TCP"))
        })?;
        assert!(matches!(echo.join(), Ok(Ok(_))), "the listener");
        Ok::<_, Error>(received)
    })?;
    assert!(received == sent, "{address}: {} bytes came back of {}", received.len(), sent.len());
    Ok(())
}

fn carry(stream: &TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut writer = stream;
            writer.write_all(bytes)?;
            stream.shutdown(std::net::Shutdown::Write)
        });
        let mut received = Vec::new();
        let mut reader = stream;
        reader.read_to_end(&mut received)?;
        sender.join().map_err(|_| io::Error::other("the sender panicked"))??;
        Ok(received)
    })
}
