//! What can go wrong with a clock of the kernel.

use std::io;

/// Why the kernel did not do with a clock or a device what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The device is gone: unplugged, its driver unloaded or reset (`ENODEV`). What was opened will not work again; open it
    /// anew when it is back.
    #[error("{clock} is gone: the device was removed, or its driver reset or unloaded it")]
    Gone {
        /// The clock's path.
        clock: String,
    },
    /// This process may not do it.
    #[error(
        "may not {action} {clock}: {source} (steering needs CAP_SYS_TIME, a device needs read or write permission)"
    )]
    Forbidden {
        /// The clock's name or path.
        clock: String,
        /// What was asked for.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// It has virtual clocks on it, and runs free for them: one of those is to be steered, and read.
    #[error("cannot {action} {clock}: it runs free for its virtual clocks; use {}", list(.virtual_clocks))]
    RunsFree {
        /// The clock's path.
        clock: String,
        /// What was asked for.
        action: &'static str,
        /// The numbers of its virtual clocks, `N` of `/dev/ptpN`.
        virtual_clocks: Vec<u32>,
    },
    /// The clock, its driver or this kernel cannot do it.
    #[error("cannot {action} {clock}: the device, its driver or this kernel does not know how ({source})")]
    Unsupported {
        /// The clock's name or path.
        clock: String,
        /// What was asked for.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// It failed for another reason.
    #[error("cannot {action} {clock}: {source}")]
    Failed {
        /// The clock's name or path.
        clock: String,
        /// What was asked for.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// What the driver says cannot be true: a stamp of the system's that was not between two others around it.
    #[error("cannot {action} {clock}: its driver's stamps contradict the system's clocks")]
    Implausible {
        /// The clock's path.
        clock: String,
        /// What was asked for.
        action: &'static str,
    },
}

fn list(clocks: &[u32]) -> String {
    clocks.iter().map(|clock| format!("/dev/ptp{clock}")).collect::<Vec<_>>().join(" or ")
}

impl ClockError {
    pub(crate) fn new(clock: &str, action: &'static str, source: io::Error) -> Self {
        let clock = clock.to_owned();
        match source.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => Self::Gone { clock },
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden { clock, action, source },
            Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::ENOSYS) => Self::Unsupported { clock, action, source },
            _ => Self::Failed { clock, action, source },
        }
    }

    /// Whether the device is gone for good: nothing but opening it anew helps.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::ClockError;

    #[test]
    fn a_clock_that_runs_free_names_those_to_use() {
        let error = ClockError::RunsFree { clock: "/dev/ptp0".into(), action: "step", virtual_clocks: vec![2, 3] };
        let text = "cannot step /dev/ptp0: it runs free for its virtual clocks; use /dev/ptp2 or /dev/ptp3";
        assert_eq!(error.to_string(), text);
    }
}
