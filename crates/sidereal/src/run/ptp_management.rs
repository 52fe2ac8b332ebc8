//! The Unix socket by which PTP management clients of this host ask (`pmc -u -s PATH`): one management message is one
//! datagram, and so is its answer.

use sidereal_ops::{BindError, OwnerSocket};
use sidereal_ptp::MAX_MESSAGE_LEN;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use tracing::{debug, warn};

/// Clients that answers may be for; whoever has asked before these is forgotten.
const CLIENTS: usize = 16;
/// Requests that are taken before something else gets its turn.
const REQUESTS_PER_TURN: usize = 16;

/// The management socket.
#[derive(Debug)]
pub(super) struct ManagementSocket {
    socket: OwnerSocket,
    clients: VecDeque<(u64, SocketAddr)>,
    next: u64,
}

impl ManagementSocket {
    /// Makes it at `path`.
    pub(super) fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self { socket: OwnerSocket::bind(path)?, clients: VecDeque::with_capacity(CLIENTS), next: 0 })
    }

    /// The messages that have come, each with the number of who sent it.
    pub(super) fn receive(&mut self) -> Vec<(u64, Vec<u8>)> {
        let mut messages = Vec::new();
        // What is longer is cut, and then no message.
        let mut buffer = [0; MAX_MESSAGE_LEN];
        while messages.len() < REQUESTS_PER_TURN {
            match self.socket.receive(&mut buffer) {
                Ok(Some((len, from))) => {
                    let client = self.client(from);
                    messages.push((client, buffer.get(..len).unwrap_or_default().to_vec()));
                }
                Ok(None) => break,
                Err(error) => {
                    warn!(%error, "the PTP management socket cannot be read");
                    break;
                }
            }
        }
        messages
    }

    /// Sends an answer to `client`.
    pub(super) fn answer(&self, client: u64, payload: &[u8]) {
        let Some((_, to)) = self.clients.iter().find(|(known, _)| *known == client) else { return };
        if let Err(error) = self.socket.send(payload, to) {
            debug!(%error, "who asked at the PTP management socket is gone");
        }
    }

    fn client(&mut self, from: SocketAddr) -> u64 {
        if self.clients.len() >= CLIENTS {
            self.clients.pop_front();
        }
        let client = self.next;
        self.next = self.next.wrapping_add(1);
        self.clients.push_back((client, from));
        client
    }
}

impl AsFd for ManagementSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn each_client_has_its_own_answers_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ptp");
        let mut management = ManagementSocket::bind(&path).unwrap();
        assert!(management.receive().is_empty());
        let clients: Vec<UnixDatagram> = (0..=CLIENTS)
            .map(|number| {
                let client = UnixDatagram::bind(directory.path().join(number.to_string())).unwrap();
                client.set_nonblocking(true).unwrap();
                client
            })
            .collect();
        let mut numbers = Vec::new();
        for client in &clients {
            client.send_to(b"question", &path).unwrap();
            let (number, message) = management.receive().pop().unwrap();
            assert_eq!(message, b"question");
            numbers.push(number);
        }
        numbers.iter().for_each(|number| management.answer(*number, &number.to_be_bytes()));
        let mut buffer = [0; 8];
        assert!(clients[0].recv(&mut buffer).is_err(), "the first one is forgotten");
        for (client, number) in clients.iter().zip(&numbers).skip(1) {
            assert_eq!(client.recv(&mut buffer).unwrap(), 8);
            assert_eq!(u64::from_be_bytes(buffer), *number);
            assert!(client.recv(&mut buffer).is_err(), "one question, one answer");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_many_at_once_have_their_turns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ptp");
        let mut management = ManagementSocket::bind(&path).unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        client.send_to(&[7; 3000], &path).unwrap();
        assert_eq!(management.receive().pop().unwrap().1.len(), MAX_MESSAGE_LEN);
        client.set_nonblocking(true).unwrap();
        let sent = (0..2 * REQUESTS_PER_TURN).take_while(|_| client.send_to(b"question", &path).is_ok()).count();
        let mut taken = 0;
        loop {
            let messages = management.receive().len();
            assert!(messages <= REQUESTS_PER_TURN);
            if messages == 0 {
                break;
            }
            taken += messages;
        }
        assert_eq!(taken, sent);
    }
}
