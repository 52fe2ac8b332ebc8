//! Runs as whoever uses them sees them.
#![expect(clippy::panic, reason = "a test says no by panicking")]

use proptest::prelude::*;
use sidereal_sim::csv::csv;
use sidereal_sim::outcome::Outcome;
use sidereal_sim::run::{Run, RunOptions, run, run_all};
use sidereal_sim::scenario::Scenario;
use sidereal_sim::{fuzz, plot};
use sidereal_time::Span;

const PAIR: &str = r#"
duration = "900s"
settle = "300s"
runs = 3

[[host]]
name = "server"
kind = "reference"

[[host]]
name = "client"
oscillator = { preset = "tcxo" }

[[host.source]]
host = "server"
min_poll = 2
max_poll = 4
interleaved = true

[[link]]
between = ["client", "server"]
preset = "quiet_lan"
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn kept(text: &str, seed: u64) -> Run {
    run(&scenario(text), seed, RunOptions { keep_samples: true, ..RunOptions::default() })
}

#[test]
fn a_client_finds_its_server_and_knows_how_wrong_it_is() {
    let run = kept(PAIR, 1);
    let [client] = run.hosts.as_slice() else { panic!("only engines are measured") };
    assert_eq!((client.seconds, client.seconds_unsynchronised, client.seconds_outside_bound), (600, 0, 0));
    assert!(client.max_error_s.unwrap() < 5e-6 && client.clock_max_error_s.unwrap() < 10e-6, "{client:?}");
    assert!(client.lock_s.unwrap() < 300.0);
    assert!(!client.adev.is_empty() && !client.tdev.is_empty() && !client.mtie.is_empty());
    assert_eq!(run.samples[0].1.len(), 900);
}

#[test]
fn runs_repeat_to_the_bit_and_in_any_order() {
    let scenario = scenario(PAIR);
    let one_by_one: Vec<Run> = (1..=3).map(|seed| run(&scenario, seed, RunOptions::default())).collect();
    let mut backwards = run_all(&scenario, &[3, 2, 1], RunOptions::default());
    backwards.reverse();
    assert_eq!(backwards, one_by_one);
    assert_ne!(one_by_one[0].hosts, one_by_one[1].hosts);
}

#[test]
fn another_host_changes_nothing_for_the_others() {
    let another = r#"
[[host]]
name = "another"
oscillator = { preset = "crystal" }

[[host.source]]
host = "server"

[[link]]
between = ["another", "server"]
preset = "wan"
"#;
    let alone = kept(PAIR, 5);
    let together = kept(&format!("{PAIR}{another}"), 5);
    assert_eq!(alone.samples[0], together.samples[0]);
}

#[test]
fn a_liar_alone_is_believed_and_its_lie_measured() {
    let run = kept(&PAIR.replace("kind = \"reference\"", "kind = \"reference\"\noffset = \"-3ms\""), 1);
    let rms = run.hosts[0].rms_error_s.unwrap();
    assert!((rms - 3e-3).abs() < 1e-5, "{rms}");
    assert_eq!(run.hosts[0].seconds_outside_bound, 600);
}

#[test]
fn faults_begin_and_end() {
    let fault = |text: &str| format!("{PAIR}[[fault]]\nat = \"400s\"\nduration = \"100s\"\n{text}");
    let error = |run: &Run, second: usize| run.samples[0].1[second - 1].error.abs();
    let asymmetric = kept(&fault("kind = \"asymmetry\"\nbetween = [\"client\", \"server\"]\nby = \"1ms\""), 1);
    let undisturbed = kept(PAIR, 1);
    let until = |run: &Run, second: usize| run.samples[0].1[..second].to_vec();
    assert_eq!(until(&asymmetric, 399), until(&undisturbed, 399));
    assert_ne!(until(&asymmetric, 499), until(&undisturbed, 499));
    let lie = kept(&fault("kind = \"lie_step\"\nhost = \"server\"\nby = \"1s\""), 1);
    let worst = (400..500).map(|second| error(&lie, second)).fold(0.0, f64::max);
    assert!(error(&lie, 399) < 1e-5 && worst > 0.1, "{worst}");
    let set = kept(&fault("kind = \"set_clock\"\nhost = \"client\"\nby = \"7s\""), 1);
    let clock = |second: usize| set.samples[0].1[second - 1].clock_error;
    assert!(clock(399).abs() < 1e-5 && (clock(400) - 7.0).abs() < 1e-3 && clock(450).abs() < 1e-3);
    let down = kept(&fault("kind = \"suspend\"\nhost = \"client\""), 1);
    assert!(!down.samples[0].1[449].synchronised);
}

