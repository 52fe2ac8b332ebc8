//! Compares Sidereal with chrony, and with linuxptp's ptp4l: the highest rate of NTP requests, or of Delay_Req, that each answers
//! with little loss, over one veth link, one after the other in every round, generator and server alone on a core each.
#![forbid(unsafe_code)]

use clap::Parser;
use serde::Serialize;
use sidereal_loadgen::{Highest, LoadOptions, LoadReport, MacAddress, Mode, Plan, RoundTrip};
use sidereal_tests::{
    Chronyd, INTERFACE, Link, Namespace, Net, Options, Ptp4l, SERVER_IPV4, SERVER_MAC, Sidereal, Transport, until,
};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// The generator's core and the server's.
const GENERATOR_CORE: usize = 0;
const SERVER_CORE: usize = 1;

/// The clients, all behind one neighbour.
const CLIENTS: u32 = 16_000;
const CLIENT_PREFIX: &str = "10.77.64.0/18";
const CLIENT_GATEWAY: &str = "10.77.0.3";
const CLIENT_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0x77, 0xff]);

/// How long a PTP Port may take to lead.
const MASTER_DEADLINE: Duration = Duration::from_secs(30);
/// A ptp4l that leads and answers by unicast who asks by unicast, as Sidereal does.
const PTP4L: &str = "network_transport UDPv4\ndelay_mechanism E2E\nhybrid_e2e 1\npriority1 10\nclockClass 6\n\
                     logAnnounceInterval 0\nannounceReceiptTimeout 2\nlogSyncInterval 0\nlogMinDelayReqInterval 0";
/// The same of Sidereal: the host's own clock is what it tells.
const SIDEREAL: &str = "[clock]\nreference = \"system\"\n[[ptp]]\nname = \"lan\"\n[[ptp.port]]\nport = \"lan0\"\n\
                        transport = \"udp_ipv4\"\nhybrid = true\nlog_announce_interval = 0\nannounce_receipt_timeout = 2\n\
                        log_sync_interval = 0\nlog_min_delay_req_interval = 0\n";

/// Compares the requests per second that Sidereal and its peers answer over one veth link.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each server is measured; the median is what is compared.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each step of the search for the highest rate lasts, in seconds.
    #[arg(long, default_value_t = 1.0)]
    step: f64,
    /// The share of requests that may stay unanswered.
    #[arg(long, default_value_t = 0.01)]
    loss: f64,
    /// The clients ask in interleaved mode.
    #[arg(long, conflicts_with = "ptp")]
    interleaved: bool,
    /// The clients send Delay_Req of PTP by unicast; the peer is ptp4l.
    #[arg(long)]
    ptp: bool,
    /// One JSON document on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contestant {
    Chrony,
    Ptp4l,
    Sidereal(Transport),
}

impl Contestant {
    /// The peer, and what is compared with it.
    const fn all(mode: Mode) -> [Self; 4] {
        let peer = match mode {
            Mode::Basic | Mode::Interleaved => Self::Chrony,
            Mode::DelayReq => Self::Ptp4l,
        };
        [peer, Self::Sidereal(Transport::Kernel), Self::Sidereal(Transport::Dpdk), Self::Sidereal(Transport::DpdkXdp)]
    }

    const fn server(self) -> &'static str {
        match self {
            Self::Chrony => "chrony",
            Self::Ptp4l => "ptp4l",
            Self::Sidereal(_) => "sidereal",
        }
    }

    const fn transport(self) -> &'static str {
        match self {
            Self::Chrony | Self::Ptp4l | Self::Sidereal(Transport::Kernel) => "kernel",
            Self::Sidereal(Transport::Single) => "single",
            Self::Sidereal(Transport::Dpdk) => "dpdk af_packet",
            Self::Sidereal(Transport::DpdkXdp) => "dpdk af_xdp",
        }
    }
}

#[derive(Debug, Serialize)]
struct Comparison {
    schema: &'static str,
    loss_limit: f64,
    mode: Mode,
    rounds: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    server: &'static str,
    transport: &'static str,
    /// The median over the rounds.
    requests_per_second: f64,
    /// The median over the rounds of the ratio to chrony in the same round.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_chrony: Option<f64>,
    /// The same to ptp4l.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_ptp4l: Option<f64>,
    /// The lowest and the highest of the rounds.
    spread: [f64; 2],
    /// Round trips at half of the highest rate, in the round of the median.
    half_load_us: Option<RoundTrip>,
}

