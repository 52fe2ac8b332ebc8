//! What a probe found out, as a document and as lines.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use sidereal_loadgen::probe::{Counts, Host, Probed};
use sidereal_offsets::Percentiles;
use sidereal_time::Span;
use std::cmp::Reverse;
use std::fmt::Write;
use std::net::SocketAddr;

use crate::command::words::{nanoseconds, reference_id, source_name, table};
use crate::config::Length;
use crate::show::nanos;

/// What is printed: its `schema` says in which version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "schema")]
pub(in crate::command) enum Document {
    /// The clocks of many servers.
    #[serde(rename = "sidereal.probe/1")]
    Probe(Report),
}

/// What offsets are measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Against {
    /// This host's system clock
    System,
    /// The median of all servers that were measured: right where most of them are, whatever this host's clock shows
    Median,
}

/// A target, as it was named.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) host: String,
    pub(super) address: SocketAddr,
}

/// The clocks of many servers.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::command) struct Report {
    /// What offsets are measured against.
    against: Against,
    /// The median of the servers' offsets from this host's system clock, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    median_ns: Option<i64>,
    /// Beyond what offset a server is named, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_ns: Option<i64>,
    /// The servers that are named, and why.
    alerts: Vec<Alert>,
    /// Names that have no address; they were not asked.
    unresolved: Vec<Unresolved>,
    /// All servers together.
    totals: Totals,
    /// Each server, the worst first: those without a time, then those whose offset is the furthest beyond its bound.
    pub(super) hosts: Vec<HostReport>,
}

/// A server that is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Alert {
    /// The server, as it was named.
    host: String,
    /// What is wrong with it.
    reason: Reason,
    /// Its offset, in nanoseconds, where that is what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ns: Option<i64>,
    /// The bound of that, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_ns: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// Its offset is beyond the limit by more than its bound.
    Offset,
    /// It never answered in time.
    Unreachable,
    /// It says that its clock follows nothing.
    Unsynchronised,
    /// It sent a kiss code instead of times.
    Refused,
    /// Its name has no address.
    Unresolved,
}

/// A name without an address.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Unresolved {
    /// The server, as it was named.
    pub(super) host: String,
    /// Why there is none.
    pub(super) reason: String,
}

/// All servers together.
#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    /// How many were asked.
    hosts: u64,
    /// How many of them have an offset.
    measured: u64,
    /// What came of all requests.
    outcomes: Outcomes,
    /// Datagrams from addresses that were never asked.
    strangers: u64,
    /// Datagrams that the kernel dropped because they were not received in time; they may have been answers.
    missed: u64,
    /// Round trips that were lost between the threads of this program.
    lost_records: u64,
    /// Round trips with a delay below zero, which shows that a stamp is wrong by at least as much.
    implausible: u64,
    /// How far the servers were off this host's system clock, whichever way, over all round trips, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ns: Option<Spread>,
    /// How long the ways took, both directions together, over all round trips, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ns: Option<Spread>,
}

/// Percentiles, right to a part in a hundred.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct Spread {
    p50: u64,
    p99: u64,
    max: u64,
}

/// What became of requests, and what else came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
struct Outcomes {
    /// Requests that left.
    sent: u64,
    /// Requests that the kernel did not take: no route, a full device queue.
    unsent: u64,
    /// Answered with times of a synchronised clock.
    answered: u64,
    /// Answered by a clock that follows nothing.
    unsynchronised: u64,
    /// Answered with a kiss code; the server is not asked again.
    kiss: u64,
    /// Not answered in time.
    lost: u64,
    /// Answers after their time.
    late: u64,
    /// Second answers to the same request.
    duplicate: u64,
    /// Answers to no request of ours.
    bogus: u64,
    /// What was no NTP reply.
    malformed: u64,
}

/// One server.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct HostReport {
    /// The server, as it was named.
    host: String,
    /// The address and UDP port that was asked.
    address: String,
    /// Its clock, of the round trip with the shortest delay among the last eight; nothing where none was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<Clock>,
    /// Why it has no time to give, where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<Reason>,
    /// The stratum that it last told, 1 to 16; 16 is unsynchronised.
    #[serde(skip_serializing_if = "Option::is_none")]
    stratum: Option<u8>,
    /// What it follows: four characters at stratum 1, else an address or a hash of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<String>,
    /// What came of the requests.
    outcomes: Outcomes,
}

/// A server's clock.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct Clock {
    /// The server's clock less what it is measured against, in nanoseconds.
    offset_ns: i64,
    /// The time on the way, both directions together, in nanoseconds.
    delay_ns: i64,
    /// How far the offset may be from the truth, in nanoseconds: half the delay, half the server's root delay, and its root
    /// dispersion.
    bound_ns: i64,
    /// How many round trips were measured.
    round_trips: u64,
    /// Those of them with a delay below zero, which shows that a stamp is wrong by at least as much.
    implausible: u64,
    /// The offset of the last round trip, in nanoseconds.
    last_offset_ns: i64,
    /// Who took the stamp of our last request leaving: `kernel` or `software`.
    transmit_stamp: &'static str,
    /// Who took that of its reply arriving.
    receive_stamp: &'static str,
}

