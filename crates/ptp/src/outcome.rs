//! What became of messages, and the counts of it.

use crate::message::{MessageType, ParseError};
use crate::tlv::TlvError;

/// What was made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It was taken.
    Accepted,
    /// It changed nothing, or nothing could be measured by it.
    Ignored(IgnoreReason),
}

impl From<Result<(), IgnoreReason>> for Received {
    fn from(result: Result<(), IgnoreReason>) -> Self {
        result.map_or_else(Self::Ignored, |()| Self::Accepted)
    }
}

/// Declares [`IgnoreReason`] with its names and its list from one table.
macro_rules! ignore_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a message was ignored, or not measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum IgnoreReason {
            $($(#[$doc])* $variant,)+
        }

        impl IgnoreReason {
            /// Every reason.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name it is counted under.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

ignore_reasons! {
    /// Fewer bytes than a header has, or than messageLength states.
    Truncated = "truncated",
    /// Not version 2 of PTP.
    WrongVersion = "wrong_version",
    /// A reserved type of message.
    UnknownMessageType = "unknown_message_type",
    /// messageLength is less than such a message has.
    TooShort = "too_short",
    /// A reserved management action.
    UnknownManagementAction = "unknown_management_action",
    /// A TLV that goes on after the end of the message.
    TlvPastEnd = "tlv_past_end",
    /// A TLV of an odd length.
    TlvOddLength = "tlv_odd_length",
    /// A TLV that has another length than its type.
    TlvWrongLength = "tlv_wrong_length",
    /// Another sdoId.
    WrongSdoId = "wrong_sdo_id",
    /// Another domain.
    WrongDomain = "wrong_domain",
    /// One of our own messages, come back.
    Reflected = "reflected",
    /// Somebody else speaks under our identity, or two masters under one.
    DuplicateIdentity = "duplicate_identity",
    /// The port is initializing, faulty or disabled.
    PortDown = "port_down",
    /// Of a port that only offers to become master (alternateMasterFlag, 17.3).
    AlternateMaster = "alternate_master",
    /// Announce on a port that never follows.
    MasterOnly = "master_only",
    /// The way from the grandmaster has 255 steps or more (9.3.2.5).
    TooManySteps = "too_many_steps",
    /// An Announce that has been here before: we are its grandmaster or in its path trace (16.2.3).
    Loop = "loop",
    /// A master that is not in the acceptable master table (17.5).
    NotAcceptable = "not_acceptable",
    /// No room to remember this foreign master: others are known better.
    ForeignMastersFull = "foreign_masters_full",
    /// Of a master that is not ours.
    NotOurMaster = "not_our_master",
    /// We follow nobody.
    NotFollowing = "not_following",
    /// A Delay_Resp or Pdelay_Resp to somebody else's request.
    ForAnother = "for_another",
    /// It answers nothing that was sent, or no longer.
    Unexpected = "unexpected",
    /// It came before.
    Duplicate = "duplicate",
    /// Delay_Req: those are answered by a responder, before they would come here.
    DelayRequest = "delay_request",
    /// Of the other delay mechanism.
    WrongDelayMechanism = "wrong_delay_mechanism",
    /// More questions of neighbours at once than are answered.
    TooManyRequests = "too_many_requests",
    /// Several neighbours answered one Pdelay_Req (11.4.4): the port is faulty for a while.
    SeveralNeighbours = "several_neighbours",
    /// The Follow_Up of a Sync did not come.
    FollowUpMissing = "follow_up_missing",
    /// The Sync of a Follow_Up did not come.
    SyncMissing = "sync_missing",
    /// The answer to a Delay_Req did not come.
    DelayRespMissing = "delay_resp_missing",
    /// The answer to a Pdelay_Req, or what follows it, did not come.
    PdelayRespMissing = "pdelay_resp_missing",
    /// Nobody knows when the message arrived.
    ReceiveStampLost = "receive_stamp_lost",
    /// Nobody knows when our message left.
    TransmitStampLost = "transmit_stamp_lost",
    /// A timestamp that is none, or a correction too big to be told.
    BadTimestamp = "bad_timestamp",
    /// Nothing can be measured against a master of an arbitrary timescale.
    ArbitraryTimescale = "arbitrary_timescale",
    /// On the way for less than no time, by more than the stamps' granularity.
    NegativeDelay = "negative_delay",
    /// On the way, there and back, for longer than a second.
    DelayTooLong = "delay_too_long",
    /// A Sync before the way was measured.
    DelayUnknown = "delay_unknown",
    /// Older than what was measured before.
    Stale = "stale",
    /// Signaling: nothing is negotiated here.
    NotNegotiated = "not_negotiated",
    /// Management for another clock or port.
    NotAddressed = "not_addressed",
    /// Management without a MANAGEMENT TLV at its head.
    NoManagementTlv = "no_management_tlv",
    /// Management from an address that has no access.
    ManagementDenied = "management_denied",
    /// Management while the answer to another waits to be sent.
    ManagementBusy = "management_busy",
}

impl From<ParseError> for IgnoreReason {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Truncated => Self::Truncated,
            ParseError::Version(_) => Self::WrongVersion,
            ParseError::MessageType(_) => Self::UnknownMessageType,
            ParseError::TooShort(_) => Self::TooShort,
            ParseError::ManagementAction(_) => Self::UnknownManagementAction,
            ParseError::Tlv(error) => error.into(),
        }
    }
}

impl From<TlvError> for IgnoreReason {
    fn from(error: TlvError) -> Self {
        match error {
            TlvError::PastEnd => Self::TlvPastEnd,
            TlvError::Odd(_) => Self::TlvOddLength,
            TlvError::Length(_) => Self::TlvWrongLength,
        }
    }
}

/// As many kinds of messages as four bits tell.
const KINDS: usize = 16;

/// What a port has counted since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortCounts {
    received: [u64; KINDS],
    sent: [u64; KINDS],
    /// Messages that were accepted.
    pub accepted: u64,
    /// Readings of a master's clock.
    pub measured: u64,
    /// Times that the master was no longer heard.
    pub announce_timeouts: u64,
    ignored: [u64; IgnoreReason::ALL.len()],
}

