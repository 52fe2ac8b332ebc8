//! NTP as pure functions of bytes and times: messages, extension fields, message authentication, the server with its
//! interleaved mode, rate limit and access table, the client's side of one exchange, and the associations that measure
//! servers and peers by it.
//!
//! Nothing here reads a clock, opens a socket or draws a random number. [`Server`] allocates when it is made and never
//! again; [`Policy`] is built by the control plane and only read here.
#![forbid(unsafe_code)]

mod access;
mod association;
pub mod client;
mod cmac;
mod extension;
mod hash;
mod interleaved;
mod keys;
mod mac;
mod message;
mod outcome;
mod over_ptp;
mod peers;
mod rate;
mod server;

pub use access::{AccessAction, AccessRule, AccessTable};
pub use association::{
    Association, AssociationCounts, AssociationOptions, Broadcaster, BroadcasterOptions, Context, IgnoreReason,
    MAX_MESSAGE_LEN, Measured, Poll, PollAdvice, Received, Role, Transmit,
};
pub use extension::{Body, BodyError, ExtensionField, ExtensionFields};
pub use keys::{KeyFileError, KeyFileProblem, KeyTable};
pub use mac::{Algorithm, Key, KeyError, KeyId, MAX_MAC_LEN, MacFault};
pub use message::{
    HEADER_LEN, Header, LeapIndicator, Mode, ReferenceId, ReplyHeader, Stratum, SystemVariables, Version,
};
pub use outcome::{Answer, DropReason, KissCode, ReplyKind};
pub use over_ptp::Carriage;
pub use peers::{MAX_PEERS, PeerTable};
pub use rate::{RateLimit, RateLimitError, RateLimitOptions};
pub use server::{Arrival, MAX_REQUEST_LEN, Moment, Policy, Server, ServerLimits};