impl Report {
    pub(super) fn new(
        named: Vec<Named>,
        unresolved: Vec<Unresolved>,
        probed: &Probed,
        against: Against,
        alert: Option<Length>,
    ) -> Self {
        let median = median(probed);
        let reference = match against {
            Against::System => Span::ZERO,
            Against::Median => median.unwrap_or_default(),
        };
        let hosts = named.into_iter().zip(&probed.hosts);
        let mut hosts: Vec<_> = hosts.map(|(named, host)| HostReport::new(named, host, reference)).collect();
        hosts.sort_by_key(|host| (host.wrong.is_none(), Reverse(host.clock.map(|clock| clock.excess_ns()))));
        let alert_ns = alert.map(|limit| nanos(limit.as_span()));
        Self {
            against,
            median_ns: median.map(nanos),
            alert_ns,
            alerts: alert_ns.map(|limit| alerts(&hosts, &unresolved, limit)).unwrap_or_default(),
            totals: Totals::new(&hosts, probed),
            unresolved,
            hosts,
        }
    }

    /// Why this ends with 1, if it does.
    pub(super) fn failure(&self) -> Option<String> {
        match self.alerts.len() {
            0 if self.totals.measured == 0 => Some(format!("no usable answer: {} asked", self.totals.hosts)),
            0 => None,
            1 => Some("1 server needs attention".into()),
            many => Some(format!("{many} servers need attention")),
        }
    }

    /// A line for each server that is named.
    pub(super) fn alert_lines(&self) -> String {
        let mut lines = String::new();
        for alert in &self.alerts {
            let why = match (alert.offset_ns, alert.bound_ns) {
                (Some(offset), Some(bound)) => format!("off by {}, bound {}", signed(offset), nanoseconds(bound)),
                _ => alert.reason.words().to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "alert: {}: {why}", alert.host);
        }
        lines
    }

    /// For people, with `top` of the servers.
    pub(super) fn words(&self, top: usize) -> String {
        let Totals { hosts, measured, outcomes, strangers, missed, lost_records, .. } = &self.totals;
        let mut text = format!(
            "{hosts} servers, {measured} measured: {} requests, {} answered, {} lost",
            outcomes.sent, outcomes.answered, outcomes.lost
        );
        let rest = [
            ("not sent", outcomes.unsent),
            ("unsynchronised", outcomes.unsynchronised),
            ("kisses", outcomes.kiss),
            ("late", outcomes.late),
            ("duplicate", outcomes.duplicate),
            ("bogus", outcomes.bogus),
            ("malformed", outcomes.malformed),
            ("from strangers", *strangers),
            ("missed by this host", *missed),
            ("lost in this program", *lost_records),
            ("names without an address", self.unresolved.len() as u64),
        ];
        for (name, count) in rest.into_iter().filter(|(_, count)| *count > 0) {
            let _ = write!(text, ", {count} {name}");
        }
        text.push('\n');
        if let (Some(median), Some(offset), Some(delay)) = (self.median_ns, self.totals.offset_ns, self.totals.delay_ns)
        {
            let _ = writeln!(text, "median of the servers less this host's clock: {}", signed(median));
            let _ = writeln!(text, "all round trips: offset from this host's clock {offset}; delay {delay}");
        }
        let header = ["server", "offset", "bound", "delay", "stratum", "follows", "answered", "state"];
        let right = [false, true, true, true, true, false, true, false];
        let rows: Vec<_> = self.hosts.iter().take(top).map(HostReport::row).collect();
        text.push_str(&table(&header, &right, &rows));
        text
    }
}

/// The servers to be named: off by more than `limit_ns` even where all their bound is in their favour, or without a time.
fn alerts(hosts: &[HostReport], unresolved: &[Unresolved], limit_ns: i64) -> Vec<Alert> {
    let of_hosts = hosts.iter().filter_map(|host| match (host.wrong, host.clock) {
        (Some(reason), _) => Some(Alert::without_time(&host.host, reason)),
        (None, Some(clock)) if clock.excess_ns() > limit_ns => Some(Alert {
            host: host.host.clone(),
            reason: Reason::Offset,
            offset_ns: Some(clock.offset_ns),
            bound_ns: Some(clock.bound_ns),
        }),
        _ => None,
    });
    let of_names = unresolved.iter().map(|name| Alert::without_time(&name.host, Reason::Unresolved));
    of_hosts.chain(of_names).collect()
}

/// The median of the best offsets of all servers that are synchronised.
fn median(probed: &Probed) -> Option<Span> {
    let usable = probed.hosts.iter().filter(|host| wrong(host).is_none());
    let mut offsets: Vec<Span> = usable.filter_map(|host| Some(host.measured.best()?.offset)).collect();
    offsets.sort_unstable();
    offsets.get(offsets.len() / 2).copied()
}

