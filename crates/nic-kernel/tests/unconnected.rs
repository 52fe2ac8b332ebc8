//! One socket that asks many.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use sidereal_nic_kernel::UnconnectedSocket;
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_time::{TxStamp, TxToken};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Does what the socket waits for until `done`.
fn until(socket: &mut UnconnectedSocket, mut done: impl FnMut(&mut UnconnectedSocket) -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !done(socket) {
        assert!(Instant::now() < end, "nothing came");
        poll(&mut [PollFd::readable(socket.as_fd())], Some(Duration::from_millis(10))).unwrap();
        socket.read_notices();
    }
}

#[test]
fn many_are_asked_and_each_is_heard_and_every_token_comes_back() {
    for local in ["127.0.0.1", "::1"] {
        let servers: Vec<UdpSocket> = (0..100).map(|_| UdpSocket::bind((local, 0)).unwrap()).collect();
        let mut socket = UnconnectedSocket::open(local.parse().unwrap()).unwrap();
        for (number, server) in (0_u64..).zip(&servers) {
            socket.send(server.local_addr().unwrap(), &number.to_be_bytes(), Some(TxToken::new(number))).unwrap();
        }
        for server in &servers {
            let mut question = [0; 8];
            let (_, from) = server.recv_from(&mut question).unwrap();
            server.send_to(&question, from).unwrap();
        }
        let mut heard: BTreeMap<u64, SocketAddr> = BTreeMap::new();
        let mut tokens = Vec::new();
        until(&mut socket, |socket| {
            let mut buffer = [0; 8];
            while let Some(received) = socket.receive(&mut buffer).unwrap() {
                assert_eq!(received.len, 8);
                assert_eq!(heard.insert(u64::from_be_bytes(buffer), received.from), None);
            }
            while let Some((token, _)) = socket.poll_stamp() {
                tokens.push(token.redeem());
            }
            heard.len() == servers.len() && tokens.len() == servers.len()
        });
        tokens.sort_unstable();
        assert!(tokens.into_iter().eq(0..100));
        assert!(heard.into_values().eq(servers.iter().map(|server| server.local_addr().unwrap())));
        assert!(!socket.is_waiting());
        assert_eq!(socket.missed(), 0);
    }
}

#[test]
fn what_cannot_be_sent_returns_its_token_and_hinders_nothing() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut socket = UnconnectedSocket::open("127.0.0.1".parse().unwrap()).unwrap();
    // Nobody may send to all without having said so.
    let refused = socket.send("255.255.255.255:9".parse().unwrap(), b"all", Some(TxToken::new(1)));
    assert!(refused.is_err());
    assert_eq!(socket.poll_stamp(), Some((TxToken::new(1), TxStamp::Lost)));
    socket.send(server.local_addr().unwrap(), b"one", Some(TxToken::new(2))).unwrap();
    until(&mut socket, |socket| {
        socket.poll_stamp().is_some_and(|(token, stamp)| {
            assert_eq!(token.redeem(), 2);
            assert!(matches!(stamp, TxStamp::Stamped(_)), "{stamp:?}");
            true
        })
    });
    assert_eq!(server.recv(&mut [0; 10]).unwrap(), 3);
}
