//! The PTP instances: what their profiles say is filled in, and each is given its port.

use sidereal_ptp::{
    AcceptableMaster, AcceptableMasters, InstanceOptions, PortKey, PortOptions, Profile, SdoId, Transport,
};
use std::collections::HashSet;

use super::Faults;
use super::sources::{check_filter, check_flags};
use crate::config::document::{
    AcceptableMasterTable, Backend, Document, PortTable, PtpPortTable, PtpProfile, PtpTable,
};
use crate::config::numbers::{LogInterval, Whole};
use crate::config::values::InterfaceName;
use crate::config::{Flags, Ptp};

/// announceReceiptTimeout of the enterprise profile, but for those that lead only, which have the default's (RFC 9760 §7).
const ENTERPRISE_ANNOUNCE_RECEIPT_TIMEOUT: u8 = 4;

/// Where no two instances may be: what they speak on, in what, and the domain.
type Place<'a> = (Backend, &'a str, Transport, Option<u16>, u8);

pub(super) fn check(document: &Document, faults: &mut Faults) -> Vec<Ptp> {
    let mut places: HashSet<Place<'_>> = HashSet::new();
    let mut instances = Vec::new();
    for (index, table) in document.ptp.iter().enumerate() {
        let path = format!("ptp.{index}");
        check_instance(&path, table, faults);
        let Some(port) = only_port(&path, table, faults) else { continue };
        let path = format!("{path}.port.0");
        let options = instance_options(index, table, port);
        check_hybrid(&path, table, &options.port, faults);
        let Some(carrier) = carrier(&path, port, document, faults) else { continue };
        let vlan = port.vlan.map(Whole::to_u16);
        check_carrier(&path, port, options.port.transport, carrier, faults);
        let place = (carrier.backend, place_name(carrier), options.port.transport, vlan, options.domain);
        if !places.insert(place) {
            let what = format!("another instance is in domain {} there", options.domain);
            faults.add(format!("{path}.port"), what, "give each instance a `domain` of its own, or another port");
        }
        instances.push(Ptp {
            name: table.name.clone(),
            identity: table.identity.map(|identity| identity.0),
            options,
            port: port.port.clone(),
            vlan,
            offset: table.offset,
            asymmetry_limit: table.asymmetry_limit,
            filter: table.filter,
            filter_length: table.filter_length,
            quantile: table.quantile,
            flags: flags_of(table),
        });
    }
    instances
}

/// Whether it may ever be followed.
pub(super) fn may_follow(table: &PtpTable) -> bool {
    !table.port.iter().any(|port| port.master_only)
}

fn check_instance(path: &str, table: &PtpTable, faults: &mut Faults) {
    if table.unknown_accuracy.0.is_zero() {
        let remedy = "write how far off such a master may be, such as \"10ms\"";
        faults.add(format!("{path}.unknown_accuracy"), "no clock is exact that does not say so", remedy);
    }
    let mut masters = HashSet::new();
    for (index, master) in table.acceptable_masters.iter().enumerate() {
        if !masters.insert(master.identity) {
            let what = format!("\"{}\" stands above already", master.identity);
            faults.add(format!("{path}.acceptable_masters.{index}.identity"), what, "keep one of them");
        }
    }
    check_filter(path, (table.filter, table.filter_length.is_some(), table.quantile.is_some()), faults);
    let flags = flags_of(table);
    check_flags(path, flags, faults);
    if may_follow(table) {
        return;
    }
    if table.slave_only {
        let what = "`slave_only` says that it never leads, and `master_only` that it never follows";
        faults.add(format!("{path}.slave_only"), what, "remove one of them");
    }
    let wishes =
        [("prefer", flags.prefer), ("require", flags.require), ("trust", flags.trust), ("noselect", flags.noselect)];
    for (key, _) in wishes.into_iter().filter(|(_, is_set)| *is_set) {
        let what = format!("`{key}` is for a source, and `master_only` says that it never follows");
        faults.add(format!("{path}.{key}"), what, "remove one of them");
    }
}

