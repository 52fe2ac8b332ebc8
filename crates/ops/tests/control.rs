//! The control socket, both sides.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says no by panicking")]

use proptest::prelude::*;
use sidereal_ops::{
    AskError, BindError, ClockStatus, ControlSocket, CorrectionStatus, FollowerStatus, LeapStatus, LinkState,
    PortStatus, Ptp, PtpClockQuality, PtpCurrentDs, PtpDefaultDs, PtpForeignMaster, PtpInstance, PtpParentDs,
    PtpPortDs, PtpSummary, PtpTimePropertiesDs, REPLY_MAX, REQUEST_MAX, Rates, Refusal, Reply, Request,
    ResidenceStatus, Served, SourceStatus, Sources, Status, TickModel, WorkerStatus, ask,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn status(workers: usize) -> Status {
    Status {
        version: "0.0.0".into(),
        mode: "appliance".into(),
        uptime_s: 7,
        clock: ClockStatus {
            reference: "system".into(),
            state: "locked".into(),
            system_peer: None,
            bound_ns: Some(1620),
            uncertainty_ns: None,
            frequency_ppb: Some(-1.5),
            synchronised: true,
            stratum: 1,
            leap: "none".into(),
            reference_id: "LOCL".into(),
            tai_offset_s: 37,
            root_delay_ns: 0,
            root_dispersion_ns: 1500,
            counter: "tsc".into(),
            counter_hertz: 2.6e9,
            model_error_ns: 120,
            model_age_ns: -5,
            generation: 0,
            snapshots: 3,
        },
        readings: [("accepted".into(), 4)].into(),
        clocks: vec![FollowerStatus {
            name: "system".into(),
            steer: "dry".into(),
            lost: false,
            offset_ns: Some(-3),
            frequency_ppb: None,
            window_ns: Some(80),
            method: Some("extended".into()),
            own_frequency_ppb: Some(-12.5),
            own_frequency_deviation_ppb: Some(0.5),
            deviation_ns: Some(1.5),
            read_noise_ns: Some(4.25),
            readings: [("taken".into(), 9)].into(),
            stamps: [("stamps_located".into(), 7)].into(),
            model: Some(TickModel {
                nic_ticks: u64::MAX,
                tai_ns: 1_800_000_000_123_456_789,
                local_ticks: 1,
                nic_hertz: 999_999_999.5,
            }),
            steps: 1,
            rx_to_correction_ns: Some(CorrectionStatus { count: 3, p50: 40_000, p99: 90_000, max: 90_112 }),
            last_adjustment: Some("frequency +1.5 ppb".into()),
            rival: Some("chronyd".into()),
        }],
        ptp: vec![PtpSummary {
            name: "lan".into(),
            domain_number: 24,
            transport: "ethernet".into(),
            port_state: "SLAVE".into(),
            grandmaster_identity: "001122.fffe.334455".into(),
            offset_from_master_ns: Some(-2.5),
        }],
        leap_seconds: LeapStatus { source: "built in".into(), expires: None, expired: false },
        ports: vec![PortStatus {
            name: "lan0".into(),
            backend: "kernel".into(),
            device: None,
            addresses: vec!["::".into()],
            mac: None,
            link: LinkState::Unknown,
            capabilities: vec!["words".into()],
            rates: Rates::default(),
            counts: [("rx_missed".into(), 3)].into(),
        }],
        workers: (0..workers)
            .map(|queue| WorkerStatus {
                port: "lan0".into(),
                queue,
                core: Some(queue),
                idle: "spin".into(),
                rates: Rates { received: 1.5, ..Rates::default() },
                counts: [("received".into(), 9)].into(),
                replies: [("basic".into(), 8)].into(),
                drops: [("ntp_too_short".into(), 1)].into(),
                residence: Some(ResidenceStatus { count: 8, p50_ns: 1, p90_ns: 2, p99_ns: 3, p99_9_ns: 4, max_ns: 5 }),
            })
            .collect(),
    }
}

/// Serves one request on a thread of its own while `client` runs.
fn while_serving<T>(socket: &ControlSocket, reply: Reply, client: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reply = Some(reply);
            let deadline = std::time::Instant::now() + LONG;
            while std::time::Instant::now() < deadline {
                match socket.serve_once(|_| reply.take().unwrap()).unwrap() {
                    Served::Nothing => std::thread::sleep(Duration::from_millis(1)),
                    Served::Answered => return,
                    Served::Unanswered(error) => panic!("{error}"),
                }
            }
            panic!("nobody asked");
        });
        client()
    })
}

