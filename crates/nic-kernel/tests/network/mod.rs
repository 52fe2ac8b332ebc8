//! Private network namespaces. They need root, as the tests that use them say.
#![allow(unsafe_code, reason = "setns(2) has no safe wrapper in the standard library")]
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A network namespace with its loopback up, deleted when dropped.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sd-kernel-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `ip` with these arguments in the namespace.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        ip(&all)
    }

    /// Gives an interface an IPv6 address, and waits until the kernel's worker has made it one to be spoken to.
    #[track_caller]
    pub(crate) fn add_ipv6(&self, address: &str, prefix: u8, device: &str) {
        self.ip(&format!("addr add {address}/{prefix} dev {device} nodad"));
        let end = Instant::now() + Duration::from_secs(5);
        while !self.ip("-6 route show table local").contains(&format!("local {address} ")) {
            assert!(Instant::now() < end, "{address} does not become local");
        }
    }

    /// Joins two namespaces: `veth0` with 10.77.0.1 and fd77::1 here, with 10.77.0.2 and fd77::2 there.
    pub(crate) fn join(&self, there: &Self) {
        self.ip(&format!("link add veth0 type veth peer name veth0 netns {}", there.name));
        for (namespace, number) in [(self, 1), (there, 2)] {
            namespace.enter(|| {
                // An interface that goes down keeps its addresses.
                std::fs::write("/proc/sys/net/ipv6/conf/all/keep_addr_on_down", "1").unwrap();
            });
            namespace.ip("link set veth0 up");
            namespace.ip(&format!("addr add 10.77.0.{number}/24 dev veth0"));
            namespace.add_ipv6(&format!("fd77::{number}"), 64, "veth0");
        }
    }

    /// Runs `task` in the namespace, on a thread of its own. Sockets made there stay there.
    pub(crate) fn enter<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: no pointers are passed.
                let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(result, 0, "setns: {}", std::io::Error::last_os_error());
                task()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

#[track_caller]
fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {error} (namespaces need root)", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
