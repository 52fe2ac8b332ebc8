//! The configuration of PTP: every message about a bad one, and what good ones mean.
#![expect(clippy::panic, reason = "a test says no by panicking")]

use sidereal::config::{Config, DEFAULT, Ptp, Reference, schema};
use sidereal_ptp::{
    ArbitraryTimescale, Bmca, DelayMechanism, InstanceOptions, PortKey, PortOptions, Profile, SdoId, Transport,
};
use sidereal_time::Span;
use std::path::Path;

/// A kernel port on an interface, lines 1 to 5.
const KERNEL: &str = "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\ninterface = 'eth0'\n";
/// A port of DPDK that accepts VLAN 5 and has an IPv4 address, lines 1 to 6.
const DPDK: &str =
    "[[port]]\nname = 'b'\nbackend = 'dpdk'\ndevice = 'net_null0'\naddresses = ['10.0.0.1/24']\nvlans = [5]\n";

/// An instance, its name on line 7 behind the kernel port, and its port, whose `port` is on the line behind `instance` + 1.
fn ptp(instance: &str, port: &str) -> String {
    format!("{KERNEL}[[ptp]]\nname = 'lan'\n{instance}[[ptp.port]]\nport = 'a'\n{port}")
}

fn of_instance(line: &str) -> String {
    ptp(&format!("{line}\n"), "")
}

fn of_port(lines: &str) -> String {
    ptp("", lines)
}

fn on_dpdk(lines: &str) -> String {
    format!("{DPDK}[[ptp]]\nname = 'lan'\n[[ptp.port]]\nport = 'b'\n{lines}")
}

