//! `sidereal probe`, as a user runs it, on hosts of the loopback network.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says no by panicking")]

use serde_json::Value;
use sidereal_nic::{Burst, Content, Packet, RxQueue, TxQueue};
use sidereal_nic_kernel::{Mode, Timestamping, UdpOptions, UdpPort};
use sidereal_time::{Instant, NtpTimestamp, Span, Utc};
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::num::NonZeroU16;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn probe(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidereal"));
    command.arg("probe").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn system_clock() -> Instant<Utc> {
    Instant::from_nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap())
}

/// What a server of stratum 1 writes into the place of a request that came at `arrived`, if its clock is wrong by `error`.
fn answer(message: &mut [u8], arrived: Instant<Utc>, error: Span) {
    let origin: [u8; 8] = message[40..48].try_into().unwrap();
    message[..48].fill(0);
    message[..4].copy_from_slice(&[0x24, 1, 6, 0xe7]);
    message[12..16].copy_from_slice(b"GPS\0");
    message[24..32].copy_from_slice(&origin);
    message[32..40].copy_from_slice(&NtpTimestamp::from_utc(arrived + error).to_be_bytes());
    message[40..48].copy_from_slice(&NtpTimestamp::from_utc(system_clock() + error).to_be_bytes());
}

/// Answers on one port for all hosts of the loopback network while `ask` runs; `error` tells how wrong the clock of each is, and
/// who is silent. The port is told to `ask`.
fn with_hosts<T>(error: impl Fn(IpAddr) -> Option<Span> + Sync, ask: impl FnOnce(u16) -> T) -> T {
    let options = UdpOptions {
        addresses: vec!["0.0.0.0".parse().unwrap()],
        port: 0,
        interface: None,
        queues: NonZeroU16::MIN,
        shared: false,
        mode: Mode::Burst,
        timestamping: Timestamping::Software,
    };
    let port = UdpPort::open(&options).unwrap();
    let number = port.port;
    let (mut rx, mut tx) = port.queues.into_iter().next().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut burst = Burst::new();
            while !over.load(Ordering::Relaxed) {
                rx.wait(Duration::from_millis(10));
                rx.receive(&mut burst);
                for packet in &mut burst {
                    let arrived = packet.stamp().map(|stamp| Instant::from_nanos(stamp.ticks.0.into()));
                    let Content::Datagram { buffer, flow, .. } = packet.content() else {
                        panic!("a socket has no frames")
                    };
                    if let Some(error) = error(flow.destination) {
                        answer(buffer, arrived.unwrap_or_else(system_clock), error);
                        packet.reply(48, None);
                    }
                }
                tx.transmit(&mut burst);
            }
        });
        let asked = ask(number);
        over.store(true, Ordering::Relaxed);
        asked
    })
}

const WRONG: [&str; 3] = ["127.77.0.124", "127.77.1.207", "127.77.3.40"];

/// A thousand servers, the file that names them, and which of them are wrong: by 1 ms, by 1 s, and silent.
fn a_plant(file: &std::path::Path) -> impl Fn(IpAddr) -> Option<Span> + Sync + use<> {
    let lines = (0..1000).map(|host| format!("127.77.{}.{}\n", host / 250, host % 250 + 1));
    fs::write(file, format!("# a plant\n{}", lines.collect::<String>())).unwrap();
    let [by_a_millisecond, by_a_second, silent] = WRONG.map(|host| host.parse::<IpAddr>().unwrap());
    move |host| {
        if host == by_a_millisecond {
            Some(Span::from_nanos(1_000_000))
        } else if host == by_a_second {
            Some(Span::from_nanos(-1_000_000_000))
        } else {
            (host != silent).then_some(Span::ZERO)
        }
    }
}

