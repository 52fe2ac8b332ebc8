//! `sidereal status`: how a running sidereal is.

use sidereal_ops::{CorrectionStatus, FollowerStatus, LinkState, PtpSummary, Reply, Request, Status, WorkerStatus};
use std::fmt::Write;
use std::time::Duration;

use super::control::{Arguments, ask};
use super::words::{fractional_nanoseconds, nanoseconds, occurrences, rate, table};
use super::{Failure, print, print_json};

pub(super) fn status(arguments: &Arguments) -> Result<(), Failure> {
    match &ask(arguments, &Request::Status)? {
        Reply::Status(status) if !arguments.json => print(words(status)),
        reply => print_json(reply),
    }
}

/// The status as tables.
fn words(status: &Status) -> String {
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_s));
    let mut text = format!("sidereal {}  {}  up {uptime}\n", status.version, status.mode);
    text.push_str(&clock(status));
    let leap = &status.leap_seconds;
    let expires = leap.expires.as_deref().unwrap_or("never");
    let expired = if leap.expired { "  EXPIRED" } else { "" };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "leaps    {}, good until {expires}{expired}\n", leap.source);
    if !status.clocks.is_empty() {
        text.push_str(&clocks(&status.clocks));
        text.push('\n');
    }
    if !status.ptp.is_empty() {
        text.push_str(&ptp(&status.ptp));
        text.push('\n');
    }
    text.push_str(&ports(status));
    text.push('\n');
    text.push_str(&workers(status));
    text.push('\n');
    text.push_str(&occurrences("replies", status.workers.iter().map(|worker| &worker.replies)));
    text.push_str(&occurrences("drops", status.workers.iter().map(|worker| &worker.drops)));
    text
}

/// What our clock is, how good it is, and what clients are told of it.
fn clock(status: &Status) -> String {
    let clock = &status.clock;
    let synchronised = if clock.synchronised { "synchronised" } else { "NOT SYNCHRONISED" };
    let peer = clock.system_peer.as_ref().map(|peer| format!(" ({peer})")).unwrap_or_default();
    let mut text = format!(
        "clock    {}{peer}, {}, {synchronised}  stratum {}  {}  leap {}  TAI-UTC {} s\n",
        clock.reference, clock.state, clock.stratum, clock.reference_id, clock.leap, clock.tai_offset_s
    );
    let known = [("bound +-", clock.bound_ns), ("uncertainty +-", clock.uncertainty_ns)];
    let mut known: Vec<String> =
        known.into_iter().filter_map(|(what, nanos)| Some(format!("{what}{}", nanoseconds(nanos?)))).collect();
    known.extend(clock.frequency_ppb.map(|ppb| format!("frequency {ppb:+.1} ppb")));
    // Writing to a string cannot fail.
    if !known.is_empty() {
        let _ = writeln!(text, "         {}", known.join("  "));
    }
    let _ = writeln!(
        text,
        "         root delay {}  root dispersion {}",
        nanoseconds(clock.root_delay_ns),
        nanoseconds(clock.root_dispersion_ns)
    );
    let _ = writeln!(
        text,
        "         model of {} at {:.6} MHz  error {}  age {}  generation {}",
        clock.counter,
        clock.counter_hertz / 1e6,
        nanoseconds(clock.model_error_ns),
        nanoseconds(clock.model_age_ns),
        clock.generation
    );
    text.push_str(&occurrences("readings", core::iter::once(&status.readings)));
    text
}

/// The clocks of the host that follow ours.
fn clocks(clocks: &[FollowerStatus]) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let row = |clock: &FollowerStatus| {
        vec![
            clock.name.clone(),
            clock.steer.clone(),
            if clock.lost { "LOST".into() } else { or_none(clock.offset_ns.map(nanoseconds)) },
            or_none(clock.frequency_ppb.map(|ppb| format!("{ppb:+.1}"))),
            or_none(clock.last_adjustment.clone()),
        ]
    };
    let header = ["clock", "steer", "offset", "ppb", "last adjustment"];
    let mut text = table(&header, &[false, false, true, true, false], &clocks.iter().map(row).collect::<Vec<_>>());
    for clock in clocks {
        if let Some(told) = known_of(clock) {
            let _ = writeln!(text, "  {}: {told}", clock.name);
        }
        if let Some(CorrectionStatus { count, p50, p99, max }) = clock.rx_to_correction_ns {
            let [p50, p99, max] = [p50, p99, max].map(|nanos| nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX)));
            let _ = writeln!(
                text,
                "  {}: from RX stamp to correction p50 {p50}  p99 {p99}  max {max}  of {count}",
                clock.name
            );
        }
        if !clock.stamps.is_empty() {
            let _ = write!(text, "  {}: {}", clock.name, occurrences("", core::iter::once(&clock.stamps)).trim_start());
        }
    }
    for (clock, rival) in clocks.iter().filter_map(|clock| Some((clock, clock.rival.as_ref()?))) {
        let _ = writeln!(text, "  {}: ANOTHER PROCESS STEERS IT: {rival}", clock.name);
    }
    text
}

