//! Hosts, and what their engines are configured with.

use core::net::SocketAddr;

use sidereal_engine::{
    Address, BroadcastOptions, ClockOptions, ClockScale, EngineConfig, Flags, Reference, SelectionOptions,
    SmearOptions, SourceKind, SourceOptions, Steer,
};
use sidereal_ntp::{AssociationOptions, BroadcasterOptions, Key, KeyId, KeyTable, Poll, Role, Version};
use sidereal_ptp::InstanceOptions;
use sidereal_servo::{FilterKind, FilterOptions, ServoKind, ServoOptions, SteeringOptions};
use sidereal_time::Span;

use super::super::document::{
    self, Document, HostKind as WrittenKind, HostTable, OscillatorPreset, OscillatorTable, ServoTable, SourceFilter,
    SourceMode, SourceTable, Steering,
};
use super::super::values::{Invalid, Length};
use super::super::{BROADCAST, EngineOptions, HostKind, HostOptions, LinkOptions, NTP_PORT, ReferenceOptions, address};
use super::Problems;
use super::network::{Names, jitter, not_negative};
use super::ptp;
use crate::nic::{NicClockOptions, NicOptions};
use crate::oscillator::OscillatorOptions;
use crate::oscillator::presets::Preset;

/// The key that all hosts share, and its number.
pub(crate) const KEYS: &str = "1 SHA256 HEX:73696465726561312073696d756c61746564206b6579";
const KEY_NUMBER: u32 = 1;
/// How often the system clock is read beside the counter.
const READ_PERIOD: Span = Span::SECOND;
/// How often the clock of a NIC is.
const NIC_READ_PERIOD: Span = Span::from_nanos(62_500_000);
/// The window of smears: a day.
const SMEAR_WINDOW: Span = Span::from_secs(86_400);

/// The hosts of `document`.
pub(super) fn hosts(
    document: &Document,
    names: &Names,
    links: &[LinkOptions],
    problems: &mut Problems,
) -> Vec<HostOptions> {
    let sources: Vec<Vec<(usize, &SourceTable)>> = document
        .host
        .iter()
        .enumerate()
        .map(|(number, table)| known_sources(number, table, names, links, problems))
        .collect();
    let limits = asymmetry_limits(&sources, &ptp::leaders(document, links));
    let told = sources.iter().zip(limits);
    let hosts = document.host.iter().zip(told).enumerate();
    hosts
        .map(|(number, (table, (sources, limit)))| {
            let instances = ptp::instances(number, table, names, problems);
            host(number, table, sources, instances, limit, problems)
        })
        .collect()
}

/// The sources of a host, those that are not there left out and complained about.
fn known_sources<'d>(
    host: usize,
    table: &'d HostTable,
    names: &Names,
    links: &[LinkOptions],
    problems: &mut Problems,
) -> Vec<(usize, &'d SourceTable)> {
    let mut known = Vec::new();
    for source in &table.source {
        let Some(other) = names.host(&source.host, problems) else { continue };
        if !links.iter().any(|link| link.between == [host, other] || link.between == [other, host]) {
            let what = format!("there is no link to {:?}", source.host.get_ref());
            problems.push((Some(source.host.span()), Invalid::new(what, "add a [[link]] between the two hosts")));
        }
        if table.kind == WrittenKind::Reference {
            let what = "a reference has no sources".to_owned();
            problems.push((Some(source.host.span()), Invalid::new(what, "remove it, or make the host an engine")));
        }
        known.push((other, source));
    }
    known
}

/// How much wrong time declared asymmetry may cause on each host: its own, and that of the worst of whom it may follow.
/// `leaders` are those by PTP.
fn asymmetry_limits(sources: &[Vec<(usize, &SourceTable)>], leaders: &[Vec<(usize, Option<Length>)>]) -> Vec<Span> {
    let asked = |(other, source): &(usize, &SourceTable)| (*other, source.asymmetry_limit);
    let followed: Vec<Vec<(usize, Option<Length>)>> = sources
        .iter()
        .zip(leaders)
        .map(|(sources, leaders)| sources.iter().map(asked).chain(leaders.iter().copied()).collect())
        .collect();
    let mut limits = vec![Span::ZERO; sources.len()];
    // Each round tells it one host further. Peers that ask each other raise each other's until the rounds end: rather too
    // much than too little.
    for _ in 0..sources.len() {
        let through = |(other, limit): &(usize, Option<Length>)| {
            let further = limits.get(*other).copied().unwrap_or_default();
            limit.map_or(Span::ZERO, |limit| limit.0) + further
        };
        let next: Vec<Span> =
            followed.iter().map(|followed| followed.iter().map(through).max().unwrap_or_default()).collect();
        let settled = next == limits;
        limits = next;
        if settled {
            break;
        }
    }
    limits
}

