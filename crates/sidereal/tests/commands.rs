//! The commands, as a user runs them: exit status, standard output, standard error.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says no by panicking")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn sidereal(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sidereal")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A UDP port that nobody listens on right now.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &["query"],
        &["query", "localhost", "--key", "1"],
        &["query", "localhost", "--ptp", "eth0"],
        &["query", "localhost", "--domain", "1"],
        &["query", "--ptp", "eth0", "--count", "3"],
        &["run"],
        &[],
    ] {
        let output = sidereal(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("Usage:"), "{arguments:?}: {output:?}");
    }
    let output = sidereal(&["query", "localhost", "--timeout", "5 parsecs"]);
    assert!(text(&output.stderr).contains("\"5 parsecs\" is not a length of time"), "{output:?}");
}

#[test]
fn the_default_configuration_is_shown_and_is_good() {
    let directory = tempfile::tempdir().unwrap();
    let shown = sidereal(&["config", "default"]);
    assert!(shown.status.success());
    let state = format!("directory = \"{}/state\"", directory.path().display());
    let path = directory.path().join("sidereal.toml");
    fs::write(&path, text(&shown.stdout).replace("directory = \"/var/lib/sidereal\"", &state)).unwrap();
    let checked = sidereal(&["check", path.to_str().unwrap()]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(text(&checked.stdout).ends_with("sidereal.toml: good\n"));
    let checked = document(&sidereal(&["check", "--json", path.to_str().unwrap()]));
    assert_eq!((&checked["schema"], &checked["good"]), (&"sidereal.check/1".into(), &true.into()));
}

#[test]
fn the_shipped_configurations_are_good() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sidereal.toml");
    let mut checked = 0;
    for entry in fs::read_dir(shipped).unwrap() {
        // With a state directory of its own: the machine's may be anything.
        let config = fs::read_to_string(entry.unwrap().path()).unwrap();
        fs::write(&path, format!("{config}\n[state]\ndirectory = '{}/state'\n", directory.path().display())).unwrap();
        let output = sidereal(&["check", path.to_str().unwrap()]);
        let dpdk = config.contains("backend = \"dpdk\"");
        assert_eq!(output.status.success(), cfg!(feature = "dpdk") || !dpdk, "{output:?}");
        checked += 1;
    }
    assert!(checked >= 3);
}

#[test]
fn a_bad_configuration_ends_with_2_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    fs::write(&path, "[clock]\nstratum = 99\n").unwrap();
    let path = path.to_str().unwrap();
    for arguments in [&["check", path][..], &["run", "--config", path]] {
        let output = sidereal(arguments);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains(&format!("{path}:2:11: 99 is out of range\n  help: write a whole")), "{said}");
        assert!(output.stdout.is_empty());
    }
    let output = sidereal(&["check", "--json", path]);
    assert_eq!(output.status.code(), Some(2));
    let document = document(&output);
    assert_eq!(document["good"], false);
    assert_eq!(document["problems"][0]["line"], 2);
    assert_eq!(document["problems"][0]["what"], "99 is out of range");
}

