//! NTP messages carried by PTP event messages, so that NICs which stamp PTP alone stamp them, and transparent clocks correct
//! them (RFC 10030 §2, which was draft-ietf-ntp-over-ptp).
//!
//! ```text
//!  0                34                44     48     51      54  56
//! +-----------------+-----------------+------+------+-------+---+-------------+- - - - -+
//! | header, unicast | originTimestamp | TLV  | IANA | 0x1   | 0 | NTP message | PAD TLV |
//! +-----------------+-----------------+------+------+-------+---+-------------+- - - - -+
//! ```
//! What is sent is a Delay_Req of version 2.0 with an `ORGANIZATION_EXTENSION`, which every filter of a NIC knows; an answer is
//! of the type, the version and the TLV that its question has. What is taken is that or a Sync, of version 2.0 or 2.1, and an
//! `ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE`. Over IPv6 nothing is appended (IEEE 1588-2019 Annex D): others take no message
//! that is longer than it says, and what they append is passed over.
//!
//! The sections are those of draft-ietf-ntp-over-ptp, of which RFC 10030 is the last revision. What is sent in which place is
//! by its text; the subtype of NTP, and that version 2.0 of PTP has one TLV type and version 2.1 may have the other, are as the
//! first implementation of the final form has them.

use core::ops::Range;

use crate::identity::PortIdentity;
use crate::message::{Correction, Flags, HEADER_LEN, MAX_MESSAGE_LEN, MessageType};
use crate::octets::{TooLong, Writer};
use crate::tlv::{TLV_HEADER_LEN, TlvType, Tlvs};

/// What comes before an NTP message in the PTP message that carries it, in bytes.
pub const NTP_PREFIX_LEN: usize = TLV_AT + TLV_HEADER_LEN + EXTENSION_LEN;
/// The domainNumber that is to be used, which no profile of PTP does (RFC 10030 §2).
pub const NTP_DOMAIN: u8 = 123;

/// Where the first TLV of a Sync and of a Delay_Req is: behind originTimestamp (IEEE 1588-2019 13.6.1).
const TLV_AT: usize = HEADER_LEN + 10;
/// What the TLV has before the NTP message: organizationId 00-00-5E, which is IANA's, the organizationSubType that IANA gave to
/// NTP, and two zeros (RFC 10030 §2).
const EXTENSION: [u8; EXTENSION_LEN] = [0, 0, 0x5e, 0, 0, 1, 0, 0];
const EXTENSION_LEN: usize = 8;
/// What of it says that there is an NTP message.
const EXTENSION_KIND: usize = 6;
/// logMessageInterval where none is told (IEEE 1588-2019 table 42).
const NO_INTERVAL: u8 = 0x7f;
/// The version of what is sent: versionPTP 2, minorVersionPTP 0.
const VERSION: u8 = 2;

/// How NTP messages are carried: in which domain, always with an sdoId of zero, and as whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpCarrier {
    /// The domainNumber; messages of others are not taken.
    pub domain: u8,
    /// Who we are among those who send PTP messages.
    pub source: PortIdentity,
}

/// Where an NTP message is in the PTP message that carries it, and what the way did to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedNtp {
    /// The NTP message.
    pub ntp: Range<usize>,
    /// The length of the PTP message.
    pub len: usize,
    /// correctionField: how long transparent clocks have kept the message.
    pub correction: Correction,
}

/// Why a PTP message that carries an NTP message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotCarried {
    /// It is shorter than it says, longer than any, or its TLVs do not end where it does.
    Length,
    /// It is not marked as unicast.
    NotUnicast,
    /// It is of another domain.
    OtherDomain,
    /// It is of another sdoId than zero.
    OtherSdoId,
}

impl NotCarried {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Length, Self::NotUnicast, Self::OtherDomain, Self::OtherSdoId];

    /// The name it is counted under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "over_ptp_length",
            Self::NotUnicast => "over_ptp_not_unicast",
            Self::OtherDomain => "over_ptp_other_domain",
            Self::OtherSdoId => "over_ptp_other_sdo_id",
        }
    }
}

impl NtpCarrier {
    /// Whether `message` is a PTP message that carries NTP, of whatever domain: all others are PTP's own. Its first TLV tells.
    #[inline]
    #[must_use]
    pub fn carries(message: &[u8]) -> bool {
        let Some(prefix) = message.first_chunk::<NTP_PREFIX_LEN>() else { return false };
        let kind = MessageType::from_bits(prefix[0]);
        let tlv = TlvType(u16::from_be_bytes([prefix[TLV_AT], prefix[TLV_AT + 1]]));
        matches!(kind, Some(MessageType::Sync | MessageType::DelayReq))
            && prefix[1] & 0x0f == VERSION
            && matches!(tlv, TlvType::ORGANIZATION_EXTENSION | TlvType::ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE)
            && prefix[TLV_AT + TLV_HEADER_LEN..].starts_with(&EXTENSION[..EXTENSION_KIND])
    }

