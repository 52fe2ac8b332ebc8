//! The thread that sends and receives.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sidereal_nic_kernel::packet::{FRAME_BYTES, Filter, PacketSocket};
use sidereal_wire::build::UdpFrame;
use sidereal_wire::{Checksums, check, classify};

use crate::exchanges::REQUEST_LEN;
use crate::{
    Exchanges, Highest, LoadError, LoadOptions, LoadReport, MacAddress, Mode, Plan, Progress, Ramp, RunReport, SCHEMA,
    Step,
};
use crate::{delay, neighbour};

/// Frames fetched at once, so that sending is never late for long.
const RECEIVE_LIMIT: usize = 64;
/// How long answers are waited for after the last request.
const DRAIN: Duration = Duration::from_millis(100);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// A request that is this late is not sent any more: to catch up in one burst would be a load that nobody asked for.
const LATEST: Duration = Duration::from_millis(1);
/// The share of the asked rate that must have left for a step of a ramp to count.
const PUNCTUAL: f64 = 0.97;

/// Loads the target as `options` say. `progress` is told how it goes, between bursts: it should return at once.
///
/// # Errors
/// [`LoadError`]: options that make no sense, an unknown MAC address, no packet socket, an interface that goes down.
pub fn run(options: &LoadOptions, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
    let clients = options.check()?;
    let target_mac = match options.target_mac {
        Some(mac) => mac,
        None => neighbour::resolve(&options.interface, options.target.ip())?,
    };
    if let Some(core) = options.core {
        sidereal_cpu::pin(core)?;
    }
    let answers_from = match options.mode {
        Mode::Basic | Mode::Interleaved => options.target,
        Mode::DelayReq => delay::answers_from(options.target),
    };
    let source_port = answers_from.port();
    let filter = match options.target.ip() {
        IpAddr::V4(_) => Filter::UdpOverIpv4 { source_port },
        IpAddr::V6(_) => Filter::UdpOverIpv6 { source_port },
    };
    let socket = PacketSocket::open(&options.interface, filter)?;
    let MacAddress(source_mac) = options.source_mac.unwrap_or(MacAddress(socket.mac()));
    let generator = Generator {
        socket,
        exchanges: Exchanges::new(clients, options.mode, fastrand::u64(..)),
        source_mac,
        target_mac: target_mac.0,
        target: options.target,
        answers_from,
        run: 0,
        progress,
    };
    generator.follow(options)
}

struct Generator<P> {
    socket: PacketSocket,
    exchanges: Exchanges,
    source_mac: [u8; 6],
    target_mac: [u8; 6],
    target: SocketAddr,
    answers_from: SocketAddr,
    run: u32,
    progress: P,
}

impl<P: FnMut(&Progress)> Generator<P> {
    fn follow(mut self, options: &LoadOptions) -> Result<LoadReport, LoadError> {
        let mut report = LoadReport {
            schema: SCHEMA,
            target: options.target.to_string(),
            clients: options.clients,
            mode: options.mode,
            runs: Vec::new(),
            highest: None,
            half: None,
        };
        match options.plan {
            Plan::Rate { requests_per_second, duration } => {
                report.runs.push(self.run(Some(requests_per_second), duration)?);
            }
            Plan::Flood { duration } => report.runs.push(self.run(None, duration)?),
            Plan::Ramp { start, maximum, loss_limit, step } => {
                let mut ramp = Ramp::new(start, maximum);
                let mut answered: f64 = 0.0;
                while let Some(rate) = ramp.next() {
                    let run = self.run(Some(rate), step)?;
                    let verdict = verdict(&run, rate, loss_limit);
                    if verdict == Step::Passed {
                        answered = answered.max(run.received_per_second);
                    }
                    ramp.record(verdict);
                    report.runs.push(run);
                }
                if let Some((rate, limited_by)) = ramp.highest() {
                    report.highest = Some(Highest { requests_per_second: answered, limited_by });
                    report.half = Some(self.run(Some(rate / 2.0), step)?);
                }
            }
        }
        Ok(report)
    }

