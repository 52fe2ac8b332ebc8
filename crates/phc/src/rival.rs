//! Who else may steer a clock of this host: daemons that are known for it, and whoever has a device open.

use core::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const PROC: &str = "/proc";
/// How much of a program's name the kernel keeps (`TASK_COMM_LEN`, less the zero).
const COMM_MAX: usize = 15;
/// The capability without which nobody steers a clock (`capabilities(7)`).
const CAP_SYS_TIME: u32 = 25;

/// What a daemon steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Steers {
    /// CLOCK_REALTIME.
    System,
    /// PTP clocks.
    Ptp,
    /// Either, as it is configured.
    Either,
}

impl Steers {
    /// Whether what steers this may steer a clock of the kind of `clock`.
    const fn covers(self, clock: Self) -> bool {
        matches!(
            (self, clock),
            (Self::Either, _) | (_, Self::Either) | (Self::System, Self::System) | (Self::Ptp, Self::Ptp)
        )
    }
}

/// A program that may steer the same clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// What the kernel calls it: the first fifteen bytes of its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Its control sockets and process files that exist.
    pub traces: Vec<PathBuf>,
}

/// `chronyd (process 812, /run/chrony/chronyd.sock)`.
impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}", self.name, self.pid)?;
        for trace in &self.traces {
            write!(f, ", {}", trace.display())?;
        }
        write!(f, ")")
    }
}

struct Daemon {
    name: &'static str,
    steers: Steers,
    traces: &'static [&'static str],
}

/// The daemons that are known to steer clocks, and where they leave traces.
const DAEMONS: [Daemon; 13] = [
    Daemon {
        name: "chronyd",
        steers: Steers::Either,
        traces: &["/run/chrony/chronyd.sock", "/run/chrony/chronyd.pid"],
    },
    // The reference implementation, NTPsec and OpenNTPD alike; the socket is OpenNTPD's.
    Daemon { name: "ntpd", steers: Steers::System, traces: &["/run/ntpd.pid", "/run/ntpd.sock"] },
    Daemon { name: "openntpd", steers: Steers::System, traces: &["/run/openntpd.pid", "/run/ntpd.sock"] },
    Daemon { name: "ntp-daemon", steers: Steers::System, traces: &["/run/ntpd-rs/observe"] },
    Daemon { name: "systemd-timesyncd", steers: Steers::System, traces: &["/run/systemd/timesync"] },
    Daemon { name: "ptp4l", steers: Steers::Either, traces: &["/run/ptp4l"] },
    Daemon { name: "phc2sys", steers: Steers::Either, traces: &[] },
    Daemon { name: "ts2phc", steers: Steers::Ptp, traces: &[] },
    Daemon { name: "timemaster", steers: Steers::Either, traces: &["/run/timemaster"] },
    Daemon { name: "ptpd", steers: Steers::System, traces: &[] },
    Daemon { name: "sfptpd", steers: Steers::Either, traces: &[] },
    Daemon { name: "statime", steers: Steers::Either, traces: &[] },
    Daemon { name: "sidereal", steers: Steers::Either, traces: &[] },
];

/// The daemons that run here and may steer a clock of this kind, by process number; we ourselves are none. One that lacks
/// CAP_SYS_TIME (chronyd with `-x`, a tool that only looks) cannot, and is left out. What cannot be read is left out too.
#[must_use]
pub fn rivals(clock: Steers) -> Vec<Rival> {
    find(Path::new(PROC), std::process::id(), clock)
}

/// Who has a device open, `/dev/ptp0` say, by process number; we ourselves are not among them. Needs root to see the
/// processes of others.
#[must_use]
pub fn holders(device: &Path) -> Vec<Rival> {
    let Ok(metadata) = fs::metadata(device) else { return Vec::new() };
    let own = std::process::id();
    let others = processes(Path::new(PROC)).into_iter().filter(|(pid, _)| *pid != own);
    let holds = |folder: &Path| {
        let Ok(open) = fs::read_dir(folder.join("fd")) else { return false };
        // The number of the device tells, not the path: one device may have many.
        open.flatten()
            .any(|file| fs::metadata(file.path()).is_ok_and(|file| file.rdev() == metadata.rdev() && file.rdev() != 0))
    };
    others.filter(|(_, folder)| holds(folder)).filter_map(|(pid, folder)| rival(pid, &folder)).collect()
}

fn find(proc: &Path, own: u32, clock: Steers) -> Vec<Rival> {
    let others = processes(proc).into_iter().filter(|(pid, _)| *pid != own);
    let named = others.filter_map(|(pid, folder)| {
        let rival = rival(pid, &folder)?;
        let daemon = daemon(&rival.name)?;
        (daemon.steers.covers(clock) && may_steer(&folder)).then_some(rival)
    });
    named.collect()
}

