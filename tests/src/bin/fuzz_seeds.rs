//! Makes a corpus for the fuzzer from captures: every frame, every UDP payload, every PTP message, each in a file of its own.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use sidereal_tests::pcap;

#[derive(Parser)]
#[command(about = "Makes a corpus for the fuzzer from captures")]
struct Arguments {
    /// The directory with the captures (*.pcap)
    captures: PathBuf,
    /// Where the seeds go
    seeds: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match write(&arguments.captures, &arguments.seeds) {
        Ok(0) => {
            eprintln!("fuzz-seeds: no frame in the captures of {}", arguments.captures.display());
            ExitCode::FAILURE
        }
        Ok(count) => {
            println!("{count} seeds in {}", arguments.seeds.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fuzz-seeds: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the seeds, and says how many they are.
fn write(captures: &Path, seeds: &Path) -> io::Result<usize> {
    fs::create_dir_all(seeds)?;
    let mut count = 0;
    for entry in fs::read_dir(captures)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (number, (_, frame)) in pcap::frames(&path).iter().enumerate() {
            fs::write(seeds.join(format!("{name}-{number}-frame")), frame)?;
            count += 1;
            let udp = || sidereal_wire::classify(frame).and_then(|headers| frame.get(headers.payload()));
            let Some(payload) = pcap::ptp_message(frame).or_else(udp) else { continue };
            fs::write(seeds.join(format!("{name}-{number}-payload")), payload)?;
            count += 1;
        }
    }
    Ok(count)
}
