//! `sidereal query`: ask an NTP server for its time, or look for PTP masters.

mod exchange;
mod masters;
mod ptp;
mod report;

use clap::Args;
use sidereal_nic_kernel::ClientSocket;
use sidereal_ntp::client::{Reply, ReplyError};
use sidereal_ntp::{Key, KeyId, KeyTable};
use sidereal_time::{Counter, Instant, Stamp, StampSource, Utc};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use self::exchange::Series;
pub(super) use self::report::Document;
use self::report::{Answer, Outcome, Report};
use super::resolve::{Family, resolve};
use super::{Failure, length, print, print_json};
use crate::config::Length;
use crate::{leap, policy};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The server's name or address
    #[arg(required_unless_present = "interface")]
    host: Option<String>,
    /// Its UDP port
    #[arg(long, conflicts_with = "interface", default_value_t = 123, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How many requests are sent
    #[arg(long, value_name = "N", conflicts_with = "interface", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// The time between requests
    #[arg(long, value_name = "SECONDS", default_value = "1s", value_parser = length)]
    interval: Length,
    /// How long a reply is waited for
    #[arg(long, value_name = "SECONDS", conflicts_with = "interface", default_value = "1s", value_parser = length)]
    timeout: Length,
    /// The number of the key that request and reply are authenticated with
    #[arg(long, value_name = "ID", requires = "keys", conflicts_with = "interface", value_parser = clap::value_parser!(u32).range(1..))]
    key: Option<u32>,
    /// The file of keys, as chrony writes them
    #[arg(long, value_name = "FILE", requires = "key")]
    keys: Option<PathBuf>,
    /// Ask for the true transmit time of each reply in the next (RFC 9769)
    #[arg(long, conflicts_with = "interface")]
    interleaved: bool,
    /// Ask the server's IPv4 address
    #[arg(short = '4', long, conflicts_with_all = ["ipv6", "interface"])]
    ipv4: bool,
    /// Ask the server's IPv6 address
    #[arg(short = '6', long, conflicts_with = "interface")]
    ipv6: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    masters: masters::Search,
}

/// Room for a header, extension fields that a server might add, and the longest MAC.
const REPLY_MAX: usize = 1024;

pub(super) fn query(arguments: &Arguments) -> Result<(), Failure> {
    match (&arguments.host, &arguments.masters.interface) {
        (Some(host), _) => ask(host, arguments),
        (None, Some(interface)) => masters::query(interface, &arguments.masters, arguments.interval, arguments.json),
        (None, None) => Err(Failure::Usage("name a server, or an interface with --ptp".into())),
    }
}

/// Asks the NTP server `host`.
fn ask(host: &str, arguments: &Arguments) -> Result<(), Failure> {
    let keys = arguments.keys.as_deref().map(policy::read_keys).transpose()?.unwrap_or_default();
    let key = arguments.key.map(|number| find_key(&keys, number)).transpose()?;
    // An IPv6 address may stand in brackets, as in a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let family = Family::of(arguments.ipv4, arguments.ipv6);
    let server = resolve(bare, arguments.port, family).map_err(Failure::Failed)?;
    let mut asker = Asker::new(server, key, arguments)?;

    let mut report = Report {
        host: host.to_owned(),
        address: server.to_string(),
        sent: 0,
        usable: 0,
        best: None,
        exchanges: Vec::new(),
    };
    for number in 1..=arguments.count {
        if number > 1 {
            std::thread::sleep(arguments.interval.0);
        }
        report.sent = number;
        let (outcome, welcome) = match asker.ask() {
            Ok(answer) => (Outcome::Answer(answer), true),
            Err(reason) => (Outcome::Failure(reason.words), reason.welcome),
        };
        tell(arguments, format_args!("{server} {number}: {outcome}\n"))?;
        if let Outcome::Answer(answer) = &outcome
            && answer.synchronised
        {
            report.usable += 1;
            if report.best.as_ref().is_none_or(|best| answer.is_better_than(best)) {
                report.best = Some(answer.clone());
            }
        }
        report.exchanges.push(outcome);
        if !welcome {
            break;
        }
    }
    summarise(arguments, report)
}

fn summarise(arguments: &Arguments, report: Report) -> Result<(), Failure> {
    if let Some(best) = &report.best {
        tell(arguments, format_args!("{} best of {}: {best}\n", report.address, report.usable))?;
    }
    let failure = (report.usable == 0)
        .then(|| format!("no usable answer from {} ({}) to {} requests", report.host, report.address, report.sent));
    if arguments.json {
        print_json(&Document::Query(report))?;
    }
    match failure {
        None => Ok(()),
        Some(message) if arguments.json => {
            eprintln!("sidereal: {message}");
            Err(Failure::Told(ExitCode::FAILURE))
        }
        Some(message) => Err(Failure::Failed(message)),
    }
}