    /// The NTP message in `message`, of which [`Self::carries`] is true.
    ///
    /// # Errors
    /// Where it is not for us, or broken.
    pub fn unwrap(&self, message: &[u8]) -> Result<CarriedNtp, NotCarried> {
        let prefix: &[u8; NTP_PREFIX_LEN] = message.first_chunk().ok_or(NotCarried::Length)?;
        let len = usize::from(u16::from_be_bytes([prefix[2], prefix[3]]));
        // What follows messageLength, such as the padding of a short frame, is nobody's.
        let tlvs = message.get(TLV_AT..len).filter(|_| len <= MAX_MESSAGE_LEN).ok_or(NotCarried::Length)?;
        if prefix[4] != self.domain {
            return Err(NotCarried::OtherDomain);
        }
        if (prefix[0] >> 4, prefix[5]) != (0, 0) {
            return Err(NotCarried::OtherSdoId);
        }
        if !Flags(u16::from_be_bytes([prefix[6], prefix[7]])).has(Flags::UNICAST) {
            return Err(NotCarried::NotUnicast);
        }
        let first = Tlvs::parse(tlvs).ok().and_then(|tlvs| tlvs.iter().next()).ok_or(NotCarried::Length)?;
        let ntp_len = first.value.len().checked_sub(EXTENSION_LEN).ok_or(NotCarried::Length)?;
        let mut correction = [0; 8];
        correction.copy_from_slice(&prefix[8..16]);
        let correction = Correction(i64::from_be_bytes(correction));
        Ok(CarriedNtp { ntp: NTP_PREFIX_LEN..NTP_PREFIX_LEN + ntp_len, len, correction })
    }

    /// Writes the PTP message that carries `ntp` to the start of `buffer`; returns its length.
    ///
    /// # Errors
    /// Where `buffer` is too short, or `ntp` too long, or of an odd length, which no TLV can have.
    pub fn wrap(&self, sequence_id: u16, ntp: &[u8], buffer: &mut [u8]) -> Result<usize, TooLong> {
        let len = NTP_PREFIX_LEN + ntp.len();
        if len > MAX_MESSAGE_LEN || !ntp.len().is_multiple_of(2) {
            return Err(TooLong);
        }
        let (message_len, tlv_len) = (stated(len), stated(EXTENSION_LEN + ntp.len()));
        let mut writer = Writer::new(buffer);
        writer.put(&[MessageType::DelayReq.bits(), VERSION])?;
        writer.put(&message_len)?;
        writer.put(&[self.domain, 0])?;
        writer.put(&Flags::UNICAST.0.to_be_bytes())?;
        // Neither a correction nor what is special to the type.
        writer.put(&[0; 12])?;
        writer.put(&self.source.to_be_bytes())?;
        writer.put(&sequence_id.to_be_bytes())?;
        writer.put(&[MessageType::DelayReq.control(), NO_INTERVAL])?;
        writer.put(&[0; TLV_AT - HEADER_LEN])?;
        writer.put(&TlvType::ORGANIZATION_EXTENSION.0.to_be_bytes())?;
        writer.put(&tlv_len)?;
        writer.put(&EXTENSION)?;
        writer.put(ntp)?;
        Ok(writer.len())
    }

    /// Makes of the message at the start of `buffer`, which carried `question`, the one that carries the answer: its `ntp_len`
    /// bytes are in the place of the question's. Returns its length, which is that of the question: what is missing is made up
    /// by a PAD TLV, so that both take equally long (RFC 10030 §2). The answer must not be longer than the question.
    #[inline]
    #[must_use]
    pub fn answer(&self, buffer: &mut [u8], question: &CarriedNtp, ntp_len: usize) -> usize {
        let ntp_len = ntp_len.min(question.ntp.len());
        let end = NTP_PREFIX_LEN + ntp_len;
        let pad = question.len.saturating_sub(end);
        let len = if pad < TLV_HEADER_LEN { end } else { question.len };
        if let Some((header, value)) = buffer.get_mut(end..len).and_then(<[u8]>::split_first_chunk_mut) {
            *header = PAD_HEADER;
            let [.., high, low] = header;
            [*high, *low] = stated(pad - TLV_HEADER_LEN);
            value.fill(0);
        }
        let Some(prefix) = buffer.first_chunk_mut::<NTP_PREFIX_LEN>() else { return 0 };
        // Type, version, domain, sdoId, sequenceId and the TLV's own header stay.
        prefix[2..4].copy_from_slice(&stated(len));
        prefix[6..8].copy_from_slice(&Flags::UNICAST.0.to_be_bytes());
        prefix[8..20].fill(0);
        prefix[20..30].copy_from_slice(&self.source.to_be_bytes());
        prefix[33] = NO_INTERVAL;
        prefix[HEADER_LEN..TLV_AT].fill(0);
        prefix[TLV_AT + 2..TLV_AT + TLV_HEADER_LEN].copy_from_slice(&stated(EXTENSION_LEN + ntp_len));
        prefix[TLV_AT + TLV_HEADER_LEN..].copy_from_slice(&EXTENSION);
        len
    }
}

/// A PAD TLV without a value (IEEE 1588-2019 14.4.2).
const PAD_HEADER: [u8; TLV_HEADER_LEN] = {
    let [high, low] = TlvType::PAD.0.to_be_bytes();
    [high, low, 0, 0]
};

/// A length as it is written. All are below [`MAX_MESSAGE_LEN`].
fn stated(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
