//! Starting DPDK: where its threads run, what stays behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod eal;

use std::fs;
use std::path::Path;
use std::process;

use sidereal_nic_dpdk::{Eal, EalError, WorkerThread, dpdk_version};

/// The value of a field of a thread's status.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim_start_matches(':').trim()
}

#[test]
fn dpdk_starts_once_and_keeps_to_its_cores() {
    let before = sidereal_cpu::cores();
    let last = *eal::options().cores.last().unwrap();
    let options = sidereal_nic_dpdk::EalOptions { cores: vec![last], ..eal::options() };
    let eal = Eal::init(&options).unwrap();
    assert_eq!(sidereal_cpu::cores(), before, "the caller is not left pinned");
    let mut seen = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        if field(&status, "Name").starts_with("eal-") || field(&status, "Name").starts_with("dpdk-") {
            assert_eq!(field(&status, "Cpus_allowed_list"), last.to_string(), "{}", field(&status, "Name"));
            seen += 1;
        }
    }
    assert!(seen > 0, "EAL has its interrupt thread");
    assert!(matches!(Eal::init(&options), Err(EalError::AlreadyStarted)));
    assert!(dpdk_version().starts_with("DPDK "));
    let directory = format!("/var/run/dpdk/sidereal-{}", process::id());
    assert!(!Path::new(&directory).exists(), "{directory} is left behind");

    // The guard gives its place back: far more threads come by than DPDK knows at once.
    for _ in 0..300 {
        std::thread::spawn(move || WorkerThread::register(eal).map(drop)).join().unwrap().unwrap();
    }
}
