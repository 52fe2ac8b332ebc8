//! `sidereal query --ptp`: the PTP masters that are heard, as a document and as a table.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use sidereal_ops::{PtpClockQuality, PtpTimePropertiesDs};
use sidereal_ptp::{Announce, SdoId, Suspicion, suspicion};
use std::fmt::Write;
use std::process::ExitCode;

use super::ptp::{Question, Sighting, observe};
use crate::command::words::{fractional_nanoseconds, table};
use crate::command::{Failure, length, one_line, print, print_json, ptp};
use crate::config::{Clock, DelayMechanism, InterfaceName, Length, PtpTransport};
use crate::leap::Leap;
use crate::show::ptp::{address_words, clock_quality, exact_nanos, time_properties_ds, transport_name};

/// How PTP masters are looked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "PTP")]
pub(super) struct Search {
    /// Listen on this interface for PTP masters, and measure how far off each is
    #[arg(long = "ptp", value_name = "IFACE", value_parser = one_line::<InterfaceName>, conflicts_with = "host")]
    pub(super) interface: Option<InterfaceName>,
    /// What their messages travel in
    #[arg(long, value_enum, conflicts_with = "host", default_value = "udp_ipv4")]
    transport: PtpTransport,
    /// Their domain; all where none is given
    #[arg(long, value_name = "N", conflicts_with = "host")]
    domain: Option<u8>,
    /// Their sdoId (256 is IEEE 802.1AS)
    #[arg(long, value_name = "N", conflicts_with = "host", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..0x1000))]
    sdo_id: u16,
    /// How the way to them is measured
    #[arg(long, value_enum, conflicts_with = "host", default_value = "e2e")]
    delay_mechanism: DelayMechanism,
    /// Ask each master alone, not all: nobody else may speak PTP on the interface then
    #[arg(long, conflicts_with = "host")]
    hybrid: bool,
    /// The minor version of what is sent: 0 for switches and NICs that know no other
    #[arg(long, value_name = "N", conflicts_with = "host", default_value_t = 1, value_parser = clap::value_parser!(u8).range(..=1))]
    minor_version: u8,
    /// How long they are listened for
    #[arg(long, value_name = "SECONDS", conflicts_with = "host", default_value = "5s", value_parser = length)]
    listen: Length,
}

/// The PTP masters that were heard.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::command) struct Report {
    /// The interface that was listened on.
    interface: String,
    /// What the messages travelled in: `udp_ipv4`, `udp_ipv6` or `ethernet`.
    transport: &'static str,
    /// How long was listened, in milliseconds.
    listened_ms: u64,
    /// The masters, in the order in which they were heard.
    masters: Vec<Master>,
}

/// A PTP master. What it did not say, or nobody could measure, is absent.
#[derive(Debug, Serialize, JsonSchema)]
struct Master {
    /// portIdentity.
    port_identity: String,
    /// domainNumber.
    domain_number: u8,
    /// Where its messages come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// minorVersionPTP of its messages.
    minor_version_number: u8,
    /// What it announced last.
    #[serde(skip_serializing_if = "Option::is_none")]
    announce: Option<Announced>,
    /// What it says of its timescale.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_properties_ds: Option<PtpTimePropertiesDs>,
    /// logMessageInterval of its Announce.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_announce_interval: Option<i8>,
    /// logMessageInterval of its Sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_sync_interval: Option<i8>,
    /// Whether its Sync come in two steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    two_step: Option<bool>,
    /// How many Announce were heard.
    announces: u64,
    /// How many Sync were heard.
    syncs: u64,
    /// How often its time was read.
    readings: u64,
    /// Its time less that of our system clock, by the reading with the least delay, in nanoseconds. Where the timescale is
    /// its own, it is taken for UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_ns: Option<f64>,
    /// How far that may be off, but for what the master itself is off, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_ns: Option<f64>,
    /// The mean delay of the way to it, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_delay_ns: Option<f64>,
    /// The well-known mistake that the offset looks like: `tai_utc_confused`, `leap_second` or `four_second_wrap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspicion: Option<&'static str>,
}

