//! Where time comes from and goes to: servers, reference clocks, broadcasts, clocks of the host.

use sidereal_engine::SmearOptions;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{Faults, NTP_SHORT_MAX_S, ptp};
use crate::config::document::{
    Document, FilterKind, Mode, NtpBroadcast, NtpMode, NtpSource, ReferenceClockKind, ReferenceClockTable, Steer,
};
use crate::config::values::{HostAddress, ReferenceId, SourceName};
use crate::config::{Driver, Flags, Length, Reference, ReferenceClock};

/// What time comes from, as far as one value says something about another.
pub(super) struct Checked {
    pub(super) reference: Reference,
    pub(super) reference_clocks: Vec<ReferenceClock>,
}

pub(super) fn check(document: &Document, faults: &mut Faults) -> Checked {
    let has_sources = !document.ntp.source.is_empty()
        || !document.reference_clock.is_empty()
        || document.ptp.iter().any(ptp::may_follow);
    let implied = if has_sources { Reference::Sources } else { Reference::System };
    let reference = document.clock.reference.unwrap_or(implied);
    for (index, source) in document.ntp.source.iter().enumerate() {
        check_ntp_source(&format!("ntp.source.{index}"), source, document, faults);
    }
    for (index, broadcast) in document.ntp.broadcast.iter().enumerate() {
        check_broadcast(&format!("ntp.broadcast.{index}"), broadcast, document, faults);
    }
    let clocks = document.reference_clock.iter().enumerate();
    let reference_clocks =
        clocks.filter_map(|(index, table)| check_reference_clock(&format!("reference_clock.{index}"), table, faults));
    let reference_clocks = reference_clocks.collect();
    check_names(document, faults);
    check_selection(document, reference, faults);
    check_servo(document, faults);
    check_followers(document, reference, faults);
    Checked { reference, reference_clocks }
}

fn check_ntp_source(path: &str, source: &NtpSource, document: &Document, faults: &mut Faults) {
    match &source.address {
        HostAddress::Ip(address) => {
            if is_group(*address) {
                let remedy = "write the address that the server itself has, also in mode = \"broadcast\"";
                faults.add(format!("{path}.address"), format!("\"{address}\" is a group, and a server is one"), remedy);
            }
            if source.pool.is_some() {
                let remedy = "remove `pool`, or write a name that has many addresses";
                faults.add(format!("{path}.pool"), format!("\"{address}\" is one address, and no pool"), remedy);
            }
        }
        HostAddress::Name(name) if document.mode == Mode::Single => {
            let what = format!("\"{name}\" must be looked up, which needs more threads than mode = \"single\" has");
            faults.add(format!("{path}.address"), what, "write an IP address, or mode = \"appliance\"");
        }
        HostAddress::Name(_) => {}
    }
    if source.nts {
        let remedy = "remove `nts`; a `key` authenticates too";
        faults.add(format!("{path}.nts"), "this release has no Network Time Security", remedy);
    }
    check_key(path, source.key.is_some(), document, faults);
    if matches!(source.mode, NtpMode::Symmetric | NtpMode::SymmetricPassive) && source.key.is_none() {
        let remedy = "add `key`, with the number of a key that both have, or write mode = \"client\"";
        faults.add(format!("{path}.mode"), "symmetric peers without a key would believe anybody", remedy);
    }
    if source.mode != NtpMode::Client {
        let ours = [("pool", source.pool.is_some()), ("burst", source.burst)];
        for (key, _) in ours.into_iter().filter(|(_, is_written)| *is_written) {
            faults.add(format!("{path}.{key}"), format!("`{key}` is for mode = \"client\""), "remove it");
        }
    }
    if source.min_poll > source.max_poll {
        let what = format!("{} is more than `max_poll`, {}", source.min_poll, source.max_poll);
        faults.add(format!("{path}.min_poll"), what, "write a smaller `min_poll` or a larger `max_poll`");
    }
    if source.max_delay.is_some_and(|limit| limit.0.is_zero()) {
        faults.add(format!("{path}.max_delay"), "no exchange takes no time", "write how long one may take");
    }
    check_filter(path, (source.filter, source.filter_length.is_some(), source.quantile.is_some()), faults);
    check_flags(path, flags_of(source), faults);
}

/// A filter, and whether its length and its quantile are written.
pub(super) fn check_filter(path: &str, filter: (FilterKind, bool, bool), faults: &mut Faults) {
    let (kind, has_length, has_quantile) = filter;
    if kind == FilterKind::None && has_length {
        let remedy = "remove it, or write `filter` too: \"minimum_delay\", \"moving_median\" or \"quantile\"";
        faults.add(format!("{path}.filter_length"), "there is no filter that it could be the length of", remedy);
    }
    if kind != FilterKind::Quantile && has_quantile {
        let remedy = "remove it, or write filter = \"quantile\"";
        faults.add(format!("{path}.quantile"), "the filter is another", remedy);
    }
}