/// Why a server has no time to give: what it last said counts.
fn wrong(host: &Host) -> Option<Reason> {
    if host.system.is_some_and(|system| !system.is_synchronised()) {
        return Some(Reason::Unsynchronised);
    }
    let Counts { unsynchronised, kiss, .. } = host.counts;
    match host.measured.best() {
        Some(_) => None,
        None if kiss > 0 => Some(Reason::Refused),
        None if unsynchronised > 0 => Some(Reason::Unsynchronised),
        None => Some(Reason::Unreachable),
    }
}

impl Alert {
    fn without_time(host: &str, reason: Reason) -> Self {
        Self { host: host.to_owned(), reason, offset_ns: None, bound_ns: None }
    }
}

impl Reason {
    const fn words(self) -> &'static str {
        match self {
            Self::Offset => "off",
            Self::Unreachable => "unreachable",
            Self::Unsynchronised => "unsynchronised",
            Self::Refused => "does not want to be asked",
            Self::Unresolved => "its name has no address",
        }
    }
}

impl Totals {
    fn new(hosts: &[HostReport], probed: &Probed) -> Self {
        let mut outcomes = Outcomes::default();
        hosts.iter().for_each(|host| outcomes.add(&host.outcomes));
        Self {
            hosts: hosts.len() as u64,
            measured: hosts.iter().filter(|host| host.clock.is_some()).count() as u64,
            outcomes,
            strangers: probed.strangers,
            missed: probed.missed,
            lost_records: probed.lost_records,
            implausible: probed.totals.implausible,
            offset_ns: probed.totals.offsets().map(Spread::from),
            delay_ns: probed.totals.delays().map(Spread::from),
        }
    }
}

impl From<Percentiles> for Spread {
    fn from(Percentiles { p50, p99, max }: Percentiles) -> Self {
        Self { p50, p99, max }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: u64| nanoseconds(i64::try_from(value).unwrap_or(i64::MAX));
        write!(f, "p50 {}, p99 {}, max {}", shown(self.p50), shown(self.p99), shown(self.max))
    }
}

impl Outcomes {
    const fn new(counts: &Counts) -> Self {
        let Counts { sent, unsent, answered, unsynchronised, kiss, malformed, bogus, duplicate, late } = *counts;
        let lost = counts.lost();
        Self { sent, unsent, answered, unsynchronised, kiss, lost, late, duplicate, bogus, malformed }
    }

    const fn add(&mut self, other: &Self) {
        let Self { sent, unsent, answered, unsynchronised, kiss, lost, late, duplicate, bogus, malformed } = *other;
        self.sent += sent;
        self.unsent += unsent;
        self.answered += answered;
        self.unsynchronised += unsynchronised;
        self.kiss += kiss;
        self.lost += lost;
        self.late += late;
        self.duplicate += duplicate;
        self.bogus += bogus;
        self.malformed += malformed;
    }
}

impl HostReport {
    fn new(named: Named, host: &Host, reference: Span) -> Self {
        let measured = &host.measured;
        let clock = measured.best().zip(measured.last()).zip(measured.stamps()).map(|((best, last), stamps)| Clock {
            offset_ns: nanos(best.offset - reference),
            delay_ns: nanos(best.delay),
            bound_ns: nanos(best.bound),
            round_trips: measured.count(),
            implausible: measured.implausible(),
            last_offset_ns: nanos(last.offset - reference),
            transmit_stamp: source_name(stamps.transmit),
            receive_stamp: source_name(stamps.receive),
        });
        Self {
            host: named.host,
            address: named.address.to_string(),
            clock,
            wrong: wrong(host),
            stratum: host.system.map(|system| system.stratum.number()),
            reference_id: host.system.as_ref().map(reference_id),
            outcomes: Outcomes::new(&host.counts),
        }
    }

    fn row(&self) -> Vec<String> {
        let shown = |of: fn(&Clock) -> String| self.clock.as_ref().map_or_else(|| "-".into(), of);
        vec![
            self.host.clone(),
            shown(|clock| signed(clock.offset_ns)),
            shown(|clock| nanoseconds(clock.bound_ns)),
            shown(|clock| nanoseconds(clock.delay_ns)),
            self.stratum.map_or_else(|| "-".into(), |stratum| stratum.to_string()),
            self.reference_id.clone().unwrap_or_else(|| "-".into()),
            format!("{}/{}", self.outcomes.answered, self.outcomes.sent),
            self.wrong.map_or("measured", Reason::words).to_owned(),
        ]
    }
}

impl Clock {
    /// How far the offset is beyond its bound: below zero where it may be none.
    const fn excess_ns(&self) -> i64 {
        self.offset_ns.saturating_abs().saturating_sub(self.bound_ns)
    }
}

fn signed(value: i64) -> String {
    format!("{}{}", if value < 0 { "" } else { "+" }, nanoseconds(value))
}

#[cfg(test)]
mod tests;
