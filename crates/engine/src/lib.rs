//! The control plane as one sans-IO machine: events in, actions out, time only as an argument. The same [`Engine`] runs in
//! the daemon, in `single` mode and in the simulator.
#![forbid(unsafe_code)]

mod arming;
mod broadcast;
mod clocks;
mod config;
mod doubt;
mod engine;
mod event;
mod follow;
mod identity;
mod leap;
mod pool;
mod ptp;
mod publication;
mod reference;
mod remote;
mod report;
mod resolution;
mod saved;
mod selection;
mod smear;
mod snapshot;
mod source;
mod sources;
mod status;
mod surroundings;
mod wire;

pub use arming::{Arming, arm};
pub use config::{
    Address, BroadcastOptions, ClockOptions, ClockScale, EngineConfig, MAX_BROADCASTS, MAX_CLOCKS, MAX_SOURCES,
    Reference, ReferenceKind, SourceKind, SourceOptions, Steer, SystemReference,
};
pub use engine::Engine;
pub use event::{Action, ClockReading, Endpoint, Event, MAX_DATAGRAM_LEN, Outgoing, PacketId, PtpOutgoing};
pub use report::{Report, Severity};
pub use saved::{Saved, SavedFault};
pub use selection::{
    AuthenticationPolicy, Candidate, Flags, NoSelection, Reason, Selection, SelectionOptions, Selector, SourceState,
    Verdict,
};
pub use smear::{Smear, SmearKind, SmearOptions, SmearedClock, SmearedClocks};
pub use snapshot::{MAX_NIC_CLOCKS, NicClocks, SNAPSHOT_WORDS, Snapshot};
pub use source::SourceId;
pub use status::{ClockStatus, FollowingStatus, PtpStatus, SourceStatus, Status, Synchronisation};
