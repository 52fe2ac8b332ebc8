//! A name and the addresses it stands for: asked for, and asked for again.

use core::net::SocketAddr;

use sidereal_time::{LocalClock, Span, Ticks};

/// How long to wait before a name is asked for again: twice as long after each failure.
const FIRST_RETRY: Span = Span::from_secs(2);
/// At most so many doublings: 34 minutes.
const MAX_DOUBLINGS: u32 = 10;
/// How long to wait at least before a name that could be resolved is asked for again: twice as long each time that nothing new
/// came of it.
const REFRESH: Span = Span::from_secs(64);
/// At most so many doublings: 34 minutes.
const MAX_FRUITLESS: u32 = 5;
/// Addresses that are kept of a name; there is no need for more.
pub(crate) const MAX_ADDRESSES: usize = 64;

/// The resolution of one name.
#[derive(Debug, Clone)]
pub(crate) struct Resolution {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// What it stood for when it was last asked for, those aside that have been taken.
    addresses: Vec<SocketAddr>,
    failures: u32,
    /// How often in a row none of its addresses was of use.
    fruitless: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody wants an address; it may be asked for again from this time on.
    Idle { from: Ticks },
    /// Somebody does.
    Wanted { from: Ticks },
    /// It has been asked for, and nobody has answered.
    Asked,
}

impl Resolution {
    pub(crate) fn new(name: &str, port: u16, now: Ticks) -> Self {
        Self {
            name: name.to_owned(),
            port,
            addresses: Vec::new(),
            failures: 0,
            fruitless: 0,
            state: State::Wanted { from: now },
        }
    }

    /// The next address for which `wanted` is true. Where there is none, the name will be asked for.
    pub(crate) fn take(&mut self, mut wanted: impl FnMut(&SocketAddr) -> bool) -> Option<SocketAddr> {
        while !self.addresses.is_empty() {
            let address = self.addresses.remove(0);
            if wanted(&address) {
                self.fruitless = 0;
                return Some(address);
            }
        }
        if let State::Idle { from } = self.state {
            self.state = State::Wanted { from };
        }
        None
    }

    /// The name stands for these.
    pub(crate) fn resolved(&mut self, mut addresses: Vec<SocketAddr>, local: &LocalClock, now: Ticks) {
        addresses.truncate(MAX_ADDRESSES);
        self.addresses = addresses;
        self.failures = 0;
        let wait = REFRESH.units() << self.fruitless.min(MAX_FRUITLESS);
        self.fruitless = self.fruitless.saturating_add(1);
        self.state = State::Idle { from: local.later(now, Span::from_units(wait)) };
    }

    /// The name could not be resolved; says whether that is new.
    pub(crate) fn failed(&mut self, local: &LocalClock, now: Ticks) -> bool {
        let wait = FIRST_RETRY.units() << self.failures.min(MAX_DOUBLINGS);
        self.state = State::Wanted { from: local.later(now, Span::from_units(wait)) };
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }

    /// Whether it is to be asked for now. It is then held to be asked for until there is an answer: however long that takes,
    /// no second one is wanted.
    pub(crate) fn ask(&mut self, local: &LocalClock, now: Ticks) -> bool {
        let due = matches!(self.state, State::Wanted { from } if local.passed(from, now) >= Span::ZERO);
        if due {
            self.state = State::Asked;
        }
        due
    }

    /// When it is to be asked for.
    pub(crate) fn poll_timeout(&self) -> Option<Ticks> {
        match self.state {
            State::Wanted { from } => Some(from),
            State::Idle { .. } | State::Asked => None,
        }
    }

    /// How things stand, for those who wait for an address.
    pub(crate) fn words(&self) -> String {
        match self.state {
            State::Asked => format!("the addresses of {} are being asked for", self.name),
            _ if self.failures > 0 => {
                format!("{} cannot be resolved ({} times); asking again", self.name, self.failures)
            }
            _ => format!("{} has no other address that can be used; asking again", self.name),
        }
    }

    /// The counter was set back.
    pub(crate) fn counter_reset(&mut self, now: Ticks) {
        self.state = match self.state {
            State::Idle { .. } => State::Idle { from: now },
            State::Wanted { .. } => State::Wanted { from: now },
            State::Asked => State::Asked,
        };
    }
}
