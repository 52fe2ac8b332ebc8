//! Names to addresses, off the engine's thread: the system's resolver may take as long as it likes, or for ever.

use sidereal_engine::{Event, SourceId};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// Lookups at a time, a thread each. One that hangs keeps its place, and the others go on.
const LOOKUPS_MAX: usize = 4;
/// Lookups that wait for a place; those beyond fail at once, and are asked for again.
const QUEUE_MAX: usize = 256;
/// How long an answer is waited for before it counts as failed. When it comes later, it still counts.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often answers are looked for while a lookup runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Addresses of one name that are taken over.
const ADDRESSES_MAX: usize = 64;

/// What the system's resolver does.
type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Asks the system's resolver. Without names there is no thread.
pub(super) struct Resolver {
    lookup: Arc<Lookup>,
    running: Vec<Running>,
    waiting: VecDeque<Question>,
    failed: Vec<SourceId>,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
}

/// The addresses of a name, or none where it could not be resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) source: SourceId,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Resolved {
    /// As the engine is told.
    pub(super) fn event(self) -> Event<'static> {
        let Self { source, addresses } = self;
        if addresses.is_empty() { Event::ResolveFailed { source } } else { Event::Resolved { source, addresses } }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    name: String,
    port: u16,
}

#[derive(Debug)]
struct Question {
    name: Name,
    source: SourceId,
}

/// A lookup that runs.
#[derive(Debug)]
struct Running {
    name: Name,
    since: Instant,
    /// Who waits for it. Nobody, once it has taken too long.
    asked_by: Vec<SourceId>,
}

#[derive(Debug)]
struct Answer {
    name: Name,
    addresses: io::Result<Vec<SocketAddr>>,
}

impl Resolver {
    /// The system's resolver.
    pub(super) fn system() -> Self {
        Self::new(|name, port| (name, port).to_socket_addrs().map(Iterator::collect))
    }

    fn new(lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        let (answer, answers) = mpsc::channel();
        Self {
            lookup: Arc::new(lookup),
            running: Vec::new(),
            waiting: VecDeque::new(),
            failed: Vec::new(),
            answers,
            answer,
        }
    }

    /// Asks for the addresses of `name` on behalf of `source`; [`Self::poll`] gives them, once.
    pub(super) fn ask(&mut self, source: SourceId, name: String, port: u16) {
        if self.waiting.len() < QUEUE_MAX {
            self.waiting.push_back(Question { name: Name { name, port }, source });
        } else {
            self.failed.push(source);
        }
    }

    /// How long nothing needs to be done here.
    pub(super) fn idle(&self) -> Duration {
        let idle = self.running.is_empty() && self.waiting.is_empty() && self.failed.is_empty();
        if idle { Duration::MAX } else { LOOK_EVERY }
    }

    /// What has been found out, and what has taken too long.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Resolved> {
        let mut resolved = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            resolved.extend(self.answered(answer));
        }
        for running in &mut self.running {
            if now.saturating_duration_since(running.since) > PATIENCE && !running.asked_by.is_empty() {
                warn!("the name {} has not been resolved in {} s", running.name.name, PATIENCE.as_secs());
                self.failed.append(&mut running.asked_by);
            }
        }
        self.start(now);
        let failed = self.failed.drain(..);
        resolved.extend(failed.map(|source| Resolved { source, addresses: Vec::new() }));
        resolved
    }

    fn answered(&mut self, answer: Answer) -> Vec<Resolved> {
        let place = self.running.iter().position(|running| running.name == answer.name);
        let asked_by = place.map(|place| self.running.swap_remove(place).asked_by).unwrap_or_default();
        let addresses = match answer.addresses {
            Ok(addresses) => distinct(addresses),
            Err(error) => {
                debug!("the name {}: {error}", answer.name.name);
                Vec::new()
            }
        };
        asked_by.into_iter().map(|source| Resolved { source, addresses: addresses.clone() }).collect()
    }

    /// Starts what waits, as far as there are places. Who asks for what is being looked up waits for that.
    fn start(&mut self, now: Instant) {
        for Question { name, source } in std::mem::take(&mut self.waiting) {
            if let Some(running) = self.running.iter_mut().find(|running| running.name == name) {
                if running.asked_by.is_empty() {
                    running.since = now;
                }
                running.asked_by.push(source);
            } else if self.running.len() == LOOKUPS_MAX {
                self.waiting.push_back(Question { name, source });
            } else if self.spawn(name.clone()) {
                self.running.push(Running { name, since: now, asked_by: vec![source] });
            } else {
                self.failed.push(source);
            }
        }
    }

    fn spawn(&self, name: Name) -> bool {
        let (lookup, answer) = (Arc::clone(&self.lookup), self.answer.clone());
        let look_up = move || {
            let addresses = lookup(&name.name, name.port);
            // Nobody hears it any more where the program ends.
            let _ = answer.send(Answer { name, addresses });
        };
        let spawned = thread::Builder::new().name("sd-resolver".into()).spawn(look_up);
        if let Err(error) = &spawned {
            warn!(%error, "cannot start the thread that resolves names");
        }
        spawned.is_ok()
    }
}

