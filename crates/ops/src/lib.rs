//! What the operator sees of a running appliance: a control socket, and the documents that come out of it.
//!
//! The socket is a Unix datagram socket, so that one thread can serve it between packets: a request is one datagram of
//! JSON, its reply another. Nothing here runs on a worker's thread.
#![forbid(unsafe_code)]

mod ask;
mod control;
mod ptp;
mod rates;
mod socket;
mod sources;
mod status;

pub use ask::{AskError, ask};
pub use control::{ControlSocket, Served};
pub use ptp::{
    Ptp, PtpClockQuality, PtpCurrentDs, PtpDefaultDs, PtpForeignMaster, PtpInstance, PtpParentDs, PtpPortDs,
    PtpSummary, PtpTimePropertiesDs,
};
pub use rates::{RateMeter, Rates, Totals};
pub use socket::{BindError, OwnerSocket};
pub use sources::{SourceStatus, Sources};
pub use status::{
    ClockStatus, CorrectionStatus, FollowerStatus, LeapStatus, LinkState, PortStatus, Refusal, Reply, Request,
    ResidenceStatus, Status, TickModel, WorkerStatus,
};

/// The longest request in bytes; what is longer is refused.
pub const REQUEST_MAX: usize = 4096;

/// The longest reply in bytes: less than what Linux sends in one datagram where nobody has changed
/// `net.core.wmem_default` (212 992, its own bookkeeping included).
pub const REPLY_MAX: usize = 160 * 1024;
