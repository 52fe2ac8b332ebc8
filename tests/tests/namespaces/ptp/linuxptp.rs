//! Sidereal leads linuxptp and follows it, in every way that both know. Both ends share the host's clock, which nobody
//! steers: what is measured is the error. Beside each figure stands that of ptp4l with ptp4l, from the same run.

use core::time::Duration;
use std::thread;

use sidereal_tests::{Answers, Capture, Error, Link, Net, Ptp4l, Result, Sidereal, Status, Transport, pmc, until_some};

use super::way::{ETHERNET, ETHERNET_P2P, HYBRID, TELECOM, UDP_IPV4, UDP_IPV4_P2P, UDP_IPV6, UDP_IPV6_P2P, Way};
use crate::sources::assert_serves_right;

const DEADLINE: Duration = Duration::from_secs(40);
/// So many offsets make a figure.
const OFFSETS: usize = 20;
const BETWEEN_OFFSETS: Duration = Duration::from_millis(130);
/// A busy machine explains tens of microseconds in the middle of what the kernel's stamps give; and where a worker that waits for
/// its turn takes them, more, but no milliseconds.
const fn offset_limit_ns(transport: Transport) -> f64 {
    if matches!(transport, Transport::Dpdk) { 1_000_000.0 } else { 200_000.0 }
}
/// So many measurements, and the beginning is over.
const SETTLED: u64 = 24;

const WAYS: [Way; 8] = [ETHERNET, ETHERNET_P2P, UDP_IPV4, UDP_IPV4_P2P, UDP_IPV6, UDP_IPV6_P2P, HYBRID, TELECOM];

#[test]
fn linuxptp_on_kernel_sockets() -> Result<()> {
    WAYS.into_iter().try_for_each(|way| both_roles(way, Transport::Kernel))
}

#[test]
fn linuxptp_on_dpdk() -> Result<()> {
    WAYS.into_iter().try_for_each(|way| both_roles(way, Transport::Dpdk))
}

#[test]
fn linuxptp_in_single_mode() -> Result<()> {
    [ETHERNET, UDP_IPV4_P2P].into_iter().try_for_each(|way| both_roles(way, Transport::Single))
}

fn both_roles(way: Way, transport: Transport) -> Result<()> {
    let beside = ptp4l_with_ptp4l(way)?;
    let leading = sidereal_leads(way, transport)?;
    let following = sidereal_follows(way, transport)?;
    eprintln!(
        "{:3} on {:6}: offset of ptp4l behind Sidereal {leading:7.0} ns, of Sidereal behind ptp4l {following:7.0} ns, of \
         ptp4l behind ptp4l {beside:7.0} ns",
        way.label,
        transport.name()
    );
    Ok(())
}

/// The middle one of the offsets, without their signs, that a ptp4l sees from another.
fn ptp4l_with_ptp4l(way: Way) -> Result<f64> {
    Net::run(&format!("two-{}", way.label), Link::Kernel, |net| {
        let _master = Ptp4l::start(net.server(), "master", &way.ptp4l_leads())?;
        let slave = Ptp4l::start(net.client(), "slave", &way.ptp4l_follows())?;
        middle_offset(&slave, way)
    })
}

fn sidereal_leads(way: Way, transport: Transport) -> Result<f64> {
    Net::run(&format!("led-{}-{}", way.label, transport.name()), transport.link(), |net| {
        let options = way.options(transport, "[clock]\nreference = \"system\"\n");
        let mut sidereal = Sidereal::start(net, &options)?;
        let capture = Capture::start(net.client())?;
        let slave = Ptp4l::start(net.client(), "slave", &way.ptp4l_follows())?;
        sidereal.ptp_until("the role of the master", DEADLINE, |ptp| ptp.text("/port_ds/port_state") == "MASTER")?;
        let middle = middle_offset(&slave, way)?;
        let ptp = sidereal.ptp()?;
        assert_eq!(ptp.text("/port_ds/port_state"), "MASTER", "{ptp}");
        assert_eq!(ptp.text("/parent_ds/grandmaster_identity"), ptp.text("/default_ds/clock_identity"), "{ptp}");
        // What ptp4l says of us is what we are.
        let parent = slave.ask(way.domain(), "GET PARENT_DATA_SET")?;
        assert_eq!(parent.field("parentPortIdentity")?, ptp.text("/port_ds/port_identity"), "{parent}");
        assert_eq!(parent.field("gm.ClockClass")?, ptp.get("/default_ds/clock_quality/clock_class").to_string());
        let time = slave.ask(way.domain(), "GET TIME_PROPERTIES_DATA_SET")?;
        assert_eq!(time.field("currentUtcOffset")?, ptp.get("/time_properties_ds/current_utc_offset").to_string());
        assert_eq!(time.field("ptpTimescale")?, "1", "{time}");
        // Without a servo it never comes to SLAVE.
        let port = slave.ask(way.domain(), "GET PORT_DATA_SET")?;
        assert_eq!(port.field("portState")?, "UNCALIBRATED", "{port}");
        assert!(middle < offset_limit_ns(transport), "{middle} ns");
        sidereal.stop()?;
        capture.stop()?.faultless("ptp")?;
        Ok(middle)
    })
}

