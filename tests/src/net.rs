use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicU32, Ordering};
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::{Error, Janitor, Process, Result};

/// The link's interface, by the same name in both namespaces.
pub const INTERFACE: &str = "eth0";
/// The server's IPv4 address, in a /24.
pub const SERVER_IPV4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The server's IPv6 address, in a /64.
pub const SERVER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// The client's IPv4 address; [`Namespace::add_address`] gives it more.
pub const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The client's IPv6 address.
pub const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
/// The MAC of the server's end of the link.
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 1];
/// The MAC of the client's end of the link.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 2];

/// Where `ip netns exec` looks for what a namespace has in the place of files in `/etc`.
const ETC_NETNS: &str = "/etc/netns";

/// How long a program that should end at once is waited for.
const PROGRAM_SECONDS: &str = "60";
/// How much of the end of each log is shown when a test fails.
const LOG_TAIL: usize = 6000;

/// Who owns the server's end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The kernel of the server's namespace: it has the addresses.
    Kernel,
    /// A DPDK device: the addresses are on its exception interface, and the kernel, which on `net_af_packet` sees the
    /// same frames, stays silent.
    Dpdk,
}

/// Two namespaces joined by a veth link, and a directory for what runs in them.
pub struct Net {
    server: Namespace,
    client: Namespace,
    directory: PathBuf,
    _janitor: Janitor,
}

impl Net {
    /// Builds the link, runs `body` with it, shows all logs if that fails, and takes everything down again.
    ///
    /// `label` is part of the namespaces' names (a few letters).
    ///
    /// # Errors
    /// What `body` returned, or why there is no link: not root, or `ip` or `ethtool` is missing.
    pub fn run<T>(label: &str, link: Link, body: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let net = Self::new(label, link)?;
        let result = body(&net);
        if result.is_err() {
            eprintln!("{}", net.logs());
        }
        result
    }

    fn new(label: &str, link: Link) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sd-{label}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::Builder::new().prefix(&name).tempdir().map_err(Error::io("temporary directory"))?;
        // The janitor removes the directory: only it still runs after a SIGKILL.
        let directory = directory.keep();
        let server = Namespace { name: format!("{name}-s"), directory: directory.clone() };
        let client = Namespace { name: format!("{name}-c"), directory: directory.clone() };
        let janitor = {
            let (server, client, directory) = (&server.name, &client.name, directory.display());
            Janitor::new(&format!(
                r#"for namespace in {server} {client}; do
                   for round in 1 2 3 4 5 6 7 8 9 10; do
                       pids=$(ip netns pids $namespace)
                       [ -n "$pids" ] || break
                       kill -KILL $pids
                       sleep 0.05
                   done
                   ip netns delete $namespace
               done
               rm -rf {directory} {ETC_NETNS}/{server} {ETC_NETNS}/{client}"#,
            ))?
        };
        let net = Self { server, client, directory, _janitor: janitor };
        net.build(link)?;
        Ok(net)
    }

    fn build(&self, link: Link) -> Result<()> {
        let (server, client) = (&self.server.name, &self.client.name);
        host(&["ip", "netns", "add", server])?;
        host(&["ip", "netns", "add", client])?;
        host(
            &[
                &["ip", "link", "add", "name", INTERFACE, "netns", server, "address", &mac(SERVER_MAC), "type", "veth"]
                    [..],
                &["peer", "name", INTERFACE, "netns", client, "address", &mac(CLIENT_MAC)],
            ]
            .concat(),
        )?;
        for namespace in [&self.server, &self.client] {
            // With offloads a sender leaves checksums to a card that is not there, and the other end sees bad ones.
            namespace.output(&["ethtool", "-K", INTERFACE, "tx", "off", "tso", "off", "gso", "off", "gro", "off"])?;
            namespace.output(&["ip", "link", "set", "lo", "up"])?;
        }
        if link == Link::Dpdk {
            self.server.sysctl(&format!("ipv4/conf/{INTERFACE}/arp_ignore"), "8")?;
            self.server.sysctl(&format!("ipv4/conf/{INTERFACE}/rp_filter"), "1")?;
            self.server.sysctl(&format!("ipv6/conf/{INTERFACE}/disable_ipv6"), "1")?;
        } else {
            self.server.add_address(&format!("{SERVER_IPV4}/24"))?;
            self.server.add_address(&format!("{SERVER_IPV6}/64"))?;
        }
        self.client.add_address(&format!("{CLIENT_IPV4}/24"))?;
        self.client.add_address(&format!("{CLIENT_IPV6}/64"))?;
        for namespace in [&self.server, &self.client] {
            namespace.output(&["ip", "link", "set", INTERFACE, "up"])?;
        }
        Ok(())
    }

    /// Where the server runs.
    #[must_use]
    pub fn server(&self) -> &Namespace {
        &self.server
    }

    /// Where the clients run.
    #[must_use]
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// The end of every log that the programs of both namespaces have written.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = String::new();
        let mut paths: Vec<_> = fs::read_dir(&self.directory).into_iter().flatten().flatten().collect();
        paths.sort_by_key(fs::DirEntry::path);
        for path in paths.iter().map(fs::DirEntry::path).filter(|path| path.extension().is_some_and(|e| e == "log")) {
            let log = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            if log.is_empty() {
                continue;
            }
            let tail = log.len().saturating_sub(LOG_TAIL);
            let tail = log.ceil_char_boundary(tail);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let _ = writeln!(text, "---- {name}\n{}", log.get(tail..).unwrap_or_default());
        }
        text
    }
}

