//! DPDK's environment: started once per process.

use core::ffi::{CStr, c_char, c_int};
use std::ffi::CString;
use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How much of DPDK's log an error carries, in bytes.
const LOG_TAIL: usize = 8192;

/// What EAL is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EalOptions {
    /// Memory in hugepages, or in pages of the ordinary size.
    pub hugepages: bool,
    /// Memory to reserve, in MiB.
    pub memory_mib: u32,
    /// Addresses of the PCI devices that may be used; without any, the PCI bus is left alone.
    pub pci: Vec<String>,
    /// The cores that EAL's own threads may run on: those that no worker is pinned to.
    pub cores: Vec<u16>,
    /// Further arguments. They come last, so they win where EAL takes the last of several.
    pub extra: Vec<String>,
}

impl EalOptions {
    /// The command line for the process of this id, program name first. EAL gets one lcore, which floats over `cores` and
    /// does no work: workers are threads of ours that register themselves.
    #[must_use]
    pub fn arguments(&self, process: u32) -> Vec<String> {
        let mut arguments = vec!["sidereal".to_owned()];
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        // EAL of 22.11 refuses --in-memory together with --no-huge, whose parts (no files shared with other processes)
        // are then asked for one by one.
        if self.hugepages {
            add(&["--in-memory"]);
        } else {
            add(&["--no-huge", "--no-shconf", "--iova-mode=va"]);
        }
        add(&["--no-telemetry", "-m", &self.memory_mib.to_string()]);
        add(&["--file-prefix", &format!("sidereal-{process}")]);
        let cores: Vec<String> = self.cores.iter().map(u16::to_string).collect();
        add(&["--lcores", &format!("0@({})", cores.join(","))]);
        if self.pci.is_empty() {
            add(&["--no-pci"]);
        }
        for address in &self.pci {
            add(&["-a", address]);
        }
        add(&["--log-level", "*:warning"]);
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

/// Why DPDK did not start.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// DPDK can be started once in the life of a process.
    #[error("DPDK was already started in this process, and can be only once")]
    AlreadyStarted,
    /// EAL's threads need somewhere to run.
    #[error("no core is left for DPDK's own threads")]
    NoCores,
    /// An argument that C cannot be given.
    #[error("the EAL argument {0:?} contains a NUL byte")]
    Nul(String),
    /// EAL refused; its log says why.
    #[error("DPDK did not start with the arguments `{arguments}`: {source}\n{remedy}")]
    Refused {
        /// What EAL returned and logged.
        source: Refusal,
        /// What it was told.
        arguments: String,
        /// What to look at first.
        remedy: &'static str,
    },
}

/// DPDK, started. It stays until the process ends: a packet may outlive everything else that uses it, and its buffer lies
/// in DPDK's memory. Nothing is left on disk, and hugepages go back to the kernel with the process.
#[derive(Debug, Clone, Copy)]
pub struct Eal(());

impl Eal {
    /// Starts DPDK. The calling thread is not left pinned.
    ///
    /// # Errors
    /// Where it was started before, or EAL refuses, with what it logged.
    pub fn init(options: &EalOptions) -> Result<Self, EalError> {
        static STARTED: AtomicBool = AtomicBool::new(false);
        if options.cores.is_empty() {
            return Err(EalError::NoCores);
        }
        let words = options.arguments(process::id());
        let words: Vec<CString> = words
            .into_iter()
            .map(|word| CString::new(word).map_err(|error| EalError::Nul(lossy(error.into_vec()))))
            .collect::<Result<_, _>>()?;
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(EalError::AlreadyStarted);
        }
        // EAL permutes the array and keeps pointers into the words for as long as it runs.
        let mut argv: Vec<*mut c_char> = words.iter().map(|word| word.clone().into_raw()).collect();
        let argc = c_int::try_from(argv.len()).unwrap_or(c_int::MAX);
        set_up(|| {
            // SAFETY: argv holds argc NUL-terminated strings that live as long as the process; cores is a valid array.
            check(unsafe {
                dpdk_sys::shim_eal_init(argc, argv.as_mut_ptr(), options.cores.as_ptr(), options.cores.len())
            })
        })
        .map_err(|source| EalError::Refused {
            source,
            arguments: words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "),
            remedy: if options.hugepages {
                "Are enough hugepages reserved (/proc/sys/vm/nr_hugepages)? It also runs without ([dpdk] hugepages = false)."
            } else {
                "Is there so much memory ([dpdk] memory_mib), and is each of [dpdk] arguments known to DPDK?"
            },
        })?;
        Ok(Self(()))
    }
}