    /// One run: requests for `duration`, then a moment for the last answers.
    fn run(&mut self, rate: Option<f64>, duration: Duration) -> Result<RunReport, LoadError> {
        self.run += 1;
        self.exchanges.restart();
        let missed_before = self.socket.missed();
        let (mut told, mut elapsed) = (Duration::ZERO, Duration::ZERO);
        // Up to where the requests that are due have been dealt with, and how many of them were given up.
        let (mut done, mut skipped) = (0, 0);
        let start = Instant::now();
        while elapsed < duration {
            if let Some(rate) = rate {
                let too_late = due(rate, elapsed.saturating_sub(LATEST)).saturating_sub(done);
                skipped += too_late;
                done += too_late;
            }
            let wanted = rate.map_or(u64::MAX, |rate| due(rate, elapsed).saturating_sub(done));
            done += self.send(wanted)?;
            self.receive();
            elapsed = start.elapsed();
            if elapsed >= told + TELL_EVERY {
                told = elapsed;
                self.tell(rate, elapsed, false);
            }
        }
        while start.elapsed() < elapsed + DRAIN && self.exchanges.received() < self.exchanges.sent() {
            self.send(0)?;
            self.receive();
        }
        self.tell(rate, elapsed, true);
        let missed = self.socket.missed() - missed_before;
        Ok(report(&self.exchanges, rate, elapsed, skipped, missed))
    }

    /// Sends what an earlier burst left over and, up to a whole burst, `due` requests. Returns how many left.
    fn send(&mut self, due: u64) -> Result<u64, LoadError> {
        let now_ns = realtime_ns();
        let Self { socket, exchanges, source_mac, target_mac, target, .. } = self;
        for _ in 0..due {
            let has_room = socket.push(|frame: &mut [u8; FRAME_BYTES]| {
                let mut request = [0; REQUEST_LEN];
                let (source, len) = exchanges.request(now_ns, &mut request);
                let header =
                    UdpFrame { source_mac: *source_mac, destination_mac: *target_mac, source, destination: *target };
                header.write(request.get(..len).unwrap_or_default(), frame)
            });
            if !has_room {
                break;
            }
        }
        Ok(socket.flush()? as u64)
    }

    fn receive(&mut self) {
        let Self { socket, exchanges, answers_from, .. } = self;
        socket.receive(RECEIVE_LIMIT, |frame, at_ns| {
            let Some(headers) = classify(frame) else { return };
            let from = SocketAddr::new(headers.source, headers.source_port);
            // Frames of a sender on this host may have checksums that are left to a card.
            if from == *answers_from && check(frame, &headers, Checksums::AlreadyGood).is_ok() {
                let to = SocketAddr::new(headers.destination, headers.destination_port);
                exchanges.reply(to, frame.get(headers.payload()).unwrap_or_default(), at_ns);
            }
        });
    }

    fn tell(&mut self, rate: Option<f64>, elapsed: Duration, finished: bool) {
        (self.progress)(&Progress {
            run: self.run,
            asked_per_second: rate,
            elapsed_s: elapsed.as_secs_f64(),
            sent: self.exchanges.sent(),
            received: self.exchanges.received(),
            finished,
        });
    }
}

/// How many requests should have left by now.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and times are positive and bounded")]
fn due(rate: f64, elapsed: Duration) -> u64 {
    (rate * elapsed.as_secs_f64()) as u64
}

/// The clock that the kernel's stamps are of.
fn realtime_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn verdict(run: &RunReport, rate: f64, loss_limit: f64) -> Step {
    if run.loss > loss_limit {
        Step::Lost
    } else if run.sent_per_second < rate * PUNCTUAL {
        Step::Late
    } else {
        Step::Passed
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn report(exchanges: &Exchanges, rate: Option<f64>, elapsed: Duration, skipped: u64, missed: u64) -> RunReport {
    let (sent, received) = (exchanges.sent(), exchanges.received());
    let seconds = elapsed.as_secs_f64();
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    RunReport {
        asked_per_second: rate,
        seconds,
        sent,
        received,
        sent_per_second: sent as f64 / seconds,
        received_per_second: received as f64 / seconds,
        loss: share(sent - received.min(sent), sent),
        interleaved: share(exchanges.interleaved(), received),
        wrong: exchanges.wrong(),
        skipped,
        missed,
        round_trip_us: exchanges.round_trip(),
    }
}
