//! What a worker asks of the kernel: a core of its own, a priority, memory that stays.

use std::fs;
use std::io;

use core_affinity::CoreId;

/// The priorities of SCHED_FIFO (`sched(7)`).
const PRIORITIES: core::ops::RangeInclusive<u8> = 1..=99;

/// Why a thread was not pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// There is no such core, it is offline, or this process may not use it (cpuset).
    #[error("core {core} is absent, offline or outside this process's cpuset; cores online here: {online}")]
    NoSuchCore {
        /// The core that was asked for.
        core: usize,
        /// The cores that are online, as the kernel lists them: `0-3,8`.
        online: String,
    },
    /// The kernel refused for another reason.
    #[error("cannot pin a thread to core {core}: {source}")]
    Refused {
        /// The core that was asked for.
        core: usize,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why a thread did not get a real-time priority.
#[derive(Debug, thiserror::Error)]
pub enum RealTimeError {
    /// SCHED_FIFO has the priorities 1 to 99.
    #[error("real-time priority {0} is not within 1 to 99")]
    Priority(u8),
    /// The kernel refused; mostly for want of a privilege.
    #[error(
        "cannot set real-time priority {priority}: {source} (needs CAP_SYS_NICE, or a limit RLIMIT_RTPRIO that high)"
    )]
    Refused {
        /// The priority that was asked for.
        priority: u8,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why memory was not locked.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock memory: {0} (needs CAP_IPC_LOCK, or a limit RLIMIT_MEMLOCK large enough)")]
pub struct LockMemoryError(#[source] io::Error);

/// Lets the calling thread run on `core` alone. Threads that it starts later inherit this.
///
/// # Errors
/// Where there is no such core or this process may not use it.
pub fn pin(core: usize) -> Result<(), PinError> {
    // A larger number has no bit in the kernel's set of cores, and core_affinity would panic.
    let in_range = core < usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    if in_range && core_affinity::set_for_current(CoreId { id: core }) {
        return Ok(());
    }
    let source = io::Error::last_os_error();
    if in_range && source.raw_os_error() != Some(libc::EINVAL) {
        return Err(PinError::Refused { core, source });
    }
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_else(|_| "unknown".to_owned());
    Err(PinError::NoSuchCore { core, online: online.trim_end().to_owned() })
}

/// The cores that the calling thread may run on, in ascending order: those of the process, unless it is pinned.
#[must_use]
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Gives the calling thread the real-time policy SCHED_FIFO with `priority`, 1 to 99.
///
/// # Errors
/// Where the priority is out of range, or the process may not have it.
pub fn real_time(priority: u8) -> Result<(), RealTimeError> {
    if !PRIORITIES.contains(&priority) {
        return Err(RealTimeError::Priority(priority));
    }
    let parameters = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: `parameters` is a sched_param to read from; thread 0 is the calling one.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(RealTimeError::Refused { priority, source: io::Error::last_os_error() }) }
}

/// Keeps all memory of the process, present and future, from being paged out.
///
/// # Errors
/// Where the process may not lock so much.
pub fn lock_memory() -> Result<(), LockMemoryError> {
    // SAFETY: the call takes flags alone and changes nothing that the program can see.
    let result = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) };
    if result == 0 { Ok(()) } else { Err(LockMemoryError(io::Error::last_os_error())) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::{PinError, RealTimeError, cores, lock_memory, pin, real_time};

    /// Runs `test` on a thread of its own: what it sets must not outlive it.
    fn on_a_thread(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().unwrap();
    }

    /// A field of the calling thread's status, as the kernel tells it.
    fn status(field: &str) -> String {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    }

    #[test]
    fn a_pinned_thread_may_run_on_its_core_alone() {
        let all = cores();
        assert!(!all.is_empty());
        assert!(all.is_sorted());
        for core in all {
            on_a_thread(move || {
                pin(core).unwrap();
                assert_eq!(cores(), [core]);
                assert_eq!(status("Cpus_allowed_list"), core.to_string());
            });
        }
    }

    #[test]
    fn a_pinned_thread_can_be_pinned_elsewhere() {
        on_a_thread(|| {
            for core in cores() {
                pin(core).unwrap();
                assert_eq!(cores(), [core]);
            }
        });
    }

    #[test]
    fn a_core_that_is_not_there_is_named() {
        for core in [1_023, 1_024, 100_000, usize::MAX] {
            let error = pin(core).unwrap_err();
            assert!(matches!(error, PinError::NoSuchCore { core: named, .. } if named == core));
            let message = error.to_string();
            assert!(message.contains(&format!("core {core} ")), "{message}");
            assert!(message.contains("online here: 0"), "{message}");
        }
    }

    #[test]
    fn priorities_out_of_range_are_refused() {
        for priority in [0, 100, 255] {
            assert!(matches!(real_time(priority), Err(RealTimeError::Priority(named)) if named == priority));
        }
    }

    #[test]
    fn a_real_time_thread_has_its_policy_or_a_reason() {
        on_a_thread(|| match real_time(7) {
            Ok(()) => {
                let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
                // Fields 40 and 41 (proc(5)): priority and policy, where SCHED_FIFO is 1; the name in field 2 may hold spaces.
                let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
                assert_eq!(fields[37..39], ["7", "1"]);
            }
            Err(error) => assert!(error.to_string().contains("CAP_SYS_NICE"), "{error}"),
        });
    }

    #[test]
    fn memory_is_locked_or_there_is_a_reason() {
        match lock_memory() {
            Ok(()) => assert_ne!(status("VmLck"), "0 kB"),
            Err(error) => assert!(error.to_string().contains("CAP_IPC_LOCK"), "{error}"),
        }
    }
}
