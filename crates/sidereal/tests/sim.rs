//! `sidereal sim` as whoever runs it sees it.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

const SCENARIO: &str = r#"
duration = "600s"
settle = "100s"

[[host]]
name = "server"
kind = "reference"

[[host]]
name = "client"
oscillator = { preset = "tcxo" }

[[host.source]]
host = "server"
min_poll = 0
max_poll = 0

[[link]]
between = ["client", "server"]
preset = "quiet_lan"
"#;

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sidereal")).arg("sim").args(arguments).output().unwrap()
}

/// Runs `text` with these arguments, in a directory of its own.
fn with(text: &str, arguments: &[&str]) -> (Output, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("scenario.toml");
    fs::write(&file, text).unwrap();
    let mut all = vec![file.to_str().unwrap()];
    all.extend(arguments);
    (sim(&all), directory)
}

#[test]
fn the_document_has_its_keys() {
    let (output, _directory) = with(SCENARIO, &["--seed", "7", "--runs", "2", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "sidereal.sim/1");
    assert_eq!(document["runs"].as_array().unwrap().len(), 2);
    assert_eq!((&document["runs"][0]["seed"], &document["runs"][1]["seed"]), (&7.into(), &8.into()));
    let host = &document["runs"][0]["hosts"][0];
    assert_eq!(host["name"], "client");
    for key in [
        "rms_error_s",
        "p99_error_s",
        "max_error_s",
        "lock_s",
        "seconds",
        "seconds_outside_bound",
        "seconds_outside_uncertainty",
        "median_bound_s",
        "median_uncertainty_s",
    ] {
        assert!(host[key].is_number(), "{key}: {}", host[key]);
    }
    assert_eq!(host["seconds"], 500);
    let again = with(SCENARIO, &["--seed", "7", "--runs", "2", "--json"]).0;
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["runs"], document["runs"], "one seed, one run");
}

#[test]
fn a_broken_limit_is_a_failure() {
    let limit = "[[limit]]\nhost = \"client\"\nstatistic = \"rms_error_s\"\n";
    let (good, _) = with(&format!("{SCENARIO}{limit}at_most = 1e-3"), &[]);
    let (bad, _) = with(&format!("{SCENARIO}{limit}at_most = 1e-15"), &[]);
    assert_eq!((good.status.code(), bad.status.code()), (Some(0), Some(1)));
    let table = String::from_utf8(bad.stdout).unwrap();
    assert!(table.contains("client rms_error_s") && table.contains("FAIL"), "{table}");
    assert!(String::from_utf8(good.stdout).unwrap().contains("pass"));
}

#[test]
fn files_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let [values, picture] = ["a.csv", "a.svg"].map(|name| directory.path().join(name).to_str().unwrap().to_owned());
    let (output, _scenario) = with(SCENARIO, &["--csv", &values, "--plot", &picture]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fs::read_to_string(values).unwrap().lines().count(), 601);
    assert!(fs::read_to_string(picture).unwrap().starts_with("<svg"));
    let (refused, _scenario) = with(SCENARIO, &["--csv", "/nonexistent/a.csv"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_wrong_scenario_is_refused_with_its_line_and_a_remedy() {
    let (output, _directory) = with(&SCENARIO.replace("host = \"server\"", "host = \"sever\""), &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("scenario.toml:14:8: no host is called \"sever\""), "{message}");
    assert!(message.contains("help: there are: client, server"), "{message}");
    assert_eq!(sim(&[]).status.code(), Some(2));
    assert_eq!(sim(&["/nonexistent.toml"]).status.code(), Some(2));
}

#[test]
fn random_scenarios_are_printed_as_they_are_run() {
    let printed = sim(&["--fuzz", "--seed", "3", "--print"]);
    assert_eq!(printed.status.code(), Some(0));
    let text = String::from_utf8(printed.stdout).unwrap();
    // What was printed is a scenario: it runs.
    let (output, _directory) = with(&text.replacen("duration = \"2h\"", "duration = \"10s\"", 1), &["--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["duration_s"], 10.0);
    let fuzzed = sim(&["--fuzz", "--seed", "3", "--runs", "1", "--json"]);
    let document: Value = serde_json::from_slice(&fuzzed.stdout).unwrap();
    assert_eq!((&document["schema"], &document["runs"]), (&"sidereal.fuzz/1".into(), &1.into()));
}
