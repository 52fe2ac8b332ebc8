//! `sidereal status`: how a running sidereal is.

use clap::Args;
use sidereal_ops::{AskError, LinkState, Reply, Request, Status, WorkerStatus, ask};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::words::{nanoseconds, rate, table};
use super::{Failure, length, print, print_json};
use crate::config::Length;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The control socket of the running sidereal (`ops.socket` of its configuration)
    #[arg(long, value_name = "PATH", default_value = "/run/sidereal/control")]
    socket: PathBuf,
    /// How long the answer is waited for
    #[arg(long, value_name = "SECONDS", default_value = "2s", value_parser = length)]
    timeout: Length,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn status(arguments: &Arguments) -> Result<(), Failure> {
    let reply = ask(&arguments.socket, &Request::Status, arguments.timeout.0);
    let reply = reply.map_err(|error| Failure::Failed(format!("{error}{}", remedy(&error))))?;
    match &reply {
        Reply::Status(status) if !arguments.json => print(words(status)),
        _ => print_json(&reply),
    }
}

fn remedy(error: &AskError) -> &'static str {
    match error {
        AskError::NotRunning(_) => "\n  help: start `sidereal run`, or name its `ops.socket` with --socket",
        AskError::Forbidden(_) => "\n  help: ask as the user that sidereal runs as",
        _ => "",
    }
}

/// The status as tables.
fn words(status: &Status) -> String {
    let clock = &status.clock;
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_s));
    let mut text = format!("sidereal {}  {}  up {uptime}\n", status.version, status.mode);
    let synchronised = if clock.synchronised { "synchronised" } else { "NOT SYNCHRONISED" };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "clock    {}, {synchronised}  stratum {}  {}  leap {}  TAI-UTC {} s",
        clock.reference, clock.stratum, clock.reference_id, clock.leap, clock.tai_offset_s
    );
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
    let leap = &status.leap_seconds;
    let expires = leap.expires.as_deref().unwrap_or("never");
    let expired = if leap.expired { "  EXPIRED" } else { "" };
    let _ = writeln!(text, "leaps    {}, good until {expires}{expired}\n", leap.source);
    text.push_str(&ports(status));
    text.push('\n');
    text.push_str(&workers(status));
    text.push('\n');
    text.push_str(&occurrences("replies", status.workers.iter().map(|worker| &worker.replies)));
    text.push_str(&occurrences("drops", status.workers.iter().map(|worker| &worker.drops)));
    text
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

/// What has occurred so far, all workers together, most frequent first.
fn occurrences<'a>(what: &str, counts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in counts.flatten() {
        *sums.entry(name).or_default() += count;
    }
    let mut sums: Vec<_> = sums.into_iter().filter(|(_, count)| *count > 0).collect();
    sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let listed: Vec<String> = sums.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("{what:<8} {}\n", if listed.is_empty() { "none".into() } else { listed.join("  ") })
}
