//! PTP as pure functions of bytes and times (IEEE 1588-2019): messages and TLVs, data sets, the best master clock algorithm,
//! ports and the instance that has them, management.
//!
//! Nothing here reads a clock, opens a socket or draws a random number.
#![forbid(unsafe_code)]

mod acceptable;
mod address;
mod bmca;
mod data_sets;
mod foreign_masters;
mod fsm;
mod grandmaster;
mod identity;
mod instance;
mod management;
mod measured;
mod message;
mod ntp_carrier;
mod observer;
mod octets;
mod options;
mod outcome;
mod port;
mod responder;
mod suspicion;
mod tlv;

pub use acceptable::{AcceptableMaster, AcceptableMasters};
pub use address::{Address, Destination, MessageClass, PortKey, Transport};
pub use bmca::{ComparisonSet, Decision, Relation, compare, compare_alternate, decide};
pub use data_sets::{CurrentDs, DefaultDs, DelayMechanism, ParentDs, PortDs, PortState, Roles, TimePropertiesDs};
pub use foreign_masters::{Announced, ForeignMaster, ForeignMasters, Heard, MAX_FOREIGN_MASTERS};
pub use fsm::{PortEvent, fsm};
pub use grandmaster::{ClockState, LeapState, Profile, TimeBasis, clock_state};
pub use identity::{ClockIdentity, IdentityError, PortIdentity};
pub use instance::{Answer, Context, Instance, MAX_ANSWER_LEN, Transmit};
pub use management::{
    Action, ClockDescription, CurrentDataSet, Data, DefaultDataSet, GrandmasterSettingsNp, Management, ManagementError,
    ManagementErrorStatus, ManagementId, ManagementTlv, ParentDataSet, PortDataSet, PortPropertiesNp, PortStatsNp,
    TimeStatusNp, Timestamping,
};
pub use measured::{MasterClaims, Measured, MeasuredReading};
pub use message::{
    Announce, Body, ClockAccuracy, ClockClass, ClockQuality, Correction, Flags, HEADER_LEN, Header, MAX_MESSAGE_LEN,
    Message, MessageType, ParseError, SdoId, TimeSource, Timestamp,
};
pub use ntp_carrier::{CarriedNtp, NTP_DOMAIN, NTP_PREFIX_LEN, NotCarried, NtpCarrier};
pub use observer::{Observed, Observer, ObserverOptions};
pub use octets::{Text, TooLong};
pub use options::{ArbitraryTimescale, Bmca, InstanceOptions, MAX_LOG_INTERVAL, MIN_LOG_INTERVAL, PortOptions};
pub use outcome::{IgnoreReason, PortCounts, Received};
pub use responder::{DELAY_RESP_LEN, NoAnswer, Responder, Responders};
pub use suspicion::{Suspicion, suspicion};
pub use tlv::{
    AlternateTimeOffset, CancelUnicast, Content, FollowUpInformation, GrantUnicast, OrganizationExtension, PathTrace,
    RequestUnicast, Tlv, TlvError, TlvType, TlvWriter, Tlvs,
};