#[test]
fn a_status_arrives_as_it_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/control");
    let socket = ControlSocket::bind(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    let sent = Reply::Status(Box::new(status(3)));
    let got = while_serving(&socket, sent.clone(), || ask(&path, &Request::Status, LONG)).unwrap();
    assert_eq!(got, sent);
    let json = serde_json::to_value(&sent).unwrap();
    assert_eq!(json["schema"], "sidereal.status/1");
    assert_eq!(json["workers"][2]["replies"]["basic"], 8);

    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["control"], "the client's own socket is gone");
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn sources_arrive_as_they_were_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let socket = ControlSocket::bind(&path).unwrap();
    let source = |number: u8| SourceStatus {
        name: format!("pool-{number}"),
        address: Some("192.0.2.1:123".into()),
        kind: "ntp".into(),
        mode: Some("client".into()),
        state: "falseticker".into(),
        reason: "50.0 ms from the majority, which agrees within 0.3 ms".into(),
        stratum: Some(2),
        reference_id: Some("GPS".into()),
        leap: Some("none".into()),
        poll: Some(-6),
        reach: Some(0o377),
        reach_octal: Some("377".into()),
        offset_ns: Some(50_000_000),
        delay_ns: Some(20_000),
        jitter_ns: Some(1_000),
        bound_ns: Some(150_000),
        age_ms: Some(900),
        authenticated: true,
        interleaved: true,
        counts: ["sent", "accepted", "bogus", "duplicate", "unauthenticated"].map(|name| (name.into(), 1)).into(),
        last_ignored: Some("bogus".into()),
    };
    let sources = |count| Sources {
        followed: true,
        system_peer: None,
        failure: Some("no majority".into()),
        sources: (0..count).map(source).collect(),
    };
    // What is not known is left out, and read as not known.
    let waiting = SourceStatus { name: "a".into(), ..SourceStatus::default() };
    assert!(!serde_json::to_string(&waiting).unwrap().contains("offset_ns"));
    // As many as anybody will have fit into one datagram.
    for sent in [Sources { sources: vec![waiting], ..sources(0) }, sources(200)].map(Reply::Sources) {
        let got = while_serving(&socket, sent.clone(), || ask(&path, &Request::Sources, LONG)).unwrap();
        assert_eq!(got, sent);
        assert_eq!(serde_json::to_value(&sent).unwrap()["schema"], "sidereal.sources/1");
    }
}

fn ptp_instance(masters: u16) -> PtpInstance {
    let quality = PtpClockQuality { clock_class: 248, clock_accuracy: 0xfe, offset_scaled_log_variance: 0xffff };
    PtpInstance {
        name: "lan".into(),
        transport: "udp_ipv4".into(),
        state: "selected".into(),
        reason: "the only one".into(),
        default_ds: PtpDefaultDs {
            clock_identity: "001122.fffe.334455".into(),
            number_ports: 1,
            clock_quality: quality,
            priority1: 128,
            priority2: 128,
            domain_number: 0,
            slave_only: false,
            sdo_id: 0,
            local_priority: 128,
        },
        current_ds: PtpCurrentDs {
            steps_removed: 1,
            offset_from_master_ns: -2.5,
            mean_delay_ns: 1234.25,
            synchronization_uncertain: false,
        },
        parent_ds: PtpParentDs {
            parent_port_identity: "665544.fffe.332211-1".into(),
            parent_stats: false,
            observed_parent_offset_scaled_log_variance: 0xffff,
            observed_parent_clock_phase_change_rate: i32::MAX,
            grandmaster_identity: "665544.fffe.332211".into(),
            grandmaster_clock_quality: quality,
            grandmaster_priority1: 127,
            grandmaster_priority2: 128,
            protocol_address: Some("10.77.0.2".into()),
            synchronization_uncertain: false,
        },
        time_properties_ds: PtpTimePropertiesDs {
            current_utc_offset: 37,
            current_utc_offset_valid: true,
            leap59: false,
            leap61: false,
            time_traceable: true,
            frequency_traceable: true,
            ptp_timescale: true,
            time_source: 0x20,
            time_source_name: "gnss".into(),
        },
        port_ds: PtpPortDs {
            port_identity: "001122.fffe.334455-1".into(),
            port_state: "UNCALIBRATED".into(),
            log_min_delay_req_interval: 0,
            mean_link_delay_ns: 0.0,
            log_announce_interval: 1,
            announce_receipt_timeout: 3,
            log_sync_interval: -7,
            delay_mechanism: "E2E".into(),
            log_min_pdelay_req_interval: 0,
            version_number: 2,
            minor_version_number: 1,
            delay_asymmetry_ns: 0.0,
            port_enable: true,
            master_only: false,
        },
        foreign_masters: (0..masters)
            .map(|number| PtpForeignMaster {
                port_identity: format!("665544.fffe.332211-{number}"),
                qualified: true,
                grandmaster_identity: "665544.fffe.332211".into(),
                grandmaster_clock_quality: quality,
                grandmaster_priority1: 127,
                grandmaster_priority2: 128,
                steps_removed: 0,
                address: Some("10.77.0.2".into()),
            })
            .collect(),
        counts: [("announce_received".into(), 9)].into(),
    }
}

