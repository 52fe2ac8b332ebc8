//! `sidereal ptp`: the PTP instances of a running sidereal.

use sidereal_ops::{Ptp, PtpClockQuality, PtpForeignMaster, PtpInstance, PtpTimePropertiesDs, Reply, Request};
use sidereal_ptp::ClockAccuracy;
use std::fmt::Write;

use super::control::{Arguments, ask};
use super::words::{fractional_nanoseconds, nanoseconds, occurrences, table};
use super::{Failure, print, print_json};
use crate::show::nanos;

pub(super) fn ptp(arguments: &Arguments) -> Result<(), Failure> {
    match &ask(arguments, &Request::Ptp)? {
        Reply::Ptp(ptp) if !arguments.json => print(words(ptp)),
        reply => print_json(reply),
    }
}

/// The instances, one after another.
fn words(ptp: &Ptp) -> String {
    if ptp.instances.is_empty() {
        return "there is no PTP instance: the configuration has no [[ptp]]\n".into();
    }
    ptp.instances.iter().map(instance).collect::<Vec<_>>().join("\n")
}

fn instance(instance: &PtpInstance) -> String {
    let PtpInstance { default_ds, current_ds, parent_ds, port_ds, .. } = instance;
    let mut text = format!(
        "{}  domain {}  {}  {}  {}\n",
        instance.name, default_ds.domain_number, instance.transport, port_ds.delay_mechanism, port_ds.port_state
    );
    let mut line = |what: &str, words: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {what:<12} {words}");
    };
    line("as a source", format!("{}: {}", instance.state, instance.reason));
    let own = (default_ds.priority1, default_ds.clock_quality, default_ds.priority2);
    line("own clock", format!("{}  {}", default_ds.clock_identity, rank(own)));
    if current_ds.steps_removed > 0 {
        let from = parent_ds.protocol_address.as_ref().map(|address| format!("  at {address}")).unwrap_or_default();
        line("master", format!("{}{from}", parent_ds.parent_port_identity));
        let theirs =
            (parent_ds.grandmaster_priority1, parent_ds.grandmaster_clock_quality, parent_ds.grandmaster_priority2);
        let steps = current_ds.steps_removed;
        line("grandmaster", format!("{}  {}  steps removed {steps}", parent_ds.grandmaster_identity, rank(theirs)));
        let offset = fractional_nanoseconds(current_ds.offset_from_master_ns);
        let sign = if current_ds.offset_from_master_ns > 0.0 { "+" } else { "" };
        let delay = fractional_nanoseconds(current_ds.mean_delay_ns);
        line("offset", format!("{sign}{offset} from the master  mean delay {delay}"));
    }
    line("time", time(&instance.time_properties_ds));
    line(
        "intervals",
        format!(
            "announce 2^{} s, {} may be missed  sync 2^{} s  delay_req 2^{} s  pdelay_req 2^{} s",
            port_ds.log_announce_interval,
            port_ds.announce_receipt_timeout,
            port_ds.log_sync_interval,
            port_ds.log_min_delay_req_interval,
            port_ds.log_min_pdelay_req_interval
        ),
    );
    text.push_str(&masters(&instance.foreign_masters, &parent_ds.parent_port_identity));
    text.push_str("  ");
    text.push_str(&occurrences("counts", core::iter::once(&instance.counts)));
    text
}

/// What the best master clock algorithm compares, in its order.
fn rank((priority1, quality, priority2): (u8, PtpClockQuality, u8)) -> String {
    format!(
        "priority1 {priority1}  class {}  accuracy {}  variance {:#06x}  priority2 {priority2}",
        quality.clock_class,
        accuracy(quality.clock_accuracy),
        quality.offset_scaled_log_variance
    )
}

/// A clockAccuracy in words: `within 100 ns`.
pub(super) fn accuracy(number: u8) -> String {
    match ClockAccuracy(number).bound() {
        Some(bound) => format!("within {}", nanoseconds(nanos(bound))),
        None if number == ClockAccuracy::UNKNOWN.0 => "unknown".into(),
        None => format!("{number:#04x}"),
    }
}

/// What a grandmaster says of its timescale.
pub(super) fn time(time: &PtpTimePropertiesDs) -> String {
    let scale = if time.ptp_timescale { "PTP timescale (TAI)" } else { "a timescale of its own" };
    let doubt = if time.current_utc_offset_valid { "" } else { " (not valid)" };
    let mut text = format!("{}, {scale}  TAI-UTC {} s{doubt}", time.time_source_name, time.current_utc_offset);
    let notes = [
        (time.time_traceable, "time traceable"),
        (time.frequency_traceable, "frequency traceable"),
        (time.leap61, "A LEAP SECOND IS INSERTED TODAY"),
        (time.leap59, "A LEAP SECOND IS DELETED TODAY"),
    ];
    for (_, note) in notes.into_iter().filter(|(is_so, _)| *is_so) {
        text.push_str("  ");
        text.push_str(note);
    }
    text
}