/// The servers that are named, and why.
fn alerts(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut alerts: Vec<_> = report["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| (text(&alert["host"]), text(&alert["reason"])))
        .collect();
    alerts.sort();
    alerts
}

fn expected_alerts() -> Vec<(String, String)> {
    let [by_a_millisecond, by_a_second, silent] = WRONG.map(str::to_owned);
    vec![(by_a_millisecond, "offset".into()), (by_a_second, "offset".into()), (silent, "unreachable".into())]
}

const PACE: [&str; 6] = ["--count", "8", "--interval", "250ms", "--alert", "300us"];

#[test]
fn three_wrong_clocks_of_a_thousand_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plant");
    let plant = a_plant(&file);
    let output = with_hosts(plant, |port| {
        probe(&[&["--file", file.to_str().unwrap(), "--port", &port.to_string(), "--json"], &PACE[..]].concat())
    });
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = document(&output);
    assert_eq!(report["schema"], "sidereal.probe/1");
    assert_eq!(alerts(&report), expected_alerts(), "{}", report["totals"]);
    assert_eq!(text(&output.stderr).lines().filter(|line| line.starts_with("alert: ")).count(), 3, "{output:?}");
    let totals = &report["totals"];
    assert_eq!((&totals["hosts"], &totals["measured"]), (&1000.into(), &999.into()));
    assert_eq!((&totals["outcomes"]["sent"], &totals["lost_records"]), (&8000.into(), &0.into()));
    // The worst first: who is silent, then the furthest off.
    let hosts = report["hosts"].as_array().unwrap();
    let [silent, by_a_second, by_a_millisecond] = [0, 1, 2].map(|place| &hosts[place]);
    assert_eq!(
        [silent, by_a_second, by_a_millisecond].map(|host| host["host"].as_str().unwrap()),
        [WRONG[2], WRONG[1], WRONG[0]]
    );
    for (host, error) in [(by_a_second, -1_000_000_000), (by_a_millisecond, 1_000_000)] {
        let clock = &host["clock"];
        let [offset, bound] = ["offset_ns", "bound_ns"].map(|key| clock[key].as_i64().unwrap());
        assert!((offset - error).abs() <= bound, "{host}");
        assert_eq!(
            (&clock["round_trips"], &clock["implausible"]),
            (&host["outcomes"]["answered"], &0.into()),
            "{host}"
        );
    }
    assert_eq!((&silent["wrong"], &silent["outcomes"]["lost"]), (&"unreachable".into(), &8.into()));
}

#[test]
fn against_the_median_the_same_three_are_named_though_our_own_clock_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plant");
    let plant = a_plant(&file);
    // That all are five seconds ahead is that we are five seconds behind.
    let all_ahead = move |host| Some(plant(host)? + Span::from_nanos(5_000_000_000));
    let (against_median, against_system) = with_hosts(all_ahead, |port| {
        let port = port.to_string();
        let arguments = [&["--file", file.to_str().unwrap(), "--port", &port, "--json"], &PACE[..]].concat();
        let once = ["127.77.0.1", "127.77.0.2", "--port", &port, "--count", "1", "--alert", "1s", "--json"];
        (probe(&[&arguments[..], &["--against", "median"]].concat()), probe(&once))
    });
    assert_eq!(against_median.status.code(), Some(1));
    let report = document(&against_median);
    assert_eq!(alerts(&report), expected_alerts(), "{}", report["totals"]);
    let median = report["median_ns"].as_i64().unwrap();
    assert!((median - 5_000_000_000).abs() < 100_000_000, "{median}");
    assert_eq!(alerts(&document(&against_system)).len(), 2);
}

#[test]
fn a_plant_in_order_ends_with_0() {
    let output = with_hosts(
        |_| Some(Span::ZERO),
        |port| {
            probe(&[
                "127.78.0.0/29",
                "--port",
                &port.to_string(),
                "--count",
                "2",
                "--interval",
                "100ms",
                "--alert",
                "1s",
            ])
        },
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.starts_with("6 servers, 6 measured: 12 requests, 12 answered, 0 lost\n"), "{said}");
    assert_eq!(said.lines().filter(|line| line.ends_with("  measured")).count(), 6, "{said}");
    assert!(!said.contains("alert:"), "{said}");
}

