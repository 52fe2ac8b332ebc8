use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use crate::net::succeed;
use crate::prefix::{environment, peer, peers};
use crate::{Error, Namespace, Process, Result, until_some};

/// How often the reference clock of a server tells it the time, and how well it says that it knows it.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
const SAMPLE_PRECISION: &str = "1e-6";

/// An ntpd-rs that believes to steer a clock: the calls that would do so go to a stub.
pub struct NtpdRs {
    process: Process,
    configuration: PathBuf,
    _reference: Option<ReferenceClock>,
}

impl NtpdRs {
    /// Starts a client of `servers`, polling once a second.
    ///
    /// # Errors
    /// ntpd-rs is missing, or cannot be started.
    pub fn client(namespace: &Namespace, name: &str, servers: &[IpAddr]) -> Result<Self> {
        let sources: String =
            servers.iter().map(|server| format!("[[source]]\nmode = \"server\"\naddress = \"{server}\"\n")).collect();
        let tables = format!(
            "{sources}\
             [source-defaults]\n\
             poll-interval-limits = {{ min = 0, max = 0 }}\n\
             initial-poll-interval = 0\n\
             [synchronization]\n\
             minimum-agreeing-sources = {}\n",
            servers.len()
        );
        Self::start(namespace, name, &tables, None)
    }

    /// Starts a server at `address`, with a reference clock that tells it the host's own time. (It follows no server of its
    /// own host, and who follows another is told that.)
    ///
    /// # Errors
    /// ntpd-rs is missing, or cannot be started.
    pub fn server(namespace: &Namespace, name: &str, address: IpAddr) -> Result<Self> {
        let socket = namespace.directory_of(name)?.join("samples");
        let tables = format!(
            "[[source]]\n\
             mode = \"sock\"\n\
             path = \"{}\"\n\
             precision = {SAMPLE_PRECISION}\n\
             [[server]]\n\
             listen = \"{}\"\n\
             [synchronization]\n\
             minimum-agreeing-sources = 1\n",
            socket.display(),
            SocketAddr::new(address, 123)
        );
        Self::start(namespace, name, &tables, Some(ReferenceClock::start(socket)))
    }

    fn start(namespace: &Namespace, name: &str, tables: &str, reference: Option<ReferenceClock>) -> Result<Self> {
        let directory = namespace.directory_of(name)?;
        let configuration = directory.join("ntp.toml");
        let text = format!("{tables}[observability]\nobservation-path = \"{}/observe\"\n", directory.display());
        fs::write(&configuration, text).map_err(Error::io(configuration.display().to_string()))?;
        let mut command = namespace.command("env");
        command
            .arg(format!("LD_PRELOAD={}", peers()?.join("clock_stub.so").display()))
            .arg(peer("bin/ntp-daemon")?)
            .arg("-c")
            .arg(&configuration)
            .envs(environment()?);
        Ok(Self { process: namespace.spawn(name, command)?, configuration, _reference: reference })
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

/// A thread that tells the host's own time to a socket, in the form that chrony's SOCK reference clock has.
struct ReferenceClock {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ReferenceClock {
    fn start(socket: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // The socket is there as soon as the daemon is; what is lost before is not missed.
                let _ = UnixDatagram::unbound().and_then(|from| from.send_to(&sample(), &socket));
                thread::sleep(SAMPLE_INTERVAL);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for ReferenceClock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has said so itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// "It is what your clock shows": the time of the sample, an offset of zero, no pulse, no leap second, and the magic number.
fn sample() -> Vec<u8> {
    const MAGIC: i32 = 0x534f_434b;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut bytes = Vec::with_capacity(40);
    bytes.extend(now.as_secs().to_ne_bytes());
    bytes.extend(u64::from(now.subsec_micros()).to_ne_bytes());
    bytes.extend(0.0_f64.to_ne_bytes());
    bytes.extend([0, 0, 0, MAGIC].map(i32::to_ne_bytes).concat());
    bytes
}
