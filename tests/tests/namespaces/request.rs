//! Requests and replies as plain bytes: what the tests expect is written down here and not taken from the code under test.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::time::SystemTime;

use sidereal_tests::{Error, Namespace, Result, SERVER_IPV4};

/// The transmit timestamp of [`request`], which comes back as the reply's origin timestamp.
pub(crate) const TRANSMIT: [u8; 8] = [0xe0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78];
/// How long a reply is waited for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A plain request of version 4.
pub(crate) fn request() -> [u8; 48] {
    let mut message = [0; 48];
    message[0] = 0x23;
    message[40..].copy_from_slice(&TRANSMIT);
    message
}

/// A reply, as far as the tests read it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) leap: u8,
    pub(crate) version: u8,
    pub(crate) mode: u8,
    pub(crate) stratum: u8,
    pub(crate) reference_id: [u8; 4],
    /// In units of 2^-16 s.
    pub(crate) root_dispersion: u32,
    pub(crate) origin: [u8; 8],
    /// NTP timestamps: units of 2^-32 s since 1900.
    pub(crate) receive: u64,
    pub(crate) transmit: u64,
}

impl Reply {
    fn parse(message: &[u8]) -> Option<Self> {
        Some(Self {
            leap: message.first()? >> 6,
            version: message.first()? >> 3 & 7,
            mode: message.first()? & 7,
            stratum: *message.get(1)?,
            root_dispersion: u32::from_be_bytes(message.get(8..12)?.try_into().ok()?),
            reference_id: message.get(12..16)?.try_into().ok()?,
            origin: message.get(24..32)?.try_into().ok()?,
            receive: u64::from_be_bytes(message.get(32..40)?.try_into().ok()?),
            transmit: u64::from_be_bytes(message.get(40..48)?.try_into().ok()?),
        })
    }
}

/// The system clock, as an NTP timestamp.
pub(crate) fn now() -> Result<u64> {
    const FROM_1900_TO_1970_S: u64 = 2_208_988_800;
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|error| Error::Unexpected(format!("the system clock: {error}")))?;
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    Ok((since_1970.as_secs() + FROM_1900_TO_1970_S) << 32 | fraction)
}

/// A socket in a namespace, bound to `local` and connected to the server's port 123.
pub(crate) fn socket(namespace: &Namespace, local: IpAddr) -> Result<UdpSocket> {
    namespace
        .inside(|| {
            let socket = UdpSocket::bind((local, 0))?;
            socket.connect(SocketAddr::new(SERVER_IPV4.into(), 123))?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            Ok(socket)
        })?
        .map_err(|error: io::Error| Error::io(format!("socket on {local}"))(error))
}

/// Sends one message, and gives the next reply; `None` if there is none in time.
pub(crate) fn exchange(socket: &UdpSocket, message: &[u8]) -> Result<Option<Reply>> {
    socket.send(message).map_err(Error::io("send"))?;
    receive(socket)
}

/// The next reply; `None` if there is none in time.
pub(crate) fn receive(socket: &UdpSocket) -> Result<Option<Reply>> {
    let mut buffer = [0; 1500];
    match socket.recv(&mut buffer) {
        Ok(len) => Reply::parse(&buffer[..len]).map(Some).ok_or(Error::Unexpected(format!("a reply of {len} bytes"))),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(Error::io("receive")(error)),
    }
}
