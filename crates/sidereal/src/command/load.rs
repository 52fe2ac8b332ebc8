//! `sidereal load`: how much can a server take?

use clap::{ArgGroup, Args, ValueEnum};
use ipnet::IpNet;
use sidereal_loadgen::{LoadError, LoadOptions, LoadReport, MacAddress, Mode, Plan, Progress, RunReport};
use std::fmt::Write;
use std::net::SocketAddr;

use super::words::rate;
use super::{Failure, length, one_line, print, print_json};
use crate::config::{InterfaceName, Length};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("plan").required(true).args(["rate", "flood", "ramp"])))]
pub(super) struct Arguments {
    /// The server's address and port: `10.77.0.1:123`, `[fd77::1]:123`
    target: SocketAddr,
    /// The Ethernet interface that leads to it
    #[arg(long, value_name = "NAME", value_parser = one_line::<InterfaceName>)]
    interface: InterfaceName,
    /// Where the clients' addresses are taken from; the server's host must have a route to it through this interface
    #[arg(long, value_name = "PREFIX")]
    prefix: IpNet,
    /// How many clients ask
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    clients: u32,
    /// How they ask
    #[arg(long, value_enum, default_value_t = Asking::Basic)]
    mode: Asking,
    /// Ask this often per second, all clients together
    #[arg(long, value_name = "REQUESTS")]
    rate: Option<f64>,
    /// Ask as often as this host can
    #[arg(long)]
    flood: bool,
    /// Search for the highest rate with little loss, from this one on
    #[arg(long, value_name = "REQUESTS")]
    ramp: Option<f64>,
    /// The rate that a search ends at
    #[arg(long, value_name = "REQUESTS", default_value_t = 20e6, requires = "ramp")]
    maximum: f64,
    /// The share of requests that may stay unanswered in a search
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, requires = "ramp")]
    loss_limit: f64,
    /// How long each run lasts
    #[arg(long, value_name = "SECONDS", default_value = "5s", value_parser = length)]
    duration: Length,
    /// The server's MAC address, or that of the next hop; asked of the kernel where it is not given
    #[arg(long, value_name = "MAC")]
    target_mac: Option<MacAddress>,
    /// The MAC address to send from; the interface's own where it is not given
    #[arg(long, value_name = "MAC")]
    source_mac: Option<MacAddress>,
    /// The core to send and receive on
    #[arg(long, value_name = "CORE")]
    core: Option<usize>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

/// How clients ask.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Asking {
    /// Each request stands alone
    Basic,
    /// Each request after the first asks for the transmit time of the reply before
    Interleaved,
    /// By PTP: Delay_Req of domain 0 by unicast, to UDP port 319
    DelayReq,
}

impl Arguments {
    fn options(&self) -> LoadOptions {
        let duration = self.duration.0;
        let plan = match (self.rate, self.ramp) {
            (Some(requests_per_second), _) => Plan::Rate { requests_per_second, duration },
            (None, Some(start)) => {
                Plan::Ramp { start, maximum: self.maximum, loss_limit: self.loss_limit, step: duration }
            }
            // One of the three is there, as the command line was parsed.
            (None, None) => Plan::Flood { duration },
        };
        LoadOptions {
            interface: self.interface.as_str().to_owned(),
            target: self.target,
            target_mac: self.target_mac,
            source_mac: self.source_mac,
            prefix: self.prefix,
            clients: self.clients,
            mode: match self.mode {
                Asking::Basic => Mode::Basic,
                Asking::Interleaved => Mode::Interleaved,
                Asking::DelayReq => Mode::DelayReq,
            },
            plan,
            core: self.core,
        }
    }
}

pub(super) fn load(arguments: &Arguments) -> Result<(), Failure> {
    let report = sidereal_loadgen::run(&arguments.options(), tell).map_err(|error| match error {
        LoadError::Options(error) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    if arguments.json { print_json(&report) } else { print(words(&report)) }
}

fn tell(progress: &Progress) {
    let asked = progress.asked_per_second.map_or_else(|| "flood".into(), |asked| format!("{}/s", rate(asked)));
    let Progress { run, elapsed_s, sent, received, .. } = progress;
    eprintln!("run {run} at {asked}: {elapsed_s:.0} s, {sent} sent, {received} answered");
}

fn words(report: &LoadReport) -> String {
    let mut text = String::new();
    for run in report.runs.iter().chain(&report.half) {
        text.push_str(&run_words(run));
    }
    if let Some(highest) = &report.highest {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "highest rate with little loss: {}/s, limited by the {}",
            rate(highest.requests_per_second),
            format!("{:?}", highest.limited_by).to_lowercase()
        );
    }
    text
}

fn run_words(run: &RunReport) -> String {
    let asked = run.asked_per_second.map_or_else(|| "flood".into(), |asked| format!("{}/s", rate(asked)));
    let mut text = format!(
        "asked {asked}  sent {}/s  answered {}/s  lost {:.2} %",
        rate(run.sent_per_second),
        rate(run.received_per_second),
        run.loss * 100.0
    );
    if let Some(trip) = &run.round_trip_us {
        let _ = write!(text, "  round trip p50 {:.1} us  p99 {:.1} us  max {:.1} us", trip.p50, trip.p99, trip.max);
    }
    if run.interleaved > 0.0 {
        let _ = write!(text, "  interleaved {:.1} %", run.interleaved * 100.0);
    }
    text.push('\n');
    text
}