fn masters(masters: &[PtpForeignMaster], parent: &str) -> String {
    if masters.is_empty() {
        return "  no master is heard\n".into();
    }
    let row = |master: &PtpForeignMaster| {
        let mark = match () {
            () if master.port_identity == parent => "*",
            () if master.qualified => "",
            () => "?",
        };
        let quality = master.grandmaster_clock_quality;
        vec![
            mark.into(),
            master.port_identity.clone(),
            master.address.clone().unwrap_or_else(|| "-".into()),
            master.grandmaster_identity.clone(),
            master.grandmaster_priority1.to_string(),
            quality.clock_class.to_string(),
            accuracy(quality.clock_accuracy),
            master.grandmaster_priority2.to_string(),
            master.steps_removed.to_string(),
        ]
    };
    let header = ["", "master", "address", "grandmaster", "priority1", "class", "accuracy", "priority2", "steps"];
    let right = [false, false, false, false, true, true, false, true, true];
    let rows: Vec<_> = masters.iter().map(row).collect();
    let indent = |line: &str| format!("  {line}\n");
    let lines: String = table(&header, &right, &rows).lines().map(indent).collect();
    format!("  * followed   ? heard too seldom to be followed\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(more: &str) -> Ptp {
        let quality = r#"{"clock_class":6,"clock_accuracy":33,"offset_scaled_log_variance":20061}"#;
        let master = |port: u16, qualified: bool| {
            format!(
                r#"{{"port_identity":"665544.fffe.332211-{port}","qualified":{qualified},"steps_removed":0,
                "grandmaster_identity":"665544.fffe.332211","grandmaster_clock_quality":{quality},
                "grandmaster_priority1":127,"grandmaster_priority2":128}}"#
            )
        };
        let own = r#"{"clock_class":248,"clock_accuracy":254,"offset_scaled_log_variance":65535}"#;
        let mut instance: serde_json::Value = serde_json::from_str(&format!(
            r#"{{"name":"lan","transport":"ethernet","state":"selected","reason":"the best of 2",
            "default_ds":{{"clock_identity":"001122.fffe.334455","number_ports":1,"clock_quality":{own},"priority1":128,
            "priority2":128,"domain_number":24,"slave_only":false,"sdo_id":0,"local_priority":128}},
            "current_ds":{{"steps_removed":1,"offset_from_master_ns":12.54,"mean_delay_ns":1234.5,
            "synchronization_uncertain":false}},
            "parent_ds":{{"parent_port_identity":"665544.fffe.332211-1","parent_stats":false,
            "observed_parent_offset_scaled_log_variance":65535,"observed_parent_clock_phase_change_rate":2147483647,
            "grandmaster_identity":"665544.fffe.332211","grandmaster_clock_quality":{quality},
            "grandmaster_priority1":127,"grandmaster_priority2":128,"synchronization_uncertain":false}},
            "time_properties_ds":{{"current_utc_offset":37,"current_utc_offset_valid":true,"leap59":false,"leap61":true,
            "time_traceable":true,"frequency_traceable":false,"ptp_timescale":true,"time_source":32,
            "time_source_name":"gnss"}},
            "port_ds":{{"port_identity":"001122.fffe.334455-1","port_state":"SLAVE","log_min_delay_req_interval":-4,
            "mean_link_delay_ns":0,"log_announce_interval":-3,"announce_receipt_timeout":3,"log_sync_interval":-4,
            "delay_mechanism":"E2E","log_min_pdelay_req_interval":0,"version_number":2,"minor_version_number":1,
            "delay_asymmetry_ns":0,"port_enable":true,"master_only":false}},
            "foreign_masters":[{},{}],"counts":{{"sync_received":7,"own_messages":0}}}}"#,
            master(1, true),
            master(2, false)
        ))
        .unwrap();
        let more: serde_json::Value = serde_json::from_str(more).unwrap();
        for (pointer, value) in more.as_object().unwrap() {
            *instance.pointer_mut(pointer).unwrap() = value.clone();
        }
        Ptp { instances: vec![serde_json::from_value(instance).unwrap()] }
    }

    #[test]
    fn a_follower_shows_its_master_and_how_far_it_is() {
        let text = words(&document("{}"));
        for line in [
            "lan  domain 24  ethernet  E2E  SLAVE\n",
            "\n  as a source  selected: the best of 2\n",
            "\n  own clock    001122.fffe.334455  priority1 128  class 248  accuracy unknown  variance 0xffff  priority2 128\n",
            "\n  master       665544.fffe.332211-1\n",
            "  class 6  accuracy within 100 ns  variance 0x4e5d  priority2 128  steps removed 1\n",
            "\n  offset       +12.5 ns from the master  mean delay 1.23 us\n",
            "  TAI-UTC 37 s  time traceable  A LEAP SECOND IS INSERTED TODAY\n",
            "announce 2^-3 s, 3 may be missed  sync 2^-4 s",
            "\n  *  665544.fffe.332211-1  -  ",
            "\n  ?  665544.fffe.332211-2  -  ",
            "\n  counts   sync_received 7\n",
        ] {
            assert!(text.contains(line), "{text}--- lacks\n{line}");
        }
    }

    #[test]
    fn a_leader_has_no_master() {
        let text = words(&document(
            r#"{"/port_ds/port_state":"MASTER","/current_ds/steps_removed":0,"/foreign_masters":[],
            "/time_properties_ds/current_utc_offset_valid":false,"/time_properties_ds/ptp_timescale":false,
            "/default_ds/clock_quality/clock_accuracy":49}"#,
        ));
        assert!(!text.contains("\n  master ") && !text.contains("\n  offset "), "{text}");
        for part in [
            "  E2E  MASTER\n",
            "no master is heard\n",
            "a timescale of its own  TAI-UTC 37 s (not valid)",
            "accuracy 0x31",
        ] {
            assert!(text.contains(part), "{text}--- lacks\n{part}");
        }
        assert!(words(&Ptp::default()).starts_with("there is no PTP instance"));
    }
}