pub(super) fn check_flags(path: &str, flags: Flags, faults: &mut Faults) {
    let wishes = [("prefer", flags.prefer), ("require", flags.require), ("trust", flags.trust)];
    for (key, _) in wishes.into_iter().filter(|(_, is_set)| *is_set && flags.noselect) {
        let what = format!("`{key}` is for a source that may be selected, and `noselect` says that this may not");
        faults.add(format!("{path}.{key}"), what, "remove one of them");
    }
}

fn check_key(path: &str, is_written: bool, document: &Document, faults: &mut Faults) {
    if is_written && document.keys.is_none() {
        faults.add(format!("{path}.key"), "no key is known", "add [keys] with the file of keys, or remove this");
    }
}

fn check_broadcast(path: &str, broadcast: &NtpBroadcast, document: &Document, faults: &mut Faults) {
    let address = broadcast.address;
    if address.is_unspecified() || address.is_loopback() || address.is_ipv6() && !address.is_multicast() {
        let remedy = "write the broadcast address of a network (\"10.77.0.255\") or a multicast group (\"ff02::101\")";
        faults.add(format!("{path}.address"), format!("\"{address}\" reaches nobody else"), remedy);
    }
    if broadcast.ttl.is_some() && !address.is_multicast() {
        let remedy = "remove it, or write the address of a multicast group";
        faults.add(format!("{path}.ttl"), format!("\"{address}\" passes no router"), remedy);
    }
    check_key(path, broadcast.key.is_some(), document, faults);
}

fn check_reference_clock(path: &str, table: &ReferenceClockTable, faults: &mut Faults) -> Option<ReferenceClock> {
    let kind = table.kind;
    let name = kind.name();
    let timestamps = kind == ReferenceClockKind::ExternalTimestamp;
    let keys = [
        ("device", table.device.is_some(), !matches!(kind, ReferenceClockKind::Shm | ReferenceClockKind::Sock)),
        ("unit", table.unit.is_some(), kind == ReferenceClockKind::Shm),
        ("path", table.path.is_some(), kind == ReferenceClockKind::Sock),
        ("channel", table.channel.is_some(), timestamps),
        ("pin", table.pin.is_some(), timestamps),
    ];
    for (key, is_written, is_ours) in keys {
        if is_written && !is_ours {
            let what = format!("`{key}` is not for kind = \"{name}\"");
            faults.add(format!("{path}.{key}"), what, "remove it");
        }
        if !is_written && is_ours && !matches!(key, "channel" | "pin") {
            let example = match kind {
                ReferenceClockKind::Pps => "device = \"/dev/pps0\"",
                ReferenceClockKind::Shm => "unit = 0",
                ReferenceClockKind::Sock => "path = \"/run/sidereal/gps.sock\"",
                ReferenceClockKind::Ptp | ReferenceClockKind::ExternalTimestamp => "device = \"/dev/ptp0\"",
            };
            let what = format!("kind = \"{name}\" needs a `{key}`");
            faults.add(format!("{path}.kind"), what, format!("add one, such as {example}"));
        }
    }
    let flags = Flags { prefer: table.prefer, require: table.require, trust: table.trust, noselect: table.noselect };
    check_flags(path, flags, faults);
    let driver = match kind {
        ReferenceClockKind::Pps => Driver::Pps(table.device.clone()?),
        ReferenceClockKind::Shm => Driver::Shm(table.unit?.to_u8()),
        ReferenceClockKind::Sock => Driver::Sock(table.path.clone()?),
        ReferenceClockKind::Ptp => Driver::Ptp(table.device.clone()?),
        ReferenceClockKind::ExternalTimestamp => Driver::ExternalTimestamp {
            device: table.device.clone()?,
            channel: table.channel.map_or(0, |channel| channel.get()),
            pin: table.pin.map(|pin| pin.get()),
        },
    };
    Some(ReferenceClock {
        name: table.name.clone(),
        reference_id: table.reference_id.unwrap_or(ReferenceId(default_reference_id(kind))),
        driver,
        stratum: table.stratum.to_u8(),
        offset: table.offset,
        delay: table.delay.unwrap_or(Length(Duration::ZERO)),
        poll: table.poll,
        filter_length: table.filter_length.get() as usize,
        flags,
    })
}

const fn default_reference_id(kind: ReferenceClockKind) -> sidereal_ntp::ReferenceId {
    sidereal_ntp::ReferenceId(match kind {
        ReferenceClockKind::Pps | ReferenceClockKind::ExternalTimestamp => *b"PPS\0",
        ReferenceClockKind::Shm => *b"SHM\0",
        ReferenceClockKind::Sock => *b"SOCK",
        ReferenceClockKind::Ptp => *b"PTP\0",
    })
}

