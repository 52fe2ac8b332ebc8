//! What became of a request: the kinds of replies and the reasons for dropping, each with a name to count it under.

use crate::message::ReferenceId;
use sidereal_time::TxToken;

/// What [`crate::Server::answer`] did with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The reply stands in the buffer.
    Reply {
        /// Its length in bytes, never more than the request's.
        len: usize,
        /// What it is.
        kind: ReplyKind,
        /// Where the time at which the reply leaves is wanted: comes back through [`crate::Server::transmitted`].
        token: Option<TxToken>,
    },
    /// Nothing is to be sent.
    Drop(DropReason),
}

/// A kiss code that the server sends (RFC 5905 §7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KissCode {
    /// DENY: access is denied by policy, for good.
    Deny,
    /// RSTR: access is restricted by policy.
    Restrict,
    /// RATE: too many requests; the client must ask more rarely.
    Rate,
}

impl KissCode {
    /// Every code.
    pub const ALL: [Self; 3] = [Self::Deny, Self::Restrict, Self::Rate];

    /// As it is sent, in place of the reference identifier.
    #[must_use]
    pub const fn reference_id(self) -> ReferenceId {
        ReferenceId(match self {
            Self::Deny => *b"DENY",
            Self::Restrict => *b"RSTR",
            Self::Rate => *b"RATE",
        })
    }

    /// The code that is sent as `id`.
    #[must_use]
    pub fn from_reference_id(id: ReferenceId) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.reference_id() == id)
    }
}

/// What a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// A reply of the basic mode.
    Basic,
    /// The same with a MAC.
    Authenticated,
    /// It carries the time at which the reply before it left (RFC 9769 §2).
    Interleaved,
    /// The same with a MAC.
    InterleavedAuthenticated,
    /// To a symmetric active peer, always with a MAC.
    Symmetric,
    /// A kiss-o'-death packet, with a MAC if the request had one.
    Kiss(KissCode),
}

impl ReplyKind {
    /// Every kind, in the order of [`Self::index`].
    pub const ALL: [Self; 8] = [
        Self::Basic,
        Self::Authenticated,
        Self::Interleaved,
        Self::InterleavedAuthenticated,
        Self::Symmetric,
        Self::Kiss(KissCode::Deny),
        Self::Kiss(KissCode::Restrict),
        Self::Kiss(KissCode::Rate),
    ];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Basic => 0,
            Self::Authenticated => 1,
            Self::Interleaved => 2,
            Self::InterleavedAuthenticated => 3,
            Self::Symmetric => 4,
            Self::Kiss(KissCode::Deny) => 5,
            Self::Kiss(KissCode::Restrict) => 6,
            Self::Kiss(KissCode::Rate) => 7,
        }
    }

    /// The name it is counted under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Authenticated => "authenticated",
            Self::Interleaved => "interleaved",
            Self::InterleavedAuthenticated => "interleaved_authenticated",
            Self::Symmetric => "symmetric",
            Self::Kiss(KissCode::Deny) => "kiss_deny",
            Self::Kiss(KissCode::Restrict) => "kiss_restrict",
            Self::Kiss(KissCode::Rate) => "kiss_rate",
        }
    }
}

/// Declares [`DropReason`] with its names and its list from one table.
macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a message was not answered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)+
        }

        impl DropReason {
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

drop_reasons! {
    /// Shorter than a header.
    TooShort = "ntp_too_short",
    /// Longer than [`crate::MAX_REQUEST_LEN`], or than the buffer it was received into.
    TooLong = "ntp_too_long",
    /// A version other than 1 to 4.
    UnknownVersion = "ntp_unknown_version",
    /// Mode 0 of a version that has modes.
    ReservedMode = "ntp_reserved_mode",
    /// Symmetric active without a key: only peers that can prove who they are are answered.
    SymmetricUnauthenticated = "ntp_symmetric_unauthenticated",
    /// Symmetric passive: an answer. Two servers are never played against each other.
    SymmetricPassive = "ntp_symmetric_passive",
    /// A server's answer.
    Response = "ntp_response",
    /// A broadcast.
    Broadcast = "ntp_broadcast",
    /// Mode 6, control messages.
    Control = "ntp_control",
    /// Mode 7, private use.
    Private = "ntp_private",
    /// An extension field that is too short, not a multiple of four, or longer than the message.
    ExtensionFieldLength = "ntp_extension_field_length",
    /// What follows the header or the last extension field has the length of neither a field nor a MAC.
    MacLength = "ntp_mac_length",
    /// A crypto-NAK: the peer could not verify us. Nobody asks with one.
    CryptoNak = "ntp_crypto_nak",
    /// A MAC with a key identifier that is not configured.
    UnknownKey = "ntp_unknown_key",
    /// A MAC that is not that of the message with that key.
    WrongMac = "ntp_wrong_mac",
    /// No MAC where the access table requires one.
    KeyRequired = "ntp_key_required",
    /// The access table says so.
    Access = "ntp_access",
    /// More than the rate limit allows.
    RateLimited = "ntp_rate_limited",
}

impl DropReason {
    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