#[test]
fn a_bad_file_of_keys_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    fs::write(&keys, "# keys\n1 SHA1 HEX:0\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let path = directory.path().join("sidereal.toml");
    let state = directory.path().join("state");
    let config = format!(
        "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\n[keys]\nfile = '{}'\n[state]\ndirectory = '{}'\n",
        keys.display(),
        state.display()
    );
    fs::write(&path, config).unwrap();
    let output = sidereal(&["check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("keys: line 2: after `HEX:`") && said.contains("help: write a number"), "{said}");
}

#[test]
fn schemas_are_json_schemas() {
    for (arguments, title) in [
        (&["config", "schema"][..], "Document"),
        (&["schema", "check"], "Document"),
        (&["schema", "hw"], "Document"),
        (&["schema", "query"], "Document"),
        (&["schema", "probe"], "Document"),
        (&["schema", "status"], "Reply"),
        (&["schema", "sources"], "Reply"),
        (&["schema", "ptp"], "Reply"),
    ] {
        let output = sidereal(arguments);
        assert!(output.status.success());
        let schema = document(&output);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["title"], title);
    }
    let check = document(&sidereal(&["schema", "check"]));
    assert_eq!(check["oneOf"][0]["properties"]["schema"]["const"], "sidereal.check/1");
}

/// What `ethtool` says of an interface; nothing where it says that it can say nothing.
fn by_ethtool(option: &str, interface: &str) -> String {
    let output = Command::new("ethtool").args([option, interface]).output();
    let output = output.unwrap_or_else(|error| panic!("ethtool, which scripts/setup installs: {error}"));
    text(&output.stdout).to_owned()
}

/// The interfaces that sysfs has, but for the loopback one.
fn interfaces_by_sysfs() -> BTreeSet<String> {
    let folder = Path::new("/sys/class/net");
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // Some files there are no interfaces: the list of bonds.
    names.filter(|name| name != "lo" && folder.join(name).is_dir()).collect()
}

#[test]
fn the_hardware_of_this_machine_is_told_as_ethtool_tells_it() {
    let before = interfaces_by_sysfs();
    let shown = document(&sidereal(&["hw", "--json"]));
    let after = interfaces_by_sysfs();
    assert_eq!(shown["schema"], "sidereal.hw/1");
    // Others may make interfaces and delete them meanwhile.
    let lasting: BTreeSet<&String> = before.intersection(&after).collect();
    let named = |told: &&Value| lasting.iter().any(|name| told["name"] == name.as_str());
    let interfaces: Vec<&Value> = shown["interfaces"].as_array().unwrap().iter().filter(named).collect();
    assert_eq!(interfaces.len(), lasting.len(), "{shown}");
    for told in interfaces {
        let name = told["name"].as_str().unwrap();
        let link = fs::read_to_string(Path::new("/sys/class/net").join(name).join("operstate")).unwrap();
        assert_eq!(told["link"], link.trim());
        let driver = by_ethtool("-i", name);
        let driver = driver.lines().find_map(|line| line.strip_prefix("driver: "));
        assert_eq!(told["driver"].as_str(), driver, "{told}");
        let stamps = by_ethtool("-T", name);
        let clock = stamps.lines().find_map(|line| line.strip_prefix("PTP Hardware Clock: "));
        let clock = clock.filter(|number| *number != "none").map(|number| format!("/dev/ptp{number}"));
        let told_clock = told["clock"]["device"].as_str();
        // A clock that this user may not read is not shown.
        assert!(told_clock.is_none() || told_clock == clock.as_deref(), "{told}\n{stamps}");
        assert_eq!(told["tx_stamps"], stamps.contains("hardware-transmit"), "{told}\n{stamps}");
        let statements: Vec<&str> =
            told["statements"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        if told_clock.is_none() {
            assert!(statements[0].starts_with("RX stamps: kernel"), "{statements:?}");
            let lower = Path::new("/sys/class/net").join(name).read_dir().unwrap();
            let is_over = lower.flatten().any(|file| file.file_name().to_string_lossy().starts_with("lower_"));
            let by_kernel = is_over || stamps.contains("software-transmit");
            let expected = if by_kernel { "TX stamps: kernel" } else { "TX stamps: none" };
            assert!(statements[1].starts_with(expected), "{statements:?}\n{stamps}");
        }
    }
    let words = sidereal(&["hw"]);
    assert!(words.status.success(), "{words:?}");
    assert!(lasting.iter().all(|name| text(&words.stdout).contains(name.as_str())));
}

#[test]
fn what_is_wrong_with_a_machine_ends_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sidereal.toml");
    let port = "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\n";
    let state = format!("[state]\ndirectory = '{}/state'\n", directory.path().display());
    let socket = format!("[ops]\nsocket = '{}/control'\n", directory.path().display());
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    let check = |workers: &str| {
        fs::write(&path, format!("{port}{workers}{state}{socket}")).unwrap();
        let among = ["hw", "check", "--json", "--root", root.to_str().unwrap(), path.to_str().unwrap()];
        let output = sidereal(&among);
        (output.status.code(), document(&output))
    };
    let (code, wrong) = check("");
    assert_eq!((code, &wrong["schema"]), (Some(1), &"sidereal.hw_check/1".into()));
    assert_eq!(wrong["findings"][0]["check"], "pinned_workers");
    let (code, good) = check("[workers]\nidle = 'sleep'\n");
    assert_eq!((code, good["findings"].as_array().unwrap().len()), (Some(0), 0), "{good}");
    let output = sidereal(&["hw", "check", "/nonexistent.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_load_that_makes_no_sense_is_refused() {
    let among = ["load", "10.77.0.1:123", "--interface", "lo", "--prefix", "10.0.0.0/8", "--flood", "--json"];
    let output = sidereal(&among);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("lies within the clients' prefix"), "{output:?}");
    assert_eq!(document(&output)["schema"], "sidereal.error/1");
    let unplanned = sidereal(&among[..6]);
    assert!(text(&unplanned.stderr).contains("<--rate <REQUESTS>|--flood|--ramp <REQUESTS>>"), "{unplanned:?}");
}

#[test]
fn asking_nobody_fails_in_words_and_as_a_document() {
    for command in ["status", "sources", "ptp"] {
        let output = sidereal(&[command, "--socket", "/nonexistent/control", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(document(&output)["schema"], "sidereal.error/1");
        assert!(text(&output.stderr).contains("help: start `sidereal run`"));
    }

    let port = free_port().to_string();
    let silent = ["query", "127.0.0.1", "--port", &port, "--count", "1", "--timeout", "200ms"];
    let query = sidereal(&silent);
    assert_eq!(query.status.code(), Some(1));
    assert!(text(&query.stderr).contains("no usable answer from 127.0.0.1"), "{query:?}");
    let query = document(&sidereal(&[&silent[..], &["--json"]].concat()));
    assert_eq!(
        (&query["schema"], &query["sent"], &query["usable"]),
        (&"sidereal.query/1".into(), &1.into(), &0.into())
    );
    assert!(query["exchanges"][0]["failure"].is_string());
}

/// A running sidereal, stopped and looked after when it goes out of scope.
struct Appliance {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Appliance {
    /// Starts one that serves on loopback, and waits until it is synchronised.
    fn start(mode: &str, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "mode = '{mode}'\n[[port]]\nname = 'lo'\nbackend = 'kernel'\naddresses = ['127.0.0.1', '::1']\ninterface = 'lo'\n\
             [workers]\nidle = 'sleep'\n[ntp.server]\nport = {port}\n[ops]\nsocket = '{0}/control'\nlog = 'json'\n\
             [state]\ndirectory = '{0}/state'\n{more}",
            directory.path().display()
        );
        let path = directory.path().join("sidereal.toml");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_sidereal"))
            .args(["run", "--config", path.to_str().unwrap()])
            .stderr(log)
            .spawn()
            .unwrap();
        let mut appliance = Self { child, directory, port };
        appliance.wait_until("synchronised", |status| status["clock"]["synchronised"] == true);
        appliance
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn status(&self) -> Option<Value> {
        let socket = self.path("control");
        let output = sidereal(&["status", "--json", "--socket", socket.to_str().unwrap()]);
        output.status.success().then(|| document(&output))
    }

    fn wait_until(&mut self, what: &str, done: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.status().is_some_and(|status| done(&status)) {
            assert!(self.child.try_wait().unwrap().is_none(), "sidereal has ended:\n{}", self.log());
            assert!(Instant::now() < deadline, "never {what}: {:#?}\n{}", self.status(), self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    fn query(&self, more: &[&str]) -> Output {
        let port = self.port.to_string();
        sidereal(&[&["query", "--json", "--port", &port, "--interval", "50ms"][..], more].concat())
    }

    /// Tells it to stop; it must end with 0, and leave nothing behind but its state.
    fn stop(mut self, signal: &str) {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        assert!(!self.path("control").exists());
        assert!(self.log().contains("sidereal ends"), "{}", self.log());
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serves(mode: &str, signal: &str) {
    let mut appliance = Appliance::start(mode, "");
    for host in ["127.0.0.1", "::1", "localhost"] {
        let output = appliance.query(&["--count", "3", host]);
        assert!(output.status.success(), "{output:?}\n{}", appliance.log());
        let document = document(&output);
        assert_eq!((&document["sent"], &document["usable"]), (&3.into(), &3.into()));
        let best = &document["best"];
        assert_eq!(
            (&best["stratum"], &best["reference_id"], &best["leap"]),
            (&1.into(), &"LOCL".into(), &"none".into())
        );
        // Both ends have the same clock: what is measured must lie within its own bound, and the bound within a second.
        let number = |name: &str| best[name].as_i64().unwrap();
        assert!(number("offset_ns").abs() <= number("bound_ns"), "{best}");
        assert!((0..1_000_000_000).contains(&number("delay_ns")) && number("bound_ns") < 1_000_000_000, "{best}");
        assert_eq!(best["stamps"]["transmit"], "kernel");
        assert_eq!(text(&output.stderr).lines().count(), 4, "progress goes to standard error");
    }
    let output = appliance.query(&["--count", "4", "--interleaved", "127.0.0.1"]);
    let document = document(&output);
    let last = &document["exchanges"][3]["answer"];
    assert_eq!(last["stamps"]["server_transmit"], "measured", "{document:#}");

    appliance.wait_until("counted", |status| status["workers"][0]["replies"]["basic"].as_u64() >= Some(9));
    appliance.wait_until("measured", |status| status["workers"][0]["residence"]["count"].as_u64() >= Some(1));
    appliance.wait_until("locked", |status| status["clock"]["state"] == "locked");
    let status = appliance.status().unwrap();
    assert!(status["readings"]["accepted"].as_u64() >= Some(1), "{status:#}");
    assert_eq!(status["clocks"], Value::Array(Vec::new()), "the reference does not follow: {status:#}");
    assert_eq!((&status["schema"], &status["mode"]), (&"sidereal.status/1".into(), &mode.into()));
    // The first two of the four have no stamp to tell; a busy host may take one from the others.
    assert!([1, 2].contains(&status["workers"][0]["replies"]["interleaved"].as_u64().unwrap()), "{status:#}");
    assert_eq!((&status["ports"][0]["name"], &status["ports"][0]["link"]), (&"lo".into(), &"up".into()));
    assert_eq!(status["clock"]["stratum"], 1);
    let socket = appliance.path("control");
    let words = sidereal(&["status", "--socket", socket.to_str().unwrap()]);
    assert!(text(&words.stdout).contains("clock    system, locked, synchronised  stratum 1  LOCL"), "{words:?}");

    // Another one cannot have the same state, socket or port.
    let config = appliance.path("sidereal.toml");
    let second = sidereal(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(text(&second.stderr).contains("another sidereal runs with the state directory"), "{second:?}");
    appliance.stop(signal);
}

#[test]
fn the_appliance_serves_and_drains() {
    serves("appliance", "TERM");
}

#[test]
fn one_thread_serves_and_drains() {
    serves("single", "INT");
}

/// One sidereal follows another on the same host: the same clock, so that every offset is an error.
#[test]
fn one_follows_another_and_says_why() {
    let server = Appliance::start("appliance", "");
    let source = format!(
        "[[ntp.source]]\naddress = '127.0.0.1'\nname = 'other'\nport = {}\nmin_poll = -4\nmax_poll = -2\n\
         interleaved = true\n",
        server.port
    );
    let mut follower = Appliance::start("single", &source);
    follower.wait_until("locked", |status| status["clock"]["state"] == "locked");
    let status = follower.status().unwrap();
    let clock = &status["clock"];
    assert_eq!((&clock["reference"], &clock["system_peer"]), (&"sources".into(), &"other".into()), "{status:#}");
    assert_eq!((&clock["stratum"], &clock["reference_id"]), (&2.into(), &"127.0.0.1".into()), "{status:#}");
    assert!(clock["bound_ns"].as_i64().unwrap() >= clock["uncertainty_ns"].as_i64().unwrap(), "{status:#}");
    assert_eq!((&status["clocks"][0]["name"], &status["clocks"][0]["steer"]), (&"system".into(), &"dry".into()));

    let socket = follower.path("control");
    let asked = |more: &[&str]| sidereal(&[&["sources", "--socket", socket.to_str().unwrap()], more].concat());
    let sources = document(&asked(&["--json"]));
    assert_eq!(sources["schema"], "sidereal.sources/1");
    let source = &sources["sources"][0];
    assert_eq!((&source["name"], &source["state"]), (&"other".into(), &"selected".into()), "{sources:#}");
    assert_eq!(source["address"], format!("127.0.0.1:{}", server.port));
    assert!(source["offset_ns"].as_i64().unwrap().abs() <= source["bound_ns"].as_i64().unwrap(), "{sources:#}");
    let words = asked(&[]);
    let words = text(&words.stdout);
    assert!(words.contains("\n*  other ") && words.contains("\n     selected: "), "{words}");
    assert!(words.ends_with("following other and what is combined with it\n"), "{words}");

    server.stop("TERM");
    follower.wait_until("alone", |status| status["clock"]["state"] == "holdover");
    follower.stop("TERM");
}

#[test]
fn single_mode_has_one_thread() {
    let appliance = Appliance::start("single", "");
    let tasks = fs::read_dir(format!("/proc/{}/task", appliance.child.id())).unwrap().count();
    assert_eq!(tasks, 1);
    appliance.stop("TERM");
}

#[test]
fn sighup_reloads_policy_and_names_what_it_cannot() {
    for mode in ["appliance", "single"] {
        let mut appliance = Appliance::start(mode, "[clock]\nstratum = 1\n");
        let path = appliance.path("sidereal.toml");
        let config = fs::read_to_string(&path).unwrap();
        let denied = "[[access]]\nprefix = '127.0.0.0/8'\naction = 'deny'\n";
        let changed = config.replace("stratum = 1", "stratum = 5").replace("idle = 'sleep'", "idle = 'yield'");
        fs::write(&path, format!("{changed}{denied}")).unwrap();
        appliance.signal("HUP");
        appliance.wait_until("reloaded", |status| status["clock"]["stratum"] == 5);
        assert!(appliance.log().contains("`workers` has changed and needs a restart"), "{}", appliance.log());

        let refused = appliance.query(&["--count", "3", "127.0.0.1"]);
        assert_eq!(refused.status.code(), Some(1));
        let refused = document(&refused);
        assert_eq!(refused["sent"], 1, "a kiss of death ends the series: {refused:#}");
        assert!(refused["exchanges"][0]["failure"].as_str().unwrap().contains("kiss of death: DENY"), "{refused:#}");
        assert!(appliance.query(&["--count", "1", "::1"]).status.success());

        fs::write(&path, "nonsense").unwrap();
        appliance.signal("HUP");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !appliance.log().contains("nothing is changed") {
            assert!(Instant::now() < deadline, "{}", appliance.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(appliance.query(&["--count", "1", "::1"]).status.success());
        appliance.stop("TERM");
    }
}

#[test]
fn keys_are_used_on_both_sides() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("keys");
    fs::write(&file, "7 AES128 HEX:000102030405060708090a0b0c0d0e0f\n8 SHA1 ASCII:secret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let require = "[[access]]\nprefix = '127.0.0.0/8'\naction = 'allow'\nrequire_key = true\n";
    let appliance = Appliance::start("appliance", &format!("{require}[keys]\nfile = '{file}'\n"));
    for key in ["7", "8"] {
        let output = appliance.query(&["--count", "1", "127.0.0.1", "--key", key, "--keys", file]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(document(&output)["best"]["authenticated"], true);
    }
    let without = appliance.query(&["--count", "1", "--timeout", "200ms", "127.0.0.1"]);
    assert_eq!(without.status.code(), Some(1), "{without:?}");
    let unknown = appliance.query(&["127.0.0.1", "--key", "9", "--keys", file]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    appliance.stop("TERM");
}

#[test]
fn a_port_that_is_taken_is_said_before_anything_runs() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let config = format!(
        "[[port]]\nname = 'lo'\nbackend = 'kernel'\naddresses = ['127.0.0.1']\n[ntp.server]\nport = {port}\n\
         [ops]\nsocket = '{0}/control'\n[state]\ndirectory = '{0}/state'\n",
        directory.path().display()
    );
    let path = directory.path().join("sidereal.toml");
    for mode in ["appliance", "single"] {
        fs::write(&path, format!("mode = '{mode}'\n{config}")).unwrap();
        let output = sidereal(&["run", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains(&format!("port \"lo\": UDP 127.0.0.1:{port} is taken")), "{said}");
    }
}
