//! What a device is (CLOCK_DESCRIPTION, IEEE 1588-2019 15.5.3.1.2).

use crate::octets::{Reader, Text, TooLong, Writer};

/// The device and its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDescription<'a> {
    /// clockType.
    pub clock_type: u16,
    /// physicalLayerProtocol.
    pub physical_layer_protocol: Text<'a>,
    /// physicalAddress: at most 16 bytes; none where it is not known.
    pub physical_address: &'a [u8],
    /// networkProtocol of protocolAddress (7.4.1).
    pub network_protocol: u16,
    /// addressField of protocolAddress: at most 16 bytes.
    pub protocol_address: &'a [u8],
    /// manufacturerIdentity: an OUI, or zero.
    pub manufacturer_identity: [u8; 3],
    /// productDescription: manufacturer, model and serial number, with semicolons between.
    pub product_description: Text<'a>,
    /// revisionData: of hardware, firmware and software, with semicolons between.
    pub revision_data: Text<'a>,
    /// userDescription: name and place, with a semicolon between.
    pub user_description: Text<'a>,
    /// profileIdentity.
    pub profile_identity: [u8; 6],
}

impl ClockDescription<'_> {
    /// clockType of an ordinary clock.
    pub const ORDINARY_CLOCK: u16 = 0x8000;
}

impl<'a> ClockDescription<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let clock_type = reader.u16()?;
        let physical_layer_protocol = Text::parse(reader)?;
        let physical_address = sized(reader)?;
        let network_protocol = reader.u16()?;
        let protocol_address = sized(reader)?;
        let manufacturer_identity = reader.array()?;
        reader.u8()?;
        Some(Self {
            clock_type,
            physical_layer_protocol,
            physical_address,
            network_protocol,
            protocol_address,
            manufacturer_identity,
            product_description: Text::parse(reader)?,
            revision_data: Text::parse(reader)?,
            user_description: Text::parse(reader)?,
            profile_identity: reader.array()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.clock_type.to_be_bytes())?;
        self.physical_layer_protocol.write(writer)?;
        put_sized(self.physical_address, writer)?;
        writer.put(&self.network_protocol.to_be_bytes())?;
        put_sized(self.protocol_address, writer)?;
        writer.put(&self.manufacturer_identity)?;
        writer.put(&[0])?;
        self.product_description.write(writer)?;
        self.revision_data.write(writer)?;
        self.user_description.write(writer)?;
        writer.put(&self.profile_identity)
    }
}

/// An address with its length before it.
fn sized<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = reader.u16()?;
    reader.slice(usize::from(length))
}

fn put_sized(address: &[u8], writer: &mut Writer<'_>) -> Result<(), TooLong> {
    writer.put(&u16::try_from(address.len()).map_err(|_| TooLong)?.to_be_bytes())?;
    writer.put(address)
}