/// An ordinary clock has one port (IEEE 1588-2019 3.1.47).
fn only_port<'a>(path: &str, table: &'a PtpTable, faults: &mut Faults) -> Option<&'a PtpPortTable> {
    match table.port.as_slice() {
        [port] => return Some(port),
        [] => {
            let remedy = "add a [[ptp.port]] below it with `port`, the name of a [[port]]";
            faults.add(path, format!("the instance \"{}\" has no port", table.name), remedy);
        }
        [_, ..] => {
            let what = format!("the instance \"{}\" has a port already", table.name);
            faults.add(format!("{path}.port.1"), what, "give each port an instance of its own: another [[ptp]]");
        }
    }
    None
}

/// What the profile says, and what is said instead.
fn instance_options(index: usize, table: &PtpTable, port: &PtpPortTable) -> InstanceOptions {
    let profile = match table.profile {
        PtpProfile::Default | PtpProfile::Enterprise => Profile::Default,
        PtpProfile::G8275_1 => Profile::G8275_1,
        PtpProfile::G8275_2 => Profile::G8275_2,
    };
    let defaults = InstanceOptions::of(profile);
    InstanceOptions {
        domain: table.domain.map_or(defaults.domain, Whole::to_u8),
        sdo_id: SdoId::new(table.sdo_id.to_u16()).unwrap_or(defaults.sdo_id),
        priority1: table.priority1.to_u8(),
        priority2: table.priority2.to_u8(),
        local_priority: table.local_priority.to_u8(),
        slave_only: table.slave_only,
        path_trace: table.path_trace,
        acceptable_masters: AcceptableMasters::new(table.acceptable_masters.iter().map(acceptable_master).collect()),
        arbitrary_timescale: table.arbitrary_timescale.into(),
        unknown_accuracy: table.unknown_accuracy.as_span(),
        user_description: table.user_description.to_string(),
        management_access: table.management_access.iter().map(|prefix| prefix.0).collect(),
        port: port_options(index, table.profile, port, defaults.port),
        ..defaults
    }
}

fn acceptable_master(table: &AcceptableMasterTable) -> AcceptableMaster {
    AcceptableMaster { port: table.identity.0, alternate_priority1: table.alternate_priority1.to_u8() }
}

fn port_options(index: usize, profile: PtpProfile, port: &PtpPortTable, defaults: PortOptions) -> PortOptions {
    let interval = |written: Option<LogInterval>, default| written.map_or(default, LogInterval::get);
    // The default profile's, but for what RFC 9760 §7 says of rates and §6 of Delay_Req.
    let enterprise = profile == PtpProfile::Enterprise;
    let (announce_interval, receipt_timeout) = match enterprise {
        true if port.master_only => (0, defaults.announce_receipt_timeout),
        true => (0, ENTERPRISE_ANNOUNCE_RECEIPT_TIMEOUT),
        false => (defaults.log_announce_interval, defaults.announce_receipt_timeout),
    };
    PortOptions {
        // There are fewer instances than a file of the largest size has lines.
        key: PortKey(u16::try_from(index).unwrap_or(u16::MAX)),
        transport: port.transport.map_or(defaults.transport, Into::into),
        delay_mechanism: port.delay_mechanism.into(),
        minor_version: port.minor_version.to_u8(),
        log_announce_interval: interval(port.log_announce_interval, announce_interval),
        announce_receipt_timeout: port.announce_receipt_timeout.map_or(receipt_timeout, Whole::to_u8),
        log_sync_interval: interval(port.log_sync_interval, defaults.log_sync_interval),
        log_min_delay_req_interval: interval(port.log_min_delay_req_interval, defaults.log_min_delay_req_interval),
        log_min_pdelay_req_interval: port.log_min_pdelay_req_interval.get(),
        master_only: port.master_only,
        hybrid: port.hybrid.unwrap_or(enterprise),
        delay_asymmetry: port.delay_asymmetry.as_span(),
        ingress_latency: port.ingress_latency.as_span(),
        egress_latency: port.egress_latency.as_span(),
        local_priority: port.local_priority.to_u8(),
        ..defaults
    }
}

