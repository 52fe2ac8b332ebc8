//! The control socket, the side of the appliance.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::{REPLY_MAX, REQUEST_MAX, Refusal, Reply, Request};

/// The control socket. Only its owner may write to it; its file goes with it.
#[derive(Debug)]
pub struct ControlSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A process answers there.
    #[error("{} belongs to a running process", .0.display())]
    InUse(PathBuf),
    /// Something else has the name.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot make the socket {}: {source}", path.display())]
    System {
        /// Where the socket was to be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What became of a look at the socket.
#[derive(Debug)]
pub enum Served {
    /// No request was waiting.
    Nothing,
    /// One request was answered.
    Answered,
    /// One request was read, and its sender cannot be reached.
    Unanswered(io::Error),
}

impl ControlSocket {
    /// Makes the socket at `path`, and the directory it is in where that is missing; both for their owner only. The socket
    /// of a process that is gone is replaced.
    ///
    /// # Errors
    /// A living process has the socket, something else has the name, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let system = |source| BindError::System { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            use std::os::unix::fs::DirBuilderExt;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(system)?;
        }
        refuse_living(path)?;
        // The file has its last permissions before it gets its name: nobody else can connect in between.
        let mut unnamed = path.as_os_str().to_owned();
        unnamed.push(format!(".new-{}", std::process::id()));
        let unnamed = PathBuf::from(unnamed);
        let _ = fs::remove_file(&unnamed);
        let socket = UnixDatagram::bind(&unnamed).map_err(system)?;
        let named = fs::set_permissions(&unnamed, Permissions::from_mode(0o600))
            .and_then(|()| socket.set_nonblocking(true))
            .and_then(|()| fs::rename(&unnamed, path));
        if let Err(source) = named {
            let _ = fs::remove_file(&unnamed);
            return Err(system(source));
        }
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers one request, if one is waiting; never waits. What is no request is answered with what is wrong with it.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub fn serve_once(&self, answer: impl FnOnce(Request) -> Reply) -> io::Result<Served> {
        let mut buffer = [0; REQUEST_MAX + 1];
        let (length, from) = match self.socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(Served::Nothing);
            }
            Err(error) => return Err(error),
        };
        let request = buffer.get(..length).filter(|request| request.len() <= REQUEST_MAX).unwrap_or_default();
        let reply = match serde_json::from_slice(request) {
            Ok(request) => answer(request),
            Err(error) => Reply::Refusal(Refusal { error: format!("not a request: {error}") }),
        };
        let sent = datagram(&reply).and_then(|reply| self.socket.send_to_addr(&reply, &from));
        Ok(sent.map_or_else(Served::Unanswered, |_| Served::Answered))
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn refuse_living(path: &Path) -> Result<(), BindError> {
    let system = |source| BindError::System { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixDatagram::unbound().and_then(|probe| probe.connect(path)) {
        Ok(()) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // A socket of another type, such as a stream, is somebody else's.
        Err(error) => Err(system(error)),
    }
}

/// The reply as one datagram.
fn datagram(reply: &Reply) -> io::Result<Vec<u8>> {
    let bytes = serde_json::to_vec(reply)?;
    if bytes.len() <= REPLY_MAX {
        return Ok(bytes);
    }
    let error = format!("the reply has {} bytes, more than the {REPLY_MAX} of a datagram", bytes.len());
    Ok(serde_json::to_vec(&Reply::Refusal(Refusal { error }))?)
}
