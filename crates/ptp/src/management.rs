//! Management: data sets asked for, answered and set by messages (IEEE 1588-2019 clause 15).

mod data;
mod data_sets;
mod description;
mod ids;
mod linuxptp;
#[cfg(test)]
mod tests;
mod tlv;

pub use data::Data;
pub(crate) use data::{TRACEABILITY_FLAGS, UTC_FLAGS};
pub use data_sets::{CurrentDataSet, DefaultDataSet, ParentDataSet, PortDataSet};
pub use description::ClockDescription;
pub use ids::ManagementId;
pub use linuxptp::{GrandmasterSettingsNp, PortPropertiesNp, PortStatsNp, TimeStatusNp, Timestamping};
pub use tlv::{ManagementError, ManagementErrorStatus, ManagementTlv};

use crate::identity::PortIdentity;
use crate::message::{MessageType, ParseError};
use crate::octets::{Reader, TooLong, Writer};

/// What a management message has beside its TLV (IEEE 1588-2019 15.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Management {
    /// targetPortIdentity: whom it is for.
    pub target: PortIdentity,
    /// startingBoundaryHops: how many boundary clocks may forward it.
    pub starting_boundary_hops: u8,
    /// boundaryHops: how many still may.
    pub boundary_hops: u8,
    /// actionField.
    pub action: Action,
}

impl Management {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        Self::fields(reader).unwrap_or(Err(ParseError::TooShort(MessageType::Management)))
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Result<Self, ParseError>> {
        let target = reader.port()?;
        let [starting_boundary_hops, boundary_hops, action, _reserved] = reader.array()?;
        Some(
            Action::from_bits(action)
                .map(|action| Self { target, starting_boundary_hops, boundary_hops, action })
                .ok_or(ParseError::ManagementAction(action & 0x0f)),
        )
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.target.to_be_bytes())?;
        writer.put(&[self.starting_boundary_hops, self.boundary_hops, self.action as u8, 0])
    }
}

/// What a management message is about to do (actionField, IEEE 1588-2019 table 57).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Asks for data.
    Get = 0,
    /// Changes data.
    Set = 1,
    /// The answer to either.
    Response = 2,
    /// Has something done.
    Command = 3,
    /// The answer to that.
    Acknowledge = 4,
}

impl Action {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 0x0f {
            0 => Self::Get,
            1 => Self::Set,
            2 => Self::Response,
            3 => Self::Command,
            4 => Self::Acknowledge,
            _ => return None,
        })
    }
}
