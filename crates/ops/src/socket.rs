//! Unix datagram sockets that only the owner of the program may write to.

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, fchmod};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

/// A Unix datagram socket with a name in the file system. Only its owner may write to it; nothing here waits. Its file goes
/// with it.
#[derive(Debug)]
pub struct OwnerSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

/// Why there is no such socket.
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

impl OwnerSocket {
    /// Makes the socket at `path`, and the directory it is in where that is missing; both for their owner only. The socket
    /// of a process that is gone is replaced.
    ///
    /// # Errors
    /// A living process has the socket, something else has the name, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let system = |source| BindError::System { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(system)?;
        }
        remove_dead(path)?;
        let socket = named(path).map_err(|errno| system(errno.into()))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Receives a datagram, if one is waiting: its beginning into `buffer`. Says how much of it there is, and who sent it.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        match self.socket.recv_from(buffer) {
            Ok(received) => Ok(Some(received)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// Whoever is to have it is gone or has no name, or does not read.
    pub fn send(&self, datagram: &[u8], to: &SocketAddr) -> io::Result<()> {
        self.socket.send_to_addr(datagram, to).map(drop)
    }
}

impl AsFd for OwnerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for OwnerSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A socket that has its last permissions before it has its name: nobody else can write to it in between. It is bound to
/// the very name that it will have, because some clients answer to that one.
fn named(path: &Path) -> nix::Result<UnixDatagram> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

/// Removes the socket of a process that is gone.
fn remove_dead(path: &Path) -> Result<(), BindError> {
    let system = |source| BindError::System { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixDatagram::unbound().and_then(|probe| probe.connect(path)) {
        Ok(()) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(system),
        // A socket of another type, such as a stream, is somebody else's.
        Err(error) => Err(system(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_may_answer_to_whom_they_hear() {
        let directory = tempfile::tempdir().unwrap();
        let socket = OwnerSocket::bind(&directory.path().join("socket")).unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        client.send_to(b"first", socket.path()).unwrap();
        let mut buffer = [0; 16];
        for message in [b"first", b"again"] {
            let (len, from) = socket.receive(&mut buffer).unwrap().unwrap();
            assert_eq!(buffer.get(..len), Some(&message[..]));
            socket.send(b"answer", &from).unwrap();
            let (_, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(from.as_pathname(), Some(socket.path()));
            client.send_to_addr(b"again", &from).unwrap();
        }
    }
}