#[test]
fn limits_are_judged_over_all_runs() {
    let limit = |text: &str| format!("{PAIR}[[limit]]\nhost = \"client\"\n{text}");
    let holds = |text: &str| {
        let scenario = scenario(&limit(text));
        let outcome = Outcome::new(&scenario, run_all(&scenario, &[1, 2], RunOptions::default()));
        assert_eq!(outcome.passed, outcome.limits[0].holds);
        outcome.passed
    };
    assert!(holds("statistic = \"rms_error_s\"\nat_most = 1e-3"));
    assert!(!holds("statistic = \"rms_error_s\"\nat_most = 1e-12"));
    assert!(!holds("statistic = \"rms_error_s\"\nat_least = 1e-3"));
    assert!(holds(
        "statistic = \"seconds\"\nof = \"total\"\nfrom = \"500s\"\nuntil = \"600s\"\nat_most = 200\nat_least = 200"
    ));
}

#[test]
fn samples_are_written_and_drawn() {
    let run = kept(PAIR, 1);
    let text = csv(std::slice::from_ref(&run));
    assert_eq!(text.lines().count(), 901);
    assert!(text.lines().nth(500).unwrap().starts_with("1,client,500,1,1,"));
    assert!(plot::svg(&run).unwrap().contains("client: error in"));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_remedy() {
    for (from, to, message) in [
        (
            "\"900s\"",
            "\"0s\"",
            "test.toml:2:12: a run of 0s is out of range\n  help: write one from \"1s\" to \"400days\"",
        ),
        ("\"300s\"", "\"long\"", "test.toml:3:10: \"long\" is not a length of time\n  help: write a number"),
        (
            "host = \"server\"",
            "host = \"servant\"",
            "test.toml:15:8: no host is called \"servant\"\n  help: there are: client, server",
        ),
        ("min_poll = 2", "min_poll = 18", "test.toml:16:12: poll 18 is out of range\n  help: write -6 to 17"),
        ("\"tcxo\"", "\"txco\"", "test.toml:12:25: unknown variant `txco`"),
        ("[\"client\", \"server\"]", "[\"client\", \"client\"]", "test.toml:21:11: \"client\" has no link to itself"),
        ("name = \"client\"", "name = \"server\"", "test.toml:11:8: \"server\" is already the name of another one"),
        (
            "preset = \"quiet_lan\"",
            "jitter = { kind = \"gamma\", mean = \"1us\" }",
            "needs a `shape` above zero\n  help: add",
        ),
        ("kind = \"reference\"", "kind = \"reference\"\nstratum = 16", "test.toml:9:11: stratum 16 is out of range"),
        ("interleaved", "inter_leaved", "unknown field `inter_leaved`"),
        (
            "kind = \"reference\"",
            "kind = \"reference\"\n[[host.ptp]]\nlog_sync_interval = 9",
            "test.toml:10:21: an interval of 2^9 is out of range\n  help: write -7 to 6",
        ),
        (
            "kind = \"reference\"",
            "kind = \"reference\"\n[[host.ptp]]\n[[host.ptp]]",
            "\"server\" takes part in domain 0 twice\n  help: give one of them another domain",
        ),
    ] {
        let text = PAIR.replacen(from, to, 1);
        assert_ne!(text, PAIR);
        let error = Scenario::parse(&text, "test.toml").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let fault = format!("{PAIR}[[fault]]\nkind = \"lie_step\"\nat = \"1s\"\nhost = \"client\"");
    let error = Scenario::parse(&fault, "test.toml").unwrap_err().to_string();
    assert!(error.contains("test.toml:24:8: a fault of kind LieStep needs `by`"), "{error}");
    let limit = format!("{PAIR}[[limit]]\nhost = \"server\"\nstatistic = \"lock_s\"");
    let error = Scenario::parse(&limit, "test.toml").unwrap_err().to_string();
    assert!(
        error.contains("is a reference and is not measured") && error.contains("a limit without a number"),
        "{error}"
    );
}

const LED: &str = r#"
duration = "300s"
settle = "100s"

[[host]]
name = "master"
kind = "reference"

[[host.ptp]]
log_sync_interval = -3
log_min_delay_req_interval = -3

[[host]]
name = "follower"
oscillator = { preset = "tcxo" }

[[host.ptp]]
slave_only = true
log_min_delay_req_interval = -3

[[switch]]
name = "switch"
jitter = { kind = "exponential", mean = "20us" }

[[link]]
between = ["follower", "master"]
delay = "1us"
through = ["switch"]
"#;

#[test]
fn a_follower_finds_its_master_and_transparent_switches_tell_what_they_hide() {
    let follower = |text: &str| {
        let run = kept(text, 1);
        let [follower] = run.hosts.as_slice() else { panic!("only engines are measured") };
        assert_eq!((follower.seconds_unsynchronised, follower.seconds_outside_bound), (0, 0), "{follower:?}");
        follower.rms_error_s.unwrap()
    };
    let plain = follower(LED);
    let transparent = follower(&LED.replace("name = \"switch\"", "name = \"switch\"\nkind = \"transparent\""));
    assert!(transparent < 20e-9 && plain < 5e-6 && 10.0 * transparent < plain, "{plain:e} {transparent:e}");
}

#[test]
fn a_nic_writes_the_time_where_one_step_is_asked_for() {
    let nic = "nic = { one_step = true }\n\n[[host.ptp]]\none_step = true";
    let run = kept(&LED.replacen("[[host.ptp]]", nic, 1), 1);
    assert!(run.hosts[0].rms_error_s.unwrap() < 5e-6, "{:?}", run.hosts);
    let error = Scenario::parse(&LED.replacen("[[host.ptp]]", "[[host.ptp]]\none_step = true", 1), "t").unwrap_err();
    assert!(error.to_string().contains("the NIC of \"master\" does not write the time"), "{error}");
}

#[test]
fn a_master_that_is_worse_is_left_and_one_that_is_not_listed_is_not_followed() {
    let rogue = |host: &str, extra: &str| {
        format!(
            "{LED}[[host]]\nname = \"rogue\"\nkind = \"reference\"\noffset = \"5ms\"\n[[host.ptp]]\n{extra}\n\
             [[link]]\nbetween = [\"follower\", \"rogue\"]\ndelay = \"1us\"\n{host}"
        )
    };
    let rms = |text: &str| kept(text, 1).hosts[0].rms_error_s.unwrap();
    assert!((rms(&rogue("", "priority1 = 1")) - 5e-3).abs() < 1e-4, "the better one is believed");
    assert!(rms(&rogue("", "priority1 = 200")) < 5e-6);
    let listed =
        rogue("", "priority1 = 1").replace("slave_only = true", "slave_only = true\nacceptable_masters = [\"master\"]");
    assert!(rms(&listed) < 5e-6);
    let degraded = "[[fault]]\nkind = \"degraded\"\nhost = \"rogue\"\nat = \"0s\"";
    assert!(rms(&rogue(degraded, "priority2 = 1")) < 5e-6, "its class counts more");
}

#[test]
fn random_scenarios_can_be_written_and_read_again() {
    for seed in 0..300 {
        let text = fuzz::text(seed).unwrap();
        let read: sidereal_sim::scenario::document::Document = toml::from_str(&text).unwrap();
        assert_eq!(toml::to_string_pretty(&read).unwrap(), text, "seed {seed}");
        let scenario = scenario(&text);
        assert!(scenario.hosts.len() >= 2 && scenario.duration == Span::from_secs(7200));
    }
    assert_eq!(fuzz::text(1).unwrap(), fuzz::text(1).unwrap());
}

#[test]
fn a_bound_that_fails_is_complained_about_unless_it_is_excused() {
    let lying = scenario(&PAIR.replace("kind = \"reference\"", "kind = \"reference\"\noffset = \"-3ms\""));
    let options = RunOptions { keep_samples: true, ..RunOptions::default() };
    let complaints = fuzz::complaints(&lying, &run(&lying, 1, options));
    assert!(complaints.len() == 1 && complaints[0].contains("outside the bound"), "{complaints:?}");
    let deaf = scenario(&PAIR.replace("preset = \"quiet_lan\"", "preset = \"quiet_lan\"\nloss = \"100%\""));
    let complaints = fuzz::complaints(&deaf, &run(&deaf, 1, options));
    assert_eq!(complaints, ["client: not synchronised at the end"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// No text makes the reader of scenarios panic; what is wrong is always said where.
    #[test]
    fn any_text_is_a_scenario_or_an_error(seed in 0u64..100, at: prop::sample::Index, with in "[\\[\\]{}=\"a-z0-9 .\n-]{0,12}") {
        let mut text = fuzz::text(seed).unwrap();
        let at = at.index(text.len());
        let end = (at + with.len()).min(text.len());
        text.replace_range(at..end, &with);
        if let Err(error) = Scenario::parse(&text, "test.toml") {
            prop_assert!(error.to_string().contains("\n  help: "), "{}", error);
        }
    }
}
