use core::fmt;
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use crate::net::succeed;
use crate::prefix::{environment, peer};
use crate::{Error, INTERFACE, Namespace, Process, Result, until_some};

/// How long ptp4l may take to open its management socket.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// How long `pmc` waits for answers.
const PMC_SECONDS: &str = "5";

/// A ptp4l that steers nothing (`free_running`, and no privilege to), with software stamps on the link.
pub struct Ptp4l<'a> {
    process: Process,
    namespace: &'a Namespace,
    name: String,
    socket: PathBuf,
}

impl<'a> Ptp4l<'a> {
    /// Starts a ptp4l called `name` with `lines` in the `[global]` section of its configuration, the places of its files
    /// excepted, and waits until it can be asked.
    ///
    /// # Errors
    /// ptp4l is missing, or does not start.
    pub fn start(namespace: &'a Namespace, name: &str, lines: &str) -> Result<Self> {
        let directory = namespace.directory_of(name)?;
        let socket = directory.join("socket");
        let configuration = directory.join("ptp4l.conf");
        let text = format!(
            "[global]\nfree_running 1\ntime_stamping software\ntx_timestamp_timeout 200\nuds_address {}\n{lines}\n",
            socket.display()
        );
        fs::write(&configuration, text).map_err(Error::io(configuration.display().to_string()))?;
        let mut command = namespace.command(peer("usr/sbin/ptp4l")?);
        command.envs(environment()?).args(["-m", "-q", "-i", INTERFACE, "-f"]).arg(&configuration);
        let mut process = namespace.spawn(name, command)?;
        until_some("ptp4l's management socket", START_DEADLINE, || match process.ended() {
            Some(status) => Err(format!("{name} ended: {status}; {}", process.stdout())),
            None if socket.exists() => Ok(()),
            None => Err("nothing".into()),
        })?;
        Ok(Self { process, namespace, name: name.into(), socket })
    }

    /// What `pmc` answers when it is asked by ptp4l's own socket; `domain` is ptp4l's.
    ///
    /// # Errors
    /// `pmc` is missing, or fails.
    pub fn ask(&self, domain: u8, words: &str) -> Result<Answers> {
        pmc(self.namespace, &format!("{}-pmc", self.name), &self.socket, domain, words)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stdout()
    }
}

/// Asks whoever listens at `socket` one question by `pmc`; `name` is that of the asker's files.
///
/// # Errors
/// `pmc` is missing, or fails.
pub fn pmc(namespace: &Namespace, name: &str, socket: &Path, domain: u8, words: &str) -> Result<Answers> {
    let own = namespace.directory_of(name)?.join("socket");
    let mut command = namespace.command("timeout");
    command.envs(environment()?).arg(PMC_SECONDS).arg(peer("usr/sbin/pmc")?);
    command.args(["-u", "-b", "0", "-d", &domain.to_string(), "-s"]).arg(socket).arg("-i").arg(own).arg(words);
    succeed(&format!("pmc {words}"), command).map(Answers)
}

/// What `pmc` printed.
#[derive(Clone, Debug)]
pub struct Answers(String);

impl Answers {
    /// The value of the first field called `name`.
    ///
    /// # Errors
    /// There is no such field.
    pub fn field(&self, name: &str) -> Result<&str> {
        let mut fields = self.0.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        let found = fields.find(|(field, _)| *field == name).map(|(_, value)| value.trim());
        found.ok_or_else(|| Error::Unexpected(format!("no {name} in: {self}")))
    }

    /// The same, as a number.
    ///
    /// # Errors
    /// There is no such field, or it is no number.
    pub fn number(&self, name: &str) -> Result<f64> {
        let field = self.field(name)?;
        field.parse().map_err(|_| Error::Unexpected(format!("{name} is \"{field}\", no number, in: {self}")))
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
