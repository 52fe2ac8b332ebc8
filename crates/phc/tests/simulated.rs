//! Steering for real, in the simulator clknetsim: `CLKNETSIM` names the folder where it was built. The example `steer` runs
//! in it without privileges, so that it could steer nothing if the simulator were not there.
//!
//! ```text
//! CLKNETSIM=... cargo test -p sidereal-phc --features clknetsim --test simulated
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a simulation that does not run fails the test"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A system clock that is 10 ms ahead and gains 10 us in a second, a PTP clock that loses 3 us, and a perfect reference.
const WORLD: &str = "node1_freq = 1e-5\nnode1_offset = 0.01\nnode1_freq2 = -3e-6\nnode1_refclock = (* 0 (normal))\n";

/// What the example says in a simulation of so many seconds.
fn steer(clocks: &str, seconds: u32, arguments: &[&str]) -> String {
    let simulator = PathBuf::from(std::env::var_os("CLKNETSIM").expect("CLKNETSIM names the folder of the simulator"));
    let library = simulator.join("clknetsim.so");
    assert!(library.exists(), "{} is missing", library.display());
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.path().join("world"), WORLD).unwrap();
    let program = folder.path().join("steer");
    fs::copy(example(), &program).unwrap();

    let mut server = without_privileges(folder.path());
    server.arg(simulator.join("clknetsim")).args(["-c", &clocks.split(',').count().to_string()]);
    server.args(["-l", &seconds.to_string(), "world", "1"]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut client = without_privileges(folder.path());
    // Set here, behind `setpriv`: a program with the library becomes the simulated one.
    client.arg(format!("LD_PRELOAD={}", library.display())).arg(&program).args(arguments);
    let output = client.env("CLKNETSIM_NODE", "1").env("CLKNETSIM_CLOCKS", clocks).output().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn without_privileges(folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs", "env"]);
    command.current_dir(folder);
    command
}

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/steer")
}

/// The lines that begin so, at least one.
fn lines<'a>(said: &'a str, start: &str) -> Vec<&'a str> {
    let found: Vec<&str> = said.lines().filter(|line| line.starts_with(start)).collect();
    assert!(!found.is_empty(), "no line {start:?} in {said}");
    found
}

/// The number that follows a word.
fn number(line: &str, word: &str) -> f64 {
    let behind = line.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {line:?}")).1.trim_start();
    let end = behind.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(behind.len());
    behind[..end].parse().unwrap_or_else(|_| panic!("no number behind {word:?} in {line:?}"))
}

#[test]
fn clocks_do_what_they_are_told() {
    const HALF_UNIT_PPB: f64 = 0.500_001 / 65.536;
    const DEVICE_MAX_PPB: f64 = 32_767_999.0;
    let said = steer("REALTIME,ptp1", 40_000, &["--yes-steer-this-clock", "measure", "/dev/ptp1"]);

    for line in lines(&said, "frequency: ") {
        let [asked, told, measured] = ["asked", "told", "measured"].map(|word| number(line, word));
        assert!((told - asked.min(DEVICE_MAX_PPB)).abs() <= 2.0 * HALF_UNIT_PPB, "{line}");
        assert!(asked > DEVICE_MAX_PPB || (told - asked).abs() <= HALF_UNIT_PPB + 1e-6, "{line}");
        // Readings are whole nanoseconds, 1000 s apart.
        assert!((measured - told).abs() < 0.003, "{line}");
    }
    for line in lines(&said, "step: ") {
        let [asked, measured] = ["asked", "measured"].map(|word| number(line, word));
        assert!((asked - measured).abs() <= 1.5e-9, "{line}");
    }
    for line in lines(&said, "stamp at ") {
        assert!(number(line, "ppb:").abs() <= 2.0, "{line}");
    }
    assert_eq!(
        lines(&said, "interference")[..4],
        [
            "interference before: none",
            "interference: its frequency was changed from 0.000 to 5.000 ppm",
            "interference: it was stepped by 0.003000000 s",
            "interference after: none",
        ]
    );
    let kernel = lines(&said, "  kernel: ");
    assert_eq!(kernel.len(), 4);
    for (line, (synchronised, leap_step)) in kernel.iter().zip([(true, 0), (true, -1), (true, 1), (false, 0)]) {
        let quality = format!("synchronised: {synchronised}, max_error: 0.001235000 s, tai_offset_s: Some(37)");
        assert!(line.contains(&quality) && number(line, "leap_step:") == f64::from(leap_step), "{line}");
    }
    let methods = ["precise: ", "extended_raw: ", "extended: ", "offset: ", "gettime: "];
    let readings = methods.map(|method| lines(&said, method)[0].split_once(": ").unwrap().1.split(',').next().unwrap());
    assert!(readings.iter().all(|reading| *reading == readings[0]), "{readings:?}");
    assert!(said.contains("the same clock twice: true"), "{said}");
}

#[test]
fn pulses_and_samples_stand_at_the_right_count() {
    let said = steer("REALTIME", 100, &["--yes-steer-this-clock", "pulses", "20"]);
    let pulses = lines(&said, "pulse at ");
    assert!(pulses.len() >= 18, "{said}");
    for line in pulses {
        assert!(line.contains(", 0 missed: Ok("), "{line}");
        // The counter is the clock less the 10 ms that it was ahead when both began.
        let [shown, ticks] = ["at", "Ticks("].map(|word| number(line, word));
        let apart = (shown - 0.01 - ticks / 1e9).rem_euclid(1.0);
        assert!(apart.min(1.0 - apart) < 1e-6, "{line}: {apart}");
    }
    assert!(lines(&said, "sample: ").len() >= 18, "{said}");
    assert!(said.contains("faults: [0, 0, 0, 0, 0, 0, 0, 0, 0]"), "{said}");
}
