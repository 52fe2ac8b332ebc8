//! What hosts do by PTP.

use core::ops::Range;

use sidereal_engine::{Flags, SourceKind, SourceOptions};
use sidereal_ptp::{
    AcceptableMaster, AcceptableMasters, ClockIdentity, DelayMechanism, InstanceOptions, MAX_LOG_INTERVAL,
    MIN_LOG_INTERVAL, PortIdentity, PortKey, PortOptions, Profile, Transport,
};
use sidereal_servo::FilterOptions;
use sidereal_time::Span;
use toml::Spanned;

use super::super::document::{Document, HostTable, PtpDelayMechanism, PtpProfile, PtpTable, PtpTransport};
use super::super::values::{Invalid, Length};
use super::super::{LinkOptions, mac};
use super::Problems;
use super::config::filter;
use super::network::Names;

/// For each host, those that it may follow by PTP, and how asymmetric the path may be.
pub(super) fn leaders(document: &Document, links: &[LinkOptions]) -> Vec<Vec<(usize, Option<Length>)>> {
    let linked = |a: usize, b: usize| links.iter().any(|link| link.between == [a, b] || link.between == [b, a]);
    let of = |(number, table): (usize, &HostTable)| {
        let others = document.host.iter().enumerate();
        let leads =
            |own: &PtpTable, other: &PtpTable| !own.master_only && !other.slave_only && domain(own) == domain(other);
        others
            .filter(|(other, _)| linked(number, *other))
            .flat_map(|(other, leader)| {
                let heard = |own: &&PtpTable| leader.ptp.iter().any(|other| leads(own, other));
                table.ptp.iter().filter(heard).map(move |own| (other, own.asymmetry_limit)).collect::<Vec<_>>()
            })
            .collect()
    };
    document.host.iter().enumerate().map(of).collect()
}

/// The PTP Instances of a host.
pub(super) fn instances(
    host: usize,
    table: &HostTable,
    names: &Names,
    problems: &mut Problems,
) -> Vec<InstanceOptions> {
    let one_step = table.nic.is_some_and(|nic| nic.one_step);
    if !one_step && table.ptp.iter().any(|ptp| ptp.one_step) {
        let what = format!("the NIC of {:?} does not write the time into messages", table.name.get_ref());
        problems.push((Some(table.name.span()), Invalid::new(what, "add `one_step = true` to its `nic`")));
    }
    for (number, ptp) in table.ptp.iter().enumerate() {
        let alike = |other: &PtpTable| domain(other) == domain(ptp) && transport(other) == transport(ptp);
        if table.ptp.iter().take(number).any(alike) {
            let what = format!("{:?} takes part in domain {} twice", table.name.get_ref(), domain(ptp));
            problems
                .push((Some(table.name.span()), Invalid::new(what, "give one of them another domain or transport")));
        }
    }
    let all = table.ptp.iter().zip(0..);
    all.map(|(ptp, key)| instance(host, PortKey(key), ptp, names, problems)).collect()
}

/// How the readings of an instance are followed.
pub(super) fn source(table: &PtpTable, instance: &InstanceOptions) -> SourceOptions {
    let filter = FilterOptions {
        kind: filter(table.filter, table.filter_length, table.quantile),
        asymmetry_limit: table.asymmetry_limit.map(|limit| limit.0.abs()),
    };
    let flags = Flags { prefer: table.prefer, require: table.require, trust: table.trust, noselect: table.noselect };
    SourceOptions {
        name: format!("ptp domain {}", instance.domain),
        kind: SourceKind::Ptp(Box::new(instance.clone())),
        filter,
        flags,
        offset: Span::ZERO,
    }
}

fn instance(host: usize, key: PortKey, table: &PtpTable, names: &Names, problems: &mut Problems) -> InstanceOptions {
    let usual = InstanceOptions::of(profile(table.profile));
    let acceptable = table.acceptable_masters.iter().filter_map(|name| names.host(name, problems)).map(|other| {
        let port = PortIdentity { clock: identity(other), number: PortIdentity::ALL.number };
        AcceptableMaster { port, alternate_priority1: 0 }
    });
    InstanceOptions {
        identity: identity(host),
        domain: domain(table),
        priority1: table.priority1.unwrap_or(usual.priority1),
        priority2: table.priority2.unwrap_or(usual.priority2),
        slave_only: table.slave_only,
        acceptable_masters: AcceptableMasters::new(acceptable.collect()),
        unknown_accuracy: table.unknown_accuracy.map_or(usual.unknown_accuracy, |accuracy| accuracy.0.abs()),
        port: port(key, table, &usual.port, problems),
        ..usual
    }
}

