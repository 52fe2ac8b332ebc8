//! Delay_Req by unicast over UDP, as in hybrid operation (IEEE 1588-2019 16.9), and their answers.

use core::net::SocketAddr;

use sidereal_ptp::{
    Body, ClockIdentity, Correction, Flags, Header, Message, MessageClass, MessageType, PortIdentity, SdoId, Timestamp,
    Tlvs,
};

use crate::options::DOMAIN;

/// The most bytes of a request.
pub(crate) const DELAY_REQ_LEN: usize = 44;
/// logMessageInterval of a Delay_Req (13.3.2.14).
const NO_INTERVAL: i8 = 0x7f;

/// Writes the Delay_Req of `client` with this sequenceId, and returns its length.
pub(crate) fn write(client: u32, sequence_id: u16, message: &mut [u8]) -> usize {
    let header = Header {
        sdo_id: SdoId::DEFAULT,
        minor_version: 0,
        domain: DOMAIN,
        flags: Flags::UNICAST,
        correction: Correction::ZERO,
        message_type_specific: [0; 4],
        source: identity(client),
        sequence_id,
        control: MessageType::DelayReq.control(),
        log_interval: NO_INTERVAL,
    };
    // 44 bytes are enough for it.
    Message { header, body: Body::DelayReq(Timestamp::ZERO), tlvs: Tlvs::NONE }.write(message).unwrap_or(0)
}

/// Whose request this answers, and which; `None` where it is no Delay_Resp, or tells no time.
pub(crate) fn read(message: &[u8]) -> Option<(PortIdentity, u16)> {
    let message = Message::parse(message).ok()?;
    match message.body {
        Body::DelayResp { receive_timestamp, requesting } if receive_timestamp != Timestamp::ZERO => {
            Some((requesting, message.header.sequence_id))
        }
        _ => None,
    }
}

/// The portIdentity of a client.
pub(crate) fn identity(client: u32) -> PortIdentity {
    let [a, b, c, d] = client.to_be_bytes();
    PortIdentity { clock: ClockIdentity::from_mac([2, 1, a, b, c, d]), number: 1 }
}

/// Where requests to `target` are answered from: the same host's port for general messages.
pub(crate) fn answers_from(target: SocketAddr) -> SocketAddr {
    SocketAddr::new(target.ip(), MessageClass::General.udp_port())
}
