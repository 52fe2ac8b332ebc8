//! The 48-byte header of every NTP message and what its fields mean (RFC 5905 §7.3).

use crate::mac::Key;
use core::fmt;
use core::net::Ipv4Addr;
use sidereal_time::{NtpShort, NtpTimestamp};

/// Length of the header in bytes: the shortest message there is.
pub const HEADER_LEN: usize = 48;

/// The warning of a leap second at the end of the current month (RFC 5905 §7.3, figure 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeapIndicator {
    /// No leap second is near.
    None,
    /// The last minute of the day has 61 seconds.
    Insert,
    /// The last minute of the day has 59 seconds.
    Delete,
    /// The clock is not synchronised.
    Unknown,
}

impl LeapIndicator {
    /// The indicator with these two bits; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unknown,
        }
    }

    /// Its two bits.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        self as u8
    }
}

/// What role a message plays (RFC 5905 §7.3, figure 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Reserved; version 1 had no mode field and sent zeros here.
    Reserved,
    /// A peer that asks and would be asked.
    SymmetricActive,
    /// The answer to it.
    SymmetricPassive,
    /// A request.
    Client,
    /// The answer to it.
    Server,
    /// Sent to a group, unasked.
    Broadcast,
    /// Control messages (RFC 9327).
    Control,
    /// Reserved for private use.
    Private,
}

impl Mode {
    /// The mode with these three bits; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b111 {
            0 => Self::Reserved,
            1 => Self::SymmetricActive,
            2 => Self::SymmetricPassive,
            3 => Self::Client,
            4 => Self::Server,
            5 => Self::Broadcast,
            6 => Self::Control,
            _ => Self::Private,
        }
    }

    /// Its three bits.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        self as u8
    }
}

/// A protocol version that is spoken here: 1 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u8);

impl Version {
    /// RFC 1059, without a mode field.
    pub const V1: Self = Self(1);
    /// RFC 1119.
    pub const V2: Self = Self(2);
    /// RFC 1305.
    pub const V3: Self = Self(3);
    /// RFC 5905.
    pub const V4: Self = Self(4);

    /// `number` as a version, where it is one that is spoken here.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if matches!(number, 1..=4) { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many servers lie between a clock and its primary reference: 1 is a primary server, 16 is unsynchronised. On the
/// wire 16 is sent as 0 (RFC 5905 §7.3, figure 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stratum(u8);

impl Stratum {
    /// A server with a reference clock of its own.
    pub const PRIMARY: Self = Self(1);
    /// A clock that follows nothing.
    pub const UNSYNCHRONISED: Self = Self(16);

    /// `number` as a stratum, where it is one: 1 to 16.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if matches!(number, 1..=16) { Some(Self(number)) } else { None }
    }

    /// Its number, 1 to 16.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// What a message with this byte says: 0 and anything above 16 are unsynchronised.
    #[must_use]
    pub const fn from_wire(byte: u8) -> Self {
        match Self::new(byte) {
            Some(stratum) => stratum,
            None => Self::UNSYNCHRONISED,
        }
    }

    /// The byte it is sent as.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        if self.0 == Self::UNSYNCHRONISED.0 { 0 } else { self.0 }
    }
}

impl fmt::Display for Stratum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a server follows: four ASCII characters at stratum 1, the IPv4 address or a hash of the IPv6 address of its source
/// above, a kiss code at stratum 0 (RFC 5905 §7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ReferenceId(pub [u8; 4]);

impl ReferenceId {
    /// Follows nothing.
    pub const NONE: Self = Self([0; 4]);

    /// `name` padded with zeros on its right: 1 to 4 printable ASCII characters, else `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut bytes = [0; 4];
        let target = bytes.get_mut(..name.len())?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        target.copy_from_slice(name.as_bytes());
        Some(Self(bytes))
    }

    /// The identifier of a source with this address.
    #[must_use]
    pub const fn from_ipv4(address: Ipv4Addr) -> Self {
        Self(address.octets())
    }

    /// The characters, where all are printable ASCII but for zeros at the end.
    #[must_use]
    pub fn as_name(&self) -> Option<&str> {
        let end = self.0.iter().rposition(|byte| *byte != 0)? + 1;
        let name = self.0.get(..end)?;
        if name.iter().all(u8::is_ascii_graphic) { core::str::from_utf8(name).ok() } else { None }
    }
}

/// As text where it could be text, else as an IPv4 address: which of the two it is, only the stratum tells.
impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_name() {
            Some(name) => name.fmt(f),
            None => Ipv4Addr::from(self.0).fmt(f),
        }
    }
}

/// What a server says of its clock in every reply (RFC 5905 §7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemVariables {
    /// Whether a leap second is near.
    pub leap: LeapIndicator,
    /// Distance from the primary reference.
    pub stratum: Stratum,
    /// The clock's resolution, as a power of two of a second.
    pub precision: i8,
    /// Round-trip delay to the primary reference.
    pub root_delay: NtpShort,
    /// Error bound against the primary reference, the delay aside.
    pub root_dispersion: NtpShort,
    /// What it follows.
    pub reference_id: ReferenceId,
    /// When it was last corrected.
    pub reference_time: NtpTimestamp,
}

