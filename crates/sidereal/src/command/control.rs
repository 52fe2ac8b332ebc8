//! What commands have in common that ask a running sidereal.

use clap::Args;
use sidereal_ops::{AskError, Reply, Request};
use std::path::PathBuf;

use super::{Failure, length};
use crate::config::Length;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The control socket of the running sidereal (`ops.socket` of its configuration)
    #[arg(long, value_name = "PATH", default_value = "/run/sidereal/control")]
    socket: PathBuf,
    /// How long the answer is waited for
    #[arg(long, value_name = "SECONDS", default_value = "2s", value_parser = length)]
    timeout: Length,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

/// The reply to `request`.
pub(super) fn ask(arguments: &Arguments, request: &Request) -> Result<Reply, Failure> {
    let reply = sidereal_ops::ask(&arguments.socket, request, arguments.timeout.0);
    reply.map_err(|error| Failure::Failed(format!("{error}{}", remedy(&error))))
}

fn remedy(error: &AskError) -> &'static str {
    match error {
        AskError::NotRunning(_) => "\n  help: start `sidereal run`, or name its `ops.socket` with --socket",
        AskError::Forbidden(_) => "\n  help: ask as the user that sidereal runs as",
        _ => "",
    }
}