/// How a clock runs, and how well that is known.
fn known_of(clock: &FollowerStatus) -> Option<String> {
    let (ppb, deviation) = (clock.own_frequency_ppb?, clock.own_frequency_deviation_ppb?);
    let mut text = format!("by itself {ppb:+.2} +-{deviation:.2} ppb by the local counter");
    for (what, nanos) in [("known to", clock.deviation_ns), ("noise of readings", clock.read_noise_ns)] {
        if let Some(nanos) = nanos {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {what} {}", fractional_nanoseconds(nanos));
        }
    }
    Some(text)
}

/// The PTP instances in short; `sidereal ptp` tells the rest.
fn ptp(instances: &[PtpSummary]) -> String {
    let row = |instance: &PtpSummary| {
        vec![
            instance.name.clone(),
            instance.domain_number.to_string(),
            instance.transport.clone(),
            instance.port_state.clone(),
            instance.grandmaster_identity.clone(),
            instance.offset_from_master_ns.map_or_else(|| "-".into(), fractional_nanoseconds),
        ]
    };
    let header = ["ptp", "domain", "transport", "state", "grandmaster", "offset"];
    let right = [false, true, false, false, false, true];
    table(&header, &right, &instances.iter().map(row).collect::<Vec<_>>())
}

fn ports(status: &Status) -> String {
    let row = |port: &sidereal_ops::PortStatus| {
        let link = match port.link {
            LinkState::Up => "up",
            LinkState::Down => "DOWN",
            LinkState::Unknown => "-",
        };
        vec![
            port.name.clone(),
            port.backend.clone(),
            port.device.clone().unwrap_or_else(|| "-".into()),
            link.into(),
            rate(port.rates.received),
            rate(port.rates.replied),
            rate(port.rates.dropped),
            rate(port.rates.to_kernel),
            port.addresses.join(" "),
        ]
    };
    let header = ["port", "backend", "device", "link", "rx/s", "replies/s", "drops/s", "kernel/s", "addresses"];
    let right = [false, false, false, false, true, true, true, true, false];
    let rows: Vec<_> = status.ports.iter().map(row).collect();
    let mut text = table(&header, &right, &rows);
    for port in &status.ports {
        for capability in &port.capabilities {
            let _ = writeln!(text, "  {}: {capability}", port.name);
        }
    }
    text
}

fn workers(status: &Status) -> String {
    let row = |worker: &WorkerStatus| {
        let count = |name: &str| worker.counts.get(name).copied().unwrap_or(0).to_string();
        let residence = |pick: fn(&sidereal_ops::ResidenceStatus) -> u64| {
            let nanos = worker.residence.as_ref().map(pick);
            nanos.map_or_else(|| "-".into(), |nanos| nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX)))
        };
        vec![
            format!("{}/{}", worker.port, worker.queue),
            worker.core.map_or_else(|| "-".into(), |core| core.to_string()),
            worker.idle.clone(),
            rate(worker.rates.received),
            rate(worker.rates.replied),
            residence(|residence| residence.p50_ns),
            residence(|residence| residence.p99_ns),
            residence(|residence| residence.p99_9_ns),
            residence(|residence| residence.max_ns),
            count("missed"),
            count("refused"),
        ]
    };
    let header = ["worker", "core", "idle", "rx/s", "replies/s", "p50", "p99", "p99.9", "max", "missed", "refused"];
    let right = [false, true, false, true, true, true, true, true, true, true, true];
    table(&header, &right, &status.workers.iter().map(row).collect::<Vec<_>>())
}