fn sidereal_follows(way: Way, transport: Transport) -> Result<f64> {
    Net::run(&format!("fol-{}-{}", way.label, transport.name()), transport.link(), |net| {
        let capture = Capture::start(net.client())?;
        let master = Ptp4l::start(net.client(), "master", &way.ptp4l_leads())?;
        let options = way.options(transport, "[clock]\nreference = \"sources\"\n");
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &options)?;
        let ptp = sidereal.ptp_until("the role of the slave", DEADLINE, |ptp| {
            ptp.text("/port_ds/port_state") == "SLAVE" && ptp.count("measured") >= SETTLED
        })?;
        let theirs = master.ask(way.domain(), "GET PORT_DATA_SET")?;
        assert_eq!(theirs.field("portState")?, "MASTER", "{theirs}");
        assert_eq!(theirs.field("portIdentity")?, ptp.text("/parent_ds/parent_port_identity"), "{ptp}");
        let sources = sidereal.sources()?;
        let source = sources.named("lan")?;
        assert_eq!(source.text("state"), "selected", "{source}");
        // Both ends share one clock: our time against that clock is our error, whose bound we know.
        let mut errors = Vec::new();
        for _ in 0..OFFSETS {
            let status = sidereal.synchronised(DEADLINE)?;
            let number = |pointer: &str| status.get(pointer).and_then(serde_json::Value::as_f64).unwrap_or(f64::MAX);
            let (error, bound) = (number("/clocks/0/offset_ns").abs(), number("/clock/bound_ns"));
            assert!(error <= bound, "{error} ns; {status}");
            errors.push(error);
        }
        let middle = middle_of(errors)?;
        assert!(middle < offset_limit_ns(transport), "{middle} ns");
        print_corrections(way, transport, &mut sidereal)?;
        // What it follows by PTP it serves by NTP.
        assert_serves_right(net.client())?;
        sidereal.stop()?;
        capture.stop()?.faultless("ptp")?;
        Ok(middle)
    })
}

/// How soon measurements led to corrections of the system clock, which is steered dry.
fn print_corrections(way: Way, transport: Transport, sidereal: &mut Sidereal<'_>) -> Result<()> {
    let of = |status: &Status, name: &str| status.get(&format!("/clocks/0/rx_to_correction_ns/{name}"))?.as_u64();
    let status = sidereal
        .status_until("corrections", DEADLINE, |status| of(status, "count").is_some_and(|count| count >= 16))?;
    let [p50, p99, max] = ["p50", "p99", "max"].map(|name| of(&status, name).unwrap_or_default());
    assert!(0 < p50 && p50 <= p99 && p99 <= max, "{status}");
    eprintln!(
        "{:3} on {:6}: from RX stamp to correction p50 {} us, p99 {} us, max {} us",
        way.label,
        transport.name(),
        p50 / 1000,
        p99 / 1000,
        max / 1000
    );
    assert!(sidereal.ask(&["status"])?.contains("from RX stamp to correction p50 "), "{status}");
    Ok(())
}

