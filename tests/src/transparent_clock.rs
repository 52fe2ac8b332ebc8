use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::{Error, Namespace, Result};

/// The port of PTP's event messages.
const EVENT_PORT: u16 = 319;
/// How long a thread waits for a message before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// Where the correctionField of a message is (IEEE 1588-2019 13.3.1).
const CORRECTION_AT: usize = 8;

/// An end-to-end transparent clock with queues: it relays PTP event messages between who asks and who answers, keeps each for
/// another while, and adds that to its correctionField, in one step (IEEE 1588-2019 10.2).
pub struct TransparentClock {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl TransparentClock {
    /// The shortest and the longest time that a message is kept.
    pub const RESIDENCE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(4)];

    /// Relays what comes to `near` from there to `server`, which sees it come from `far`, and its answers back.
    ///
    /// # Errors
    /// An address cannot be bound to.
    pub fn start(namespace: &Namespace, near: Ipv4Addr, far: Ipv4Addr, server: Ipv4Addr) -> Result<Self> {
        let bind = |address: Ipv4Addr| -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((address, EVENT_PORT))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let name = || Error::io(format!("a transparent clock at {near} and {far}"));
        let (near, far) = namespace.inside(|| Ok((bind(near)?, bind(far)?)))?.map_err(name())?;
        let (near, far) = (Arc::new(near), Arc::new(far));
        let stop = Arc::new(AtomicBool::new(false));
        let asks = Arc::new(OnceLock::new());
        let to_server = OnceLock::from(SocketAddr::from((server, EVENT_PORT)));
        let forth = Relay { from: Arc::clone(&near), by: Arc::clone(&far), to: Arc::new(to_server) };
        let back = Relay { from: far, by: near, to: Arc::clone(&asks) };
        let threads = vec![forth.run(&stop, Some(asks)), back.run(&stop, None)];
        Ok(Self { stop, threads })
    }
}

impl Drop for TransparentClock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// One way through it.
struct Relay {
    from: Arc<UdpSocket>,
    by: Arc<UdpSocket>,
    to: Arc<OnceLock<SocketAddr>>,
}

impl Relay {
    /// Relays until it is to `stop`; `asks` is told who was heard first.
    fn run(self, stop: &Arc<AtomicBool>, asks: Option<Arc<OnceLock<SocketAddr>>>) -> JoinHandle<()> {
        let stop = Arc::clone(stop);
        thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                // Whoever is not answered asks again.
                let _ = self.relay(&mut number, asks.as_deref());
            }
        })
    }

    fn relay(&self, number: &mut u32, asks: Option<&OnceLock<SocketAddr>>) -> io::Result<()> {
        let mut message = [0; 1500];
        let (length, sender) = self.from.recv_from(&mut message)?;
        let came = Instant::now();
        if let Some(asks) = asks {
            asks.get_or_init(|| sender);
        }
        let Some(to) = self.to.get() else { return Ok(()) };
        // As if drawn, and never the same in both ways for long.
        *number = number.wrapping_mul(1_103_515_245).wrapping_add(12_345 + u32::try_from(length).unwrap_or(0));
        let [shortest, longest] = TransparentClock::RESIDENCE;
        thread::sleep(shortest + (longest - shortest) * (*number >> 16 & 0xff) / 256);
        let message = message.get_mut(..length).unwrap_or_default();
        if let Some(field) = message.get_mut(CORRECTION_AT..).and_then(<[u8]>::first_chunk_mut::<8>) {
            // In units of 2^-16 ns.
            let kept = i64::try_from(came.elapsed().as_nanos() << 16).unwrap_or(i64::MAX);
            *field = i64::from_be_bytes(*field).saturating_add(kept).to_be_bytes();
        }
        self.by.send_to(message, to)?;
        Ok(())
    }
}
