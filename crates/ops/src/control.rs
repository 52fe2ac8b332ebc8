//! The control socket, the side of the appliance.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::{BindError, OwnerSocket, REPLY_MAX, REQUEST_MAX, Refusal, Reply, Request};

/// The control socket. Only its owner may write to it; its file goes with it.
#[derive(Debug)]
pub struct ControlSocket(OwnerSocket);

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
        OwnerSocket::bind(path).map(Self)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Answers one request, if one is waiting; never waits. What is no request is answered with what is wrong with it.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub fn serve_once(&self, answer: impl FnOnce(Request) -> Reply) -> io::Result<Served> {
        let mut buffer = [0; REQUEST_MAX + 1];
        let Some((length, from)) = self.0.receive(&mut buffer)? else { return Ok(Served::Nothing) };
        let request = buffer.get(..length).filter(|request| request.len() <= REQUEST_MAX).unwrap_or_default();
        let reply = match serde_json::from_slice(request) {
            Ok(request) => answer(request),
            Err(error) => Reply::Refusal(Refusal { error: format!("not a request: {error}") }),
        };
        let sent = datagram(&reply).and_then(|reply| self.0.send(&reply, &from));
        Ok(sent.map_or_else(Served::Unanswered, |()| Served::Answered))
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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
