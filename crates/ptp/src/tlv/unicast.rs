//! Unicast negotiation: messages asked for, granted and given up (IEEE 1588-2019 16.1).

use crate::message::MessageType;
use crate::octets::{Reader, TooLong};
use crate::tlv::{TlvType, TlvWriter};

/// A port wants messages of one type for itself (REQUEST_UNICAST_TRANSMISSION, IEEE 1588-2019 16.1.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestUnicast {
    /// messageType: Announce, Sync, Delay_Resp or Pdelay_Resp are asked for.
    pub message_type: MessageType,
    /// logInterMessagePeriod: the interval wanted, as a power of two of a second.
    pub log_inter_message_period: i8,
    /// durationField: for how many seconds.
    pub duration_s: u32,
}

/// What of it the port gets (GRANT_UNICAST_TRANSMISSION, IEEE 1588-2019 16.1.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantUnicast {
    /// messageType.
    pub message_type: MessageType,
    /// logInterMessagePeriod: the interval granted, as a power of two of a second.
    pub log_inter_message_period: i8,
    /// durationField: for how many seconds; zero is a refusal.
    pub duration_s: u32,
    /// The flag R: asking again is likely to be granted.
    pub renewal_invited: bool,
}

/// The messages end, or that is acknowledged (CANCEL_UNICAST_TRANSMISSION and its acknowledgement, IEEE 1588-2019 16.1.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CancelUnicast {
    /// messageType.
    pub message_type: MessageType,
    /// The flag R, bit 1: the sender had asked for them.
    pub maintain_request: bool,
    /// The flag G, bit 0: the sender had granted them.
    pub maintain_grant: bool,
}

const RENEWAL_INVITED: u8 = 1;
const MAINTAIN_GRANT: u8 = 1;
const MAINTAIN_REQUEST: u8 = 2;

impl RequestUnicast {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            message_type: MessageType::from_bits(reader.u8()? >> 4)?,
            log_inter_message_period: reader.i8()?,
            duration_s: reader.u32()?,
        })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(TlvType::REQUEST_UNICAST_TRANSMISSION, |value| {
            value.put(&[self.message_type.bits() << 4, self.log_inter_message_period.cast_unsigned()])?;
            value.put(&self.duration_s.to_be_bytes())
        })
    }
}

impl GrantUnicast {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let request = RequestUnicast::parse(reader)?;
        let [_reserved, flags] = reader.array()?;
        Some(Self {
            message_type: request.message_type,
            log_inter_message_period: request.log_inter_message_period,
            duration_s: request.duration_s,
            renewal_invited: flags & RENEWAL_INVITED != 0,
        })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(TlvType::GRANT_UNICAST_TRANSMISSION, |value| {
            value.put(&[self.message_type.bits() << 4, self.log_inter_message_period.cast_unsigned()])?;
            value.put(&self.duration_s.to_be_bytes())?;
            value.put(&[0, if self.renewal_invited { RENEWAL_INVITED } else { 0 }])
        })
    }
}

impl CancelUnicast {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let [bits, _reserved] = reader.array()?;
        Some(Self {
            message_type: MessageType::from_bits(bits >> 4)?,
            maintain_request: bits & MAINTAIN_REQUEST != 0,
            maintain_grant: bits & MAINTAIN_GRANT != 0,
        })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        self.put(TlvType::CANCEL_UNICAST_TRANSMISSION, tlvs)
    }

    /// Appends its acknowledgement to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write_acknowledgement(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        self.put(TlvType::ACKNOWLEDGE_CANCEL_UNICAST_TRANSMISSION, tlvs)
    }

    fn put(&self, kind: TlvType, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        let request = if self.maintain_request { MAINTAIN_REQUEST } else { 0 };
        let grant = if self.maintain_grant { MAINTAIN_GRANT } else { 0 };
        tlvs.put(kind, |value| value.put(&[self.message_type.bits() << 4 | request | grant, 0]))
    }
}