/// A server of its own address, which sends what `behave` makes of each good answer.
fn behaving(host: &str, behave: impl Fn(u32, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind((host, 0)).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = [0; 100];
        for number in 0.. {
            let (len, from) = socket.recv_from(&mut buffer).unwrap();
            answer(&mut buffer, system_clock(), Span::ZERO);
            for message in behave(number, &buffer[..len]) {
                socket.send_to(&message, from).unwrap();
            }
        }
    });
    address
}

#[test]
fn what_servers_do_wrong_is_counted_by_name() {
    let changed = |answer: &[u8], place: usize, value: u8| {
        let mut answer = answer.to_vec();
        answer[place] = value;
        answer
    };
    let lossy = behaving("127.79.0.1", |number, answer| if number == 1 { vec![] } else { vec![answer.to_vec()] });
    let doubling = behaving("127.79.0.2", |_, answer| vec![answer.to_vec(), answer.to_vec()]);
    let bogus = behaving("127.79.0.3", move |_, answer| vec![changed(answer, 24, !answer[24])]);
    let short = behaving("127.79.0.4", |_, answer| vec![answer[..47].to_vec()]);
    let unsynchronised = behaving("127.79.0.5", move |_, answer| vec![changed(answer, 0, 0xe4)]);
    let kissing = behaving("127.79.0.6", |_, answer| {
        let mut kiss = answer.to_vec();
        (kiss[0], kiss[1]) = (0xe4, 0);
        kiss[12..16].copy_from_slice(b"RATE");
        vec![kiss]
    });
    let servers = [&lossy, &doubling, &bogus, &short, &unsynchronised, &kissing].map(String::as_str);
    let more = ["nosuch.invalid", "--count", "4", "--interval", "200ms", "--alert", "10s", "--json"];
    let output = probe(&[&servers[..], &more].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = document(&output);
    let outcomes = |server: &str| {
        let hosts = report["hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["host"] == server).unwrap();
        let told = host["outcomes"].as_object().unwrap().iter();
        told.filter(|(_, count)| **count != 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(outcomes(&lossy), "answered 3, lost 1, sent 4");
    assert_eq!(outcomes(&doubling), "answered 4, duplicate 4, sent 4");
    assert_eq!(outcomes(&bogus), "bogus 4, lost 4, sent 4");
    assert_eq!(outcomes(&short), "lost 4, malformed 4, sent 4");
    assert_eq!(outcomes(&unsynchronised), "sent 4, unsynchronised 4");
    assert_eq!(outcomes(&kissing), "kiss 1, sent 1");
    let mut expected = vec![
        (bogus, "unreachable".to_owned()),
        (short, "unreachable".into()),
        (unsynchronised, "unsynchronised".into()),
        (kissing, "refused".into()),
        ("nosuch.invalid".into(), "unresolved".into()),
    ];
    expected.sort();
    assert_eq!(alerts(&report), expected);
}

#[test]
fn a_probe_that_makes_no_sense_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plant");
    fs::write(&file, "127.0.0.1\nan other\n").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, said) in [
        (&[][..], "Usage:"),
        (&["a b"], "is no target"),
        (&["--file", "/nonexistent/plant"], "cannot read /nonexistent/plant"),
        (&["--file", file], "plant:2: \"an other\" is no target"),
        (&["10.0.0.0/8"], "10.0.0.0/8 has more than 100000 hosts"),
        (&["127.0.0.1", "--interval", "1ms"], "an interval of 1ms is too short"),
        (&["127.0.0.1", "--rate", "0"], "0 requests per second"),
        (&["127.0.0.1", "--rate", "1e30", "--interval", "0", "--duration", "1s"], "an interval of 0ns is too short"),
        (&["127.0.0.1", "--count", "1", "--duration", "1s"], "cannot be used with"),
    ] {
        let output = probe(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(text(&output.stderr).contains(said), "{arguments:?}: {output:?}");
    }
}
