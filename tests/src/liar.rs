use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::{Error, Namespace, Result};

/// How long the thread waits for a request before it looks whether it is to end, and for the honest server's reply.
const PATIENCE: Duration = Duration::from_millis(200);

/// A server that lies: it has its answers from an honest one, and adds to all times in them.
pub struct Liar {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    /// Answers at `address` what the server at `honest` does, with every time `ahead` of the truth.
    ///
    /// # Errors
    /// The address cannot be bound to.
    pub fn start(namespace: &Namespace, address: Ipv4Addr, honest: Ipv4Addr, ahead: Duration) -> Result<Self> {
        let bind = |address: Ipv4Addr, port: u16| -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((address, port))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let sockets = namespace.inside(|| Ok((bind(address, 123)?, bind(address, 0)?)))?;
        let (clients, upstream) = sockets.map_err(Error::io(format!("a server at {address}")))?;
        let honest = SocketAddr::new(IpAddr::V4(honest), 123);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Whoever is not answered asks again.
                let _ = answer(&clients, &upstream, honest, ahead);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has said so itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(clients: &UdpSocket, upstream: &UdpSocket, honest: SocketAddr, ahead: Duration) -> io::Result<()> {
    let mut message = [0; 48];
    let (length, client) = clients.recv_from(&mut message)?;
    upstream.send_to(message.get(..length).unwrap_or_default(), honest)?;
    let length = upstream.recv(&mut message)?;
    // Reference, receive and transmit timestamp, in units of 2^-32 s.
    let by = (ahead.as_secs() << 32) + (u64::from(ahead.subsec_nanos()) << 32) / 1_000_000_000;
    for at in [16, 32, 40] {
        if let Some(bytes) = message.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<8>) {
            *bytes = u64::from_be_bytes(*bytes).wrapping_add(by).to_be_bytes();
        }
    }
    clients.send_to(message.get(..length).unwrap_or_default(), client)?;
    Ok(())
}