/// Configurations, and all that is said about them.
fn bad() -> Vec<(String, Vec<&'static str>)> {
    vec![
        // Values.
        (of_instance("domain = 256"), vec!["F:8:10: 256 is out of range", "from 0 to 255"]),
        (of_instance("sdo_id = 4096"), vec!["F:8:10: 4096 is out of range", "from 0 to 4095"]),
        (of_instance("priority1 = -1"), vec!["F:8:13: -1 is out of range"]),
        (of_instance("local_priority = 0"), vec!["F:8:18: 0 is out of range", "from 1 to 255"]),
        (
            of_instance("identity = '0011'"),
            vec!["F:8:12: \"0011\" is not the identity of a clock", "sixteen hexadecimal"],
        ),
        (of_instance("profile = 'g8275.1'"), vec!["F:8:11: unknown variant `g8275.1`", "did you mean \"g8275_1\"?"]),
        (of_instance("arbitrary_timescale = 'gps'"), vec!["F:8:23: unknown variant `gps`"]),
        (
            of_instance("acceptable_masters = [{ identity = '001122.fffe.334455-0' }]"),
            vec!["F:8:", "\"001122.fffe.334455-0\" is neither the identity of a clock nor that of a port"],
        ),
        (
            of_instance(&format!("user_description = '{}'", "x".repeat(129))),
            vec!["F:8:20: \"xxx", "has 129 bytes", "at most 128 bytes"],
        ),
        (of_instance("management_access = ['10.0.0.1/8']"), vec!["F:8:22: \"10.0.0.1/8\" has address bits"]),
        (of_port("log_sync_interval = -8"), vec!["F:10:21: -8 is out of range", "from -7 to 6: -3 for 8 a second"]),
        (of_port("log_announce_interval = 7"), vec!["F:10:25: 7 is out of range"]),
        (of_port("announce_receipt_timeout = 1"), vec!["F:10:28: 1 is out of range", "from 2 to 255"]),
        (of_port("minor_version = 2"), vec!["F:10:17: 2 is out of range", "from 0 to 1"]),
        (of_port("delay_mechanism = 'auto'"), vec!["F:10:19: unknown variant `auto`", "\"e2e\", \"p2p\""]),
        (of_port("egress_latency = '5'"), vec!["F:10:18: \"5\" is not a correction"]),
        (of_port("vlan = 4095"), vec!["F:10:8: 4095 is out of range"]),
        (format!("{KERNEL}[ptp]\ndomain = 0"), vec!["F:6:1: ", "write a value of the right type"]),
        // What one value says about another.
        (of_instance("unknown_accuracy = '0s'"), vec!["F:8:20: no clock is exact", "such as \"10ms\""]),
        (
            of_instance(
                "acceptable_masters = [{ identity = '001122.fffe.334455' }, { identity = '001122:fffe:334455' }]",
            ),
            vec!["F:8:", "\"001122.fffe.334455\" stands above already", "keep one of them"],
        ),
        (of_instance("filter_length = 3"), vec!["F:8:17: there is no filter"]),
        (of_instance("noselect = true\ntrust = true"), vec!["F:9:9: `trust` is for a source that may be selected"]),
        (
            ptp("slave_only = true\n", "master_only = true"),
            vec!["F:8:14: `slave_only` says that it never leads, and `master_only`", "remove one of them"],
        ),
        (
            ptp("prefer = true\n", "master_only = true"),
            vec!["F:8:10: `prefer` is for a source, and `master_only` says that it never follows"],
        ),
        (
            format!("{}[[ntp.source]]\naddress = '10.0.0.9'\nname = 'lan'\n", of_port("")),
            vec!["F:7:8: a source called \"lan\" stands above", "a `name` of its own"],
        ),
        (
            format!("{KERNEL}[[ptp]]\nname = 'lan'\n"),
            vec!["F:6:1: the instance \"lan\" has no port", "add a [[ptp.port]]"],
        ),
        (
            of_port("[[ptp.port]]\nport = 'a'\n"),
            vec!["F:10:1: the instance \"lan\" has a port already", "another [[ptp]]"],
        ),
        (
            of_port("").replace("port = 'a'", "port = 'c'"),
            vec!["F:9:8: there is no port called \"c\"", "write the name of a [[port]]: \"a\""],
        ),
        (
            of_port("").replace("interface = 'eth0'", "queues = 1"),
            vec!["F:9:8: \"a\" is on no one interface, and PTP needs it", "add `interface` to the [[port]] \"a\""],
        ),
        (of_port("vlan = 5"), vec!["F:10:8: `vlan` is for DPDK ports", "the VLAN's own interface"]),
        (on_dpdk("vlan = 6"), vec!["F:11:8: the port \"b\" does not accept VLAN 6", "add 6 to the `vlans`"]),
        (
            on_dpdk("transport = 'udp_ipv6'"),
            vec!["F:11:13: the port \"b\" has no IPv6 address to send from", "add one to its `addresses`"],
        ),
        (
            of_port("hybrid = true\ntransport = 'ethernet'"),
            vec!["F:10:10: `hybrid` asks for unicast Delay_Req, which go over UDP", "write hybrid = false"],
        ),
        (
            of_port("hybrid = true\ndelay_mechanism = 'p2p'"),
            vec!["F:10:10: `hybrid` asks for unicast Delay_Req, and delay_mechanism = \"p2p\" sends none"],
        ),
        (
            ptp("profile = 'enterprise'\n", "delay_mechanism = 'p2p'"),
            vec!["F:9:1: profile = \"enterprise\" asks for unicast Delay_Req, and delay_mechanism = \"p2p\""],
        ),
        (
            format!("{}[[ptp]]\nname = 'other'\n[[ptp.port]]\nport = 'a'\n", of_port("")),
            vec!["F:13:8: another instance is in domain 0 there", "a `domain` of its own"],
        ),
        (
            format!(
                "{}[[ptp]]\nname = 'other'\n[[ptp.port]]\nport = 'c'\n{}",
                of_port(""),
                KERNEL.replace("'a'", "'c'").replace("'::'", "'10.0.0.1'")
            ),
            vec!["F:13:8: another instance is in domain 0 there"],
        ),
        // What follows from it elsewhere.
        (
            format!("{}[clock]\nreference = 'sources'", of_port("master_only = true\n")),
            vec!["there is no source that may be followed", "add an [[ntp.source]], a [[ptp]] or"],
        ),
        (of_instance("noselect = true"), vec!["there is no source that may be followed"]),
        (
            format!("{}[selection]\nminimum_sources = 2", of_port("")),
            vec!["2 sources must agree, and there are 1 that may be followed"],
        ),
    ]
}

