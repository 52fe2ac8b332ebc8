//! Every message about a bad configuration, and the configurations that are good.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking")]

use proptest::prelude::*;
use sidereal::config::{Backend, Config, DEFAULT, Document, Driver, PortKind, Reference, Steer, schema};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const KERNEL: &str = "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\n";
const DPDK: &str = "[[port]]\nname = 'b'\nbackend = 'dpdk'\ndevice = 'net_null0'\naddresses = ['10.0.0.1/24']\n";

/// What is said about where time comes from and goes to.
fn bad_sources() -> Vec<(String, Vec<&'static str>)> {
    let source = |more: &str| format!("{KERNEL}[[ntp.source]]\n{more}\n");
    let server = |more: &str| source(&format!("address = '10.77.0.1'\n{more}"));
    let keyed = |more: &str| format!("{}[keys]\nfile = '/k'\n", server(more));
    let wired = |more: &str| format!("{KERNEL}[[reference_clock]]\nname = 'gps'\n{more}\n");
    let broadcast = |more: &str| format!("{KERNEL}[[ntp.broadcast]]\n{more}\n");
    vec![
        // Values.
        (
            source("address = '10.77.0.300'"),
            vec!["F:6:11: \"10.77.0.300\" is neither an IP address nor the name", "`port`"],
        ),
        (source("address = '0.0.0.0'"), vec!["F:6:11: \"0.0.0.0\" is no server's address"]),
        (source("address = '224.0.1.1'"), vec!["F:6:11: \"224.0.1.1\" is a group", "the server itself has"]),
        (server("min_poll = -7"), vec!["F:7:12: -7 is out of range", "from -6 to 17: 6 for 64 s"]),
        (server("max_poll = 18"), vec!["F:7:12: 18 is out of range"]),
        (server("version = 5"), vec!["F:7:11: 5 is out of range", "from 1 to 4"]),
        (server("key = 0"), vec!["F:7:7: 0 is out of range", "from 1 to 4294967295"]),
        (server("max_delay_ratio = 0.9"), vec!["F:7:19: 0.9 is out of range", "a number from 1 to 1000"]),
        (server("max_delay_ratio = nan"), vec!["F:7:19: NaN is out of range"]),
        (server("quantile = 2"), vec!["F:7:12: 2 is out of range", "a number from 0.01 to 1"]),
        (server("offset = '5'"), vec!["F:7:10: \"5\" is not a correction", "\"-250us\""]),
        (server("offset = '-2h'"), vec!["F:7:10: \"-2h\" is an hour or more"]),
        (server("name = 'a b'"), vec!["F:7:8: \"a b\" is not the name of a source"]),
        (server("mode = 'server'"), vec!["F:7:8: unknown variant `server`"]),
        (wired("kind = 'pps'\ndevice = 'pps0'"), vec!["F:8:10: \"pps0\" is not the path of a device", "\"/dev/ptp0\""]),
        (format!("{KERNEL}[servo]\nstep_threshold = 'none'"), vec!["F:6:18: \"none\" is not a length of time"]),
        (format!("{KERNEL}[servo]\nmax_slew_ppm = 0"), vec!["F:6:16: 0 is out of range", "from 0.001 to 100000"]),
        // What one value says about another.
        (server("min_poll = 5\nmax_poll = 4"), vec!["F:7:12: 5 is more than `max_poll`, 4", "a smaller `min_poll`"]),
        (server("min_poll = 11"), vec!["F:7:12: 11 is more than `max_poll`, 10"]),
        (server("key = 1"), vec!["F:7:7: no key is known", "add [keys]"]),
        (keyed("mode = 'symmetric'"), vec!["F:7:8: symmetric peers without a key", "add `key`"]),
        (keyed("mode = 'symmetric_passive'"), vec!["F:7:8: symmetric peers without a key"]),
        (keyed("key = 1\nmode = 'symmetric'\nburst = true"), vec!["F:9:9: `burst` is for mode = \"client\""]),
        (server("pool = 3"), vec!["F:7:8: \"10.77.0.1\" is one address, and no pool", "a name that has many"]),
        (source("address = 'a.example'\npool = 3\nmode = 'broadcast'"), vec!["F:7:8: `pool` is for mode = \"client\""]),
        (
            format!("mode = 'single'\n{}", source("address = 'a.example'")),
            vec!["F:7:11: \"a.example\" must be looked up", "write an IP address"],
        ),
        (server("nts = true"), vec!["F:7:7: this release has no Network Time Security", "remove `nts`"]),
        // NTP over PTP.
        (keyed("key = 1\nover_ptp = true\nmode = 'symmetric'"), vec!["F:8:12: PTP carries what clients ask alone"]),
        (server("over_ptp = true\nport = 1123"), vec!["F:8:8: 1123 is no port of PTP", "by its own, 319"]),
        (server("[ntp.server]\nover_ptp = true"), vec!["F:1:1: \"a\" is on no one interface", "interface = \"eth0\""]),
        (
            server(
                "over_ptp = true\n[ntp]\nover_ptp_domain = 24\n[[ptp]]\nname = 'p'\ndomain = 24\n[[ptp.port]]\nport = 'b'\n",
            ) + DPDK,
            vec!["F:9:19: the PTP instance \"p\" is in domain 24", "give one of them another domain"],
        ),
        (server("over_ptp = true\n[ntp]\nover_ptp_domain = 256"), vec!["F:9:19: 256 is out of range"]),
        (server("max_delay = '0s'"), vec!["F:7:13: no exchange takes no time"]),
        (server("filter_length = 4"), vec!["F:7:17: there is no filter", "write `filter` too"]),
        (server("filter = 'moving_median'\nquantile = 0.2"), vec!["F:8:12: the filter is another", "\"quantile\""]),
        (server("noselect = true\nprefer = true"), vec!["F:8:10: `prefer` is for a source that may be selected"]),
        (
            server("[[ntp.source]]\naddress = '10.77.0.1'"),
            vec!["F:8:11: \"10.77.0.1\" stands above already", "each server once"],
        ),
        (
            server("name = 'a'\n[[reference_clock]]\nname = 'a'\nkind = 'shm'\nunit = 0"),
            vec!["F:9:8: a source called \"a\" stands above", "a `name` of its own"],
        ),
        (
            server("[selection]\nminimum_sources = 2"),
            vec!["F:8:19: 2 sources must agree, and there are 1", "add sources"],
        ),
        (server("[selection]\nmax_distance = '0s'"), vec!["F:8:16: no source is that near"]),
        (
            server("noselect = true\n[clock]\nreference = 'sources'"),
            vec!["F:9:13: there is no source that may be followed"],
        ),
        (
            format!("{KERNEL}[clock]\nreference = 'sources'"),
            vec!["F:6:13: there is no source", "add an [[ntp.source]]"],
        ),
        (server("[clock]\nreference = 'system'\nsteer = 'on'"), vec!["F:9:9: \"on\" cannot be done"]),
        // Broadcasts.
        (broadcast("address = '::'"), vec!["F:6:11: \"::\" reaches nobody else", "\"10.77.0.255\""]),
        (broadcast("address = 'fd77::1'"), vec!["F:6:11: \"fd77::1\" reaches nobody else"]),
        (broadcast("address = '10.77.0.255'\nttl = 3"), vec!["F:7:7: \"10.77.0.255\" passes no router"]),
        (broadcast("address = '10.77.0.255'\nkey = 3"), vec!["F:7:7: no key is known"]),
        // Reference clocks and the clocks that follow.
        (wired("kind = 'pps'"), vec!["F:7:8: kind = \"pps\" needs a `device`", "device = \"/dev/pps0\""]),
        (wired("kind = 'shm'"), vec!["F:7:8: kind = \"shm\" needs a `unit`", "unit = 0"]),
        (wired("kind = 'sock'"), vec!["F:7:8: kind = \"sock\" needs a `path`"]),
        (wired("kind = 'shm'\nunit = 0\npin = 1"), vec!["F:9:7: `pin` is not for kind = \"shm\""]),
        (wired("kind = 'ptp'\ndevice = '/dev/ptp0'\nunit = 1"), vec!["F:9:8: `unit` is not for kind = \"ptp\""]),
        (wired("kind = 'pps'\ndevice = '/dev/pps0'"), vec!["F:5:1: the sources are pulses", "add a source that does"]),
        (
            wired("kind = 'ptp'\ndevice = '/dev/ptp0'\n[[ptp_clock]]\ndevice = '/dev/ptp0'\nsteer = 'on'"),
            vec!["F:11:9: \"/dev/ptp0\" is the source \"gps\": it would follow itself"],
        ),
        (
            format!("{KERNEL}{}", "[[ptp_clock]]\ndevice = '/dev/ptp0'\n".repeat(2)),
            vec!["F:8:10: \"/dev/ptp0\" stands above already"],
        ),
        // How they are followed.
        (
            format!("{KERNEL}[servo]\nstep_threshold = 'never'\nstep_updates = 3"),
            vec!["F:7:16: `step_threshold` says that time is never set anew"],
        ),
        (format!("{KERNEL}[servo]\nmax_bound = '0s'"), vec!["F:6:13: \"0s\" is out of range", "more than \"0s\""]),
        (format!("{KERNEL}[smear]\nwindow = '1s'"), vec!["F:6:10: \"1s\" is out of range", "from \"1h\" to \"240h\""]),
    ]
}

