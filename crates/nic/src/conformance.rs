//! What every backend must do, as a suite that runs on a backend.
//!
//! A backend's tests join one of its queues to a peer (the other end of a cable, a socket, a ring), describe both as a
//! [`Harness`], and assert that [`run`]'s report has passed. The suite waits a bounded time for whatever must come, and
//! passes over packets that are not its own: on a network there are others.
//!
//! ```
//! # fn test<H: sidereal_nic::conformance::Harness>(mut harness: H) {
//! let report = sidereal_nic::conformance::run(&mut harness);
//! assert!(report.passed(), "{report}");
//! # }
//! ```

mod checks;
mod rig;

use crate::{Capabilities, Flow, RxQueue, TxQueue};
use core::fmt;
use core::time::Duration;

/// A queue under test and the peer it is linked to.
pub trait Harness {
    /// The receiving half under test.
    type Rx: RxQueue;
    /// The sending half under test.
    type Tx: TxQueue<<Self::Rx as RxQueue>::Packet>;

    /// The queue.
    fn queue(&mut self) -> (&mut Self::Rx, &mut Self::Tx);

    /// What its port claims to be able to do.
    fn capabilities(&self) -> Capabilities;

    /// What the peer's packets are.
    fn kind(&self) -> Kind;

    /// Lets the peer send a packet to the queue: a frame that begins with the header of [`Self::kind`], or the payload of a
    /// datagram. Returns false where the peer could not send it.
    fn send(&mut self, packet: &[u8]) -> bool;

    /// Copies the next packet that has come to the peer into `packet`, which is long enough for any the suite has sent, and
    /// returns its length; `None` if none has come. Packets of others may be among them. Need not wait.
    fn receive(&mut self, packet: &mut [u8]) -> Option<usize>;

    /// How many packets the queue can hold at a time, all its rings and pools together: the suite handles many times more.
    fn pool(&self) -> usize;

    /// Pulls the cable, or plugs it in again. Returns false where that is impossible; then nothing is tested without a link.
    fn set_link(&mut self, up: bool) -> bool {
        let _ = up;
        false
    }

    /// How long is waited for what must come before a check fails.
    fn patience(&self) -> Duration {
        Duration::from_secs(3)
    }

    /// Whether TX stamps get lost without any fault of the queue, more than half of them.
    fn loses_stamps(&self) -> bool {
        false
    }
}

/// What a harness's packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Frames that begin with this Ethernet header: destination, source, EtherType. Its EtherType should be one that nobody
    /// on the link understands, such as 0x88b5 (IEEE 802 local experimental).
    Frames {
        /// The header of frames to the queue. The suite's replies have the addresses exchanged.
        header: [u8; 14],
    },
    /// Datagrams.
    Datagrams {
        /// The addresses and ports of what the peer sends.
        flow: Flow,
    },
}

/// What the suite found.
#[derive(Debug)]
pub struct Report {
    /// Each check by its name, in the order in which they ran.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The backend does what it must.
    Passed,
    /// It does not, and this is what it did.
    Failed(String),
    /// This backend or this harness has nothing to check here, for this reason.
    NotApplicable(&'static str),
}

/// Runs the whole suite. A check that fails does not keep the others from running.
pub fn run<H: Harness>(harness: &mut H) -> Report {
    let mut rig = rig::Rig::new(harness);
    let mut outcomes = Vec::new();
    for (name, check) in checks::all() {
        let result = rig.settle().and_then(|()| check(&mut rig)).and_then(|()| rig.settle());
        outcomes.push((name, result.err().unwrap_or(Outcome::Passed)));
    }
    Report { outcomes }
}

impl Report {
    /// Whether no check failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.outcomes {
            match outcome {
                Outcome::Passed => writeln!(f, "passed  {name}")?,
                Outcome::Failed(found) => writeln!(f, "FAILED  {name}: {found}")?,
                Outcome::NotApplicable(reason) => writeln!(f, "skipped {name}: {reason}")?,
            }
        }
        Ok(())
    }
}