/// Each address once, in the order of the resolver, which puts the best first (RFC 6724).
fn distinct(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) && distinct.len() < ADDRESSES_MAX {
            distinct.push(address);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn answer_of(resolver: &mut Resolver, now: impl Fn() -> Instant) -> Resolved {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(resolved) = resolver.poll(now()).pop() {
                return resolved;
            }
            assert!(Instant::now() < end, "no answer");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn answers_come_to_who_asked_and_failures_too() {
        let mut resolver = Resolver::new(|name, port| match name {
            "good" => Ok(vec![SocketAddr::from(([192, 0, 2, 1], port)); 3]),
            _ => Err(io::Error::other("no such name")),
        });
        assert_eq!(resolver.idle(), Duration::MAX);
        resolver.ask(SourceId(3), "good".into(), 123);
        assert_eq!(resolver.idle(), LOOK_EVERY);
        let resolved = answer_of(&mut resolver, Instant::now);
        assert_eq!(resolved, Resolved { source: SourceId(3), addresses: vec![address("192.0.2.1:123")] });
        resolver.ask(SourceId(4), "bad".into(), 123);
        let resolved = answer_of(&mut resolver, Instant::now);
        assert_eq!(resolved, Resolved { source: SourceId(4), addresses: Vec::new() });
        assert_eq!(resolver.idle(), Duration::MAX);
    }

    #[test]
    fn addresses_need_no_server() {
        let mut resolver = Resolver::system();
        resolver.ask(SourceId(1), "192.0.2.7".into(), 124);
        assert_eq!(answer_of(&mut resolver, Instant::now).addresses, [address("192.0.2.7:124")]);
    }

    #[test]
    fn what_hangs_fails_keeps_its_place_and_still_counts_when_it_comes() {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let mut resolver = Resolver::new(move |name, port| {
            if name == "hangs" {
                let _ = released.lock().unwrap().recv();
            }
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
        });
        let start = Instant::now();
        resolver.ask(SourceId(1), "hangs".into(), 123);
        resolver.ask(SourceId(2), "hangs".into(), 123);
        assert_eq!(resolver.poll(start), []);
        // Others are answered meanwhile.
        resolver.ask(SourceId(3), "good".into(), 123);
        assert_eq!(answer_of(&mut resolver, || start).source, SourceId(3));
        let late = start + PATIENCE + Duration::from_secs(1);
        let failed = resolver.poll(late);
        assert_eq!(failed.iter().map(|resolved| resolved.source).collect::<Vec<_>>(), [SourceId(1), SourceId(2)]);
        assert!(failed.iter().all(|resolved| resolved.addresses.is_empty()));
        // Asked again, it takes no second thread, and hears the late answer.
        resolver.ask(SourceId(1), "hangs".into(), 123);
        assert_eq!(resolver.poll(late), []);
        assert_eq!(resolver.running.len(), 1);
        release.send(()).unwrap();
        let resolved = answer_of(&mut resolver, || late);
        assert_eq!((resolved.source, resolved.addresses.len()), (SourceId(1), 1));
    }

    #[test]
    fn threads_and_questions_are_bounded() {
        let (_release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let mut resolver = Resolver::new(move |_, _| {
            let _ = released.lock().map(|released| released.recv());
            Ok(Vec::new())
        });
        let now = Instant::now();
        for number in 0..1000_u16 {
            resolver.ask(SourceId(number), format!("name{number}"), 123);
        }
        assert_eq!(resolver.poll(now).len(), 1000 - QUEUE_MAX);
        assert_eq!((resolver.running.len(), resolver.waiting.len()), (LOOKUPS_MAX, QUEUE_MAX - LOOKUPS_MAX));
    }
}