/// Configurations, and all that is said about them: `FILE:LINE:COLUMN: what`, and the remedy.
fn bad() -> Vec<(String, Vec<&'static str>)> {
    let kernel = |more: &str| format!("{KERNEL}{more}");
    let dpdk = |more: &str| format!("{DPDK}{more}");
    vec![
        // Syntax and types.
        (
            "mode = ".into(),
            vec!["F:1:8: string values must be quoted, expected literal string", "the file must be TOML"],
        ),
        ("mode = 3".into(), vec!["F:1:8: wanted string or table", "write a value of the right type"]),
        ("a = 1\na = 2".into(), vec!["F:2:1: duplicate key", "keep one of them"]),
        (
            kernel("queues = 'x'"),
            vec![
                "F:5:10: invalid type: string \"x\", expected a whole number from 1 to 64",
                "write a value of the right type; `sidereal config schema` describes every key",
            ],
        ),
        // Unknown and missing keys.
        ("[[prot]]".into(), vec!["F:1:3: unknown field `prot`", "did you mean `port`?"]),
        (kernel("adresses = []"), vec!["F:5:1: unknown field `adresses`", "did you mean `addresses`?"]),
        (
            "[clock]\nxyzxyzxyz = 1".into(),
            vec!["F:2:1: unknown field `xyzxyzxyz`", "remove it; what may stand here is reference,"],
        ),
        (
            "[[port]]\nname = 'a'\nbackend = 'kernel'".into(),
            vec!["F:1:1: missing field `addresses`", "add `addresses = ...`"],
        ),
        ("mode = 'singel'".into(), vec!["F:1:8: unknown variant `singel`", "did you mean \"single\"?"]),
        ("mode = 'cluster'".into(), vec!["F:1:8: unknown variant `cluster`", "write one of \"appliance\", \"single\""]),
        // Values.
        ("[clock]\nstratum = 16".into(), vec!["F:2:11: 16 is out of range", "write a whole number from 1 to 15"]),
        ("[clock]\nstratum = 0".into(), vec!["F:2:11: 0 is out of range", "from 1 to 15"]),
        (
            "[clock]\nreference_id = 'LOCAL'".into(),
            vec!["F:2:16: \"LOCAL\" is not a reference identifier", "1 to 4 ASCII"],
        ),
        ("[clock]\nroot_delay = '10'".into(), vec!["F:2:14: \"10\" is not a length of time", "a number and its unit"]),
        ("[clock]\nleap_seconds = 'x'".into(), vec!["F:2:16: \"x\" is not an absolute path", "from `/` on"]),
        ("[ntp.server]\nport = 0".into(), vec!["F:2:8: 0 is out of range", "from 1 to 65535"]),
        ("[ntp.server.rate_limit]\nrequests_per_second = 0".into(), vec!["F:2:23: 0 is out of range", "from 1 to"]),
        ("[ntp.server.rate_limit]\nipv4_prefix = 33".into(), vec!["F:2:15: 33 is out of range", "from 1 to 32"]),
        ("[workers]\nreal_time = true".into(), vec!["F:2:13: true says no priority", "write false, or a priority"]),
        ("[workers]\nreal_time = 100".into(), vec!["F:2:13: 100 is out of range", "write false, or a priority"]),
        ("[workers]\nreal_time = 'x'".into(), vec!["F:2:13: invalid type: string \"x\", expected false or a priority"]),
        (
            "[ops]\nlog_level = 'verbose'".into(),
            vec!["F:2:13: \"verbose\" is not a log level", "write one of \"error\""],
        ),
        (format!("[ops]\nsocket = '/{}'", "x".repeat(80)), vec!["F:2:10: \"/xxx", "has 81 bytes", "at most 80 bytes"]),
        ("[ops]\nsocket = 'x'".into(), vec!["F:2:10: \"x\" is not an absolute path"]),
        ("[[port]]\nname = 'a b'".into(), vec!["F:2:8: \"a b\" is not a port name", "1 to 12 letters"]),
        (
            kernel("interface = 'abcdefghijklmnop'"),
            vec!["F:5:13: \"abcdefghijklmnop\" is not the name of a network interface", "`ip link`"],
        ),
        (kernel("cores = [\n  1,\n  5000]\nqueues = 2"), vec!["F:7:3: 5000 is out of range", "from 0 to 1023"]),
        (
            "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::',\n   'here']".into(),
            vec!["F:5:4: \"here\" is not an IP address", "\"10.77.0.1/24\""],
        ),
        ("[[access]]\nprefix = '10.0.0.0/33'".into(), vec!["F:2:10: \"10.0.0.0/33\" is not a range of addresses"]),
        (
            "[[access]]\nprefix = '10.0.0.1/8'".into(),
            vec![
                "F:2:10: \"10.0.0.1/8\" has address bits behind its prefix length",
                "write \"10.0.0.0/8\" for the network, \"10.0.0.1\" for the one address",
            ],
        ),
        (dpdk("vlans = [4095]"), vec!["F:6:10: 4095 is out of range", "from 1 to 4094"]),
        // What one value says about another.
        ("".into(), vec!["F: there is no port", "add a [[port]]"]),
        (kernel(KERNEL), vec!["F:6:8: a port called \"a\" stands above", "F:8:14: \"::\" stands above already"]),
        (kernel("queues = 2\ncores = [1]"), vec!["F:6:9: 1 core for 2 queues", "one core per queue"]),
        (kernel("cores = [1, 2]"), vec!["F:5:9: 2 cores for 1 queue"]),
        (
            kernel("queues = 2\ncores = [1,\n 1]"),
            vec!["F:7:2: core 1 already has a worker of port \"a\"", "a core of its own"],
        ),
        (format!("{KERNEL}cores = [3]\n{DPDK}cores = [3]"), vec!["F:11:10: core 3 already has a worker of port \"a\""]),
        (format!("mode = 'single'\n{DPDK}"), vec!["F:4:11: \"dpdk\" needs more threads", "backend = \"kernel\""]),
        (format!("mode = 'single'\n{KERNEL}queues = 2"), vec!["F:6:10: 2 queues need more threads", "write 1,"]),
        (
            format!("mode = 'single'\n{KERNEL}cores = [1]"),
            vec!["F:6:9: mode = \"single\" has no worker to pin", "taskset"],
        ),
        (kernel("tap = 'sd-a'"), vec!["F:5:7: `tap` is for DPDK ports", "remove it"]),
        (kernel("device = 'eth0'"), vec!["F:5:10: `device` is for DPDK ports", "`interface`"]),
        (
            kernel("timestamps = 'hardware'"),
            vec!["F:5:14: \"hardware\": the port \"a\" is on no one interface", "write `interface`"],
        ),
        (kernel("hardware_clock = '/dev/ptp2'"), vec!["F:5:18: \"/dev/ptp2\" stamps nothing", "write `interface`"]),
        (
            kernel("interface = 'eth0'\ntimestamps = 'software'\nhardware_clock = '/dev/ptp2'"),
            vec!["F:7:18: \"/dev/ptp2\" is a clock of hardware", "remove one"],
        ),
        (kernel("timestamps = 'nic'"), vec!["F:5:14: unknown variant `nic`"]),
        (kernel("mtu = 1500"), vec!["F:5:7: `mtu` is for DPDK ports"]),
        (kernel("vlans = [5]"), vec!["F:5:9: `vlans` is for DPDK ports"]),
        (KERNEL.replace("['::']", "[]"), vec!["F:4:13: a kernel port without an address", "[\"0.0.0.0\", \"::\"]"]),
        (
            KERNEL.replace("::", "10.0.0.1/24"),
            vec!["F:4:14: \"10.0.0.1/24\" has the length of a prefix", "write \"10.0.0.1\""],
        ),
        (KERNEL.replace("::", "224.0.1.1"), vec!["F:4:14: \"224.0.1.1\" is a group"]),
        (dpdk("timestamps = 'auto'"), vec!["F:6:14: `timestamps` is for kernel ports", "remove it"]),
        (dpdk("interface = 'eth0'"), vec!["F:6:13: a DPDK port has no kernel interface", "remove it"]),
        (dpdk("mtu = 1000").replace("10.0.0.1/24", "fd77::1/64"), vec!["F:6:7: 1000 is too small", "at least 1280"]),
        (DPDK.replace("'10.0.0.1/24'", ""), vec!["F:5:13: a DPDK port without an address"]),
        (DPDK.replace("/24", ""), vec!["F:5:14: \"10.0.0.1\" lacks the length of its prefix", "write \"10.0.0.1/24\""]),
        (DPDK.replace("10.0.0.1", "0.0.0.0"), vec!["F:5:14: \"0.0.0.0/24\" is not an address that a host can have"]),
        (DPDK.replace("device = 'net_null0'\n", ""), vec!["F:1:1: a DPDK port needs a device", "a PCI address"]),
        (DPDK.replace("net_null0", " "), vec!["F:4:10: a DPDK port needs a device"]),
        (
            format!("{DPDK}{}", DPDK.replace("'b'", "'c'").replace(".1/", ".2/")),
            vec!["F:9:10: another port has the device \"net_null0\""],
        ),
        (
            format!("{DPDK}{}tap = 'sd-b'", DPDK.replace("'b'", "'c'").replace(".1/", ".2/").replace("null0", "null1")),
            vec!["F:11:7: another port has the TAP interface \"sd-b\""],
        ),
        (
            kernel("[clock]\nsteer = 'on'"),
            vec!["F:6:9: \"on\" cannot be done", "write \"dry\" or \"off\", or add an [[ntp.source]]"],
        ),
        (kernel("[clock]\nroot_delay = '1day'"), vec!["F:6:14: \"1day\" is too long", "less than 65535 s"]),
        (kernel("[clock]\nroot_dispersion = '1day'"), vec!["F:6:19: \"1day\" is too long"]),
        (
            kernel("[[access]]\nprefix = '10.0.0.0/8'\naction = 'allow'\nrequire_key = true"),
            vec!["F:8:15: a key is required and no key is known", "add [keys]"],
        ),
        (
            kernel("[[access]]\nprefix = '::/0'\naction = 'allow'\n[[access]]\nprefix = '::/0'\naction = 'drop'"),
            vec!["F:9:10: \"::/0\" is already in an earlier [[access]]", "keep one of them"],
        ),
    ]
}

