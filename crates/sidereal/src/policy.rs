//! From the configuration to what the workers are told: who may ask, with which keys, and how often.

use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, KeyTable, PeerTable, Policy, RateLimit, RateLimitError, RateLimitOptions,
};
use std::io;
use std::path::{Path, PathBuf};

use crate::command::Failure;
use crate::config::{self, Action, Config, HostAddress, Invalid, NtpMode};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    /// The file of keys is open to others, or missing.
    #[error("{}", .0.what)]
    Private(Invalid),
    /// The file of keys cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of it is wrong.
    #[error("{}: {source}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong with it.
        source: sidereal_ntp::KeyFileError,
    },
    /// The workers' counter cannot keep the rate limit.
    #[error("the rate limit cannot be kept: {0}")]
    RateLimit(#[from] RateLimitError),
}

impl PolicyError {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Private(invalid) => invalid.remedy.clone(),
            Self::Unreadable { .. } => "name a file that this user may read in `keys.file`".into(),
            Self::Keys { .. } => "write a number, a type and a key on each line, such as `1 AES128 HEX:...`".into(),
            Self::RateLimit(_) => "write a smaller `ntp.server.rate_limit.requests_per_second`".into(),
        }
    }
}

/// The policy of `config`, for workers whose counter makes `ticks_per_second`. Reads the file of keys.
pub(crate) fn policy(config: &Config, ticks_per_second: u64) -> Result<Policy, PolicyError> {
    Ok(Policy {
        access: access_table(config),
        keys: config.keys.as_ref().map(|keys| read_keys(keys.file.as_path())).transpose()?.unwrap_or_default(),
        rate_limit: rate_limit(config, ticks_per_second)?,
        interleaved: config.ntp_server.interleaved,
        peers: peers(config),
    })
}

/// The keys in the file at `path`, which must be private.
pub(crate) fn read_keys(path: &Path) -> Result<KeyTable, PolicyError> {
    config::check_private_file(path).map_err(PolicyError::Private)?;
    let text =
        std::fs::read_to_string(path).map_err(|source| PolicyError::Unreadable { path: path.to_owned(), source })?;
    // Not kept in memory for longer than it takes: the table has its own copies.
    let text = zeroize::Zeroizing::new(text);
    KeyTable::parse(&text).map_err(|source| PolicyError::Keys { path: path.to_owned(), source })
}

/// Who speaks to us at the port that we serve. One that is given by name is not known here, and is heard on kernel ports only.
fn peers(config: &Config) -> PeerTable {
    let speaks_first = config.ntp_sources.iter().filter(|source| source.mode != NtpMode::Client);
    PeerTable::new(speaks_first.filter_map(|source| match source.address {
        HostAddress::Ip(address) => Some(address),
        HostAddress::Name(_) => None,
    }))
}

fn access_table(config: &Config) -> AccessTable {
    AccessTable::new(config.access.iter().map(|access| {
        let action = match access.action {
            Action::Allow => AccessAction::Allow,
            Action::Drop => AccessAction::Drop,
            Action::Deny => AccessAction::Deny,
            Action::Restrict => AccessAction::Restrict,
        };
        (access.prefix.0, AccessRule { action, require_key: access.require_key })
    }))
}

fn rate_limit(config: &Config, ticks_per_second: u64) -> Result<Option<RateLimit>, RateLimitError> {
    let Some(limit) = &config.ntp_server.rate_limit else { return Ok(None) };
    let options = RateLimitOptions {
        requests_per_second: limit.requests_per_second.get(),
        burst: limit.burst.get(),
        ipv4_prefix: u8::try_from(limit.ipv4_prefix.get()).unwrap_or(u8::MAX),
        ipv6_prefix: u8::try_from(limit.ipv6_prefix.get()).unwrap_or(u8::MAX),
        kiss_of_death: limit.kiss_of_death,
    };
    RateLimit::new(&options, ticks_per_second).map(Some)
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::Usage(format!("{error}\n  help: {}", error.remedy()))
    }
}
