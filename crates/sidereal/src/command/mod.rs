//! The commands.
//!
//! Every command that prints can print `--json`: one document on standard output with a versioned `schema`, everything
//! else on standard error. It ends with 0 where all went well, with 1 where something failed, with 2 where the command
//! line or the configuration is wrong.

mod check;
mod control;
mod hw;
mod load;
mod probe;
mod ptp;
mod query;
mod resolve;
mod sim;
mod sources;
mod status;
pub(crate) mod words;

use clap::{Args, Parser, Subcommand, ValueEnum};
use schemars::Schema;
use serde::Serialize;
use sidereal_ops::{Refusal, Reply};
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{self, ConfigError, Length, LogFilter};

/// A time appliance in software.
#[derive(Debug, Parser)]
#[command(name = "sidereal", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve time until SIGTERM or SIGINT; SIGHUP reloads who may ask, keys, limits and the clock's parameters
    Run(RunArguments),
    /// Check a configuration file, and what it asks of this machine
    Check(check::Arguments),
    /// Show what the NICs of this machine can do; `hw check` looks for what keeps it from telling time well
    Hw(hw::Arguments),
    /// Ask an NTP server for its time, or look for PTP masters
    Query(query::Arguments),
    /// Ask as many clients would, and measure what a server can take
    Load(load::Arguments),
    /// Watch the clocks of many NTP servers: how far each is off, and which need attention
    Probe(probe::Arguments),
    /// Simulate hosts and networks, and measure how wrong their clocks are
    Sim(sim::Arguments),
    /// Show how a running sidereal is
    Status(control::Arguments),
    /// Show what a running sidereal thinks of its sources, and why
    Sources(control::Arguments),
    /// Show the PTP instances of a running sidereal: ports, masters, offsets
    Ptp(control::Arguments),
    /// Show the default configuration, or describe every key
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the JSON Schema of a document that `--json` prints
    Schema {
        /// The document.
        document: Document,
    },
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What is logged, instead of `ops.log_level`: a level, and exceptions by module (info,sidereal_engine=debug)
    #[arg(long, value_name = "FILTER", value_parser = one_line::<LogFilter>)]
    log_level: Option<LogFilter>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print a configuration file with every table and the values that hold where nothing is said
    Default,
}

/// The documents that commands print.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// Of `sidereal check`
    Check,
    /// Of `sidereal hw` and `sidereal hw check`
    Hw,
    /// Of `sidereal query`
    Query,
    /// Of `sidereal probe`
    Probe,
    /// Of `sidereal sim`
    Sim,
    /// Of `sidereal status`, and what any command prints that fails
    Status,
    /// Of `sidereal sources`
    Sources,
    /// Of `sidereal ptp`
    Ptp,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is wrong.
    Usage(String),
    /// Something failed on the way.
    Failed(String),
    /// Likewise, and the command has already printed all there is to say.
    Told(ExitCode),
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.command.json();
    let (message, code) = match cli.command.execute() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Told(code)) => return code,
        Err(Failure::Usage(message)) => (message, ExitCode::from(USAGE)),
        Err(Failure::Failed(message)) => (message, ExitCode::FAILURE),
    };
    eprintln!("sidereal: {message}");
    if json {
        // Where standard output is gone too, the exit status says it all.
        let _ = print_json(&Reply::Refusal(Refusal { error: message }));
    }
    code
}

/// The exit status for a wrong command line or configuration; clap's own.
const USAGE: u8 = 2;

impl Command {
    fn execute(self) -> Result<(), Failure> {
        match self {
            Self::Run(arguments) => crate::run::run(&arguments.config, arguments.log_level),
            Self::Check(arguments) => check::check(&arguments),
            Self::Hw(arguments) => hw::hw(&arguments),
            Self::Query(arguments) => query::query(&arguments),
            Self::Load(arguments) => load::load(&arguments),
            Self::Probe(arguments) => probe::probe(&arguments),
            Self::Sim(arguments) => sim::sim(&arguments),
            Self::Status(arguments) => status::status(&arguments),
            Self::Sources(arguments) => sources::sources(&arguments),
            Self::Ptp(arguments) => ptp::ptp(&arguments),
            Self::Config(ConfigCommand::Schema) => print_json(&config::schema()),
            Self::Config(ConfigCommand::Default) => print(config::DEFAULT),
            Self::Schema { document } => print_json(&document.schema()),
        }
    }

    fn json(&self) -> bool {
        match self {
            Self::Check(arguments) => arguments.json,
            Self::Hw(arguments) => arguments.json(),
            Self::Query(arguments) => arguments.json,
            Self::Load(arguments) => arguments.json,
            Self::Probe(arguments) => arguments.json,
            Self::Sim(arguments) => arguments.json,
            Self::Status(arguments) | Self::Sources(arguments) | Self::Ptp(arguments) => arguments.json,
            Self::Run(_) | Self::Config(_) | Self::Schema { .. } => false,
        }
    }
}

impl Document {
    fn schema(self) -> Schema {
        match self {
            Self::Check => schemars::schema_for!(check::Document),
            Self::Hw => schemars::schema_for!(hw::Document),
            Self::Query => schemars::schema_for!(query::Document),
            Self::Probe => schemars::schema_for!(probe::Document),
            Self::Sim => schemars::schema_for!(sim::Document),
            Self::Status | Self::Sources | Self::Ptp => schemars::schema_for!(Reply),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(format!("the configuration cannot be used\n{error}"))
    }
}

/// Prints one document.
fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::Failed(error.to_string()))?;
    print(format_args!("{text}\n"))
}

/// Prints `text` as it is. A reader that has seen enough (`| head`) is no failure.
fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A length of time on the command line, where a number alone is seconds, as the commands of the field have it.
fn length(text: &str) -> Result<Length, String> {
    match text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(seconds) => Ok(Length(seconds)),
        None => one_line(text),
    }
}

/// Parses an argument by the rules of the configuration file.
fn one_line<T: std::str::FromStr<Err = config::Invalid>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|invalid: config::Invalid| format!("{}; {}", invalid.what, invalid.remedy))
}