/// The release of the DPDK that is linked: `DPDK 22.11.11`.
#[must_use]
pub fn dpdk_version() -> &'static str {
    // SAFETY: takes nothing and returns a string constant.
    let version = unsafe { dpdk_sys::shim_eal_version() };
    // SAFETY: a NUL-terminated string that lives as long as the library.
    unsafe { CStr::from_ptr(version) }.to_str().unwrap_or("DPDK")
}

/// A result of the shim as an error of the operating system.
pub(crate) fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result.saturating_abs())) }
}

/// Runs one step of the set-up, of which DPDK wants one at a time. What DPDK logs meanwhile comes back with an error and
/// otherwise goes to standard error.
pub(crate) fn set_up<T>(step: impl FnOnce() -> io::Result<T>) -> Result<T, Refusal> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: only sets a flag under the shim's lock.
    unsafe { dpdk_sys::shim_log_capture() };
    let source = match step() {
        Ok(value) => {
            // SAFETY: only writes the shim's own buffer to standard error.
            unsafe { dpdk_sys::shim_log_flush() };
            return Ok(value);
        }
        Err(source) => source,
    };
    let mut text = vec![0_u8; LOG_TAIL];
    // SAFETY: `text` has room for as many bytes as it says.
    let length = unsafe { dpdk_sys::shim_log_take(text.as_mut_ptr().cast(), text.len()) };
    text.truncate(length);
    Err(Refusal { source, log: lossy(text) })
}

/// What DPDK refused: its errno, and what it logged.
#[derive(Debug, thiserror::Error)]
#[error("{source}; DPDK says: {}", if log.is_empty() { "nothing" } else { log })]
pub struct Refusal {
    source: io::Error,
    log: String,
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::{Eal, EalError, EalOptions};

    fn options() -> EalOptions {
        EalOptions { hugepages: false, memory_mib: 128, pci: Vec::new(), cores: vec![0, 2], extra: Vec::new() }
    }

    #[test]
    fn without_hugepages_and_pci() {
        assert_eq!(
            options().arguments(42).join(" "),
            "sidereal --no-huge --no-shconf --iova-mode=va --no-telemetry -m 128 --file-prefix sidereal-42 \
             --lcores 0@(0,2) --no-pci --log-level *:warning"
        );
    }

    #[test]
    fn with_hugepages_pci_and_more() {
        let options = EalOptions {
            hugepages: true,
            memory_mib: 1024,
            pci: vec!["0000:03:00.0".to_owned(), "0000:03:00.1".to_owned()],
            cores: vec![1],
            extra: vec!["--legacy-mem".to_owned()],
        };
        assert_eq!(
            options.arguments(7).join(" "),
            "sidereal --in-memory --no-telemetry -m 1024 --file-prefix sidereal-7 --lcores 0@(1) -a 0000:03:00.0 \
             -a 0000:03:00.1 --log-level *:warning --legacy-mem"
        );
    }

    #[test]
    fn what_cannot_be_started_is_refused_before_dpdk_is_asked() {
        let no_cores = EalOptions { cores: Vec::new(), ..options() };
        assert!(matches!(Eal::init(&no_cores), Err(EalError::NoCores)));
        let nul = EalOptions { extra: vec!["a\0b".to_owned()], ..options() };
        assert!(matches!(Eal::init(&nul), Err(EalError::Nul(word)) if word == "a\0b"));
    }
}
