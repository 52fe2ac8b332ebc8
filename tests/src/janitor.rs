use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::{Error, Result};

/// Cleans up after this process, however it ends: a shell that waits for the end of a pipe whose other end only this
/// process holds, and then runs its script. Dropping the janitor is the ordinary way to let it work, and waits for it.
pub struct Janitor {
    shell: Child,
}

impl Janitor {
    /// Starts the shell; `script` is for `sh`, and goes on where one of its commands fails.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub fn new(script: &str) -> Result<Self> {
        // A group of its own and deaf to signals: what ends the test must not end the one who cleans up after it.
        let shell = Command::new("sh")
            .args(["-c", &format!("trap '' INT TERM HUP; cat >/dev/null\n{script}")])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("starting the janitor"))?;
        Ok(Self { shell })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing is left to be done about a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}

const NR_HUGEPAGES: &str = "/proc/sys/vm/nr_hugepages";
const MEMINFO: &str = "/proc/meminfo";

/// Hugepages that were added to those of the host for as long as this lives.
pub struct Hugepages {
    _janitor: Janitor,
}

impl Hugepages {
    /// Adds `count` pages of the host's default size; nothing if so many are not free then.
    #[must_use]
    pub fn reserve(count: u64) -> Option<Self> {
        let before = total()?;
        fs::write(NR_HUGEPAGES, (before + count).to_string()).ok()?;
        let added = total()?.saturating_sub(before);
        // So many fewer than there will be then: others may add and remove theirs meanwhile.
        let script = format!("echo $(($(cat {NR_HUGEPAGES}) - {added})) >{NR_HUGEPAGES}");
        let janitor = Janitor::new(&script).ok()?;
        // What was added may be lent to somebody whose own pages were taken away while in use.
        (free()? >= count).then_some(Self { _janitor: janitor })
    }
}

fn total() -> Option<u64> {
    fs::read_to_string(NR_HUGEPAGES).ok()?.trim().parse().ok()
}

fn free() -> Option<u64> {
    let meminfo = fs::read_to_string(MEMINFO).ok()?;
    meminfo.lines().find_map(|line| line.strip_prefix("HugePages_Free:"))?.trim().parse().ok()
}
