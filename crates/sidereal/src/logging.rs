//! The log: lines on standard error, for people or as JSON.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFilter, LogFormat};

/// Begins to log what `filter` lets through. Called once, before the first line.
pub(crate) fn start(format: LogFormat, filter: &LogFilter) {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter.to_string())).with_writer(io::stderr);
    match format {
        // Colours are for terminals.
        LogFormat::Human => lines.with_target(false).with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