/// The processes and their folders, by number.
fn processes(proc: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let numbered =
        entries.flatten().filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    let mut processes: Vec<(u32, PathBuf)> = numbered.collect();
    processes.sort_unstable();
    processes
}

fn rival(pid: u32, folder: &Path) -> Option<Rival> {
    let name = fs::read_to_string(folder.join("comm")).ok()?.trim_end().to_owned();
    let known = daemon(&name).map_or(&[][..], |daemon| daemon.traces);
    let traces = known.iter().map(PathBuf::from).filter(|trace| trace.exists()).collect();
    Some(Rival { name, pid, traces })
}

fn daemon(comm: &str) -> Option<&'static Daemon> {
    DAEMONS.iter().find(|daemon| comm == daemon.name.get(..COMM_MAX).unwrap_or(daemon.name))
}

/// Whether a process has what steering takes, and has not ended (a zombie's name stays until its parent asks). Where its
/// status does not say, it is believed capable.
fn may_steer(folder: &Path) -> bool {
    let Ok(status) = fs::read_to_string(folder.join("status")) else { return true };
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let has_ended = field("State:").is_some_and(|state| state.starts_with(['Z', 'X']));
    let capabilities = field("CapEff:").and_then(|set| u64::from_str_radix(set, 16).ok());
    !has_ended && capabilities.is_none_or(|set| set & (1 << CAP_SYS_TIME) != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::Duration;

    use super::{Rival, Steers, find, holders, rivals};

    const ROOT: &str = "State:\tS (sleeping)\nCapEff:\t000001ffffffffff\n";
    const POWERLESS: &str = "State:\tS (sleeping)\nCapEff:\t0000000000000000\n";
    const ENDED: &str = "State:\tZ (zombie)\nCapEff:\t000001ffffffffff\n";

    fn process(proc: &Path, pid: u32, comm: &str, status: &str) {
        let folder = proc.join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("status"), status).unwrap();
    }

    fn names(found: &[Rival]) -> Vec<(&str, u32)> {
        found.iter().map(|rival| (rival.name.as_str(), rival.pid)).collect()
    }

    #[test]
    fn known_daemons_are_found_by_what_they_steer() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), 812, "chronyd", ROOT);
        process(proc.path(), 9, "systemd-timesyn", ROOT);
        process(proc.path(), 77, "ts2phc", ROOT);
        process(proc.path(), 78, "phc2sys", POWERLESS);
        process(proc.path(), 79, "ntpd", ENDED);
        process(proc.path(), 80, "bash", ROOT);
        process(proc.path(), 81, "sidereal", ROOT);
        fs::create_dir(proc.path().join("net")).unwrap();
        fs::create_dir(proc.path().join("99")).unwrap();
        let system = find(proc.path(), 81, Steers::System);
        assert_eq!(names(&system), [("systemd-timesyn", 9), ("chronyd", 812)]);
        assert_eq!(names(&find(proc.path(), 1, Steers::Ptp)), [("ts2phc", 77), ("sidereal", 81), ("chronyd", 812)]);
        assert_eq!(find(&proc.path().join("none"), 1, Steers::System), []);
    }

    #[test]
    fn a_rival_is_named_with_its_traces() {
        let mut rival = Rival { name: "chronyd".to_owned(), pid: 812, traces: vec!["/run/chrony/chronyd.sock".into()] };
        assert_eq!(rival.to_string(), "chronyd (process 812, /run/chrony/chronyd.sock)");
        rival.traces.clear();
        assert_eq!(rival.to_string(), "chronyd (process 812)");
    }

    #[test]
    fn a_running_program_with_a_daemons_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("timemaster");
        symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").stdout(Stdio::null()).spawn().unwrap();
        // The kernel lets us go on a moment before it names the child.
        let found = (0..100).find_map(|_| {
            thread::sleep(Duration::from_millis(5));
            rivals(Steers::System).into_iter().find(|rival| rival.pid == child.id())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        // Where the tests run without the capability, the child cannot steer either and is rightly left out.
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let capable = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
        let capable = u64::from_str_radix(capable, 16).unwrap() & (1 << super::CAP_SYS_TIME) != 0;
        assert_eq!(found.map(|rival| rival.name).as_deref(), capable.then_some("timemaster"));
    }

    #[test]
    fn who_has_a_device_open_is_found_and_we_are_not() {
        let device = File::open("/dev/full").unwrap();
        let mut child =
            Command::new("/bin/sleep").arg("60").stdin(Stdio::from(device.try_clone().unwrap())).spawn().unwrap();
        let found = holders(Path::new("/dev/full"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.iter().any(|rival| rival.pid == child.id()), "{found:?}");
        assert!(found.iter().all(|rival| rival.pid != std::process::id()), "{found:?}");
        assert_eq!(holders(Path::new("/dev/none")), []);
    }
}
