use core::fmt::Write as _;
use core::time::Duration;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::net::succeed;
use crate::{
    Error, INTERFACE, Link, Namespace, Net, Process, Ptp, Result, SERVER_IPV4, SERVER_IPV6, Sources, Status, program,
    until_some,
};

/// How long Sidereal may take to answer on its control socket.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGTERM.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How Sidereal gets at the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// DPDK, on `net_af_packet` over the link.
    Dpdk,
    /// DPDK, on `net_af_xdp` over the link.
    DpdkXdp,
    /// The kernel's sockets, in threads.
    Kernel,
    /// The kernel's sockets, everything in one thread.
    Single,
}

impl Transport {
    /// Who must own the server's end of the link.
    #[must_use]
    pub fn link(self) -> Link {
        match self {
            Self::Dpdk | Self::DpdkXdp => Link::Dpdk,
            Self::Kernel | Self::Single => Link::Kernel,
        }
    }

    /// A word for the names of namespaces and for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpdk => "dpdk",
            Self::DpdkXdp => "xdp",
            Self::Kernel => "kernel",
            Self::Single => "single",
        }
    }
}

/// What a test wants of the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// How it gets at the packets.
    pub transport: Transport,
    /// DPDK's memory comes from hugepages.
    pub hugepages: bool,
    /// A port of the kernel's sockets is bound to the link's interface, as PTP wants it.
    pub bound: bool,
    /// The content of its key file.
    pub keys: Option<String>,
    /// Further tables of the configuration, in TOML.
    pub tables: String,
}

impl Options {
    /// A plain server.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport, hugepages: false, bound: false, keys: None, tables: String::new() }
    }

    fn configuration(&self, files: &Files) -> String {
        let mut text = String::new();
        let (mode, backend) = match self.transport {
            Transport::Dpdk => ("appliance", dpdk_port(&format!("net_af_packet0,iface={INTERFACE},{AF_PACKET_RING}"))),
            Transport::DpdkXdp => ("appliance", dpdk_port(&format!("net_af_xdp0,iface={INTERFACE},busy_budget=0"))),
            Transport::Kernel => ("appliance", "backend = \"kernel\"\naddresses = [\"0.0.0.0\", \"::\"]".into()),
            Transport::Single => ("single", "backend = \"kernel\"\naddresses = [\"0.0.0.0\", \"::\"]".into()),
        };
        // Neither a core nor a priority: several tests may share the machine.
        let _ = writeln!(text, "mode = \"{mode}\"\n[[port]]\nname = \"lan0\"\n{backend}");
        if self.bound && self.transport.link() == Link::Kernel {
            let _ = writeln!(text, "interface = \"{INTERFACE}\"");
        }
        if self.transport != Transport::Single {
            let _ = writeln!(text, "[workers]\nidle = \"yield\"");
        }
        if self.transport.link() == Link::Dpdk {
            let _ = writeln!(text, "[dpdk]\nhugepages = {}\nmemory_mib = 128", self.hugepages);
        }
        let _ = writeln!(text, "[ops]\nsocket = \"{}\"", files.socket.display());
        let _ = writeln!(text, "ptp_management = \"{}\"", files.ptp_management.display());
        let _ = writeln!(text, "[state]\ndirectory = \"{}\"", files.state.display());
        if self.keys.is_some() {
            let _ = writeln!(text, "[keys]\nfile = \"{}\"", files.keys.display());
        }
        text + &self.tables
    }
}

/// The ring of net_af_packet: the default of 512 frames overflows whenever the worker is held up.
const AF_PACKET_RING: &str = "qdisc_bypass=1,blocksz=131072,framesz=2048,framecnt=4096";

fn dpdk_port(device: &str) -> String {
    format!("backend = \"dpdk\"\ndevice = \"{device}\"\naddresses = [\"{SERVER_IPV4}/24\", \"{SERVER_IPV6}/64\"]")
}

/// A running `sidereal run`.
pub struct Sidereal<'a> {
    process: Process,
    namespace: &'a Namespace,
    files: Files,
}

struct Files {
    configuration: PathBuf,
    socket: PathBuf,
    ptp_management: PathBuf,
    state: PathBuf,
    keys: PathBuf,
}

