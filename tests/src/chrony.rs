use core::net::IpAddr;
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use crate::net::succeed;
use crate::prefix::{environment, peer};
use crate::{Error, Namespace, Process, Result, until_some};

/// How long chronyd may take to open its command socket.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A chronyd that steers nothing (`-x`), with its files in a directory of its own.
pub struct Chronyd<'a> {
    process: Process,
    namespace: &'a Namespace,
    socket: PathBuf,
}

/// What `chronyc sources` and `sourcestats` say about the one source of a client.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// `*` in the report: the client follows this source.
    pub selected: bool,
    /// The stratum that the source claims.
    pub stratum: u8,
    /// The last eight polls, a bit each, the newest lowest.
    pub reach: u8,
    /// The estimated offset of the local clock, in seconds.
    pub offset_s: f64,
    /// The estimated standard deviation of the samples, in seconds.
    pub stddev_s: f64,
}

/// What `chronyc ntpdata` says about the last reply of the one source of a client.
#[derive(Clone, Debug)]
pub struct NtpData {
    /// `Normal`, `Insert second`, `Delete second` or `Not synchronised`.
    pub leap: String,
    /// The stratum in the reply.
    pub stratum: u8,
    /// The reference ID in the reply, as eight hexadecimal digits.
    pub reference_id: String,
    /// The measured offset, in seconds.
    pub offset_s: f64,
    /// The measured delay of the round trip, in seconds.
    pub delay_s: f64,
    /// The last exchange was in interleaved mode.
    pub interleaved: bool,
    /// The last reply was authenticated.
    pub authenticated: bool,
    /// The messages that answered chrony's own and were authenticated, where they had to be.
    pub valid: u64,
    /// Those of them that it could follow.
    pub good: u64,
}

impl<'a> Chronyd<'a> {
    /// Starts a chronyd called `name` with `lines` as its configuration, the places of its files excepted, and waits
    /// until it can be asked.
    ///
    /// # Errors
    /// chronyd is missing, or does not start.
    pub fn start(namespace: &'a Namespace, name: &str, lines: &[&str]) -> Result<Self> {
        let directory = namespace.directory_of(name)?;
        let socket = directory.join("socket");
        let configuration = directory.join("chrony.conf");
        let text = format!(
            "pidfile {0}/pid\nbindcmdaddress {0}/socket\ncmdport 0\n{1}\n",
            directory.display(),
            lines.join("\n")
        );
        fs::write(&configuration, text).map_err(Error::io(configuration.display().to_string()))?;
        let mut command = namespace.command(peer("usr/sbin/chronyd")?);
        command.envs(environment()?).args(["-d", "-x", "-u", "root", "-f"]).arg(&configuration);
        let mut process = namespace.spawn(name, command)?;
        until_some("chronyd's command socket", START_DEADLINE, || match process.ended() {
            Some(status) => Err(format!("{name} ended: {status}; {}", process.stderr())),
            None if socket.exists() => Ok(()),
            None => Err("nothing".into()),
        })?;
        Ok(Self { process, namespace, socket })
    }

    /// A server at `address` that serves the host's own time at `stratum`; `keys` is its key file, if it has one, `lines`
    /// what it is configured with besides.
    ///
    /// # Errors
    /// As [`Chronyd::start`].
    pub fn server(
        namespace: &'a Namespace,
        name: &str,
        address: IpAddr,
        stratum: u8,
        keys: Option<&Path>,
        lines: &[&str],
    ) -> Result<Self> {
        let serve = format!("bindaddress {address}\nallow\nlocal stratum {stratum}");
        let keys = keys.map(|path| format!("keyfile {}", path.display())).unwrap_or_default();
        Self::start(namespace, name, &[&[serve.as_str(), keys.as_str()], lines].concat())
    }

    /// A client of one server: `source` is what follows `server` in chrony.conf (`10.77.0.1 xleave`), to which fast
    /// polling is added; `keys` is its key file, if it has one.
    ///
    /// # Errors
    /// As [`Chronyd::start`].
    pub fn client(namespace: &'a Namespace, name: &str, source: &str, keys: Option<&Path>) -> Result<Self> {
        let server = format!("server {source} minpoll -2 maxpoll 0 iburst");
        let keys = keys.map(|path| format!("keyfile {}", path.display())).unwrap_or_default();
        Self::start(namespace, name, &[&server, &keys])
    }

    /// What the client thinks of its source.
    ///
    /// # Errors
    /// chronyd does not answer, or reports something else than exactly one source.
    pub fn source(&self) -> Result<SourceState> {
        let sources = self.report("sources")?;
        let statistics = self.report("sourcestats")?;
        let read = || {
            Some(SourceState {
                selected: sources.get(1)? == "*",
                stratum: sources.get(3)?.parse().ok()?,
                reach: u8::from_str_radix(sources.get(5)?, 8).ok()?,
                offset_s: statistics.get(6)?.parse().ok()?,
                stddev_s: statistics.get(7)?.parse().ok()?,
            })
        };
        read().ok_or_else(|| Error::Unexpected(format!("chronyc: {sources:?}, {statistics:?}")))
    }

    /// What the last reply of the client's source was.
    ///
    /// # Errors
    /// As [`Chronyd::source`].
    pub fn ntp_data(&self) -> Result<NtpData> {
        let fields = self.report("ntpdata")?;
        let read = || {
            Some(NtpData {
                leap: fields.get(5)?.clone(),
                stratum: fields.get(8)?.parse().ok()?,
                reference_id: fields.get(15)?.clone(),
                offset_s: fields.get(18)?.parse().ok()?,
                delay_s: fields.get(19)?.parse().ok()?,
                interleaved: fields.get(26)? == "Yes",
                authenticated: fields.get(27)? == "Yes",
                valid: fields.get(32)?.parse().ok()?,
                good: fields.get(33)?.parse().ok()?,
            })
        };
        read().ok_or_else(|| Error::Unexpected(format!("chronyc ntpdata: {fields:?}")))
    }

    /// Waits until the client has selected its source.
    ///
    /// # Errors
    /// It has not within `deadline`.
    pub fn selected(&self, deadline: Duration) -> Result<SourceState> {
        until_some("a selected source", deadline, || match self.source() {
            Ok(source) if source.selected => Ok(source),
            other => Err(format!("{other:?}; {}", self.process.stderr())),
        })
    }

    /// The fields of the first line of a report in CSV form.
    fn report(&self, name: &str) -> Result<Vec<String>> {
        // chronyc opens a socket of its own beside that of chronyd.
        let mut command = self.namespace.command(peer("usr/bin/chronyc")?);
        command.envs(environment()?).arg("-h").arg(&self.socket).args(["-c", name]);
        let text = succeed("chronyc", command)?;
        let line = text.lines().next().unwrap_or_default();
        Ok(line.split(',').map(str::to_owned).collect())
    }
}