/// Unicast Delay_Req are for masters that are reached by IP, through all that is between.
fn check_hybrid(path: &str, table: &PtpTable, port: &PortOptions, faults: &mut Faults) {
    let said = match table.profile {
        PtpProfile::Enterprise => "profile = \"enterprise\"",
        _ => "`hybrid`",
    };
    let remedy = "write hybrid = false, or change that";
    if port.hybrid && port.transport == Transport::Ethernet {
        let what = format!("{said} asks for unicast Delay_Req, which go over UDP, and this is \"ethernet\"");
        faults.add(format!("{path}.hybrid"), what, remedy);
    }
    if port.hybrid && port.delay_mechanism == sidereal_ptp::DelayMechanism::P2p {
        let what = format!("{said} asks for unicast Delay_Req, and delay_mechanism = \"p2p\" sends none");
        faults.add(format!("{path}.hybrid"), what, remedy);
    }
}

/// The port that carries its messages.
fn carrier<'a>(path: &str, port: &PtpPortTable, document: &'a Document, faults: &mut Faults) -> Option<&'a PortTable> {
    let carrier = document.port.iter().find(|carrier| carrier.name == port.port);
    if carrier.is_none() {
        let names: Vec<String> = document.port.iter().map(|carrier| format!("\"{}\"", carrier.name)).collect();
        let what = format!("there is no port called \"{}\"", port.port);
        faults.add(format!("{path}.port"), what, format!("write the name of a [[port]]: {}", names.join(", ")));
    }
    carrier
}

/// Whether the port can carry them.
fn check_carrier(path: &str, port: &PtpPortTable, transport: Transport, carrier: &PortTable, faults: &mut Faults) {
    let name = &carrier.name;
    if carrier.backend == Backend::Kernel {
        if carrier.interface.is_none() {
            let remedy = format!("add `interface` to the [[port]] \"{name}\", such as interface = \"eth0\"");
            faults.add(format!("{path}.port"), format!("\"{name}\" is on no one interface, and PTP needs it"), remedy);
        }
        if port.vlan.is_some() {
            let remedy = "remove it, and name the VLAN's own interface in a [[port]]";
            faults.add(format!("{path}.vlan"), "`vlan` is for DPDK ports", remedy);
        }
        return;
    }
    if let Some(vlan) = port.vlan.filter(|vlan| !carrier.vlans.contains(vlan)) {
        let remedy = format!("add {vlan} to the `vlans` of that [[port]]");
        faults.add(format!("{path}.vlan"), format!("the port \"{name}\" does not accept VLAN {vlan}"), remedy);
    }
    let of_family = |is_ipv4| carrier.addresses.iter().any(|address| address.address.is_ipv4() == is_ipv4);
    let missing = match transport {
        Transport::UdpIpv4 => (!of_family(true)).then_some("IPv4"),
        Transport::UdpIpv6 => (!of_family(false)).then_some("IPv6"),
        Transport::Ethernet => None,
    };
    if let Some(family) = missing {
        let what = format!("the port \"{name}\" has no {family} address to send from");
        faults.add(format!("{path}.transport"), what, "add one to its `addresses`, or write another transport");
    }
}

/// Ports of the kernel that share an interface are one place.
fn place_name(carrier: &PortTable) -> &str {
    carrier.interface.as_ref().map_or(carrier.name.as_str(), InterfaceName::as_str)
}

const fn flags_of(table: &PtpTable) -> Flags {
    Flags { prefer: table.prefer, require: table.require, trust: table.trust, noselect: table.noselect }
}
