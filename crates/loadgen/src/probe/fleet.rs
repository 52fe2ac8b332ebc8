//! Who is asked when, and what each answer was.

use core::net::SocketAddr;
use std::collections::HashMap;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sidereal_ntp::client::{Reply, ReplyError, Request};
use sidereal_ntp::{HEADER_LEN, Header, SystemVariables};
use sidereal_offsets::{Record, Stamps};
use sidereal_time::{Exchange, Instant, NtpTimestamp, StampSource, Utc};

/// A request that is this late puts off all that follow: to catch up in one burst would be no steady pace.
const LATEST_NS: u64 = 10_000_000;

/// When requests leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time from one request to the next, whomever they are for, in nanoseconds.
    pub gap_ns: u64,
    /// How often each is asked; without end where it is not given.
    pub rounds: Option<u64>,
    /// When the last request leaves, whatever `rounds` says, by the clock of [`Fleet::request`].
    pub until_ns: u64,
    /// How long an answer is waited for, in nanoseconds; at most until the next request to the same server.
    pub timeout_ns: u64,
}

/// The servers that one socket asks in turn. Pure: the time, the datagrams and their stamps come from the caller. A server has
/// one request outstanding at the most, and an answer is known by who sends it and by the random timestamp that it echoes.
#[derive(Debug)]
pub struct Fleet {
    servers: Vec<Server>,
    by_address: HashMap<SocketAddr, usize>,
    pace: Pace,
    random: ChaCha12Rng,
    /// The number of the next request, counted from 0.
    next: u64,
    due_ns: u64,
    /// When the last request left.
    last_ns: u64,
    /// How many servers have a request outstanding.
    waiting: usize,
    is_over: bool,
    strangers: u64,
}

/// One server.
#[derive(Debug)]
struct Server {
    number: u32,
    address: SocketAddr,
    state: State,
    /// The timestamp of the last request, and that of the one before.
    nonces: [NtpTimestamp; 2],
    /// Whether the request before the last was answered.
    was_answered: bool,
    /// Which request the last one is, among all.
    token: u64,
    sent_ns: u64,
    /// When the last request was given to the kernel.
    handed: Instant<Utc>,
    departed: Option<(Instant<Utc>, StampSource)>,
    /// The answer that waits for the stamp of its request.
    answer: Option<(Reply, Arrival)>,
    system: Option<SystemVariables>,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Never asked, or not reached the network.
    Unasked,
    Waiting,
    Answered,
    /// Asked us to go away.
    Unwelcome,
}

/// When a datagram came, by the system clock, and who says so.
pub type Arrival = (Instant<Utc>, StampSource);

/// A request to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What its TX stamp is known by.
    pub token: u64,
    /// Whom to.
    pub to: SocketAddr,
    /// The message.
    pub message: [u8; HEADER_LEN],
}

/// What a datagram was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer to the outstanding request, with times.
    Answer,
    /// An answer that says that its clock follows nothing, or has no time in it.
    Unsynchronised,
    /// A kiss code instead of times (RFC 5905 §7.4): this server is not asked again.
    Kiss,
    /// No NTP reply.
    Malformed,
    /// The answer to no request of ours.
    Bogus,
    /// A second answer to the same request.
    Duplicate,
    /// An answer after its time.
    Late,
    /// From an address that was never asked.
    Stranger,
}

/// What became of the requests to one server, and what else came from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that left.
    pub sent: u64,
    /// Requests that the kernel did not take: no route, a full device queue.
    pub unsent: u64,
    /// [`Outcome::Answer`].
    pub answered: u64,
    /// [`Outcome::Unsynchronised`].
    pub unsynchronised: u64,
    /// [`Outcome::Kiss`].
    pub kiss: u64,
    /// [`Outcome::Malformed`].
    pub malformed: u64,
    /// [`Outcome::Bogus`].
    pub bogus: u64,
    /// [`Outcome::Duplicate`].
    pub duplicate: u64,
    /// [`Outcome::Late`].
    pub late: u64,
}

impl Counts {
    /// Requests that left and were not answered in time.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.answered + self.unsynchronised + self.kiss)
    }
}

/// What is known of a server beside its offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its number in the pipeline.
    pub number: u32,
    /// What it last said of its clock.
    pub system: Option<SystemVariables>,
    /// What became of the requests.
    pub counts: Counts,
}