/// A line for people: beside the document, or in its place.
fn tell(arguments: &Arguments, line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    if arguments.json {
        eprint!("{line}");
        Ok(())
    } else {
        print(line)
    }
}

fn find_key(keys: &KeyTable, number: u32) -> Result<&Key, Failure> {
    KeyId::new(number)
        .and_then(|id| keys.get(id))
        .ok_or_else(|| Failure::Usage(format!("--key {number}: the file of keys has no key of this number")))
}

/// Asks one server, again and again.
struct Asker<'a> {
    server: SocketAddr,
    socket: ClientSocket,
    key: Option<&'a Key>,
    timeout: Duration,
    series: Series,
}

/// Why a request brought no answer.
struct Reason {
    words: String,
    /// Whether the server may be asked again.
    welcome: bool,
}

impl Reason {
    fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), welcome: true }
    }
}

impl<'a> Asker<'a> {
    fn new(server: SocketAddr, key: Option<&'a Key>, arguments: &Arguments) -> Result<Self, Failure> {
        let socket = ClientSocket::connect(server).map_err(|error| Failure::Failed(error.to_string()))?;
        let series = Series::new(arguments.interleaved);
        Ok(Self { server, socket, key, timeout: arguments.timeout.0, series })
    }

    fn ask(&mut self) -> Result<Answer, Reason> {
        let answered = self.exchange();
        if answered.is_err() {
            self.series.lost();
        }
        answered
    }

    fn exchange(&mut self) -> Result<Answer, Reason> {
        let request = self.series.request(nonces()?);
        let mut buffer = [0; REPLY_MAX];
        let len = request.write(self.key, &mut buffer).ok_or_else(|| Reason::new("the key's MAC does not fit"))?;
        let failed = |what, error| Reason::new(format!("cannot {what}: {error}"));
        let sending = leap::now();
        let stamp =
            self.socket.send(buffer.get_mut(..len).unwrap_or_default()).map_err(|error| failed("send", error))?;
        let (t1, t1_source) = instant(stamp).unwrap_or((sending, StampSource::Software));

        let deadline = std::time::Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let received = self.socket.receive(&mut buffer, left).map_err(|error| failed("receive", error))?;
            let arrived = leap::now();
            let Some(received) = received else {
                return Err(Reason::new(format!("no reply within {}", humantime::format_duration(self.timeout))));
            };
            let (t4, t4_source) = instant(received.stamp).unwrap_or((arrived, StampSource::Software));
            match request.check(buffer.get(..received.len).unwrap_or_default(), self.key) {
                // Late or repeated: the one that is waited for may still come.
                Err(ReplyError::Bogus) => {}
                Err(error) => return Err(self.refused(&error)),
                Ok(reply) => return self.answer(&reply, (t1, t1_source), (t4, t4_source)),
            }
        }
    }

    fn answer(
        &mut self,
        reply: &Reply,
        (t1, t1_source): (Instant<Utc>, StampSource),
        (t4, t4_source): (Instant<Utc>, StampSource),
    ) -> Result<Answer, Reason> {
        let measured = self.series.reply(reply, t1, t4);
        let measured = measured.ok_or_else(|| Reason::new("an interleaved reply to the first request"))?;
        Ok(Answer::new(reply, &measured, self.key.is_some(), [t1_source, t4_source]))
    }

    fn refused(&self, error: &ReplyError) -> Reason {
        let welcome = !matches!(error, ReplyError::Kiss(_) | ReplyError::UnknownKiss(_));
        let advice = if welcome { String::new() } else { format!(": {} does not want to be asked", self.server.ip()) };
        Reason { words: format!("{error}{advice}"), welcome }
    }
}

fn nonces() -> Result<[u64; 2], Reason> {
    let random = || getrandom::u64().map_err(|error| Reason::new(format!("no random numbers: {error}")));
    Ok([random()?, random()?])
}

/// The instant of a stamp of the kernel, which counts nanoseconds of CLOCK_REALTIME.
fn instant(stamp: Option<Stamp>) -> Option<(Instant<Utc>, StampSource)> {
    let stamp = stamp.filter(|stamp| stamp.counter == Counter::Realtime)?;
    Some((Instant::from_nanos(stamp.ticks.0.into()), stamp.source))
}