#[test]
fn each_fault_is_told_with_its_place_and_its_remedy() {
    for (text, expected) in bad() {
        let error = Config::parse(&text, Path::new("F")).expect_err(&text).to_string();
        for part in expected {
            assert!(error.contains(part), "{text}\n---\n{error}\n--- lacks\n{part}");
        }
        assert!(error.lines().count().is_multiple_of(2) && error.contains("\n  help: "), "{text}\n---\n{error}");
    }
}

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("F")).unwrap_or_else(|error| panic!("{text}\n---\n{error}"))
}

fn only(text: &str) -> Ptp {
    let mut config = parse(text);
    assert_eq!(config.ptp.len(), 1);
    config.ptp.remove(0)
}

#[test]
fn where_nothing_is_said_the_profile_holds() {
    assert_eq!(only(&of_port("")).options, InstanceOptions::of(Profile::Default));
    for (name, profile) in [("g8275_1", Profile::G8275_1), ("g8275_2", Profile::G8275_2)] {
        let options = only(&of_instance(&format!("profile = '{name}'"))).options;
        assert_eq!((&options, options.bmca), (&InstanceOptions::of(profile), Bmca::Alternate), "{name}");
    }
    let default = InstanceOptions::of(Profile::Default);
    let enterprise = |port: PortOptions| InstanceOptions {
        port: PortOptions { log_announce_interval: 0, hybrid: true, ..port },
        ..default.clone()
    };
    let of_enterprise = |port: &str| only(&ptp("profile = 'enterprise'\n", port)).options;
    let patient = PortOptions { announce_receipt_timeout: 4, ..default.port.clone() };
    assert_eq!(of_enterprise(""), enterprise(patient));
    assert_eq!(
        of_enterprise("master_only = true"),
        enterprise(PortOptions { master_only: true, ..default.port.clone() })
    );
    assert!(!of_enterprise("hybrid = false").port.hybrid);
}