fn host(
    number: usize,
    table: &HostTable,
    sources: &[(usize, &SourceTable)],
    ptp: Vec<InstanceOptions>,
    asymmetry_limit: Span,
    problems: &mut Problems,
) -> HostOptions {
    let span = table.name.span();
    let nic = table.nic.unwrap_or_default();
    let nic = NicOptions {
        granularity: not_negative(nic.granularity, span.clone(), problems),
        jitter: jitter(nic.jitter.as_ref(), span.clone(), problems),
        one_latch: nic.one_latch,
        one_step: nic.one_step,
        lost: nic.lost.0,
        report_delay: not_negative(nic.report_delay, span.clone(), problems),
        software_jitter: jitter(nic.software_jitter.as_ref(), span.clone(), problems),
        clock: table.nic_clock.map(|clock| NicClockOptions {
            oscillator: oscillator(clock.oscillator.unwrap_or_default()),
            offset: clock.offset.0,
            read_noise: not_negative(clock.read_noise, span.clone(), problems),
            read_window: not_negative(clock.read_window, span.clone(), problems),
        }),
    };
    if table.nic_clock.is_some() && table.kind == WrittenKind::Reference {
        let what = "a reference looks at its own clock".to_owned();
        problems.push((Some(span.clone()), Invalid::new(what, "remove `nic_clock`, or make the host an engine")));
    }
    let kind = match table.kind {
        WrittenKind::Reference => {
            let stratum = table.stratum.as_ref().map_or(1, |stratum| *stratum.get_ref());
            if !(1..=15).contains(&stratum) {
                let span = table.stratum.as_ref().map(toml::Spanned::span);
                problems.push((span, Invalid::new(format!("stratum {stratum} is out of range"), "write 1 to 15")));
            }
            HostKind::Reference(ReferenceOptions {
                offset: table.offset.0,
                stratum,
                root_delay: not_negative(table.root_delay, span.clone(), problems),
                root_dispersion: not_negative(table.root_dispersion, span.clone(), problems),
            })
        }
        WrittenKind::Engine => HostKind::Engine(Box::new(EngineOptions {
            oscillator: oscillator(table.oscillator.unwrap_or_default()),
            clock_offset: table.clock_offset.0,
            steer: steer(table.steer),
            config: config(number, table, sources, &ptp, problems),
            names: sources.iter().map(|(other, source)| (source.host.get_ref().clone(), *other)).collect(),
            asymmetry_limit,
        })),
    };
    let reply_latency = jitter(table.reply_latency.as_ref(), span, problems);
    HostOptions { name: table.name.get_ref().clone(), nic, reply_latency, ptp, kind }
}

fn oscillator(table: OscillatorTable) -> OscillatorOptions {
    let preset = table.preset.map_or_else(OscillatorOptions::default, |preset| {
        match preset {
            OscillatorPreset::Crystal => Preset::Crystal,
            OscillatorPreset::Tcxo => Preset::Tcxo,
            OscillatorPreset::Ocxo => Preset::Ocxo,
            OscillatorPreset::Rubidium => Preset::Rubidium,
        }
        .options()
    });
    let ppm = |ppm: Option<f64>| ppm.map(|ppm| ppm * 1e-6);
    OscillatorOptions {
        frequency_offset: ppm(table.frequency_offset_ppm).unwrap_or(preset.frequency_offset),
        tolerance: ppm(table.tolerance_ppm).unwrap_or(preset.tolerance),
        white: table.white.unwrap_or(preset.white),
        flicker: table.flicker.unwrap_or(preset.flicker),
        random_walk: table.random_walk.unwrap_or(preset.random_walk),
        aging_per_day: table.aging_per_day.unwrap_or(preset.aging_per_day),
        per_kelvin: table.per_kelvin.unwrap_or(preset.per_kelvin),
        swing_kelvin: table.swing_kelvin.unwrap_or(preset.swing_kelvin),
    }
}

const fn steer(written: Steering) -> Steer {
    match written {
        Steering::Off => Steer::Off,
        Steering::Dry => Steer::Dry,
        Steering::On => Steer::On,
    }
}

fn config(
    number: usize,
    table: &HostTable,
    sources: &[(usize, &SourceTable)],
    ptp: &[InstanceOptions],
    problems: &mut Problems,
) -> EngineConfig {
    let span = table.name.span();
    let by_ntp: Vec<SourceOptions> =
        sources.iter().map(|(other, source)| source_options(*other, source, problems)).collect();
    let by_ptp = table.ptp.iter().zip(ptp).map(|(table, instance)| ptp::source(table, instance));
    let broadcasts = table.broadcast.iter().map(|broadcast| BroadcastOptions {
        to: SocketAddr::new(BROADCAST, NTP_PORT),
        broadcaster: BroadcasterOptions {
            version: Version::V4,
            key: if broadcast.authenticated { key() } else { None },
            interleaved: broadcast.interleaved,
            poll: poll(broadcast.poll, span.clone(), problems),
        },
    });
    EngineConfig {
        reference: Reference::Sources,
        own_addresses: vec![SocketAddr::new(address(number), NTP_PORT)],
        broadcasts: broadcasts.collect(),
        sources: by_ntp.into_iter().chain(by_ptp).collect(),
        selection: SelectionOptions {
            minimum_sources: table.minimum_sources.map_or(1, usize::from),
            ..SelectionOptions::default()
        },
        servo: servo(table.servo.unwrap_or_default()),
        clocks: clocks(table),
        smear: smear(),
        seed: [0; 32],
        saved: None,
    }
}