/// What one contestant reached in one round.
#[derive(Debug, Clone)]
struct Reached {
    rate: f64,
    half: Option<RoundTrip>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compare(&arguments) {
        Ok(comparison) => {
            if arguments.json {
                println!("{}", serde_json::to_string_pretty(&comparison).unwrap_or_default());
            } else {
                print_table(&comparison);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<Comparison, Box<dyn Error>> {
    // All that is measured runs in this session: its share of the processor comes before that of other sessions. Where the
    // kernel groups nothing, nothing is to be done.
    let _ = std::fs::write("/proc/self/autogroup", "-20");
    let mode = match (arguments.ptp, arguments.interleaved) {
        (true, _) => Mode::DelayReq,
        (false, true) => Mode::Interleaved,
        (false, false) => Mode::Basic,
    };
    let contestants = Contestant::all(mode);
    let mut reached: Vec<Vec<Reached>> = vec![Vec::new(); contestants.len()];
    for round in 1..=arguments.rounds.max(1) {
        for (contestant, results) in contestants.into_iter().zip(&mut reached) {
            let report = measure(contestant, arguments, mode)?;
            let rate = report.highest.map_or(0.0, |Highest { requests_per_second, .. }| requests_per_second);
            eprintln!("round {round}: {} on {}: {:.0} requests/s", contestant.server(), contestant.transport(), rate);
            results.push(Reached { rate, half: report.half.and_then(|half| half.round_trip_us) });
        }
    }
    let peer: Vec<f64> = reached.first().into_iter().flatten().map(|reached| reached.rate).collect();
    let rows = contestants.into_iter().zip(&reached).map(|(contestant, results)| row(contestant, results, mode, &peer));
    Ok(Comparison {
        schema: "sidereal.compare/1",
        loss_limit: arguments.loss,
        mode,
        rounds: arguments.rounds.max(1),
        rows: rows.collect(),
    })
}

/// Starts the contestant on a link of its own, and looks for its highest rate.
fn measure(contestant: Contestant, arguments: &Arguments, mode: Mode) -> Result<LoadReport, Box<dyn Error>> {
    let link = match contestant {
        Contestant::Chrony | Contestant::Ptp4l => Link::Kernel,
        Contestant::Sidereal(transport) => transport.link(),
    };
    let options = LoadOptions {
        interface: INTERFACE.into(),
        target: SocketAddr::new(SERVER_IPV4.into(), if mode == Mode::DelayReq { 319 } else { 123 }),
        target_mac: Some(MacAddress(SERVER_MAC)),
        source_mac: Some(CLIENT_MAC),
        prefix: CLIENT_PREFIX.parse()?,
        clients: CLIENTS,
        mode,
        plan: Plan::Ramp {
            start: 100_000.0,
            maximum: 3_000_000.0,
            loss_limit: arguments.loss,
            step: Duration::try_from_secs_f64(arguments.step)?,
        },
        core: Some(GENERATOR_CORE),
    };
    let report = Net::run("compare", link, |net| {
        // A kernel that answers finds all clients behind one neighbour; on DPDK the reply goes to whom the request came from.
        if link == Link::Kernel {
            let mac = CLIENT_MAC.to_string();
            let server = net.server();
            server.output(&[
                "ip",
                "neigh",
                "replace",
                CLIENT_GATEWAY,
                "lladdr",
                &mac,
                "dev",
                INTERFACE,
                "nud",
                "permanent",
            ])?;
            server.output(&["ip", "route", "add", CLIENT_PREFIX, "via", CLIENT_GATEWAY])?;
        }
        match contestant {
            Contestant::Chrony => {
                let lines = ["local stratum 1", "allow", "clientloglimit 200000000"];
                let _server = Chronyd::start(net.server(), "chronyd", &lines)?;
                net.server().pin(SERVER_CORE)?;
                net.client().inside(|| sidereal_loadgen::run(&options, |_| {}))
            }
            Contestant::Ptp4l => {
                let server = Ptp4l::start(net.server(), "ptp4l", PTP4L)?;
                lead(net.server(), &server)?;
                net.client().inside(|| sidereal_loadgen::run(&options, |_| {}))
            }
            Contestant::Sidereal(transport) => {
                let tables = if mode == Mode::DelayReq { SIDEREAL } else { "" };
                let options_of_server =
                    Options { bound: mode == Mode::DelayReq, tables: tables.into(), ..Options::new(transport) };
                let mut server = Sidereal::start(net, &options_of_server)?;
                if mode == Mode::DelayReq {
                    server.ptp_until("the role of the master", MASTER_DEADLINE, |ptp| {
                        ptp.text("/port_ds/port_state") == "MASTER"
                    })?;
                }
                net.server().pin(SERVER_CORE)?;
                let report = net.client().inside(|| sidereal_loadgen::run(&options, |_| {}));
                server.stop()?;
                report
            }
        }
    })?;
    Ok(report?)
}

/// Waits until ptp4l leads, and gives it its core.
fn lead(namespace: &Namespace, server: &Ptp4l<'_>) -> sidereal_tests::Result<()> {
    until("ptp4l's role of the master", MASTER_DEADLINE, || {
        server
            .ask(0, "GET PORT_DATA_SET")
            .is_ok_and(|port| port.field("portState").is_ok_and(|state| state == "MASTER"))
    })?;
    namespace.pin(SERVER_CORE)
}

fn row(contestant: Contestant, results: &[Reached], mode: Mode, peer: &[f64]) -> Row {
    let mut by_rate = results.to_vec();
    by_rate.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let mut ratios: Vec<f64> = results.iter().zip(peer).map(|(reached, peer)| reached.rate / peer).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied();
    let median = by_rate.get(by_rate.len() / 2);
    let rate_at = |reached: Option<&Reached>| reached.map_or(0.0, |reached| reached.rate);
    Row {
        server: contestant.server(),
        transport: contestant.transport(),
        requests_per_second: rate_at(median),
        ratio_to_chrony: ratio.filter(|_| mode != Mode::DelayReq),
        ratio_to_ptp4l: ratio.filter(|_| mode == Mode::DelayReq),
        spread: [rate_at(by_rate.first()), rate_at(by_rate.last())],
        half_load_us: median.and_then(|reached| reached.half),
    }
}

fn print_table(comparison: &Comparison) {
    println!(
        "{:<10} {:<15} {:>11} {:>9} {:>19} {:>9} {:>9}",
        "server", "transport", "requests/s", "of peer", "lowest-highest", "p50 us", "p99 us"
    );
    for row in &comparison.rows {
        let (p50, p99) = row.half_load_us.map_or((f64::NAN, f64::NAN), |trip| (trip.p50, trip.p99));
        println!(
            "{:<10} {:<15} {:>11.0} {:>9.2} {:>9.0}-{:<9.0} {:>9.1} {:>9.1}",
            row.server,
            row.transport,
            row.requests_per_second,
            row.ratio_to_chrony.or(row.ratio_to_ptp4l).unwrap_or(f64::NAN),
            row.spread[0],
            row.spread[1],
            p50,
            p99
        );
    }
}
