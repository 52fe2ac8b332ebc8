//! What organisations append of their own (IEEE 1588-2019 14.3).

use crate::octets::{Reader, TooLong};
use crate::tlv::{TlvType, TlvWriter};

/// A TLV that an organisation has defined (IEEE 1588-2019 14.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganizationExtension<'a> {
    /// Which of the three types: they differ in whether a boundary clock passes it on.
    pub kind: TlvType,
    /// organizationId: an OUI or CID.
    pub organization_id: [u8; 3],
    /// organizationSubType: which of that organisation's.
    pub sub_type: [u8; 3],
    /// dataField.
    pub data: &'a [u8],
}

impl<'a> OrganizationExtension<'a> {
    pub(super) fn parse(kind: TlvType, mut reader: Reader<'a>) -> Option<Self> {
        Some(Self { kind, organization_id: reader.array()?, sub_type: reader.array()?, data: reader.rest() })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(self.kind, |value| {
            value.put(&self.organization_id)?;
            value.put(&self.sub_type)?;
            value.put(self.data)
        })
    }

    /// The follow-up information that it is, if it is.
    #[must_use]
    pub fn follow_up_information(&self) -> Option<FollowUpInformation> {
        let ours = self.organization_id == IEEE_802_1 && self.sub_type == FOLLOW_UP_INFORMATION;
        if ours { FollowUpInformation::parse(&mut Reader::new(self.data)) } else { None }
    }
}

const IEEE_802_1: [u8; 3] = [0x00, 0x80, 0xc2];
const FOLLOW_UP_INFORMATION: [u8; 3] = [0, 0, 1];

/// What a Follow_Up of gPTP says of the grandmaster's rate and of its last change (IEEE 802.1AS-2020 11.4.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FollowUpInformation {
    /// cumulativeScaledRateOffset: (rate of the grandmaster / rate of the sender - 1) * 2^41.
    pub cumulative_scaled_rate_offset: i32,
    /// gmTimeBaseIndicator: changes whenever the grandmaster's time base does.
    pub gm_time_base_indicator: u16,
    /// lastGmPhaseChange: how far the time then jumped, a signed 96-bit count of 2^-16 ns as it is on the wire.
    pub last_gm_phase_change: [u8; 12],
    /// scaledLastGmFreqChange: how much the rate then changed, in 2^-41.
    pub scaled_last_gm_freq_change: i32,
}

impl FollowUpInformation {
    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            cumulative_scaled_rate_offset: reader.i32()?,
            gm_time_base_indicator: reader.u16()?,
            last_gm_phase_change: reader.array()?,
            scaled_last_gm_freq_change: reader.i32()?,
        })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(TlvType::ORGANIZATION_EXTENSION, |value| {
            value.put(&IEEE_802_1)?;
            value.put(&FOLLOW_UP_INFORMATION)?;
            value.put(&self.cumulative_scaled_rate_offset.to_be_bytes())?;
            value.put(&self.gm_time_base_indicator.to_be_bytes())?;
            value.put(&self.last_gm_phase_change)?;
            value.put(&self.scaled_last_gm_freq_change.to_be_bytes())
        })
    }
}
