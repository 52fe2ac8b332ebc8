//! The load generator: what it says of a server is what the server did.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::net::UdpSocket;
use std::{io, thread};

use sidereal_loadgen::{LoadOptions, LoadReport, MacAddress, Mode, Plan, run};
use sidereal_tests::{Chronyd, Error, INTERFACE, Link, Net, Result, SERVER_IPV4, SERVER_IPV6};

/// Of the made-up clients: not the link's own, so that the kernel there leaves their replies alone.
const CLIENTS_MAC: &str = "02:00:00:00:77:99";
const CLIENTS_IPV4: &str = "10.77.64.0/18";
const CLIENTS_IPV6: &str = "fd77:0:0:1::/64";

/// Tells the server's host where the made-up clients are.
fn route_back(net: &Net) -> Result<()> {
    for (gateway, prefix) in [("10.77.0.3", CLIENTS_IPV4), ("fd77::3", CLIENTS_IPV6)] {
        let neighbour = ["neighbour", "replace", gateway, "lladdr", CLIENTS_MAC, "dev", INTERFACE, "nud", "permanent"];
        net.server().output(&[&["ip"], &neighbour[..]].concat())?;
        net.server().output(&["ip", "route", "add", prefix, "via", gateway, "dev", INTERFACE])?;
    }
    Ok(())
}

fn load(net: &Net, target: IpAddr, mode: Mode, clients: u32) -> Result<LoadReport> {
    let prefix = if target.is_ipv4() { CLIENTS_IPV4 } else { CLIENTS_IPV6 };
    let options = LoadOptions {
        interface: INTERFACE.to_owned(),
        target: SocketAddr::new(target, 123),
        target_mac: None,
        source_mac: Some(CLIENTS_MAC.parse::<MacAddress>().expect("a MAC address")),
        prefix: prefix.parse().expect("a prefix"),
        clients,
        mode,
        plan: Plan::Rate { requests_per_second: 500.0, duration: Duration::from_secs(1) },
        core: None,
    };
    net.client().inside(|| run(&options, |_| ()))?.map_err(|error| Error::Unexpected(error.to_string()))
}

#[test]
fn chronyd_answers_all_clients() -> Result<()> {
    Net::run("load", Link::Kernel, |net| {
        route_back(net)?;
        let _server = Chronyd::start(net.server(), "server", &["allow", "local stratum 1"])?;
        for (target, mode) in [
            (IpAddr::V4(SERVER_IPV4), Mode::Basic),
            (IpAddr::V6(SERVER_IPV6), Mode::Basic),
            (IpAddr::V4(SERVER_IPV4), Mode::Interleaved),
        ] {
            let report = load(net, target, mode, 10)?;
            let [run] = &report.runs[..] else { return Err(Error::Unexpected(format!("{report:?}"))) };
            assert!(run.sent > 0 && run.received * 2 > run.sent, "{run:?}");
            assert_eq!(run.wrong, Default::default(), "{run:?}");
            // chronyd remembers its stamps from a client's second request on, so that the third is answered by them.
            assert_eq!(run.interleaved > 0.5, mode == Mode::Interleaved, "{run:?}");
            let round_trip = run.round_trip_us.expect("round trips");
            assert!(round_trip.min > 0.0 && round_trip.min <= round_trip.p50 && round_trip.p50 <= round_trip.max);
        }
        Ok(())
    })
}

/// What a faulty server has done.
#[derive(Debug, Default, PartialEq)]
struct Deeds {
    asked: u64,
    answered: u64,
    twice: u64,
    wrong_origin: u64,
}

/// Answers as NTP servers do, but for its faults: every tenth request it ignores, every 20th or so it answers twice, to every
/// 25th it gives another origin. And something else on its host talks to every client too.
fn serve_badly(socket: &UdpSocket, stranger: &UdpSocket, stop: &AtomicBool) -> io::Result<Deeds> {
    let mut deeds = Deeds::default();
    let mut buffer = [0; 128];
    while !stop.load(Ordering::Relaxed) {
        let (length, client) = match socket.recv_from(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            received => received?,
        };
        assert_eq!(length, 48);
        deeds.asked += 1;
        let mut reply = [0; 48];
        reply[..2].copy_from_slice(&[0x24, 1]);
        reply[24..32].copy_from_slice(&buffer[40..48]);
        reply[32..40].copy_from_slice(&[0xee; 8]);
        reply[40..48].copy_from_slice(&[0xee; 8]);
        stranger.send_to(&reply, client)?;
        if deeds.asked.is_multiple_of(10) {
            continue;
        }
        if deeds.asked % 25 == 1 {
            reply[24] ^= 1;
            socket.send_to(&reply, client)?;
            deeds.wrong_origin += 1;
            continue;
        }
        socket.send_to(&reply, client)?;
        deeds.answered += 1;
        if deeds.asked % 20 == 3 {
            socket.send_to(&reply, client)?;
            deeds.twice += 1;
        }
    }
    Ok(deeds)
}

#[test]
fn a_faulty_servers_faults_are_counted() -> Result<()> {
    Net::run("faults", Link::Kernel, |net| {
        route_back(net)?;
        for target in [IpAddr::V4(SERVER_IPV4), IpAddr::V6(SERVER_IPV6)] {
            let bind = |port| -> io::Result<UdpSocket> {
                let socket = UdpSocket::bind(SocketAddr::new(target, port))?;
                socket.set_read_timeout(Some(Duration::from_millis(50)))?;
                Ok(socket)
            };
            let sockets = net.server().inside(|| io::Result::Ok((bind(123)?, bind(124)?)))?;
            let (socket, stranger) = sockets.map_err(Error::io("server's sockets"))?;
            let stop = AtomicBool::new(false);
            let (report, deeds) = thread::scope(|scope| {
                let server = scope.spawn(|| serve_badly(&socket, &stranger, &stop));
                let report = load(net, target, Mode::Basic, 16_382);
                stop.store(true, Ordering::Relaxed);
                (report, server.join().expect("the server's thread"))
            });
            let (report, deeds) = (report?, deeds.map_err(Error::io("server"))?);
            let run = report.runs.first().expect("a run");
            assert!(deeds.asked > 100, "{deeds:?}");
            let seen = Deeds {
                asked: run.sent,
                answered: run.received,
                twice: run.wrong.duplicate,
                wrong_origin: run.wrong.origin,
            };
            assert_eq!(seen, deeds, "{run:?}");
            assert_eq!((run.wrong.malformed, run.wrong.address, run.missed), (0, 0, 0));
        }
        Ok(())
    })
}