/// What a master announced.
#[derive(Debug, Serialize, JsonSchema)]
struct Announced {
    /// grandmasterIdentity.
    grandmaster_identity: String,
    /// grandmasterClockQuality.
    grandmaster_clock_quality: PtpClockQuality,
    /// grandmasterPriority1.
    grandmaster_priority1: u8,
    /// grandmasterPriority2.
    grandmaster_priority2: u8,
    /// stepsRemoved.
    steps_removed: u16,
}

/// Looks for masters on `interface`, and asks them every `interval`.
pub(super) fn query(interface: &InterfaceName, search: &Search, interval: Length, json: bool) -> Result<(), Failure> {
    let question = question(interface, search, interval);
    let leap = Leap::load(Clock::default().leap_seconds.as_path());
    let report = Report::new(&question, &observe(&question, &leap.table)?);
    let is_silent = report.masters.is_empty();
    if json {
        print_json(&super::Document::Ptp(report))?;
    } else if !is_silent {
        print(words(&report))?;
    }
    if !is_silent {
        return Ok(());
    }
    let domain = search.domain.map(|domain| format!(" in domain {domain}")).unwrap_or_default();
    let transport = transport_name(question.transport);
    let message = format!("no PTP master was heard on {interface}{domain} over {transport} within {}", search.listen);
    if json {
        eprintln!("sidereal: {message}");
        return Err(Failure::Told(ExitCode::FAILURE));
    }
    Err(Failure::Failed(message))
}

fn question(interface: &InterfaceName, search: &Search, interval: Length) -> Question {
    Question {
        interface: interface.to_string(),
        transport: search.transport.into(),
        domain: search.domain,
        sdo_id: SdoId::new(search.sdo_id).unwrap_or_default(),
        delay_mechanism: search.delay_mechanism.into(),
        hybrid: search.hybrid,
        minor_version: search.minor_version,
        interval: interval.0,
        duration: search.listen.0,
    }
}

impl Report {
    fn new(question: &Question, sightings: &[Sighting]) -> Self {
        Self {
            interface: question.interface.clone(),
            transport: transport_name(question.transport),
            listened_ms: u64::try_from(question.duration.as_millis()).unwrap_or(u64::MAX),
            masters: sightings.iter().map(Master::new).collect(),
        }
    }
}

impl Master {
    fn new(Sighting { observed, offset, bound }: &Sighting) -> Self {
        let tai_offset_s = observed.time_properties.map(|properties| properties.current_utc_offset.into());
        Self {
            port_identity: observed.identity.to_string(),
            domain_number: observed.domain,
            address: observed.address.map(address_words),
            minor_version_number: observed.minor_version,
            announce: observed.announce.as_ref().map(Announced::new),
            time_properties_ds: observed.time_properties.as_ref().map(time_properties_ds),
            log_announce_interval: observed.log_announce_interval,
            log_sync_interval: observed.log_sync_interval,
            two_step: observed.two_step,
            announces: observed.announces,
            syncs: observed.syncs,
            readings: observed.readings,
            offset_ns: offset.map(exact_nanos),
            bound_ns: bound.map(exact_nanos),
            mean_delay_ns: observed.mean_delay().map(exact_nanos),
            suspicion: offset.and_then(|offset| suspicion(offset, tai_offset_s)).map(Suspicion::name),
        }
    }
}

impl Announced {
    fn new(announce: &Announce) -> Self {
        Self {
            grandmaster_identity: announce.grandmaster_identity.to_string(),
            grandmaster_clock_quality: clock_quality(announce.clock_quality),
            grandmaster_priority1: announce.priority1,
            grandmaster_priority2: announce.priority2,
            steps_removed: announce.steps_removed,
        }
    }
}