/// Names and addresses that must be unique.
fn check_names(document: &Document, faults: &mut Faults) {
    let mut names: HashSet<String> = HashSet::new();
    let mut addresses = HashSet::new();
    for (index, source) in document.ntp.source.iter().enumerate() {
        if !addresses.insert((&source.address, source.port)) {
            let what = format!("\"{}\" stands above already", source.address);
            faults.add(format!("ntp.source.{index}.address"), what, "write each server once: its vote counts once");
        } else {
            let path = format!("ntp.source.{index}.{}", if source.name.is_some() { "name" } else { "address" });
            check_name(
                &mut names,
                path,
                source.name.as_ref().map_or(source.address.to_string(), SourceName::to_string),
                faults,
            );
        }
    }
    for (index, clock) in document.reference_clock.iter().enumerate() {
        check_name(&mut names, format!("reference_clock.{index}.name"), clock.name.to_string(), faults);
    }
    for (index, instance) in document.ptp.iter().enumerate() {
        check_name(&mut names, format!("ptp.{index}.name"), instance.name.to_string(), faults);
    }
}

fn check_name(names: &mut HashSet<String>, path: String, name: String, faults: &mut Faults) {
    if let Some(name) = names.replace(name) {
        faults.add(path, format!("a source called \"{name}\" stands above"), "give each source a `name` of its own");
    }
}

fn check_selection(document: &Document, reference: Reference, faults: &mut Faults) {
    if document.selection.max_distance.0.is_zero() {
        let remedy = "write how far off one may be, such as \"1s\"";
        faults.add("selection.max_distance", "no source is that near", remedy);
    }
    if reference != Reference::Sources {
        return;
    }
    let servers = document.ntp.source.iter().filter(|source| !source.noselect);
    let servers: usize = servers.map(|source| source.pool.map_or(1, |pool| pool.get() as usize)).sum();
    let instances = document.ptp.iter().filter(|instance| !instance.noselect && ptp::may_follow(instance)).count();
    let clocks = document.reference_clock.iter().filter(|clock| !clock.noselect);
    let (pulses, complete): (Vec<_>, Vec<_>) =
        clocks.partition(|clock| matches!(clock.kind, ReferenceClockKind::Pps | ReferenceClockKind::ExternalTimestamp));
    let selectable = servers + instances + pulses.len() + complete.len();
    let minimum = document.selection.minimum_sources.get() as usize;
    if selectable == 0 {
        let remedy = "add an [[ntp.source]], a [[ptp]] or a [[reference_clock]] without `noselect`, or write [clock] \
                      reference = \"system\"";
        faults.add("clock.reference", "there is no source that may be followed", remedy);
    } else if selectable == pulses.len() {
        let remedy =
            "add a source that does: an [[ntp.source]], or a receiver's messages by kind = \"shm\" or \"sock\"";
        faults.add("reference_clock.0", "the sources are pulses, and none says which second it is", remedy);
    } else if minimum > selectable {
        let what = format!("{minimum} sources must agree, and there are {selectable} that may be followed");
        faults.add("selection.minimum_sources", what, "write a smaller number, or add sources");
    }
}

fn check_servo(document: &Document, faults: &mut Faults) {
    let servo = &document.servo;
    if servo.step_threshold.0.is_none() && servo.step_updates.is_some() {
        let what = "`step_threshold` says that time is never set anew";
        faults.add("servo.step_updates", what, "remove it, or write a length of time there");
    }
    if servo.max_bound.0.is_zero() || servo.max_bound.0.as_secs() >= NTP_SHORT_MAX_S {
        let what = format!("\"{}\" is out of range", servo.max_bound);
        faults.add("servo.max_bound", what, format!("write more than \"0s\" and less than \"{NTP_SHORT_MAX_S}s\""));
    }
    let window = document.smear.window;
    if SmearOptions::new(window.as_span()).is_none() {
        let longest = [SmearOptions::MIN_WINDOW, SmearOptions::MAX_WINDOW].map(|window| window.as_secs_f64() / 3600.0);
        let remedy = format!("write a length from \"{}h\" to \"{}h\"", longest[0], longest[1]);
        faults.add("smear.window", format!("\"{window}\" is out of range"), remedy);
    }
}

/// Clocks that follow ours: none of them may be what we follow.
fn check_followers(document: &Document, reference: Reference, faults: &mut Faults) {
    if document.clock.steer == Steer::On && reference == Reference::System {
        faults.add(
            "clock.steer",
            "\"on\" cannot be done: the system clock is the reference, and nothing is known to steer it by",
            "write \"dry\" or \"off\", or add an [[ntp.source]] to follow",
        );
    }
    let mut devices = HashSet::new();
    for (index, clock) in document.ptp_clock.iter().enumerate() {
        if !devices.insert(&clock.device) {
            let what = format!("\"{}\" stands above already", clock.device);
            faults.add(format!("ptp_clock.{index}.device"), what, "keep one of them");
        }
        let source = document
            .reference_clock
            .iter()
            .find(|source| source.kind == ReferenceClockKind::Ptp && source.device.as_ref() == Some(&clock.device));
        if let (Steer::On, Some(source)) = (clock.steer, source) {
            let what = format!("\"{}\" is the source \"{}\": it would follow itself", clock.device, source.name);
            faults.add(format!("ptp_clock.{index}.steer"), what, "write \"dry\" or \"off\", or remove the source");
        }
    }
}

const fn flags_of(source: &NtpSource) -> Flags {
    Flags { prefer: source.prefer, require: source.require, trust: source.trust, noselect: source.noselect }
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}
