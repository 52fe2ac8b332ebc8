//! What became of a message for an association, and the counts of it.

use super::measure::RoundTrip;
use crate::client::ReplyError;
use crate::extension::BodyError;
use crate::mac::MacFault;
use crate::message::SystemVariables;
use crate::outcome::KissCode;

/// What [`super::Association::receive`] made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It changed nothing, or nothing could be measured by it.
    Ignored(IgnoreReason),
    /// It is valid. What it measured, now or when a stamp comes, is told by [`super::Association::poll_measured`].
    Accepted,
    /// The other side, proven by our nonce and the MAC of our key if there is one, says that it is not to be asked, or not
    /// so often (RFC 5905 §7.4).
    Kiss(KissCode),
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
            /// Every reason, in the order of [`Self::index`].
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
    /// Shorter than a header.
    TooShort = "too_short",
    /// An extension field that is too short, not a multiple of four, or longer than the message.
    ExtensionFieldLength = "extension_field_length",
    /// What follows the header or the last extension field has the length of neither a field nor a MAC.
    MacLength = "mac_length",
    /// Not the version that is spoken here.
    WrongVersion = "wrong_version",
    /// A mode that this role does not listen to.
    WrongMode = "wrong_mode",
    /// Nothing was asked.
    Unasked = "unasked",
    /// It answers nothing that was sent: forged, or of long ago.
    BogusOrigin = "bogus_origin",
    /// A peer that has not heard of us (yet, or any more).
    ZeroOrigin = "zero_origin",
    /// A second answer to the same message.
    Duplicate = "duplicate",
    /// An answer to the message before the last one, overtaken by that.
    Reordered = "reordered",
    /// A message of a peer or broadcast server that is older than one that came before.
    Replayed = "replayed",
    /// One of our own messages, sent back.
    Reflected = "reflected",
    /// A peer's message that crossed ours: which of its times belong together cannot be told.
    Crossed = "crossed",
    /// No MAC where one is required.
    MissingMac = "missing_mac",
    /// A MAC of another key.
    WrongKey = "wrong_key",
    /// A MAC that is not that of the message.
    WrongMac = "wrong_mac",
    /// The other side could not verify us, or somebody says so: anybody can.
    CryptoNak = "crypto_nak",
    /// A kiss code that says nothing to us.
    UnknownKiss = "unknown_kiss",
    /// A receive or transmit timestamp that says "unknown".
    ZeroTimestamp = "zero_timestamp",
    /// It left before that arrived which it answers.
    TransmitBeforeReceive = "transmit_before_receive",
    /// It was on the way for less than no time, by more than both clocks' precision.
    NegativeDelay = "negative_delay",
    /// It was on the way for longer than the configured maximum.
    DelayTooLong = "delay_too_long",
    /// Likewise, compared with the shortest delay of late.
    DelayRatio = "delay_ratio",
    /// Nobody knows when our message left.
    TransmitStampLost = "transmit_stamp_lost",
    /// The stamp of our message did not come in time.
    TransmitStampLate = "transmit_stamp_late",
    /// An interleaved measurement rests on two messages, and by one of them the clock was not synchronised.
    Unsynchronised = "unsynchronised",
    /// Likewise, and the clock was set between them.
    Stepped = "stepped",
    /// A broadcast of a server whose delay has not been measured.
    Uncalibrated = "uncalibrated",
    /// A broadcast that is further from the last measurement than any clock drifts: its server is asked again.
    Jumped = "jumped",
    /// The server has told us to stop.
    Denied = "denied",
}

impl IgnoreReason {
    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl From<BodyError> for IgnoreReason {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooShort => Self::TooShort,
            BodyError::FieldLength => Self::ExtensionFieldLength,
            BodyError::MacLength => Self::MacLength,
        }
    }
}

impl From<MacFault> for IgnoreReason {
    fn from(fault: MacFault) -> Self {
        match fault {
            MacFault::CryptoNak => Self::CryptoNak,
            MacFault::UnknownKey => Self::WrongKey,
            MacFault::Wrong => Self::WrongMac,
        }
    }
}

impl From<ReplyError> for Received {
    fn from(error: ReplyError) -> Self {
        Self::Ignored(match error {
            ReplyError::Kiss(code) => return Self::Kiss(code),
            ReplyError::UnknownKiss(_) => IgnoreReason::UnknownKiss,
            ReplyError::Body(error) => error.into(),
            ReplyError::Version(_) => IgnoreReason::WrongVersion,
            ReplyError::Mode(_) => IgnoreReason::WrongMode,
            ReplyError::Bogus => IgnoreReason::BogusOrigin,
            ReplyError::Unauthenticated => IgnoreReason::MissingMac,
            ReplyError::Mac(fault) => fault.into(),
            ReplyError::NoTime => IgnoreReason::ZeroTimestamp,
        })
    }
}

impl From<IgnoreReason> for Received {
    fn from(reason: IgnoreReason) -> Self {
        Self::Ignored(reason)
    }
}

/// A message that passed all checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Valid {
    /// What its sender says of its clock.
    pub(super) server: SystemVariables,
    /// The round trip that it completes, or why there is none.
    pub(super) trip: Result<Option<RoundTrip>, IgnoreReason>,
}

/// What an association has counted since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssociationCounts {
    /// Messages sent.
    pub sent: u64,
    /// Messages received, whatever became of them.
    pub received: u64,
    /// Those that were valid.
    pub accepted: u64,
    /// Readings of the other clock, in either mode.
    pub measured: u64,
    /// Those of interleaved mode.
    pub measured_interleaved: u64,
    /// Those that were corrected by what transparent clocks say (RFC 10030 §3).
    pub measured_corrected: u64,
    /// Those that were not, because that cannot be true.
    pub corrections_refused: u64,
    /// Kiss codes that were heeded.
    pub kisses: u64,
    ignored: [u64; IgnoreReason::ALL.len()],
}

impl AssociationCounts {
    pub(super) const NONE: Self = Self {
        sent: 0,
        received: 0,
        accepted: 0,
        measured: 0,
        measured_interleaved: 0,
        measured_corrected: 0,
        corrections_refused: 0,
        kisses: 0,
        ignored: [0; IgnoreReason::ALL.len()],
    };

    /// How often something was ignored, or not measured, for this reason.
    #[must_use]
    pub fn ignored(&self, reason: IgnoreReason) -> u64 {
        self.ignored.get(reason.index()).copied().unwrap_or_default()
    }

    /// Every count under its name, those of reasons that never occurred included.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        [
            ("sent", self.sent),
            ("received", self.received),
            ("accepted", self.accepted),
            ("measured", self.measured),
            ("measured_interleaved", self.measured_interleaved),
            ("measured_corrected", self.measured_corrected),
            ("corrections_refused", self.corrections_refused),
            ("kisses", self.kisses),
        ]
        .into_iter()
        .chain(IgnoreReason::ALL.into_iter().map(|reason| (reason.name(), self.ignored(reason))))
    }

    pub(super) fn ignore(&mut self, reason: IgnoreReason) {
        if let Some(count) = self.ignored.get_mut(reason.index()) {
            *count += 1;
        }
    }
}