/// The masters as a table, and under each of them what it says of its time, and how it sends.
fn words(report: &Report) -> String {
    let header = [
        "master",
        "domain",
        "address",
        "grandmaster",
        "priority1",
        "class",
        "accuracy",
        "priority2",
        "steps",
        "offset",
        "bound",
        "delay",
    ];
    let right = [false, true, false, false, true, true, false, true, true, true, true, true];
    let rows: Vec<_> = report.masters.iter().map(row).collect();
    let rows = table(&header, &right, &rows);
    let mut lines = rows.lines();
    let mut text = format!(
        "offset: the master's time less that of this host's system clock; it is within +- bound of that\n\n{}\n",
        lines.next().unwrap_or_default()
    );
    for (line, master) in lines.zip(&report.masters) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
        if let Some(properties) = &master.time_properties_ds {
            let _ = writeln!(text, "     {}", ptp::time(properties));
        }
        let _ = writeln!(text, "     {}", manner(master));
        if let Some(mistake) = master.suspicion.and_then(mistake) {
            let _ = writeln!(text, "     {mistake}");
        }
    }
    text
}

fn row(master: &Master) -> Vec<String> {
    const NOTHING: &str = "-";
    let length = |nanos: Option<f64>| nanos.map_or_else(|| NOTHING.into(), fractional_nanoseconds);
    let sign = if master.offset_ns.is_some_and(|offset| offset > 0.0) { "+" } else { "" };
    let announced = |what: &dyn Fn(&Announced) -> String| master.announce.as_ref().map_or_else(|| NOTHING.into(), what);
    vec![
        master.port_identity.clone(),
        master.domain_number.to_string(),
        master.address.clone().unwrap_or_else(|| NOTHING.into()),
        announced(&|announce| announce.grandmaster_identity.clone()),
        announced(&|announce| announce.grandmaster_priority1.to_string()),
        announced(&|announce| announce.grandmaster_clock_quality.clock_class.to_string()),
        announced(&|announce| ptp::accuracy(announce.grandmaster_clock_quality.clock_accuracy)),
        announced(&|announce| announce.grandmaster_priority2.to_string()),
        announced(&|announce| announce.steps_removed.to_string()),
        format!("{sign}{}", length(master.offset_ns)),
        length(master.bound_ns),
        length(master.mean_delay_ns),
    ]
}

/// How it sends, and what of it was heard.
fn manner(master: &Master) -> String {
    let interval = |exponent: Option<i8>| exponent.map(|exponent| format!(" every 2^{exponent} s")).unwrap_or_default();
    let steps = match master.two_step {
        Some(true) => "  two-step",
        Some(false) => "  one-step",
        None => "",
    };
    format!(
        "PTP 2.{}{steps}  {} announce{}  {} sync{}  {} readings",
        master.minor_version_number,
        master.announces,
        interval(master.log_announce_interval),
        master.syncs,
        interval(master.log_sync_interval),
        master.readings
    )
}

