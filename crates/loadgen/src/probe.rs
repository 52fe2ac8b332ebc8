//! The fleet prober: asks up to a hundred thousand NTP servers in turn, at a steady pace, and tells of each how far its clock
//! is from this host's.
//!
//! One thread for each address family has one unconnected socket and the kernel's stamps; round trips go through the offset
//! pipeline to the thread that called. PTP clocks are not asked: a Delay_Req alone measures one direction only.

mod fleet;
mod poller;
mod targets;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::thread;

use sidereal_nic_kernel::OpenError;
use sidereal_ntp::SystemVariables;
use sidereal_offsets::{Recorder, Stage, Target, Totals, pipeline};

pub use self::fleet::{Arrival, Ask, Counts, Fleet, Outcome, Pace, Seen};
use self::poller::{Polled, Poller};
pub use self::targets::{MAX_TARGETS, TargetError, TargetSpec};

/// The shortest time between two requests to one server: less would be a load test.
pub const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Records that may wait for the stage: at a hundred thousand in a second, a third of a second.
const RING: usize = 32_768;
/// How often the stage looks for records.
const STAGE_PAUSE: Duration = Duration::from_millis(5);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Whom to ask, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeOptions {
    /// The servers, each once.
    pub targets: Vec<SocketAddr>,
    /// The time between two requests to one server; longer where `requests_per_second` does not allow it.
    pub interval: Duration,
    /// The most requests in a second, all servers together.
    pub requests_per_second: f64,
    /// For how long.
    pub length: Length,
    /// How long an answer is waited for; at most until the next request to the same server.
    pub timeout: Duration,
}

/// When it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After so many requests to each server.
    Rounds(u64),
    /// After this time.
    Time(Duration),
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody to ask.
    #[error("no targets: name at least one server")]
    NoTargets,
    /// More than can be asked.
    #[error("{0} targets are too many: at most {MAX_TARGETS} can be asked")]
    TooManyTargets(usize),
    /// Asked too often.
    #[error("an interval of {0:?} is too short: at least {MIN_INTERVAL:?}")]
    Interval(Duration),
    /// A rate that is not a number, not positive or too high.
    #[error("{0} requests per second: it must be more than 0 and at most {max}", max = crate::MAX_REQUESTS_PER_SECOND)]
    Rate(f64),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] OpenError),
    /// The operating system has no random numbers to make requests of that nobody can guess.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeProgress {
    /// Requests that left.
    pub sent: u64,
    /// Round trips that were measured.
    pub measured: u64,
}

/// What was found out.
#[derive(Debug)]
pub struct Probed {
    /// Of each target, in their order.
    pub hosts: Vec<Host>,
    /// All round trips together.
    pub totals: Totals,
    /// Round trips that were lost on their way to the stage.
    pub lost_records: u64,
    /// Datagrams from addresses that were never asked.
    pub strangers: u64,
    /// Datagrams that the kernel dropped because they were not received in time; they may have been answers.
    pub missed: u64,
}

/// What was found out of one target.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// What was measured.
    pub measured: Target,
    /// What it last said of its clock; `None` where it never answered.
    pub system: Option<SystemVariables>,
    /// What became of the requests.
    pub counts: Counts,
}

/// Asks the targets as `options` say, until that is done or `stop` is set. `progress` is told how it goes, and should return
/// at once.
///
/// # Errors
/// [`ProbeError`]: options that make no sense, no socket.
pub fn probe(
    options: &ProbeOptions,
    stop: &AtomicBool,
    mut progress: impl FnMut(ProbeProgress),
) -> Result<Probed, ProbeError> {
    options.check()?;
    let started = std::time::Instant::now();
    let (recorders, mut stage) = pipeline(2, RING, options.targets.len());
    let mut pollers = Vec::new();
    for (recorder, is_ipv4) in recorders.into_iter().zip([true, false]) {
        pollers.extend(options.poller(recorder, is_ipv4)?);
    }
    let sent = AtomicU64::new(0);
    let polled: Vec<Polled> = thread::scope(|scope| {
        let threads: Vec<_> =
            pollers.into_iter().map(|poller| scope.spawn(|| poller.run(started, stop, &sent))).collect();
        let mut told = started;
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            if stage.poll() == 0 {
                thread::sleep(STAGE_PAUSE);
            }
            if told.elapsed() >= TELL_EVERY {
                told = std::time::Instant::now();
                progress(ProbeProgress { sent: sent.load(Ordering::Relaxed), measured: stage.totals().exchanges });
            }
        }
        // A thread that panicked is a bug of ours, which has told of itself.
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    while stage.poll() > 0 {}
    Ok(Probed::new(options.targets.len(), &polled, &stage))
}

impl ProbeOptions {
    fn check(&self) -> Result<(), ProbeError> {
        match self.targets.len() {
            0 => return Err(ProbeError::NoTargets),
            count if count > MAX_TARGETS => return Err(ProbeError::TooManyTargets(count)),
            _ => {}
        }
        if self.interval < MIN_INTERVAL {
            return Err(ProbeError::Interval(self.interval));
        }
        let rate = self.requests_per_second;
        if rate > 0.0 && rate <= crate::MAX_REQUESTS_PER_SECOND { Ok(()) } else { Err(ProbeError::Rate(rate)) }
    }

    /// How long one round through all targets takes: the interval, or longer where the rate does not allow it.
    #[must_use]
    pub fn round(&self) -> Duration {
        let at_rate = Duration::try_from_secs_f64(self.targets.len() as f64 / self.requests_per_second);
        self.interval.max(at_rate.unwrap_or(Duration::MAX))
    }

    /// The one that asks all targets of one family, if there are any.
    fn poller(&self, recorder: Recorder, is_ipv4: bool) -> Result<Option<Poller>, ProbeError> {
        let numbered = (0..).zip(self.targets.iter().copied());
        let servers: Vec<_> = numbered.filter(|(_, address)| address.is_ipv4() == is_ipv4).collect();
        let Some((_, peer)) = servers.first().copied() else { return Ok(None) };
        let nanos = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let pace = Pace {
            gap_ns: (nanos(self.round()) / servers.len() as u64).max(1),
            rounds: match self.length {
                Length::Rounds(rounds) => Some(rounds),
                Length::Time(_) => None,
            },
            until_ns: match self.length {
                Length::Rounds(_) => u64::MAX,
                Length::Time(time) => nanos(time),
            },
            timeout_ns: nanos(self.timeout),
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Some(Poller::open(Fleet::new(servers, pace, 0, seed), peer.ip(), recorder)?))
    }
}

impl Probed {
    fn new(targets: usize, polled: &[Polled], stage: &Stage) -> Self {
        let mut hosts = vec![Host::default(); targets];
        for seen in polled.iter().flat_map(|polled| polled.fleet.seen()) {
            if let (Some(host), Some(measured)) = (hosts.get_mut(seen.number as usize), stage.target(seen.number)) {
                *host = Host { measured: measured.clone(), system: seen.system, counts: seen.counts };
            }
        }
        Self {
            hosts,
            totals: stage.totals().clone(),
            lost_records: stage.lost(),
            strangers: polled.iter().map(|polled| polled.fleet.strangers()).sum(),
            missed: polled.iter().map(|polled| polled.missed).sum(),
        }
    }
}
