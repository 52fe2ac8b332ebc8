//! Finds the system's libdpdk by pkg-config, compiles the shim against its headers and links both.

use std::env;
use std::process::Command;

/// The oldest DPDK whose interface the shim is written to.
const OLDEST_DPDK: &str = "22.11";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=csrc");
    if let Err(error) = build() {
        println!("cargo::error={error}");
    }
}

fn build() -> Result<(), String> {
    pkg_config::Config::new().atleast_version(OLDEST_DPDK).probe("libdpdk").map_err(|error| {
        let text = error.to_string();
        let found = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
        format!(
            "libdpdk {OLDEST_DPDK} or later was not found: run `apt-get install libdpdk-dev libbsd-dev`, or leave DPDK out \
             with `cargo build -p sidereal --no-default-features` (pkg-config: {found})"
        )
    })?;
    let mut shim = cc::Build::new();
    shim.file("csrc/log.c")
        .file("csrc/eal.c")
        .file("csrc/port.c")
        .file("csrc/burst.c")
        .file("csrc/timesync.c")
        // The packet path is the point of the shim; at -O0 DPDK's inline functions are ten times slower.
        .opt_level(3)
        .warnings(true)
        .extra_warnings(true)
        .flag("-Werror=implicit-function-declaration")
        .flag("-Werror=incompatible-pointer-types")
        .flag("-Werror=int-conversion")
        .flag("-Werror=return-type");
    // The pkg-config crate drops what it does not know, but the headers need -march and `-include rte_config.h`. They are
    // not ours to warn about, so their directories become those of the system.
    for flag in compiler_flags()?.split_whitespace() {
        match flag.strip_prefix("-I") {
            Some(directory) => shim.flag("-isystem").flag(directory),
            None => shim.flag(flag),
        };
    }
    shim.try_compile("sidereal_dpdk_shim").map_err(|error| format!("the shim over libdpdk does not compile: {error}"))
}

/// What pkg-config wants the compiler to be told.
fn compiler_flags() -> Result<String, String> {
    println!("cargo::rerun-if-env-changed=PKG_CONFIG");
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&program)
        .args(["--cflags", "libdpdk"])
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} --cflags libdpdk failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{program} --cflags libdpdk: {error}"))
}