impl<'a> Sidereal<'a> {
    /// Starts it in the server's namespace, and waits until it serves a time that clients may follow.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn start(net: &'a Net, options: &Options) -> Result<Self> {
        let mut server = Self::launch(net.server(), "sidereal", options)?;
        server.synchronised(START_DEADLINE)?;
        Ok(server)
    }

    /// Starts it in `namespace`, with its files in a directory called `name`, and waits until it answers at its control
    /// socket.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn launch(namespace: &'a Namespace, name: &str, options: &Options) -> Result<Self> {
        let directory = namespace.directory_of(name)?;
        let files = Files {
            configuration: directory.join("sidereal.toml"),
            socket: directory.join("control"),
            ptp_management: directory.join("ptp"),
            state: namespace.directory_of(&format!("{name}/state"))?,
            keys: directory.join("keys"),
        };
        files.write(options)?;
        let mut command = namespace.command(program("sidereal")?);
        command.args(["run", "--config"]).arg(&files.configuration);
        let process = namespace.spawn(name, command)?;
        let mut server = Self { process, namespace, files };
        server.status_until("an answer of sidereal", START_DEADLINE, |_| true)?;
        Ok(server)
    }

    /// Waits until it serves a time that clients may follow.
    ///
    /// # Errors
    /// It does not within `deadline`, or has ended.
    pub fn synchronised(&mut self, deadline: Duration) -> Result<Status> {
        self.status_until("sidereal synchronised", deadline, |status| {
            status.get("/clock/synchronised") == Some(&Value::Bool(true))
        })
    }

    /// Waits until its status is as `condition` wants it.
    ///
    /// # Errors
    /// It is not within `deadline`, or it has ended.
    pub fn status_until(
        &mut self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Status) -> bool,
    ) -> Result<Status> {
        until_some(what, deadline, || match self.process.ended() {
            Some(status) => Err(format!("it ended: {status}; {}", self.process.stderr())),
            None => match self.status() {
                Ok(status) if condition(&status) => Ok(status),
                Ok(status) => Err(format!("{status}\n{}", self.process.stderr())),
                Err(error) => Err(error.to_string()),
            },
        })
    }

    /// The document of `sidereal status --json`.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn status(&self) -> Result<Status> {
        Status::parse(&self.ask(&["status", "--json"])?)
    }

    /// The document of `sidereal sources --json`.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn sources(&self) -> Result<Sources> {
        Sources::parse(&self.ask(&["sources", "--json"])?)
    }

    /// The document of `sidereal ptp --json`.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn ptp(&self) -> Result<Ptp> {
        Ptp::parse(&self.ask(&["ptp", "--json"])?)
    }

    /// Waits until its PTP instance is as `condition` wants it.
    ///
    /// # Errors
    /// It is not within `deadline`, or it has ended.
    pub fn ptp_until(&mut self, what: &str, deadline: Duration, condition: impl Fn(&Ptp) -> bool) -> Result<Ptp> {
        until_some(what, deadline, || match self.process.ended() {
            Some(status) => Err(format!("it ended: {status}; {}", self.process.stderr())),
            None => match self.ptp() {
                Ok(ptp) if condition(&ptp) => Ok(ptp),
                Ok(ptp) => Err(format!("{ptp}\n{}", self.process.stderr())),
                Err(error) => Err(error.to_string()),
            },
        })
    }

    /// The socket where `pmc` may ask it, if its configuration says no other.
    #[must_use]
    pub fn ptp_management(&self) -> &Path {
        &self.files.ptp_management
    }

    /// Waits until its sources are as `condition` wants them.
    ///
    /// # Errors
    /// They are not within `deadline`, or it has ended.
    pub fn sources_until(
        &mut self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Sources) -> bool,
    ) -> Result<Sources> {
        until_some(what, deadline, || match self.process.ended() {
            Some(status) => Err(format!("it ended: {status}; {}", self.process.stderr())),
            None => match self.sources() {
                Ok(sources) if condition(&sources) => Ok(sources),
                Ok(sources) => Err(sources.to_string()),
                Err(error) => Err(error.to_string()),
            },
        })
    }

    /// What a command prints that asks the running one: `words` are the command and its options.
    ///
    /// # Errors
    /// The command fails.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = self.namespace.command(program("sidereal")?);
        command.args(words).arg("--socket").arg(&self.files.socket);
        succeed(&format!("sidereal {}", words.join(" ")), command)
    }

    /// Rewrites the configuration with other options, and has it read by SIGHUP.
    ///
    /// # Errors
    /// The file cannot be written, or the server has ended.
    pub fn reload(&self, options: &Options) -> Result<()> {
        self.files.write(options)?;
        self.process.signal(Signal::SIGHUP)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    /// Asks it to end by SIGTERM.
    ///
    /// # Errors
    /// It does not end, or not with status 0.
    pub fn stop(mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.wait(STOP_DEADLINE)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed(format!("sidereal run ({status})"), self.process.stderr()))
    }
}

impl Files {
    fn write(&self, options: &Options) -> Result<()> {
        let configuration = options.configuration(self);
        fs::write(&self.configuration, configuration).map_err(Error::io(self.configuration.display().to_string()))?;
        let Some(keys) = &options.keys else { return Ok(()) };
        write_private(&self.keys, keys)
    }
}

/// Writes a file that only its owner can read.
///
/// # Errors
/// The file cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::io(path.display().to_string()))
}
