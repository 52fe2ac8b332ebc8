//! `sidereal hw`: what can this machine's NICs do? `sidereal hw check`: what keeps it from telling time well?

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;
use sidereal_ops::{PortStatus, Reply, Request};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{Failure, print, print_json};
use crate::config::Config;
use crate::hw::{self, Here, Interface, Inventory, Machine, Port, Profiles, Root};

/// How long the running sidereal is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where it answers where no configuration says so.
const SOCKET: &str = "/run/sidereal/control";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Which>,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Look for what keeps this machine from telling time well; ends with 1 if there is something
    Check(Look),
}

#[derive(Debug, Args)]
struct Look {
    /// The configuration file: its ports, cores and clocks are looked at too
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Where /sys and /proc are
    #[arg(long, value_name = "PATH", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What is printed: its `schema` says in which version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "schema")]
pub(super) enum Document {
    /// What this machine has to give and take time by.
    #[serde(rename = "sidereal.hw/1")]
    Hw(Inventory),
    /// What keeps it from doing it well.
    #[serde(rename = "sidereal.hw_check/1")]
    Check(hw::Report),
}

impl Arguments {
    pub(super) const fn json(&self) -> bool {
        match &self.command {
            Some(Which::Check(look)) => look.json,
            None => self.look.json,
        }
    }
}

pub(super) fn hw(arguments: &Arguments) -> Result<(), Failure> {
    let look = match &arguments.command {
        Some(Which::Check(look)) => look,
        None => &arguments.look,
    };
    let config = look.config.as_deref().map(Config::load).transpose()?;
    let running = running(config.as_ref());
    let (root, profiles) = (Root::new(look.root.clone()), Profiles::embedded());
    let machine = Machine { root: &root, system: &Here, profiles: &profiles };
    if arguments.command.is_none() {
        let inventory = hw::inventory(&machine, config.as_ref(), running.as_deref());
        return if look.json { print_json(&Document::Hw(inventory)) } else { print(inventory_words(&inventory)) };
    }
    let report = hw::check(&machine, config.as_ref(), running.is_some());
    let is_good = report.findings.is_empty();
    if look.json {
        print_json(&Document::Check(report))?;
    } else {
        print(report_words(&report))?;
    }
    if is_good { Ok(()) } else { Err(Failure::Told(ExitCode::FAILURE)) }
}

/// The ports of the sidereal that runs; `None` where none answers.
fn running(config: Option<&Config>) -> Option<Vec<PortStatus>> {
    let socket = config.map_or(Path::new(SOCKET), |config| config.ops.socket.as_path());
    match sidereal_ops::ask(socket, &Request::Status, PATIENCE) {
        Ok(Reply::Status(status)) => Some(status.ports),
        _ => None,
    }
}

fn inventory_words(inventory: &Inventory) -> String {
    let mut text = String::new();
    if inventory.interfaces.is_empty() {
        text.push_str("no network interface but the loopback one\n");
    }
    for interface in &inventory.interfaces {
        text.push_str(&interface_words(interface));
    }
    for device in &inventory.devices {
        let (nic, driver) = (&device.nic, device.driver.as_deref().unwrap_or("nothing"));
        let name = nic.name.as_deref().unwrap_or("unknown");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}  {}  {name}  driven by {driver}", nic.address, nic.id);
        text.push_str(&lines(&device.statements));
        text.push_str(&lines(&nic.quirks));
    }
    let told = if inventory.running { "as the running sidereal found it" } else { "not open: what is to be expected" };
    for Port { name, backend, device, statements } in &inventory.ports {
        let device = device.as_deref().map(|device| format!(" on {device}")).unwrap_or_default();
        let _ = writeln!(text, "port {name}  {backend}{device}  ({told})");
        text.push_str(&lines(statements));
    }
    text
}

fn interface_words(interface: &Interface) -> String {
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.into());
    let mut text = format!("{}  {}  driver {}", interface.name, interface.link, or(&interface.driver, "unknown"));
    // Writing to a string cannot fail.
    if let Some(firmware) = &interface.firmware {
        let _ = write!(text, "  firmware {firmware}");
    }
    if let Some(below) = &interface.below {
        let _ = write!(text, "  over {below}");
    }
    text.push('\n');
    if let Some(nic) = &interface.nic {
        let _ = writeln!(text, "  {}  {}  {}", nic.address, nic.id, or(&nic.name, "no profile knows it"));
    }
    if let Some(clock) = &interface.clock {
        let _ = writeln!(
            text,
            "  clock {} ({}), frequency to {} ppb, read by {} to +-{} ns",
            clock.device,
            clock.name,
            clock.max_frequency_ppb,
            clock.method,
            clock.window_ns / 2
        );
    }
    if !interface.rx_filters.is_empty() {
        let set = or(&interface.rx_filter, "unknown");
        let _ = writeln!(text, "  RX filters {}; set to {set}", interface.rx_filters.join(" "));
    }
    text.push_str(&lines(&interface.statements));
    if let Some(nic) = &interface.nic {
        text.push_str(&lines(&nic.quirks));
    }
    text
}

fn lines(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("  - {statement}\n")).collect()
}

fn report_words(report: &hw::Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for hw::Finding { check, found, why, remedy } in &report.findings {
        let _ = writeln!(text, "WRONG {check}: {found}\n  why:  {why}\n  help: {remedy}");
    }
    for check in &report.good {
        let _ = writeln!(text, "good  {check}");
    }
    for unchecked in &report.unchecked {
        let _ = writeln!(text, "-     {}: {}", unchecked.check, unchecked.why);
    }
    text
}