/// The system clock, and the NIC's where it has one.
fn clocks(table: &HostTable) -> Vec<ClockOptions> {
    let clock = |name: &str, written: Steering, scale, read_period, stamps| ClockOptions {
        name: name.to_owned(),
        steer: steer(written),
        scale,
        steering: SteeringOptions::default(),
        read_period,
        stamps,
    };
    let nic = table.nic_clock.map(|nic| {
        let read_period = nic.read_period.map_or(NIC_READ_PERIOD, |period| period.0);
        clock("nic", nic.steer, ClockScale::Tai, read_period, true)
    });
    let system = clock("system", table.steer, ClockScale::Utc, READ_PERIOD, false);
    core::iter::once(system).chain(nic).collect()
}

fn smear() -> SmearOptions {
    SmearOptions::new(SMEAR_WINDOW).unwrap_or_default()
}

fn servo(table: ServoTable) -> ServoOptions {
    let usual = ServoOptions::default();
    ServoOptions {
        kind: table.kind.map_or(usual.kind, |kind| match kind {
            document::ServoKind::Pi => ServoKind::Pi,
            document::ServoKind::Regression => ServoKind::Regression,
            document::ServoKind::Kalman => ServoKind::Kalman,
        }),
        step_threshold: table.step_threshold.map_or(usual.step_threshold, |threshold| Some(threshold.0)),
        step_updates: table.step_updates.or(usual.step_updates),
        max_slew_ppm: table.max_slew_ppm.unwrap_or(usual.max_slew_ppm),
        ..usual
    }
}

fn source_options(other: usize, table: &SourceTable, problems: &mut Problems) -> SourceOptions {
    let usual = AssociationOptions::default();
    let mut written = |value: &Option<toml::Spanned<i8>>, usual: Poll| {
        value.as_ref().map_or(usual, |value| poll(*value.get_ref(), value.span(), problems))
    };
    let min_poll = written(&table.min_poll, usual.min_poll);
    let max_poll = written(&table.max_poll, usual.max_poll.max(min_poll));
    let association = AssociationOptions {
        role: match table.mode {
            SourceMode::Client => Role::Client,
            SourceMode::Symmetric => Role::SymmetricActive,
            SourceMode::Broadcast => Role::BroadcastClient,
        },
        key: if table.authenticated { key() } else { None },
        interleaved: table.interleaved,
        over_ptp: None,
        min_poll,
        max_poll,
        iburst: table.iburst,
        max_delay: table.max_delay.map(|delay| delay.0),
        ..usual
    };
    let name = table.host.get_ref().clone();
    let address = if table.by_name {
        Address::Name { name: name.clone(), port: NTP_PORT }
    } else {
        Address::Socket(SocketAddr::new(address(other), NTP_PORT))
    };
    let filter = FilterOptions {
        kind: filter(table.filter, table.filter_length, table.quantile),
        asymmetry_limit: table.asymmetry_limit.map(|limit| limit.0.abs()),
    };
    let flags = Flags { prefer: table.prefer, require: table.require, trust: table.trust, noselect: table.noselect };
    let kind = SourceKind::Ntp { address, pool: None, association };
    SourceOptions { name, kind, filter, flags, offset: Span::ZERO }
}

/// A filter as it is written.
pub(super) fn filter(written: SourceFilter, length: u16, quantile: f64) -> FilterKind {
    let length = usize::from(length).max(1);
    match written {
        SourceFilter::None => FilterKind::None,
        SourceFilter::MinimumDelay => FilterKind::MinimumDelay { length },
        SourceFilter::MovingMedian => FilterKind::MovingMedian { length },
        SourceFilter::Quantile => FilterKind::Quantile { length, quantile: quantile.clamp(0.01, 1.0) },
    }
}

fn poll(exponent: i8, span: core::ops::Range<usize>, problems: &mut Problems) -> Poll {
    Poll::new(exponent).unwrap_or_else(|| {
        problems.push((Some(span), Invalid::new(format!("poll {exponent} is out of range"), "write -6 to 17")));
        Poll::MINUTE
    })
}

/// The key that all hosts share.
fn key() -> Option<Key> {
    KeyTable::parse(KEYS).ok()?.get(KeyId::new(KEY_NUMBER)?).cloned()
}
