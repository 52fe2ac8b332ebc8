//! Shows Sidereal at work: on DPDK in one network namespace, four chrony clients in another, and a table of what the clients
//! see and what the server did, until Ctrl-C or for a given time.
#![forbid(unsafe_code)]

use core::fmt::Write as _;
use core::time::Duration;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use sidereal_tests::{
    Chronyd, Error, Hugepages, Link, Net, NtpData, Options, Result, SERVER_IPV4, SERVER_IPV6, Sidereal, SourceState,
    Status, Transport, write_private,
};

#[derive(Parser)]
#[command(name = "sidereal-demo", about = "Shows Sidereal on DPDK serving real chrony clients")]
struct Arguments {
    /// End after so many seconds; until Ctrl-C where it is not given
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

/// A client of the demonstration.
struct Case {
    name: &'static str,
    ipv6: bool,
    /// What follows the server's address in chrony's configuration.
    options: &'static str,
}

const CASES: [Case; 4] = [
    Case { name: "IPv4", ipv6: false, options: "" },
    Case { name: "IPv6", ipv6: true, options: "" },
    Case { name: "AES-CMAC", ipv6: false, options: "key 1" },
    Case { name: "interleaved", ipv6: false, options: "xleave" },
];

const KEYS: &str = "1 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";
/// How often the table is drawn again on a terminal, and how often rows are added elsewhere.
const REDRAW: Duration = Duration::from_secs(1);
const APPEND: Duration = Duration::from_secs(5);
/// How often it is looked whether to end.
const TICK: Duration = Duration::from_millis(100);
/// Pages of 2 MiB for DPDK, of which it then takes 128 MiB.
const HUGEPAGES: u64 = 80;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Net::run("demo", Link::Dpdk, |net| show(net, arguments.seconds.map(Duration::from_secs))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("sidereal-demo: not every client selected Sidereal");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("sidereal-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demonstration; true if at its end every client had selected Sidereal.
fn show(net: &Net, length: Option<Duration>) -> Result<bool> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(Error::io("signal handler"))?;
    }
    let hugepages = Hugepages::reserve(HUGEPAGES);
    let options = Options { hugepages: hugepages.is_some(), keys: Some(KEYS.into()), ..Options::new(Transport::Dpdk) };
    let server = Sidereal::start(net, &options)?;
    let keys = net.client().directory().join("keys");
    write_private(&keys, KEYS)?;
    let mut clients = Vec::new();
    for case in &CASES {
        let address = if case.ipv6 { SERVER_IPV6.to_string() } else { SERVER_IPV4.to_string() };
        let source = format!("{address} {}", case.options);
        clients.push(Chronyd::client(net.client(), case.name, &source, Some(&keys))?);
    }

    println!(
        "Sidereal on DPDK (net_af_packet over veth, {}), chronyd as clients, each in a network namespace.",
        if options.hugepages { "hugepages" } else { "no hugepages" }
    );
    println!("Both ends share one clock: the true offset is 0. No clock is steered.");
    let terminal = io::stdout().is_terminal();
    let start = Instant::now();
    let mut next = Duration::ZERO;
    let mut lines = 0;
    loop {
        let elapsed = start.elapsed();
        let last = ended.load(Ordering::Relaxed) || length.is_some_and(|length| elapsed >= length);
        if last || elapsed >= next {
            next = elapsed + if terminal { REDRAW } else { APPEND };
            let views: Vec<_> = clients.iter().map(View::of).collect();
            let table = table(elapsed, &views, &server.status()?);
            if terminal {
                // Back to the table's first line and over all that was below; no line may be wrapped, or the next time the
                // way back is longer.
                let back = if lines > 0 { format!("\x1b[{lines}A\x1b[J") } else { String::new() };
                print!("{back}\x1b[?7l{table}\x1b[?7h");
                lines = table.lines().count();
            } else {
                print!("{table}");
            }
            io::stdout().flush().map_err(Error::io("standard output"))?;
            if last {
                drop(clients);
                server.stop()?;
                return Ok(views.iter().all(View::selected));
            }
        }
        thread::sleep(TICK);
    }
}

/// What a client sees now; nothing where its chronyd has no answer yet.
struct View(Option<(SourceState, NtpData)>);

impl View {
    fn of(client: &Chronyd<'_>) -> Self {
        Self(client.source().and_then(|source| Ok((source, client.ntp_data()?))).ok())
    }

    fn selected(&self) -> bool {
        self.0.as_ref().is_some_and(|(source, _)| source.selected)
    }
}

fn table(elapsed: Duration, views: &[View], status: &Status) -> String {
    let mut text = format!("\nafter {} s\n", elapsed.as_secs());
    let _ = writeln!(
        text,
        "  {:<12} {:<9} {:>12} {:>12} {:>12} {:>6}  {:<12} {:<14} {:>8}",
        "client", "selected", "offset", "delay", "std dev", "reach", "interleaved", "authenticated", "replies"
    );
    for (case, View(view)) in CASES.iter().zip(views) {
        let Some((source, data)) = view.as_ref().filter(|(_, data)| data.good > 0) else {
            let _ = writeln!(text, "  {:<12} no", case.name);
            continue;
        };
        let _ = writeln!(
            text,
            "  {:<12} {:<9} {:>12} {:>12} {:>12} {:>6o}  {:<12} {:<14} {:>8}",
            case.name,
            yes(source.selected),
            microseconds(data.offset_s),
            microseconds(data.delay_s),
            microseconds(source.stddev_s),
            source.reach,
            yes(data.interleaved),
            yes(data.authenticated),
            data.good
        );
    }
    let clock = |name: &str| status.get(&format!("/clock/{name}")).map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(
        text,
        "  server: {} packets received; {} replies, of them {} interleaved and {} authenticated; {} drops; {} packets to the \
         kernel, {} from it",
        status.count("received"),
        status.all_replies(),
        status.replies("interleaved"),
        status.replies("authenticated"),
        status.all_drops(),
        status.count("to_kernel"),
        status.count("from_kernel")
    );
    let residence =
        |name: &str| status.get(&format!("/workers/0/residence/{name}")).map_or("-".into(), ToString::to_string);
    let _ = writeln!(
        text,
        "  server: stratum {}, root dispersion {} ns; half of the requests stayed at most {} ns, 99 % at most {} ns",
        clock("stratum"),
        clock("root_dispersion_ns"),
        residence("p50_ns"),
        residence("p99_ns")
    );
    text
}

fn microseconds(seconds: f64) -> String {
    format!("{:+.3} us", seconds * 1e6)
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
