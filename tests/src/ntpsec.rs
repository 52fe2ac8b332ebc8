use core::net::IpAddr;
use std::fs;

use crate::prefix::{environment, peer};
use crate::{Error, Namespace, Process, Result};

/// An ntpd of ntpsec that serves the host's own time and steers nothing (`disable ntp`, and no privilege to).
pub struct Ntpd {
    _process: Process,
}

impl Ntpd {
    /// The stratum that it serves at.
    pub const STRATUM: u8 = 4;

    /// Starts a server at `address`.
    ///
    /// # Errors
    /// ntpd is missing, or cannot be started.
    pub fn server(namespace: &Namespace, name: &str, address: IpAddr) -> Result<Self> {
        let directory = namespace.directory_of(name)?;
        let configuration = directory.join("ntp.conf");
        // An orphan serves its own time as soon as it has waited in vain for another's. By itself it answers each client
        // once a second in the long run.
        let text = format!(
            "disable ntp\nlimit average 1000 burst 1000\ntos orphan {} orphanwait 1\ninterface ignore wildcard\ninterface listen {address}\n",
            Self::STRATUM
        );
        fs::write(&configuration, text).map_err(Error::io(configuration.display().to_string()))?;
        let mut command = namespace.command(peer("usr/sbin/ntpd")?);
        command.envs(environment()?).args(["-n", "-g", "-c"]).arg(&configuration);
        command.arg("-p").arg(directory.join("pid"));
        Ok(Self { _process: namespace.spawn(name, command)? })
    }
}
