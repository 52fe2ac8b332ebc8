//! The testbed itself: the peers agree with each other on it, faults on the link are seen, nothing is left behind.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::process::{Command, Stdio};
use std::{env, fs};

use sidereal_tests::{
    CLIENT_IPV4, CLIENT_MAC, Capture, Chronyd, Error, FrameSocket, Janitor, Link, Net, NtpdRs, Result, SERVER_IPV4,
    SERVER_IPV6, SERVER_MAC, ntpdig, until,
};
use sidereal_wire::build::UdpFrame;

const DEADLINE: Duration = Duration::from_secs(20);

/// What the other tests ask of Sidereal is what chronyd does, seen by the same means.
#[test]
fn chronyd_satisfies_the_clients() -> Result<()> {
    Net::run("peers", Link::Kernel, |net| {
        let _server = Chronyd::start(net.server(), "server", &["allow", "local stratum 3"])?;
        let capture = Capture::start(net.client())?;
        let basic = Chronyd::client(net.client(), "basic", &SERVER_IPV6.to_string(), None)?;
        let interleaved = Chronyd::client(net.client(), "interleaved", &format!("{SERVER_IPV4} xleave"), None)?;
        let mut ntpd_rs = NtpdRs::client(net.client(), "ntpd-rs", &[SERVER_IPV4.into()])?;
        for client in [&basic, &interleaved] {
            assert_eq!(client.selected(DEADLINE)?.stratum, 3);
        }
        until("interleaved mode", DEADLINE, || interleaved.ntp_data().is_ok_and(|data| data.interleaved))?;
        assert!(!basic.ntp_data()?.interleaved);
        assert_eq!(ntpdig(net.client(), SERVER_IPV4.into(), None)?.stratum, 3);
        assert_eq!(ntpd_rs.synchronised(DEADLINE)?, 4);
        capture.stop()?.faultless("ntp")
    })
}

#[test]
fn a_silent_server_is_not_followed() -> Result<()> {
    Net::run("silent", Link::Kernel, |net| {
        let client = Chronyd::client(net.client(), "client", &SERVER_IPV4.to_string(), None)?;
        assert!(client.selected(Duration::from_secs(2)).is_err());
        assert!(ntpdig(net.client(), SERVER_IPV4.into(), None).is_err());
        Ok(())
    })
}

#[test]
fn a_bad_checksum_is_seen() -> Result<()> {
    Net::run("checksum", Link::Kernel, |net| {
        let mut payload = [0; 48];
        payload[0] = 0x23;
        let mut frame = [0; 128];
        let len = UdpFrame {
            source_mac: CLIENT_MAC,
            destination_mac: SERVER_MAC,
            source: SocketAddr::new(IpAddr::V4(CLIENT_IPV4), 4000),
            destination: SocketAddr::new(IpAddr::V4(SERVER_IPV4), 123),
        }
        .write(&payload, &mut frame);
        let socket = FrameSocket::open(net.client())?;
        let capture = Capture::start(net.client())?;
        socket.send(&frame[..len])?;
        frame[len - 1] ^= 1;
        socket.send(&frame[..len])?;
        let recording = capture.stop()?;
        assert_eq!(recording.count("udp.checksum.status == 1 && !icmp")?, 1);
        assert!(matches!(recording.faultless("udp"), Err(Error::Failed(..))));
        Ok(())
    })
}

/// Runs only as the child of [`nothing_is_left_after_a_kill`].
#[test]
#[ignore = "waits to be killed"]
fn victim() -> Result<()> {
    Net::run("victim", Link::Kernel, |net| {
        let _server = Chronyd::start(net.server(), "server", &["allow"])?;
        let report = env::var("SIDEREAL_TESTS_REPORT").map_err(|error| Error::Unexpected(error.to_string()))?;
        fs::write(&report, net.server().directory().display().to_string()).map_err(Error::io(report))?;
        until("a signal", DEADLINE, || false)
    })
}

#[test]
fn nothing_is_left_after_a_kill() -> Result<()> {
    let directory = tempfile::tempdir().map_err(Error::io("temporary directory"))?;
    let report = directory.path().join("report");
    let mut victim = Command::new(env::current_exe().map_err(Error::io("this program's path"))?)
        .args(["--ignored", "--exact", "testbed::victim"])
        .env("SIDEREAL_TESTS_REPORT", &report)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::io("the victim"))?;
    let namespaces = format!("sd-victim-{}-", victim.id());
    until("the victim's report", DEADLINE, || fs::read_to_string(&report).is_ok_and(|path| !path.is_empty()))?;
    assert!(list()?.contains(&namespaces));
    let files = fs::read_to_string(&report).map_err(Error::io("report"))?;
    assert!(!pids_with(&files).is_empty());

    victim.kill().map_err(Error::io("kill"))?;
    victim.wait().map_err(Error::io("wait"))?;
    until("an end of its namespaces", DEADLINE, || list().is_ok_and(|list| !list.contains(&namespaces)))?;
    until("an end of its files", DEADLINE, || !fs::exists(&files).unwrap_or(true))?;
    assert_eq!(pids_with(&files), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_janitor_works_when_it_is_dropped() -> Result<()> {
    let directory = tempfile::tempdir().map_err(Error::io("temporary directory"))?;
    let mark = directory.path().join("mark");
    let janitor = Janitor::new(&format!("false\n: >{}", mark.display()))?;
    assert!(!mark.exists());
    drop(janitor);
    assert!(mark.exists());
    Ok(())
}

fn list() -> Result<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().map_err(Error::io("ip netns list"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The processes with `word` in their command lines; the janitor, which removes the files last, is not one of them.
fn pids_with(word: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| {
            let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            line.contains(word) && !line.starts_with("sh\0")
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}
