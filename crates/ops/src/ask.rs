//! The control socket, the side of the command line.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{REPLY_MAX, Reply, Request};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No socket is there, or nobody behind it.
    #[error("no sidereal runs with the control socket {}", .0.display())]
    NotRunning(PathBuf),
    /// This user may not ask.
    #[error("this user may not use the control socket {}", .0.display())]
    Forbidden(PathBuf),
    /// Nothing came in time.
    #[error("no answer from {} within {} ms", path.display(), waited.as_millis())]
    Silent {
        /// The socket that was asked.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The system refused.
    #[error("cannot use the control socket {}: {source}", path.display())]
    System {
        /// The socket that was asked.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What came is no reply: another version answers there.
    #[error("the answer cannot be read ({0}): is the running sidereal of another version?")]
    Unreadable(#[from] serde_json::Error),
    /// The request was refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// Sends `request` to the appliance behind the socket at `path` and waits for its reply, at most as long as `timeout`.
///
/// # Errors
/// See [`AskError`]; a [`Reply::Refusal`] is one too.
pub fn ask(path: &Path, request: &Request, timeout: Duration) -> Result<Reply, AskError> {
    let own = OwnSocket::beside(path).map_err(|error| named(path, timeout, error))?;
    let bytes = exchange(&own.socket, path, request, timeout).map_err(|error| named(path, timeout, error))?;
    match serde_json::from_slice(&bytes)? {
        Reply::Refusal(refusal) => Err(AskError::Refused(refusal.error)),
        reply => Ok(reply),
    }
}

fn exchange(socket: &UnixDatagram, path: &Path, request: &Request, timeout: Duration) -> io::Result<Vec<u8>> {
    // A timeout of zero would be none at all.
    let timeout = Some(timeout.max(Duration::from_millis(1)));
    socket.set_read_timeout(timeout)?;
    socket.set_write_timeout(timeout)?;
    // Connected, the socket takes datagrams from nobody else.
    socket.connect(path)?;
    socket.send(&serde_json::to_vec(request)?)?;
    let mut buffer = vec![0; REPLY_MAX];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn named(path: &Path, waited: Duration, source: io::Error) -> AskError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning(path),
        io::ErrorKind::PermissionDenied => AskError::Forbidden(path),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AskError::Silent { path, waited },
        _ => AskError::System { path, source },
    }
}

/// The socket that the reply comes to. It needs a name to be answered at, and has it beside the appliance's: whoever may
/// ask may write there, and the appliance sees that directory whatever namespaces it runs in.
struct OwnSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl OwnSocket {
    fn beside(path: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut own = path.as_os_str().to_owned();
        own.push(format!(".{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let path = PathBuf::from(own);
        // Left behind by a process that had our number and was killed.
        let _ = fs::remove_file(&path);
        Ok(Self { socket: UnixDatagram::bind(&path)?, path })
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
