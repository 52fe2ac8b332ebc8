//! `sidereal probe`: watch the clocks of a plant.

mod report;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sidereal_loadgen::probe::{self, Length as End, ProbeError, ProbeOptions, ProbeProgress, TargetError, TargetSpec};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(super) use self::report::Document;
use self::report::{Against, Named, Report, Unresolved};
use super::resolve::{Family, resolve};
use super::{Failure, length, print, print_json};
use crate::config::Length;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The servers: names, addresses, prefixes (192.0.2.0/24); NAME:PORT and ADDRESS:PORT where the port is another
    #[arg(required_unless_present = "file")]
    targets: Vec<TargetSpec>,
    /// A file of servers, one in a line; what follows a # is a comment
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// The UDP port of those that are named without one
    #[arg(long, default_value_t = 123, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The time between two requests to one server; longer where --rate does not allow it
    #[arg(long, value_name = "SECONDS", default_value = "1s", value_parser = length)]
    interval: Length,
    /// The most requests in a second, all servers together
    #[arg(long, value_name = "REQUESTS", default_value_t = 10_000.0)]
    rate: f64,
    /// How many requests are sent to each server; 4 where no --duration is given
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long requests are sent, instead of a count
    #[arg(long, value_name = "SECONDS", value_parser = length)]
    duration: Option<Length>,
    /// How long a reply is waited for; at most until the next request to the same server
    #[arg(long, value_name = "SECONDS", default_value = "1s", value_parser = length)]
    timeout: Length,
    /// What offsets are measured against: this host's system clock, or the median of all servers
    #[arg(long, value_enum, default_value_t = Against::System)]
    against: Against,
    /// Name the servers that are off by more than this beyond their bound, or that have no time to give, and end with 1
    #[arg(long, value_name = "SECONDS", value_parser = length)]
    alert: Option<Length>,
    /// How many servers are listed, the worst first; 20, and with --json all, where it is not given
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Ask the IPv4 addresses of names
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Ask the IPv6 addresses of names
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

/// How many requests are sent to each server where nothing is said.
const USUAL_COUNT: u64 = 4;
/// How many servers are listed for people where nothing is said.
const USUAL_TOP: usize = 20;

pub(super) fn probe(arguments: &Arguments) -> Result<(), Failure> {
    let targets = Targets::of(arguments)?;
    let options = ProbeOptions {
        targets: targets.named.iter().map(|named| named.address).collect(),
        interval: arguments.interval.0,
        requests_per_second: arguments.rate,
        length: match arguments.duration {
            Some(duration) => End::Time(duration.0),
            None => End::Rounds(arguments.count.unwrap_or(USUAL_COUNT)),
        },
        timeout: arguments.timeout.0,
    };
    let stop = stopped_by_signals()?;
    let bar = progress_bar(&options);
    let tell = |progress: ProbeProgress| {
        bar.set_position(progress.sent);
        bar.set_message(format!("{} measured", progress.measured));
    };
    let probed = probe::probe(&options, &stop, tell).map_err(|error| match error {
        ProbeError::Socket(_) | ProbeError::Random(_) => Failure::Failed(error.to_string()),
        _ => Failure::Usage(error.to_string()),
    })?;
    bar.finish_and_clear();
    let report = Report::new(targets.named, targets.unresolved, &probed, arguments.against, arguments.alert);
    tell_all(arguments, report)
}

fn tell_all(arguments: &Arguments, mut report: Report) -> Result<(), Failure> {
    let failure = report.failure();
    let alerts = report.alert_lines();
    if arguments.json {
        eprint!("{alerts}");
        report.hosts.truncate(arguments.top.unwrap_or(usize::MAX));
        print_json(&Document::Probe(report))?;
    } else {
        print(format_args!("{}{alerts}", report.words(arguments.top.unwrap_or(USUAL_TOP))))?;
    }
    match failure {
        None => Ok(()),
        Some(message) => {
            eprintln!("sidereal: {message}");
            Err(Failure::Told(ExitCode::FAILURE))
        }
    }
}

/// Whom to ask, and whom not, and why.
#[derive(Default)]
struct Targets {
    named: Vec<Named>,
    unresolved: Vec<Unresolved>,
    known: HashSet<SocketAddr>,
}

impl Targets {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let usage = |error: TargetError| Failure::Usage(error.to_string());
        let mut specs = arguments.targets.clone();
        for file in &arguments.file {
            specs.extend(read(file)?);
        }
        let mut targets = Self::default();
        for spec in &specs {
            match spec {
                TargetSpec::Prefix(prefix) => {
                    for host in TargetSpec::hosts(*prefix).map_err(usage)? {
                        targets.add(host.to_string(), SocketAddr::new(host, arguments.port));
                    }
                }
                TargetSpec::Address(address, port) => {
                    targets.add(spec.to_string(), SocketAddr::new(*address, port.unwrap_or(arguments.port)));
                }
                TargetSpec::Name(name, port) => {
                    let family = Family::of(arguments.ipv4, arguments.ipv6);
                    match resolve(name, port.unwrap_or(arguments.port), family) {
                        Ok(address) => targets.add(spec.to_string(), address),
                        Err(reason) => targets.unresolved.push(Unresolved { host: spec.to_string(), reason }),
                    }
                }
            }
        }
        if targets.named.is_empty()
            && let Some(Unresolved { reason, .. }) = targets.unresolved.first()
        {
            return Err(Failure::Failed(reason.clone()));
        }
        Ok(targets)
    }

    /// A server that has several names is asked once, under the first.
    fn add(&mut self, host: String, address: SocketAddr) {
        if self.known.insert(address) {
            self.named.push(Named { host, address });
        }
    }
}

fn read(file: &Path) -> Result<Vec<TargetSpec>, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| Failure::Usage(format!("cannot read {shown}: {error}")))?;
    TargetSpec::of_lines(&text).map_err(|(line, error)| Failure::Usage(format!("{shown}:{line}: {error}")))
}

/// Set by SIGINT and SIGTERM: what was found out so far is reported. A second one ends the program.
fn stopped_by_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for (signal, status) in [(SIGINT, 130), (SIGTERM, 143)] {
        signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    }
    Ok(stop)
}

fn progress_bar(options: &ProbeOptions) -> ProgressBar {
    let rounds = match options.length {
        End::Rounds(rounds) => rounds,
        End::Time(time) => {
            u64::try_from(time.as_nanos().div_ceil(options.round().as_nanos().max(1))).unwrap_or(u64::MAX)
        }
    };
    // Drawn on standard error, and only where that is a terminal.
    let bar = ProgressBar::new(rounds.saturating_mul(options.targets.len() as u64));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} requests, {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