/// One of the two namespaces.
pub struct Namespace {
    name: String,
    directory: PathBuf,
}

impl Namespace {
    /// Where programs keep their files and logs; private to root, removed with the link.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A directory of its own for a program called `name`, made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn directory_of(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&path).map_err(Error::io(path.display().to_string()))?;
        Ok(path)
    }

    /// A command that runs `program` in this namespace, and may not set any clock of the host, root or not.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        // A group of its own: Ctrl-C is for the one who shows what these programs do, and who ends them.
        command.process_group(0).args(["netns", "exec", &self.name]);
        command.args(["setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time", "--"]).arg(program);
        command
    }

    /// Starts `command`, which [`Namespace::command`] made, with its output in logs called `name`.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(&self, name: &str, command: Command) -> Result<Process> {
        Process::spawn(&self.directory, name, command)
    }

    /// Runs a program that ends by itself, and gives its standard output.
    ///
    /// # Errors
    /// It cannot be started, ends with a failure, or does not end within a minute.
    pub fn output(&self, words: &[&str]) -> Result<String> {
        let mut command = self.command("timeout");
        command.arg(PROGRAM_SECONDS).args(words);
        succeed(&words.join(" "), command)
    }

    /// Gives the link's end here one more address (`10.77.0.3/24`), usable at once.
    ///
    /// # Errors
    /// `ip` refuses the address.
    pub fn add_address(&self, address: &str) -> Result<()> {
        let words = ["ip", "address", "add", address, "dev", INTERFACE, "nodad"];
        // Duplicate address detection is IPv6's.
        let used = if address.contains(':') { words.len() } else { words.len() - 1 };
        self.output(words.get(..used).unwrap_or_default()).map(drop)
    }

    /// Lets programs that are started here from now on find the names of `hosts` (as in `/etc/hosts`), and no others.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn set_hosts(&self, hosts: &str) -> Result<()> {
        // `ip netns exec` puts these in the place of the host's.
        let directory = Path::new(ETC_NETNS).join(&self.name);
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(directory.join("hosts"), hosts))
            .and_then(|()| fs::write(directory.join("nsswitch.conf"), "hosts: files\n"))
            .map_err(Error::io(directory.display().to_string()))
    }

    /// Lets every program that runs here run on `core` alone, all threads of it.
    ///
    /// # Errors
    /// There is no such core, or a program has just ended.
    pub fn pin(&self, core: usize) -> Result<()> {
        let mut pids = Command::new("ip");
        pids.args(["netns", "pids", &self.name]);
        for pid in succeed("ip netns pids", pids)?.split_whitespace() {
            host(&["taskset", "--all-tasks", "--cpu-list", "--pid", &core.to_string(), pid])?;
        }
        Ok(())
    }

    /// Runs `work` on a thread inside this namespace: the sockets that it opens belong here, and stay here.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = Path::new("/run/netns").join(&self.name);
        let entered = || {
            let file = File::open(&path).map_err(Error::io(path.display().to_string()))?;
            setns(file, CloneFlags::CLONE_NEWNET).map_err(Error::errno(format!("entering {}", self.name)))?;
            Ok(work())
        };
        match thread::scope(|scope| scope.spawn(entered).join()) {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.output(&["sh", "-c", &format!("echo {value} >/proc/sys/net/{key}")]).map(drop)
    }
}

fn host(words: &[&str]) -> Result<()> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments);
    succeed(&words.join(" "), command).map(drop)
}

/// Runs a command that should not fail, and gives its standard output.
pub(crate) fn succeed(what: &str, mut command: Command) -> Result<String> {
    let output = command.output().map_err(Error::io(what))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Error::Failed(format!("{what} ({})", output.status), text + &stderr))
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