/// What a mistake is, for people.
fn mistake(name: &str) -> Option<&'static str> {
    [
        (Suspicion::TaiUtcConfused, "SOMEBODY TAKES TAI FOR UTC: the master, what feeds it, or this host's clock"),
        (Suspicion::LeapSecond, "ONE SECOND OFF: a leap second that only one of the two has made"),
        (Suspicion::FourSecondWrap, "2^32 NS OFF: as NIC drivers are that extend 32 bits of a stamp the wrong way"),
    ]
    .into_iter()
    .find_map(|(suspicion, words)| (suspicion.name() == name).then_some(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_ptp::{
        Address, ClockAccuracy, ClockClass, ClockIdentity, ClockQuality, Observed, PortIdentity, TimePropertiesDs,
        TimeSource, Timestamp, Transport,
    };
    use sidereal_time::{Instant, Reading, Span, Ticks};

    fn sighting(offset: i128) -> Sighting {
        let clock = ClockIdentity([0x66, 0x55, 0x44, 0xff, 0xfe, 0x33, 0x22, 0x11]);
        let announce = Announce {
            origin_timestamp: Timestamp::ZERO,
            current_utc_offset: 37,
            priority1: 127,
            clock_quality: ClockQuality {
                clock_class: ClockClass::PRIMARY_REFERENCE,
                clock_accuracy: ClockAccuracy::WITHIN_100_NS,
                offset_scaled_log_variance: 0x4e5d,
            },
            priority2: 128,
            grandmaster_identity: clock,
            steps_removed: 0,
            time_source: TimeSource::GNSS,
        };
        let observed = Observed {
            domain: 24,
            identity: PortIdentity { clock, number: 1 },
            address: Some(Address::Link([2, 0, 0, 0, 0, 0x0a])),
            minor_version: 1,
            announce: Some(announce),
            time_properties: Some(TimePropertiesDs {
                current_utc_offset: 37,
                current_utc_offset_valid: true,
                leap59: false,
                leap61: false,
                time_traceable: true,
                frequency_traceable: true,
                ptp_timescale: true,
                time_source: TimeSource::GNSS,
            }),
            log_announce_interval: Some(1),
            log_sync_interval: Some(-3),
            two_step: Some(true),
            announces: 3,
            syncs: 40,
            readings: 5,
            best: Some(Reading::new(Ticks(0), Instant::EPOCH, Span::from_nanos(2469))),
            dispersion: Span::ZERO,
        };
        Sighting { observed, offset: Some(Span::from_nanos(offset)), bound: Some(Span::from_nanos(1300)) }
    }

    fn report(sightings: &[Sighting]) -> Report {
        let question = Question {
            interface: "eth0".into(),
            transport: Transport::Ethernet,
            domain: None,
            sdo_id: SdoId::DEFAULT,
            delay_mechanism: sidereal_ptp::DelayMechanism::E2e,
            hybrid: false,
            minor_version: 1,
            interval: core::time::Duration::from_secs(1),
            duration: core::time::Duration::from_secs(5),
        };
        Report::new(&question, sightings)
    }

    #[test]
    fn a_master_has_a_line_and_what_it_says_of_its_time_below() {
        let text = words(&report(&[sighting(250)]));
        let line = text.lines().find(|line| line.starts_with("665544.fffe.332211-1")).unwrap();
        for part in
            ["  24  02:00:00:00:00:0a  665544.fffe.332211 ", "within 100 ns", " +250 ns ", " 1.30 us ", " 1.23 us"]
        {
            assert!(line.contains(part), "{part}: {text}");
        }
        assert!(
            text.contains("\n     gnss, PTP timescale (TAI)  TAI-UTC 37 s  time traceable  frequency traceable\n"),
            "{text}"
        );
        assert!(
            text.contains("\n     PTP 2.1  two-step  3 announce every 2^1 s  40 sync every 2^-3 s  5 readings\n"),
            "{text}"
        );
        assert!(!text.contains("SOMEBODY"), "{text}");
        let json = serde_json::to_value(report(&[sighting(250)])).unwrap();
        assert_eq!((&json["transport"], &json["listened_ms"]), (&"ethernet".into(), &5000.into()));
        assert_eq!(json["masters"][0]["offset_ns"], 250.0);
        assert!(json["masters"][0].get("suspicion").is_none());
    }

    #[test]
    fn what_is_not_known_is_absent_and_mistakes_are_named() {
        let confused = report(&[sighting(-37_000_000_400)]);
        assert_eq!(confused.masters[0].suspicion, Some("tai_utc_confused"));
        assert!(words(&confused).contains("\n     SOMEBODY TAKES TAI FOR UTC"));
        let unknown = Sighting { offset: None, bound: None, ..sighting(0) };
        let observed = Observed {
            announce: None,
            time_properties: None,
            best: None,
            two_step: None,
            address: None,
            ..unknown.observed
        };
        let silent = report(&[Sighting { observed, ..unknown }]);
        assert!(words(&silent).contains("\n     PTP 2.1  3 announce"), "{}", words(&silent));
        let json = serde_json::to_value(&silent).unwrap();
        for key in ["address", "announce", "time_properties_ds", "offset_ns", "bound_ns", "mean_delay_ns"] {
            assert!(json["masters"][0].get(key).is_none(), "{json:#}");
        }
    }
}
