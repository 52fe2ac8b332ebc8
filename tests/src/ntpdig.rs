use core::net::IpAddr;
use std::path::Path;

use serde::Deserialize;

use crate::net::succeed;
use crate::prefix::{environment, peer};
use crate::{Error, Namespace, Result};

/// What ntpsec's `ntpdig` says about a server.
#[derive(Clone, Debug, Deserialize)]
pub struct Dig {
    /// The offset of the local clock, in seconds.
    #[serde(rename = "offset")]
    pub offset_s: f64,
    /// The address that answered.
    pub ip: IpAddr,
    /// The stratum that the server claims.
    pub stratum: u8,
    /// `no-leap`, `add-leap`, `del-leap` or `unsync`.
    pub leap: String,
}

/// Asks `server` with `ntpdig`, with the key `id` of the key file where one is given.
///
/// # Errors
/// `ntpdig` is missing, or had no answer that it accepts.
pub fn ntpdig(namespace: &Namespace, server: IpAddr, key: Option<(u32, &Path)>) -> Result<Dig> {
    let mut command = namespace.command(peer("usr/bin/ntpdig")?);
    command.envs(environment()?).args(["-j", "-t", "2"]);
    if let Some((id, file)) = key {
        command.args(["-a", &id.to_string(), "-k"]).arg(file);
    }
    command.arg(server.to_string());
    let text = succeed("ntpdig", command)?;
    serde_json::from_str(&text).map_err(|error| Error::Unexpected(format!("ntpdig: {error} in {text}")))
}