impl Fleet {
    /// The servers with these numbers and addresses, each address once, asked from `start_ns` on. `seed` decides the timestamps
    /// of all requests: whoever can guess it can forge answers.
    #[must_use]
    pub fn new(
        servers: impl IntoIterator<Item = (u32, SocketAddr)>,
        pace: Pace,
        start_ns: u64,
        seed: [u8; 32],
    ) -> Self {
        let servers: Vec<_> = servers.into_iter().map(|(number, address)| Server::new(number, address)).collect();
        let by_address = servers.iter().enumerate().map(|(place, server)| (server.address, place)).collect();
        Self {
            is_over: servers.is_empty() || pace.rounds == Some(0),
            servers,
            by_address,
            pace,
            random: ChaCha12Rng::from_seed(seed),
            next: 0,
            due_ns: start_ns,
            last_ns: start_ns,
            waiting: 0,
            strangers: 0,
        }
    }

    /// The next request, if one is due at `now_ns` of a clock that nobody steers; `now` is the same by the system clock.
    pub fn request(&mut self, now_ns: u64, now: Instant<Utc>) -> Option<Ask> {
        self.is_over |= now_ns >= self.pace.until_ns;
        while !self.is_over && now_ns >= self.due_ns {
            let count = self.servers.len() as u64;
            let (token, place) = (self.next, self.next % count);
            self.next += 1;
            self.is_over = self.pace.rounds.is_some_and(|rounds| self.next >= rounds.saturating_mul(count));
            let from_ns = if now_ns - self.due_ns > LATEST_NS { now_ns } else { self.due_ns };
            self.due_ns = from_ns + self.pace.gap_ns;
            let Some(server) = usize::try_from(place).ok().and_then(|place| self.servers.get_mut(place)) else { break };
            if server.state == State::Unwelcome {
                continue;
            }
            self.waiting += usize::from(server.state != State::Waiting);
            self.last_ns = now_ns;
            return Some(server.ask(token, self.random.next_u64(), now_ns, now));
        }
        None
    }

    /// The kernel did not take the request with `token`.
    pub fn unsent(&mut self, token: u64) {
        if let Some(server) = self.asked(token).filter(|server| server.state == State::Waiting) {
            server.counts.sent -= 1;
            server.counts.unsent += 1;
            server.state = State::Unasked;
            self.waiting -= 1;
        }
    }

    /// The stamp of the request with `token`; `None` where nobody took one, which leaves the time when it was handed to the
    /// kernel. The record of the exchange, where its answer has come already.
    pub fn departed(&mut self, token: u64, stamp: Option<(Instant<Utc>, StampSource)>) -> Option<Record> {
        let server = self.asked(token)?;
        server.departed = Some(stamp.unwrap_or((server.handed, StampSource::Software)));
        server.complete()
    }

    /// Judges a datagram. The record of the exchange, where it is an answer and the stamp of its request has come already.
    pub fn receive(
        &mut self,
        from: SocketAddr,
        message: &[u8],
        arrival: Arrival,
        now_ns: u64,
    ) -> (Outcome, Option<Record>) {
        let place = self.by_address.get(&from).copied();
        let Some(server) = place.and_then(|place| self.servers.get_mut(place)) else {
            self.strangers += 1;
            return (Outcome::Stranger, None);
        };
        let was_waiting = server.state == State::Waiting;
        let outcome = server.judge(message, arrival, now_ns.saturating_sub(server.sent_ns) > self.pace.timeout_ns);
        self.waiting -= usize::from(was_waiting && server.state != State::Waiting);
        server.counts.add(outcome);
        (outcome, server.complete())
    }

    /// Ends it: no request is due any more.
    pub const fn stop(&mut self) {
        self.is_over = true;
    }

    /// Whether all has been asked, and answered or given up.
    #[must_use]
    pub const fn is_done(&self, now_ns: u64) -> bool {
        self.is_over && (self.waiting == 0 || now_ns.saturating_sub(self.last_ns) > self.pace.timeout_ns)
    }