#[test]
fn ptp_instances_arrive_as_they_were_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let socket = ControlSocket::bind(&path).unwrap();
    // As many domains as anybody has on a host, each with as many masters as anybody has in a domain.
    for sent in [Ptp::default(), Ptp { instances: vec![ptp_instance(8); 32] }].map(Reply::Ptp) {
        let got = while_serving(&socket, sent.clone(), || ask(&path, &Request::Ptp, LONG)).unwrap();
        assert_eq!(got, sent);
        assert_eq!(serde_json::to_value(&sent).unwrap()["schema"], "sidereal.ptp/1");
    }
}

#[test]
fn what_does_not_fit_and_what_is_refused_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let socket = ControlSocket::bind(&path).unwrap();
    let whole = Reply::Status(Box::new(status(2000)));
    assert!(serde_json::to_vec(&whole).unwrap().len() > REPLY_MAX);
    let refused = while_serving(&socket, whole, || ask(&path, &Request::Status, LONG)).unwrap_err();
    assert!(refused.to_string().contains("more than the 163840 of a datagram"), "{refused}");

    let no = Reply::Refusal(Refusal { error: "no".into() });
    let refused = while_serving(&socket, no, || ask(&path, &Request::Status, LONG)).unwrap_err();
    assert_eq!(refused.to_string(), "refused: no");

    // The largest that is allowed does pass.
    let mut large = status(0);
    large.version = "x".repeat(REPLY_MAX - 2000);
    let large = Reply::Status(Box::new(large));
    assert_eq!(while_serving(&socket, large.clone(), || ask(&path, &Request::Status, LONG)).unwrap(), large);
}

#[test]
fn a_socket_is_replaced_only_if_nobody_answers_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let living = ControlSocket::bind(&path).unwrap();
    assert!(matches!(ControlSocket::bind(&path), Err(BindError::InUse(_))));
    drop(living);

    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists(), "a dead process leaves its socket behind");
    drop(ControlSocket::bind(&path).unwrap());

    fs::write(&path, "precious").unwrap();
    assert!(matches!(ControlSocket::bind(&path), Err(BindError::NotASocket(_))));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();

    let stream = UnixListener::bind(&path).unwrap();
    assert!(matches!(ControlSocket::bind(&path), Err(BindError::System { .. })));
    drop(stream);
    let below_file = path.join("x");
    assert!(matches!(ControlSocket::bind(&below_file), Err(BindError::System { .. })));
}

#[test]
fn asking_in_vain_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    assert!(matches!(ask(&path, &Request::Status, LONG), Err(AskError::NotRunning(_))));
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(matches!(ask(&path, &Request::Status, LONG), Err(AskError::NotRunning(_))));
    fs::remove_file(&path).unwrap();
    let _silent = UnixDatagram::bind(&path).unwrap();
    let error = ask(&path, &Request::Status, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, AskError::Silent { .. }), "{error}");
    assert!(ask(Path::new("/proc/none/control"), &Request::Status, LONG).is_err());
}

#[test]
fn a_client_that_cannot_be_reached_is_no_error_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let socket = ControlSocket::bind(&path).unwrap();
    UnixDatagram::unbound().unwrap().send_to(br#"{"command":"status"}"#, &path).unwrap();
    let served = socket.serve_once(|_| Reply::Status(Box::new(status(0)))).unwrap();
    assert!(matches!(served, Served::Unanswered(_)), "{served:?}");
    assert!(matches!(socket.serve_once(|_| unreachable!()).unwrap(), Served::Nothing));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is sent, the sender gets a refusal in words.
    #[test]
    fn junk_is_refused_in_words(junk in proptest::collection::vec(any::<u8>(), 0..REQUEST_MAX + 200)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let socket = ControlSocket::bind(&path).unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        client.send_to(&junk, &path).unwrap();
        let served = socket.serve_once(|_| Reply::Status(Box::new(status(0)))).unwrap();
        prop_assert!(matches!(served, Served::Answered));
        let mut buffer = vec![0; REPLY_MAX];
        let length = client.recv(&mut buffer).unwrap();
        let reply: Reply = serde_json::from_slice(&buffer[..length]).unwrap();
        let refused = matches!(&reply, Reply::Refusal(refusal) if refusal.error.starts_with("not a request: "));
        prop_assert!(refused, "{:?}", reply);
    }
}
