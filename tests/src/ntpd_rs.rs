use core::net::IpAddr;
use core::time::Duration;
use std::fs;
use std::path::PathBuf;

use crate::net::succeed;
use crate::prefix::{environment, peer, peers};
use crate::{Error, Namespace, Process, Result, until_some};

/// An ntpd-rs that believes to steer a clock: the calls that would do so go to a stub.
pub struct NtpdRs {
    process: Process,
    configuration: PathBuf,
}

impl NtpdRs {
    /// Starts a client of `servers`, polling once a second.
    ///
    /// # Errors
    /// ntpd-rs is missing, or cannot be started.
    pub fn client(namespace: &Namespace, name: &str, servers: &[IpAddr]) -> Result<Self> {
        let directory = namespace.directory_of(name)?;
        let configuration = directory.join("ntp.toml");
        let sources: String =
            servers.iter().map(|server| format!("[[source]]\nmode = \"server\"\naddress = \"{server}\"\n")).collect();
        let text = format!(
            "{sources}\
             [source-defaults]\n\
             poll-interval-limits = {{ min = 0, max = 0 }}\n\
             initial-poll-interval = 0\n\
             [synchronization]\n\
             minimum-agreeing-sources = {}\n\
             [observability]\n\
             observation-path = \"{}/observe\"\n",
            servers.len(),
            directory.display()
        );
        fs::write(&configuration, text).map_err(Error::io(configuration.display().to_string()))?;
        let mut command = namespace.command("env");
        command
            .arg(format!("LD_PRELOAD={}", peers()?.join("clock_stub.so").display()))
            .arg(peer("bin/ntp-daemon")?)
            .arg("-c")
            .arg(&configuration)
            .envs(environment()?);
        Ok(Self { process: namespace.spawn(name, command)?, configuration })
    }

    /// Waits until it is synchronised, and gives its stratum.
    ///
    /// # Errors
    /// It is not within `deadline`.
    pub fn synchronised(&mut self, deadline: Duration) -> Result<u8> {
        until_some("ntpd-rs synchronised", deadline, || {
            if let Some(status) = self.process.ended() {
                return Err(format!("it ended: {status}"));
            }
            let metrics = self.metrics().map_err(|error| error.to_string())?;
            match value(&metrics, "ntp_system_stratum") {
                Some(stratum) if stratum > 0.0 && stratum < 16.0 =>
                {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 16")]
                    Ok(stratum as u8)
                }
                _ => Err(metrics),
            }
        })
    }

    /// The offset of each source, in seconds.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn offsets(&self) -> Result<Vec<f64>> {
        let metrics = self.metrics()?;
        Ok(metrics.lines().filter_map(|line| value(line, "ntp_source_offset_seconds")).collect())
    }

    fn metrics(&self) -> Result<String> {
        let mut command = std::process::Command::new(peer("bin/ntp-ctl")?);
        command.arg("-c").arg(&self.configuration).args(["status", "-f", "prometheus"]);
        succeed("ntp-ctl status", command)
    }
}

/// The value of the first metric called `name`, whatever its labels.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}
