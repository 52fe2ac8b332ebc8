//! NTP that PTP carries.

use sidereal_ptp::{MessageClass, Transport};

use super::Faults;
use crate::config::Ptp;
use crate::config::document::{Backend, Document, NtpMode, NtpSource};

pub(super) fn check(document: &Document, instances: &[Ptp], faults: &mut Faults) {
    let sources = document.ntp.source.iter().enumerate().filter(|(_, source)| source.over_ptp);
    let asks = sources.clone().count() > 0;
    for (index, source) in sources {
        check_source(&format!("ntp.source.{index}"), source, faults);
    }
    if document.ntp.server.over_ptp {
        check_ports(document, faults);
    }
    if !(asks || document.ntp.server.over_ptp) {
        return;
    }
    let domain = document.ntp.over_ptp_domain.to_u8();
    let is_there = |ptp: &&Ptp| ptp.options.domain == domain && ptp.options.port.transport != Transport::Ethernet;
    if let Some(ptp) = instances.iter().find(is_there) {
        let what = format!("the PTP instance \"{}\" is in domain {domain}", ptp.name);
        let remedy = "give one of them another domain: `ntp.over_ptp_domain` holds for all that speak NTP over PTP";
        faults.add("ntp.over_ptp_domain", what, remedy);
    }
}

fn check_source(path: &str, source: &NtpSource, faults: &mut Faults) {
    if source.mode != NtpMode::Client {
        let remedy = "write mode = \"client\", or remove `over_ptp`";
        faults.add(format!("{path}.over_ptp"), "PTP carries what clients ask alone", remedy);
    }
    let (written, event, usual) = (source.port.to_u16(), MessageClass::Event.udp_port(), 123);
    if ![event, usual].contains(&written) {
        let what = format!("{written} is no port of PTP, which NICs and switches know by its own, {event}");
        faults.add(format!("{path}.port"), what, "remove `port`, or `over_ptp`");
    }
}

/// The kernel's sockets of PTP belong to one interface.
fn check_ports(document: &Document, faults: &mut Faults) {
    let nowhere =
        |port: &crate::config::document::PortTable| port.backend == Backend::Kernel && port.interface.is_none();
    for (index, port) in document.port.iter().enumerate().filter(|(_, port)| nowhere(port)) {
        let what = format!("\"{}\" is on no one interface, and `ntp.server.over_ptp` needs it", port.name);
        faults.add(format!("port.{index}"), what, "add `interface`, such as interface = \"eth0\"");
    }
}