fn port(key: PortKey, table: &PtpTable, usual: &PortOptions, problems: &mut Problems) -> PortOptions {
    let mut interval = |written: &Option<Spanned<i8>>, usual: i8| {
        let range = i64::from(MIN_LOG_INTERVAL)..=i64::from(MAX_LOG_INTERVAL);
        written.as_ref().map_or(usual, |written| *checked(written, range, "an interval of 2^", problems))
    };
    let log_announce_interval = interval(&table.log_announce_interval, usual.log_announce_interval);
    let log_sync_interval = interval(&table.log_sync_interval, usual.log_sync_interval);
    let log_min_delay_req_interval = interval(&table.log_min_delay_req_interval, usual.log_min_delay_req_interval);
    let log_min_pdelay_req_interval = interval(&table.log_min_pdelay_req_interval, usual.log_min_pdelay_req_interval);
    let mut number = |written: &Option<Spanned<u8>>, usual: u8, range, what: &str| {
        written.as_ref().map_or(usual, |written| *checked(written, range, what, problems))
    };
    let minor_version = number(&table.minor_version, usual.minor_version, 0..=1, "minorVersionPTP ");
    let announce_receipt_timeout =
        number(&table.announce_receipt_timeout, usual.announce_receipt_timeout, 2..=255, "a timeout of ");
    PortOptions {
        key,
        transport: table.transport.map_or(usual.transport, written_transport),
        delay_mechanism: match table.delay_mechanism {
            PtpDelayMechanism::E2e => DelayMechanism::E2e,
            PtpDelayMechanism::P2p => DelayMechanism::P2p,
        },
        minor_version,
        log_announce_interval,
        announce_receipt_timeout,
        log_sync_interval,
        log_min_delay_req_interval,
        log_min_pdelay_req_interval,
        master_only: table.master_only,
        hybrid: table.hybrid,
        one_step: table.one_step,
        delay_asymmetry: table.delay_asymmetry.0,
        ingress_latency: table.ingress_latency.0,
        egress_latency: table.egress_latency.0,
        ..usual.clone()
    }
}

/// `written`, complained about where it is out of `range`.
fn checked<'w, T: Copy + Into<i64>>(
    written: &'w Spanned<T>,
    range: core::ops::RangeInclusive<i64>,
    what: &str,
    problems: &mut Problems,
) -> &'w T {
    let value: i64 = (*written.get_ref()).into();
    if !range.contains(&value) {
        let span: Range<usize> = written.span();
        let remedy = format!("write {} to {}", range.start(), range.end());
        problems.push((Some(span), Invalid::new(format!("{what}{value} is out of range"), remedy)));
    }
    written.get_ref()
}

fn identity(host: usize) -> ClockIdentity {
    ClockIdentity::from_mac(mac(host))
}

fn domain(table: &PtpTable) -> u8 {
    table.domain.as_ref().map_or(InstanceOptions::of(profile(table.profile)).domain, |domain| *domain.get_ref())
}

fn transport(table: &PtpTable) -> Transport {
    table.transport.map_or(PortOptions::of(profile(table.profile)).transport, written_transport)
}

const fn profile(written: PtpProfile) -> Profile {
    match written {
        PtpProfile::Default => Profile::Default,
        PtpProfile::G8275_1 => Profile::G8275_1,
        PtpProfile::G8275_2 => Profile::G8275_2,
    }
}

const fn written_transport(written: PtpTransport) -> Transport {
    match written {
        PtpTransport::UdpIpv4 => Transport::UdpIpv4,
        PtpTransport::UdpIpv6 => Transport::UdpIpv6,
        PtpTransport::Ethernet => Transport::Ethernet,
    }
}