    /// How long until the next request is due or its time is up, in nanoseconds.
    #[must_use]
    pub fn until_due_ns(&self, now_ns: u64) -> u64 {
        if self.is_over { u64::MAX } else { self.due_ns.min(self.pace.until_ns).saturating_sub(now_ns) }
    }

    /// Datagrams from addresses that were never asked.
    #[must_use]
    pub const fn strangers(&self) -> u64 {
        self.strangers
    }

    /// What is known of each server.
    pub fn seen(&self) -> impl Iterator<Item = Seen> {
        self.servers.iter().map(|server| Seen { number: server.number, system: server.system, counts: server.counts })
    }

    /// The server whose last request has this token.
    fn asked(&mut self, token: u64) -> Option<&mut Server> {
        let place = token.checked_rem(self.servers.len() as u64)?;
        let server = self.servers.get_mut(usize::try_from(place).ok()?)?;
        (server.token == token && server.state != State::Unasked).then_some(server)
    }
}

impl Server {
    fn new(number: u32, address: SocketAddr) -> Self {
        Self {
            number,
            address,
            state: State::Unasked,
            nonces: [NtpTimestamp::UNKNOWN; 2],
            was_answered: false,
            token: 0,
            sent_ns: 0,
            handed: Instant::EPOCH,
            departed: None,
            answer: None,
            system: None,
            counts: Counts::default(),
        }
    }

    fn ask(&mut self, token: u64, random: u64, now_ns: u64, now: Instant<Utc>) -> Ask {
        let request = Request::basic(NtpTimestamp::from_bits(random));
        let [last, _] = self.nonces;
        self.nonces = [request.transmit, last];
        self.was_answered = self.state == State::Answered;
        self.state = State::Waiting;
        (self.token, self.sent_ns, self.handed) = (token, now_ns, now);
        (self.departed, self.answer) = (None, None);
        self.counts.sent += 1;
        let mut message = [0; HEADER_LEN];
        // 48 bytes are enough for a request without a key.
        let _ = request.write(None, &mut message);
        Ask { token, to: self.address, message }
    }

    fn judge(&mut self, message: &[u8], arrival: Arrival, is_late: bool) -> Outcome {
        let [last, before] = self.nonces;
        let Some(origin) = Header::of(message).map(Header::origin) else { return Outcome::Malformed };
        if !before.is_unknown() && origin == before {
            return if core::mem::replace(&mut self.was_answered, true) { Outcome::Duplicate } else { Outcome::Late };
        }
        if self.state == State::Unasked || origin != last {
            return Outcome::Bogus;
        }
        if self.state != State::Waiting {
            return Outcome::Duplicate;
        }
        let reply = match Request::basic(last).check(message, None) {
            Ok(reply) => Some(reply),
            Err(ReplyError::NoTime) => None,
            Err(ReplyError::Kiss(_) | ReplyError::UnknownKiss(_)) => {
                self.state = State::Unwelcome;
                return Outcome::Kiss;
            }
            Err(_) => return Outcome::Malformed,
        };
        self.state = State::Answered;
        if is_late {
            return Outcome::Late;
        }
        self.system = reply.map(|reply| reply.system).or(self.system);
        match reply.filter(Reply::is_synchronised) {
            None => Outcome::Unsynchronised,
            Some(reply) => {
                self.answer = Some((reply, arrival));
                Outcome::Answer
            }
        }
    }

    /// The record of the exchange, once all four times are known; each once.
    fn complete(&mut self) -> Option<Record> {
        let (t1, transmit) = self.departed?;
        let (reply, (t4, receive)) = self.answer.take()?;
        let exchange = Exchange { t1, t2: reply.receive.near(t1), t3: reply.transmit.near(t1), t4 };
        let remote_error = reply.system.root_delay.as_span().half() + reply.system.root_dispersion.as_span();
        Some(Record::new(self.number, &exchange, remote_error, Stamps { transmit, receive }))
    }
}

impl Counts {
    const fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Answer => &mut self.answered,
            Outcome::Unsynchronised => &mut self.unsynchronised,
            Outcome::Kiss => &mut self.kiss,
            Outcome::Malformed => &mut self.malformed,
            Outcome::Bogus => &mut self.bogus,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Late => &mut self.late,
            // Of no server.
            Outcome::Stranger => return,
        };
        *count += 1;
    }
}

#[cfg(test)]
mod tests;