impl SystemVariables {
    /// A clock that follows nothing; its dispersion is MAXDISP, 16 s (RFC 5905 §7.2).
    pub const UNSYNCHRONISED: Self = Self {
        leap: LeapIndicator::Unknown,
        stratum: Stratum::UNSYNCHRONISED,
        precision: -20,
        root_delay: NtpShort::from_bits(0),
        root_dispersion: NtpShort::from_bits(16 << 16),
        reference_id: ReferenceId::NONE,
        reference_time: NtpTimestamp::UNKNOWN,
    };

    /// Whether the clock follows something: only then are its times worth anything.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        self.leap != LeapIndicator::Unknown && self.stratum != Stratum::UNSYNCHRONISED
    }
}

/// The first 24 bytes of every reply, prepared once per burst: all but version, mode and poll, which the request decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader([u64; 3]);

/// Where the version and the poll exponent lie within the first eight bytes: what a reply takes over from its request.
const VERSION_AND_POLL: u64 = u64::from_ne_bytes([0b0011_1000, 0, 0xff, 0, 0, 0, 0, 0]);

impl ReplyHeader {
    /// `system` as it is sent. An unsynchronised clock is sent with leap indicator 3, stratum 0 and no reference
    /// identifier, which at stratum 0 would be read as a kiss code.
    #[must_use]
    pub const fn new(system: &SystemVariables) -> Self {
        let unsynchronised = system.stratum.0 == Stratum::UNSYNCHRONISED.0;
        let leap = if unsynchronised { LeapIndicator::Unknown } else { system.leap };
        let id = if unsynchronised { ReferenceId::NONE } else { system.reference_id };
        let [d0, d1, d2, d3] = system.root_delay.to_bits().to_be_bytes();
        let [e0, e1, e2, e3] = system.root_dispersion.to_bits().to_be_bytes();
        let [i0, i1, i2, i3] = id.0;
        let precision = system.precision.cast_unsigned();
        Self([
            u64::from_ne_bytes([leap.to_bits() << 6, system.stratum.to_wire(), 0, precision, d0, d1, d2, d3]),
            u64::from_ne_bytes([e0, e1, e2, e3, i0, i1, i2, i3]),
            u64::from_ne_bytes(system.reference_time.to_be_bytes()),
        ])
    }

    /// The header of a kiss-o'-death packet with `code` (RFC 5905 §7.4): leap indicator 3, stratum 0, and of the clock
    /// itself nothing but its precision.
    #[must_use]
    pub(crate) const fn kiss(self, code: ReferenceId) -> Self {
        let [_, _, _, precision, ..] = self.0[0].to_ne_bytes();
        let [c0, c1, c2, c3] = code.0;
        Self([
            u64::from_ne_bytes([LeapIndicator::Unknown.to_bits() << 6, 0, 0, precision, 0, 0, 0, 0]),
            u64::from_ne_bytes([0, 0, 0, 0, c0, c1, c2, c3]),
            0,
        ])
    }

    /// Writes the reply over the header of its request, whose version and poll exponent stay, as a message of `mode`.
    #[inline]
    pub(crate) fn write_over(&self, header: &mut [u8; HEADER_LEN], mode: Mode, times: &Times) {
        if let ([first, second, third, origin, receive, transmit], []) = header.as_chunks_mut::<8>() {
            let mode = u64::from_ne_bytes([mode.to_bits(), 0, 0, 0, 0, 0, 0, 0]);
            let kept = u64::from_ne_bytes(*first) & VERSION_AND_POLL;
            *first = (self.0[0] | kept | mode).to_ne_bytes();
            *second = self.0[1].to_ne_bytes();
            *third = self.0[2].to_ne_bytes();
            *origin = times.origin.to_be_bytes();
            *receive = times.receive.to_be_bytes();
            *transmit = times.transmit.to_be_bytes();
        }
    }

    /// Writes a message that nobody asked for, with the MAC of `key` if there is one. Returns its length, or `None` where
    /// `buffer` is too short.
    pub(crate) fn write_unasked(
        &self,
        version: Version,
        mode: Mode,
        poll: i8,
        times: &Times,
        key: Option<&Key>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let header = buffer.first_chunk_mut::<HEADER_LEN>()?;
        [header[0], header[2]] = [version.number() << 3, poll.cast_unsigned()];
        self.write_over(header, mode, times);
        key.map_or(Some(HEADER_LEN), |key| key.append(version, buffer, HEADER_LEN))
    }
}

/// The three timestamps that are not of the sender's clock alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) origin: NtpTimestamp,
    pub(crate) receive: NtpTimestamp,
    pub(crate) transmit: NtpTimestamp,
}

