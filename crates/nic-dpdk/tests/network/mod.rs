//! A network of its own for a test: a namespace with the veth pair `left` and `right`.

use std::env;
use std::process::Command;

/// Set in the process that runs in its own network namespace.
const INSIDE: &str = "SIDEREAL_TEST_IN_ITS_OWN_NETWORK";
/// Runs `test` in a network namespace with the veth pair `left` and `right`: this test binary is started there again for
/// the test of this name alone.
pub(crate) fn in_its_own_network(name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        connect();
        return test();
    }
    let output = Command::new("unshare")
        .arg("--net")
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("`unshare` of util-linux is needed");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        !text.contains("Operation not permitted"),
        "this test makes a network namespace and must run as root:\n{text}"
    );
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "no test is called {name}:\n{text}");
}

/// Runs `ip` of iproute2.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().expect("`ip` of iproute2 is needed");
    assert!(status.success(), "ip {arguments}");
}

/// Makes the pair and sets it up.
pub(crate) fn connect() {
    ip("link add left type veth peer name right");
    for end in ["left", "right"] {
        // The kernel's own neighbour discovery would come in between.
        ip(&format!("link set {end} addrgenmode none"));
        ip(&format!("link set {end} up"));
    }
}