impl PortCounts {
    pub(crate) const NONE: Self = Self {
        received: [0; KINDS],
        sent: [0; KINDS],
        accepted: 0,
        measured: 0,
        announce_timeouts: 0,
        ignored: [0; IgnoreReason::ALL.len()],
    };

    /// Messages of this type that came for this domain, whatever became of them.
    #[must_use]
    pub fn received(&self, message_type: MessageType) -> u64 {
        self.received.get(usize::from(message_type.bits())).copied().unwrap_or_default()
    }

    /// Messages of this type that were sent.
    #[must_use]
    pub fn sent(&self, message_type: MessageType) -> u64 {
        self.sent.get(usize::from(message_type.bits())).copied().unwrap_or_default()
    }

    /// How often something was ignored, or not measured, for this reason.
    #[must_use]
    pub fn ignored(&self, reason: IgnoreReason) -> u64 {
        self.ignored.get(reason as usize).copied().unwrap_or_default()
    }

    /// Every count under its name, those that are zero included: `received_sync`, `sent_sync`, and the reasons.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let received = MessageType::ALL.into_iter().map(|kind| (received_name(kind), self.received(kind)));
        let sent = MessageType::ALL.into_iter().map(|kind| (sent_name(kind), self.sent(kind)));
        let others =
            [("accepted", self.accepted), ("measured", self.measured), ("announce_timeout", self.announce_timeouts)];
        let ignored = IgnoreReason::ALL.into_iter().map(|reason| (reason.name(), self.ignored(reason)));
        received.chain(sent).chain(others).chain(ignored)
    }

    pub(crate) fn receive(&mut self, message_type: MessageType) {
        self.received.get_mut(usize::from(message_type.bits())).into_iter().for_each(|count| *count += 1);
    }

    /// So many Delay_Req were answered elsewhere, or not.
    pub(crate) fn answered(&mut self, received: u64, sent: u64) {
        let delay_req = usize::from(MessageType::DelayReq.bits());
        let delay_resp = usize::from(MessageType::DelayResp.bits());
        self.received.get_mut(delay_req).into_iter().for_each(|count| *count += received);
        self.sent.get_mut(delay_resp).into_iter().for_each(|count| *count += sent);
    }

    pub(crate) fn send(&mut self, message_type: MessageType) {
        self.sent.get_mut(usize::from(message_type.bits())).into_iter().for_each(|count| *count += 1);
    }

    pub(crate) fn ignore(&mut self, reason: IgnoreReason) {
        self.ignored.get_mut(reason as usize).into_iter().for_each(|count| *count += 1);
    }
}

const fn received_name(message_type: MessageType) -> &'static str {
    match message_type {
        MessageType::Sync => "received_sync",
        MessageType::DelayReq => "received_delay_req",
        MessageType::PdelayReq => "received_pdelay_req",
        MessageType::PdelayResp => "received_pdelay_resp",
        MessageType::FollowUp => "received_follow_up",
        MessageType::DelayResp => "received_delay_resp",
        MessageType::PdelayRespFollowUp => "received_pdelay_resp_follow_up",
        MessageType::Announce => "received_announce",
        MessageType::Signaling => "received_signaling",
        MessageType::Management => "received_management",
    }
}

const fn sent_name(message_type: MessageType) -> &'static str {
    match message_type {
        MessageType::Sync => "sent_sync",
        MessageType::DelayReq => "sent_delay_req",
        MessageType::PdelayReq => "sent_pdelay_req",
        MessageType::PdelayResp => "sent_pdelay_resp",
        MessageType::FollowUp => "sent_follow_up",
        MessageType::DelayResp => "sent_delay_resp",
        MessageType::PdelayRespFollowUp => "sent_pdelay_resp_follow_up",
        MessageType::Announce => "sent_announce",
        MessageType::Signaling => "sent_signaling",
        MessageType::Management => "sent_management",
    }
}