#[test]
fn every_key_arrives() {
    let instance = only(&ptp(
        "profile = 'g8275_1'\ndomain = 25\nsdo_id = 0x100\nidentity = '001122.fffe.334455'\npriority1 = 1\npriority2 = 2\n\
         local_priority = 3\nslave_only = true\npath_trace = true\narbitrary_timescale = 'utc'\nunknown_accuracy = '1us'\n\
         acceptable_masters = [{ identity = '665544.fffe.332211', alternate_priority1 = 9 }]\nuser_description = 'here'\n\
         management_access = ['10.0.0.0/8', '::1']\noffset = '-5ns'\nasymmetry_limit = '7ns'\nfilter = 'quantile'\n\
         filter_length = 4\nquantile = 0.25\nprefer = true\nrequire = true\ntrust = true\n",
        "transport = 'udp_ipv6'\ndelay_mechanism = 'p2p'\nminor_version = 0\nlog_announce_interval = -1\n\
         announce_receipt_timeout = 5\nlog_sync_interval = -7\nlog_min_delay_req_interval = -6\n\
         log_min_pdelay_req_interval = -5\nhybrid = false\ndelay_asymmetry = '-1ns'\ningress_latency = '2ns'\n\
         egress_latency = '3ns'\nlocal_priority = 4\n",
    ));
    let options = &instance.options;
    let identity = "001122.fffe.334455".parse().unwrap();
    assert_eq!(
        (instance.name.to_string().as_str(), instance.identity, instance.port.as_str()),
        ("lan", Some(identity), "a")
    );
    assert_eq!((options.profile, options.domain, options.sdo_id), (Profile::G8275_1, 25, SdoId::GPTP));
    assert_eq!((options.priority1, options.priority2, options.local_priority), (1, 2, 3));
    assert!(options.slave_only && options.path_trace);
    assert_eq!(options.arbitrary_timescale, ArbitraryTimescale::Utc);
    assert_eq!((options.unknown_accuracy, options.user_description.as_str()), (Span::from_nanos(1000), "here"));
    assert_eq!(options.management_access, ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()));
    let masters = options.acceptable_masters.clone();
    assert_ne!(masters, InstanceOptions::default().acceptable_masters);
    let expected = PortOptions {
        key: PortKey(0),
        transport: Transport::UdpIpv6,
        delay_mechanism: DelayMechanism::P2p,
        minor_version: 0,
        log_announce_interval: -1,
        announce_receipt_timeout: 5,
        log_sync_interval: -7,
        log_min_delay_req_interval: -6,
        log_min_pdelay_req_interval: -5,
        delay_asymmetry: Span::from_nanos(-1),
        ingress_latency: Span::from_nanos(2),
        egress_latency: Span::from_nanos(3),
        local_priority: 4,
        ..PortOptions::default()
    };
    assert_eq!(options.port, expected);
    assert!(instance.flags.prefer && instance.flags.require && instance.flags.trust && !instance.flags.noselect);
    assert_eq!((instance.offset.as_span(), instance.filter_length.map(|n| n.get())), (Span::from_nanos(-5), Some(4)));
}

#[test]
fn the_default_file_shows_every_key() {
    let schema = serde_json::to_value(schema()).unwrap();
    for table in ["PtpTable", "PtpPortTable", "AcceptableMasterTable"] {
        let properties = schema["$defs"][table]["properties"].as_object().unwrap();
        for (key, property) in properties {
            let shown = DEFAULT.contains(&format!("# {key} = ")) || DEFAULT.contains(&format!(" {key} = "));
            assert!(shown || DEFAULT.contains(&format!("# [[ptp.{key}]]")), "{table}: {key}");
            assert!(property["description"].as_str().is_some_and(|text| text.len() > 3), "{table}: {key}");
        }
    }
}

#[test]
fn instances_are_told_apart_by_domain_transport_and_vlan() {
    let another = |name: &str, instance: &str, port: &str| {
        format!("[[ptp]]\nname = '{name}'\n{instance}[[ptp.port]]\nport = 'b'\n{port}\n")
    };
    let text = format!(
        "{}{}{}{}",
        on_dpdk(""),
        another("c", "domain = 1\n", ""),
        another("d", "", "transport = 'ethernet'"),
        another("e", "", "vlan = 5")
    );
    if cfg!(not(feature = "dpdk")) {
        assert!(Config::parse(&text, Path::new("F")).is_err());
        return;
    }
    let config = parse(&text);
    let keys: Vec<_> = config.ptp.iter().map(|instance| (instance.options.port.key.0, instance.vlan)).collect();
    assert_eq!(keys, [(0, None), (1, None), (2, None), (3, Some(5))]);
}

#[test]
fn an_instance_that_may_follow_is_a_source() {
    assert_eq!(parse(&of_port("")).reference, Reference::Sources);
    assert_eq!(parse(&of_port("master_only = true")).reference, Reference::System);
    assert_eq!(
        parse(&format!("{}[clock]\nreference = 'system'", of_instance("noselect = true"))).reference,
        Reference::System
    );
    assert!(parse(&of_port("")).ops.ptp_management.is_none());
    let managed = parse(&format!("{}[ops]\nptp_management = '/run/sidereal/ptp'", of_port("")));
    assert_eq!(managed.ops.ptp_management.unwrap().to_string(), "/run/sidereal/ptp");
}