/// What `pmc` reads from us is what we say of ourselves.
#[test]
fn pmc_reads_what_sidereal_tells() -> Result<()> {
    Net::run("pmc", Link::Kernel, |net| {
        let mut sidereal =
            Sidereal::start(net, &UDP_IPV4.options(Transport::Kernel, "[clock]\nreference = \"system\"\n"))?;
        let ptp = sidereal
            .ptp_until("the role of the master", DEADLINE, |ptp| ptp.text("/port_ds/port_state") == "MASTER")?;
        let socket = sidereal.ptp_management().to_owned();
        let ask = |words: &str| pmc(net.server(), "pmc", &socket, 0, words);
        let same = |answers: &Answers, fields: &[(&str, &str)]| {
            fields.iter().try_for_each(|(field, pointer)| {
                let theirs = answers.field(field)?;
                let ours = ptp.get(pointer);
                let agree = match ours {
                    serde_json::Value::String(text) => theirs.eq_ignore_ascii_case(text),
                    serde_json::Value::Bool(is) => theirs == if *is { "1" } else { "0" },
                    _ => match theirs.strip_prefix("0x") {
                        Some(digits) => u64::from_str_radix(digits, 16).ok() == ours.as_u64(),
                        None => theirs.parse().ok() == ours.as_f64(),
                    },
                };
                assert!(agree, "{field}: \"{theirs}\", and ours is {ours}");
                Ok::<_, Error>(())
            })
        };
        same(
            &ask("GET DEFAULT_DATA_SET")?,
            &[
                ("clockIdentity", "/default_ds/clock_identity"),
                ("numberPorts", "/default_ds/number_ports"),
                ("priority1", "/default_ds/priority1"),
                ("priority2", "/default_ds/priority2"),
                ("clockClass", "/default_ds/clock_quality/clock_class"),
                ("clockAccuracy", "/default_ds/clock_quality/clock_accuracy"),
                ("offsetScaledLogVariance", "/default_ds/clock_quality/offset_scaled_log_variance"),
                ("domainNumber", "/default_ds/domain_number"),
            ],
        )?;
        same(
            &ask("GET PARENT_DATA_SET")?,
            &[
                ("parentPortIdentity", "/parent_ds/parent_port_identity"),
                ("grandmasterIdentity", "/parent_ds/grandmaster_identity"),
                ("grandmasterPriority1", "/parent_ds/grandmaster_priority1"),
            ],
        )?;
        same(
            &ask("GET TIME_PROPERTIES_DATA_SET")?,
            &[
                ("currentUtcOffset", "/time_properties_ds/current_utc_offset"),
                ("currentUtcOffsetValid", "/time_properties_ds/current_utc_offset_valid"),
                ("leap61", "/time_properties_ds/leap61"),
                ("timeTraceable", "/time_properties_ds/time_traceable"),
                ("timeSource", "/time_properties_ds/time_source"),
            ],
        )?;
        same(
            &ask("GET PORT_DATA_SET")?,
            &[
                ("portIdentity", "/port_ds/port_identity"),
                ("portState", "/port_ds/port_state"),
                ("logSyncInterval", "/port_ds/log_sync_interval"),
                ("logAnnounceInterval", "/port_ds/log_announce_interval"),
                ("announceReceiptTimeout", "/port_ds/announce_receipt_timeout"),
                ("versionNumber", "/port_ds/version_number"),
            ],
        )?;
        assert_eq!(ask("GET CURRENT_DATA_SET")?.field("stepsRemoved")?, "0");
        assert_eq!(ask("GET TIME_STATUS_NP")?.field("gmPresent")?, "false");
        ask("GET PORT_STATS_NP")?.number("tx_Sync")?;
        assert_eq!(ask("GET PORT_PROPERTIES_NP")?.field("timestamping")?, "SOFTWARE");
        // From here it may be changed, and the change is seen.
        ask("SET PRIORITY1 77")?;
        sidereal.ptp_until("another priority", DEADLINE, |ptp| ptp.get("/default_ds/priority1") == 77)?;
        sidereal.stop()
    })
}

/// The middle one of the offsets that `ptp4l` sees, without their signs.
fn middle_offset(ptp4l: &Ptp4l<'_>, way: Way) -> Result<f64> {
    let answer = || ptp4l.ask(way.domain(), "GET TIME_STATUS_NP");
    until_some("an offset of ptp4l's", DEADLINE, || match answer() {
        Ok(answer)
            if answer.field("gmPresent").is_ok_and(|is| is == "true")
                && answer.field("ingress_time").is_ok_and(|time| time != "0") =>
        {
            Ok(())
        }
        Ok(answer) => Err(answer.to_string()),
        Err(error) => Err(error.to_string()),
    })?;
    let mut offsets = Vec::new();
    for _ in 0..OFFSETS {
        thread::sleep(BETWEEN_OFFSETS);
        offsets.push(answer()?.number("master_offset")?.abs());
    }
    middle_of(offsets)
}

fn middle_of(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().ok_or_else(|| Error::Unexpected("no offsets".into()))
}
