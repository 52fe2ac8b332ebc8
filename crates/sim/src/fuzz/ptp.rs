//! PTP in random scenarios.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::{seconds, spanned};
use crate::random::Stream;
use crate::scenario::document::{Document, FaultKindName, FaultTable, HostKind, HostTable, PtpTable, PtpTransport};

/// So many scenarios have it.
const SHARE: f64 = 0.4;
/// So many followers have no other source.
const ALONE: f64 = 0.3;
/// Lets the hosts of some documents speak PTP: each leads those that ask it, in a domain of its own rank.
///
/// Only end to end: a link with queues is none between neighbours.
pub(super) fn speak(document: &mut Document, liars: &[String], random: &mut Stream) {
    if !happens(random, SHARE) {
        return;
    }
    let manner = manner(random);
    // Who leads in which domain.
    let mut led: Vec<(String, u8)> = Vec::new();
    for host in &mut document.host {
        // A liar with a second voice would not be in the minority.
        if liars.contains(host.name.get_ref()) {
            continue;
        }
        let asked = host.source.iter().map(|source| source.host.get_ref());
        let heard =
            asked.filter_map(|asked| led.iter().find(|(leader, _)| leader == asked)).map(|(_, domain)| *domain).next();
        if let Some(domain) = heard {
            host.ptp.push(PtpTable { domain: Some(spanned(domain)), slave_only: true, ..manner.clone() });
            if happens(random, ALONE) {
                host.source.clear();
            }
        }
        let domain = heard.map_or(0, |domain| domain + 1);
        let leader = leader(&manner, host, domain, random);
        host.ptp.push(PtpTable { master_only: heard.is_some(), ..leader });
        led.push((host.name.get_ref().clone(), domain));
    }
    let references: Vec<&HostTable> = document.host.iter().filter(|host| host.kind == HostKind::Reference).collect();
    if happens(random, 0.3)
        && let Some(reference) = references.choose(random)
    {
        let fault = FaultTable {
            kind: spanned(FaultKindName::Degraded),
            at: spanned(seconds(random.random_range(super::FAULTS_FROM_S..super::FAULTS_UNTIL_S - 600))),
            duration: Some(seconds(random.random_range(1..600))),
            host: Some(spanned(reference.name.get_ref().clone())),
            between: None,
            by: None,
            ppm: None,
            factor: None,
        };
        document.fault.push(fault);
    }
}

/// How all of them speak.
fn manner(random: &mut Stream) -> PtpTable {
    let transports = [PtpTransport::UdpIpv4, PtpTransport::UdpIpv6, PtpTransport::Ethernet];
    let transport = transports.choose(random).copied();
    PtpTable {
        transport,
        minor_version: Some(spanned(random.random_range(0..=1))),
        log_announce_interval: Some(spanned(random.random_range(-1..=2))),
        announce_receipt_timeout: Some(spanned(random.random_range(2..=5))),
        log_sync_interval: Some(spanned(random.random_range(-1..=2))),
        log_min_delay_req_interval: Some(spanned(random.random_range(-1..=3))),
        hybrid: transport != Some(PtpTransport::Ethernet) && happens(random, 0.5),
        ..PtpTable::default()
    }
}

fn leader(manner: &PtpTable, host: &HostTable, domain: u8, random: &mut Stream) -> PtpTable {
    PtpTable {
        domain: Some(spanned(domain)),
        priority1: Some(random.random_range(1..=255)),
        one_step: host.nic.is_some_and(|nic| nic.one_step) && happens(random, 0.5),
        ..manner.clone()
    }
}

fn happens(random: &mut Stream, probability: f64) -> bool {
    random.random::<f64>() < probability
}