/// A header, read in place: every value of every byte has a meaning, so that reading never fails.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Header<'a> {
    /// The header at the start of `message`, unless that is shorter.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Option<Self> {
        message.first_chunk().map(Self)
    }

    /// The header that `bytes` is.
    #[inline]
    pub(crate) const fn of_array(bytes: &'a [u8; HEADER_LEN]) -> Self {
        Self(bytes)
    }

    /// The leap indicator.
    #[must_use]
    pub const fn leap(self) -> LeapIndicator {
        LeapIndicator::from_bits(self.0[0] >> 6)
    }

    /// The number of the version, 0 to 7.
    #[must_use]
    pub const fn version_number(self) -> u8 {
        (self.0[0] >> 3) & 0b111
    }

    /// The version, if it is spoken here.
    #[must_use]
    pub const fn version(self) -> Option<Version> {
        Version::new(self.version_number())
    }

    /// The mode.
    #[must_use]
    pub const fn mode(self) -> Mode {
        Mode::from_bits(self.0[0])
    }

    /// The stratum as sent: 0 may mean a kiss code.
    #[must_use]
    pub const fn stratum_byte(self) -> u8 {
        self.0[1]
    }

    /// The poll exponent, as a power of two of a second.
    #[must_use]
    pub const fn poll(self) -> i8 {
        self.0[2].cast_signed()
    }

    /// The precision, as a power of two of a second.
    #[must_use]
    pub const fn precision(self) -> i8 {
        self.0[3].cast_signed()
    }

    /// The round-trip delay to the primary reference.
    #[must_use]
    pub fn root_delay(self) -> NtpShort {
        NtpShort::from_bits(u32::from_be_bytes(self.bytes::<4>(4)))
    }

    /// The error bound against the primary reference.
    #[must_use]
    pub fn root_dispersion(self) -> NtpShort {
        NtpShort::from_bits(u32::from_be_bytes(self.bytes::<4>(8)))
    }

    /// What the sender follows, or its kiss code.
    #[must_use]
    pub fn reference_id(self) -> ReferenceId {
        ReferenceId(self.bytes::<4>(12))
    }

    /// When the sender's clock was last corrected.
    #[must_use]
    pub fn reference_time(self) -> NtpTimestamp {
        NtpTimestamp::from_be_bytes(self.bytes::<8>(16))
    }

    /// Origin timestamp: in a reply, the transmit timestamp of the request.
    #[must_use]
    pub fn origin(self) -> NtpTimestamp {
        NtpTimestamp::from_be_bytes(self.bytes::<8>(24))
    }

    /// Receive timestamp: in a reply, when the request arrived.
    #[must_use]
    pub fn receive(self) -> NtpTimestamp {
        NtpTimestamp::from_be_bytes(self.bytes::<8>(32))
    }

    /// Transmit timestamp: when this message left, or one before it in interleaved mode; of a request, any nonce.
    #[must_use]
    pub fn transmit(self) -> NtpTimestamp {
        NtpTimestamp::from_be_bytes(self.bytes::<8>(40))
    }

    /// What the sender says of its clock.
    #[must_use]
    pub fn system(self) -> SystemVariables {
        SystemVariables {
            leap: self.leap(),
            stratum: Stratum::from_wire(self.stratum_byte()),
            precision: self.precision(),
            root_delay: self.root_delay(),
            root_dispersion: self.root_dispersion(),
            reference_id: self.reference_id(),
            reference_time: self.reference_time(),
        }
    }

    /// `N` bytes at `offset`; both are constants of the accessors above and lie within the header.
    #[inline]
    fn bytes<const N: usize>(self, offset: usize) -> [u8; N] {
        self.0.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_field_comes_back() {
        for bits in 0..=u8::MAX {
            assert_eq!(LeapIndicator::from_bits(bits).to_bits(), bits & 3);
            assert_eq!(Mode::from_bits(bits).to_bits(), bits & 7);
            assert_eq!(Version::new(bits).map(Version::number), (1..=4).contains(&bits).then_some(bits));
            assert_eq!(Stratum::new(bits).map(Stratum::number), (1..=16).contains(&bits).then_some(bits));
            assert_eq!(Stratum::from_wire(bits).to_wire(), if bits < 16 { bits } else { 0 });
        }
    }

    #[test]
    fn reference_identifiers_are_text_or_addresses() {
        for (name, bytes) in [("GPS", *b"GPS\0"), ("LOCL", *b"LOCL"), ("X", *b"X\0\0\0")] {
            let id = ReferenceId::from_name(name).unwrap();
            assert_eq!(id, ReferenceId(bytes));
            assert_eq!((id.as_name(), id.to_string()), (Some(name), name.to_owned()));
        }
        for wrong in ["", "LOCAL", "a b", "caf\u{e9}"] {
            assert_eq!(ReferenceId::from_name(wrong), None, "{wrong}");
        }
        for address in ["10.77.0.1", "0.0.0.0", "192.0.2.65"] {
            assert_eq!(ReferenceId::from_ipv4(address.parse().unwrap()).to_string(), address);
        }
        assert_eq!(ReferenceId(*b"A\0B\0").as_name(), None);
    }
}
