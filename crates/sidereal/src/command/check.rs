//! `sidereal check`: is a configuration good, and does it fit this machine?

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use sidereal_cpu::LocalCounter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Failure, USAGE, print, print_json};
use crate::config::{Config, ConfigError};
use crate::engine_config::engine_config;
use crate::leap::{self, Leap};
use crate::stamping::Stamping;
use crate::{host, policy};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

/// What is printed: its `schema` says in which version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "schema")]
pub(super) enum Document {
    /// What was found out about a configuration file.
    #[serde(rename = "sidereal.check/1")]
    Check(Report),
}

/// What was found out about a configuration file.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// The file.
    file: String,
    /// Whether it can be run with.
    good: bool,
    /// What is wrong with it, in the order of the file.
    problems: Vec<Problem>,
    /// What should be known before it is run on this machine.
    warnings: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct Problem {
    /// The line, from 1; absent where it is about the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The character in the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// What is wrong.
    what: String,
    /// What to do about it.
    remedy: String,
}

/// Any MAC address will do to find out whether the engine can be told: the configuration may be meant for another machine.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

/// Any frequency will do to find out whether a policy can be made.
const TICKS_PER_SECOND: u64 = 1_000_000_000;

pub(super) fn check(arguments: &Arguments) -> Result<(), Failure> {
    let loaded = Config::load(&arguments.file);
    let warnings = loaded.as_ref().map(|config| warnings(config, &arguments.file)).unwrap_or_default();
    let told = loaded.as_ref().ok().map_or(Ok(()), told);
    if arguments.json {
        let mut problems = loaded.as_ref().err().map(problems).unwrap_or_default();
        let whole = |(what, remedy): &(String, String)| Problem {
            line: None,
            column: None,
            what: what.clone(),
            remedy: remedy.clone(),
        };
        problems.extend(told.as_ref().err().map(whole));
        let good = problems.is_empty();
        let file = arguments.file.display().to_string();
        print_json(&Document::Check(Report { file, good, problems, warnings }))?;
        return if good { Ok(()) } else { Err(Failure::Told(ExitCode::from(USAGE))) };
    }
    loaded?;
    told.map_err(|(what, remedy)| Failure::Usage(format!("{what}\n  help: {remedy}")))?;
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    print(format_args!("{}: good\n", arguments.file.display()))
}

/// Whether workers and engine can be told what `config` means; if not, what is wrong and what to do about it.
fn told(config: &Config) -> Result<(), (String, String)> {
    let policy = policy::policy(config, TICKS_PER_SECOND).map_err(|error| (error.to_string(), error.remedy()))?;
    let macs = config.ports.iter().map(|port| (port.name.clone(), MAC)).collect();
    engine_config(config, &policy.keys, &macs, &Stamping::listed(config), None)
        .map(drop)
        .map_err(|error| (error.to_string(), error.remedy().to_owned()))
}

fn warnings(config: &Config, file: &Path) -> Vec<String> {
    let leap = Leap::load(config.clock.leap_seconds.as_path());
    let refused = Stamping::problems(config, LocalCounter::MonotonicRaw).into_iter();
    let refused = refused.map(|refused| Config::refuse(file, &refused.key, refused.invalid).to_string());
    leap.warnings(leap::now()).into_iter().chain(host::warnings(config)).chain(refused).collect()
}

fn problems(error: &ConfigError) -> Vec<Problem> {
    let problem = |problem: &crate::config::Problem| Problem {
        line: problem.position.map(|position| position.line),
        column: problem.position.map(|position| position.column),
        what: problem.invalid.what.clone(),
        remedy: problem.invalid.remedy.clone(),
    };
    error.problems().iter().map(problem).collect()
}