#[test]
fn each_fault_is_told_with_its_place_and_its_remedy() {
    for (text, expected) in bad().into_iter().chain(bad_sources()) {
        let error = Config::parse(&text, Path::new("F")).expect_err(&text).to_string();
        for part in expected {
            assert!(error.contains(part), "{text}\n---\n{error}\n--- lacks\n{part}");
        }
        assert!(error.lines().count().is_multiple_of(2) && error.contains("\n  help: "), "{error}");
    }
}

#[test]
#[cfg(feature = "dpdk")]
fn a_device_that_dpdk_cannot_have_is_told() {
    for device in ["eth0", "0000:zz:00.0"] {
        let error = Config::parse(&DPDK.replace("net_null0", device), Path::new("F")).unwrap_err().to_string();
        assert!(error.starts_with("F:4:10: ") && error.contains(device), "{error}");
        assert!(error.contains("help: write a PCI address"), "{error}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_in_its_order() {
    let text = format!("mode = 'single'\n{KERNEL}queues = 2\ntap = 'x'\n[clock]\nsteer = 'on'");
    let error = Config::parse(&text, Path::new("F")).unwrap_err();
    let lines: Vec<_> = error.problems().iter().filter_map(|problem| Some(problem.position?.line)).collect();
    assert_eq!(lines, [6, 7, 9]);
}

#[test]
fn the_default_file_says_what_holds_without_it() {
    let written: Document = toml::from_str(DEFAULT).unwrap();
    let port = &written.port[0];
    let implied = format!("[[port]]\nname = '{}'\nbackend = 'kernel'\naddresses = ['0.0.0.0', '::']", port.name);
    assert_eq!(written, toml::from_str(&implied).unwrap());
    assert_eq!(port.backend, Backend::Kernel);
    Config::parse(DEFAULT, Path::new("default.toml")).unwrap();
}

#[test]
fn what_the_default_file_has_in_comments_is_right_too() {
    let uncommented: String = DEFAULT
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || code.split_whitespace().nth(1) == Some("=") => code,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let config = Config::parse(&uncommented, Path::new("default.toml"));
    if cfg!(feature = "dpdk") {
        let config = config.unwrap();
        assert_eq!((config.ntp_sources.len(), config.ntp_broadcasts.len(), config.ptp_clocks.len()), (1, 1, 1));
        assert_eq!((config.reference_clocks.len(), config.ptp.len()), (2, 2));
        assert!(config.ntp_server.rate_limit.is_some() && config.keys.is_some() && config.access.len() == 1);
        assert!(matches!(&config.ports[1].kind, PortKind::Dpdk(port) if port.addresses.len() == 2));
    } else {
        assert!(config.unwrap_err().to_string().contains("\"dpdk\" is not part of this build"));
    }
}

#[test]
fn the_schema_describes_every_key_of_the_default_file() {
    let schema = serde_json::to_value(schema()).unwrap();
    assert!(!schema.to_string().contains("null"), "TOML has no null");
    let defaults: serde_json::Value = serde_json::to_value(toml::from_str::<toml::Value>(DEFAULT).unwrap()).unwrap();
    described(&schema, &schema, &defaults, "");
}

/// Follows `value` through the schema: every key must be a described property.
fn described(root: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, path: &str) {
    let resolved = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    match value {
        serde_json::Value::Object(table) => {
            assert_eq!(resolved["additionalProperties"], false, "{path}");
            for (key, value) in table {
                let property = &resolved["properties"][key];
                let path = format!("{path}.{key}");
                assert!(property["description"].as_str().is_some_and(|text| text.len() > 3), "{path}: {property}");
                described(root, property, value, &path);
            }
        }
        serde_json::Value::Array(elements) => {
            for element in elements {
                described(root, &resolved["items"], element, path);
            }
        }
        _ => {}
    }
}

#[test]
fn sources_are_followed_where_there_are_any() {
    let parse = |more: &str| Config::parse(&format!("{KERNEL}{more}"), Path::new("F")).unwrap();
    const SERVER: &str = "[[ntp.source]]\naddress = '10.77.0.1'\n";
    assert_eq!(parse("").reference, Reference::System);
    assert_eq!(parse(SERVER).reference, Reference::Sources);
    assert_eq!(parse("[[reference_clock]]\nname = 'a'\nkind = 'shm'\nunit = 0").reference, Reference::Sources);
    assert_eq!(parse(&format!("{SERVER}[clock]\nreference = 'system'")).reference, Reference::System);
    assert_eq!(parse(&format!("{SERVER}[clock]\nsteer = 'on'")).clock.steer, Steer::On);

    let clocks = parse(
        "[[reference_clock]]\nname = 'a'\nkind = 'sock'\npath = '/run/a'\noffset = '-1ms'\n\
         [[reference_clock]]\nname = 'b'\nkind = 'external_timestamp'\ndevice = '/dev/ptp0'\nstratum = 3",
    )
    .reference_clocks;
    assert_eq!((clocks[0].reference_id.to_string(), clocks[1].reference_id.to_string()), ("SOCK".into(), "PPS".into()));
    assert!(clocks[0].offset.negative && clocks[1].stratum == 3);
    let device = "/dev/ptp0".parse().unwrap();
    assert_eq!(clocks[1].driver, Driver::ExternalTimestamp { device, channel: 0, pin: None });
}

#[test]
fn a_key_that_the_file_lacks_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (path, keys) = (directory.path().join("sidereal.toml"), directory.path().join("keys"));
    fs::write(&keys, "1 SHA1 HEX:00").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let with_keys = |source: u32, broadcast: u32| {
        let text = format!(
            "{KERNEL}[keys]\nfile = '{}'\n[state]\ndirectory = '{}'\n[[ntp.source]]\naddress = '10.77.0.1'\n\
             key = {source}\n[[ntp.broadcast]]\naddress = '10.77.0.255'\nkey = {broadcast}\n",
            keys.display(),
            directory.path().join("state").display()
        );
        fs::write(&path, text).unwrap();
        Config::load(&path)
    };
    with_keys(1, 1).unwrap();
    let error = with_keys(2, 3).unwrap_err().to_string();
    assert!(error.contains("sidereal.toml:11:7: key 2 is not in "), "{error}");
    assert!(error.contains("sidereal.toml:14:7: key 3 is not in ") && error.contains("help: add it"), "{error}");
}

#[test]
fn files_are_read_and_secrets_must_be_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sidereal.toml");
    let keys = directory.path().join("keys");
    let missing = Config::load(&path).unwrap_err().to_string();
    assert!(missing.contains("sidereal.toml: cannot be read: No such file"), "{missing}");

    let state = directory.path().join("state");
    let text = format!("{KERNEL}[keys]\nfile = '{}'\n[state]\ndirectory = '{}'\n", keys.display(), state.display());
    fs::write(&path, &text).unwrap();
    fs::write(&keys, "1 SHA1 HEX:00").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let open = Config::load(&path).unwrap_err().to_string();
    assert!(open.contains("sidereal.toml:6:8: \"") && open.contains("is open to others (mode 644)"), "{open}");
    assert!(open.contains(&format!("help: chmod 600 {}", keys.display())), "{open}");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    Config::load(&path).unwrap();

    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let open = Config::load(&path).unwrap_err().to_string();
    assert!(open.contains("sidereal.toml:8:13: ") && open.contains("help: chmod 700"), "{open}");

    fs::write(&path, b"mode = 'single'\n# \xff").unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().contains("sidereal.toml:2:3: a byte that is not UTF-8"));
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().contains("has 1048577 bytes and cannot be a configuration"));
}

proptest! {
    /// Whatever is done to a good file, parsing ends in a configuration or in an error that has a remedy.
    #[test]
    fn a_damaged_file_is_refused_in_words(at in 0..DEFAULT.len(), len in 0..40usize, junk in ".{0,12}") {
        let mut text: Vec<char> = DEFAULT.chars().collect();
        let end = (at + len).min(text.len());
        text.splice(at.min(end)..end, junk.chars());
        let text: String = text.into_iter().collect();
        if let Err(error) = Config::parse(&text, Path::new("F")) {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(error.problems().iter().all(|problem| !problem.invalid.remedy.is_empty()));
        }
    }
}
