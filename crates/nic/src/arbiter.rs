//! Who may use the one latch for TX stamps that most NICs have.
//!
//! The latch keeps one stamp, and says nothing of whose it is. So one packet at a time is under way that asks for one, stale stamps are
//! taken out before it is handed over, and a stamp that does not come in time is waited for a while longer: it must not be
//! taken for that of the next packet. Nothing here waits: the owner of the queue asks [`TxArbiter::look`] and
//! [`TxArbiter::next`] each turn, and gives a function that reads the latch, which is called only where that is due.

use arrayvec::ArrayVec;
use sidereal_time::{Rate, Span, StampPriority, Ticks, TxToken};

/// Frames that wait for the latch. Where one more comes, the least of them goes without a stamp.
pub const WAITING: usize = 16;

/// How long a stamp is waited for, from when its packet was handed over.
const PATIENCE: Span = Span::from_nanos(20_000_000);
/// How long one that has not come is kept from being taken for another's, after that.
const DRAIN: Span = Span::from_nanos(20_000_000);
/// How long a frame waits for the latch before it goes without a stamp: a bound for what is low of priority.
const LONGEST_WAIT: Span = Span::from_nanos(200_000_000);
/// How soon the latch is looked at first, and how seldom later: a look is a read across a bus.
const FIRST_LOOK: Span = Span::from_nanos(2_000);
const SELDOM: Span = Span::from_nanos(200_000);
/// How often the latch is read to find it empty, before a packet is handed over: more stamps than that are in no NIC.
const FLUSHES: usize = 8;

/// The arbiter of one latch. `F` is a frame that waits, in whatever form its queue keeps it.
#[derive(Debug)]
pub struct TxArbiter<F> {
    state: State,
    waiting: ArrayVec<Waiting<F>, WAITING>,
    /// What the latch said last.
    last: Option<Ticks>,
    rate: Rate,
    counts: LatchCounts,
}

#[derive(Debug)]
enum State {
    Idle,
    /// A packet was handed over that asks for a stamp.
    InFlight {
        token: TxToken,
        since: Ticks,
        look: Ticks,
    },
    /// A stamp did not come in time, and may still.
    Draining {
        since: Ticks,
        look: Ticks,
    },
}

#[derive(Debug)]
struct Waiting<F> {
    frame: F,
    token: TxToken,
    since: Ticks,
}

/// What is to be done with a frame that has waited.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<F> {
    /// It has the latch: hand it over, asking for a stamp, or say [`TxArbiter::withdraw`] where the port does not take it.
    Stamped(F),
    /// It has waited too long: hand it over without asking; its token is lost.
    Unstamped(F, TxToken),
}

/// What has become of packets that asked for a stamp, and of stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatchCounts {
    /// Stamps that came in time.
    pub stamped: u64,
    /// Packets whose stamp did not come in time.
    pub lost: u64,
    /// Stamps that came after that.
    pub late: u64,
    /// Stamps that were in the latch although nobody had asked.
    pub stale: u64,
    /// Answers that were those of the packet before, bit for bit: the latch is stuck.
    pub stuck: u64,
    /// Packets that cannot wait and found the latch taken.
    pub busy: u64,
    /// Frames that gave up their place to one of higher priority, or found no place.
    pub displaced: u64,
    /// Frames that have waited too long.
    pub expired: u64,
}

impl LatchCounts {
    /// All of them, by the names that `status` shows.
    #[must_use]
    pub const fn by_name(&self) -> [(&'static str, u64); 8] {
        [
            ("tx_latch_stamped", self.stamped),
            ("tx_latch_lost", self.lost),
            ("tx_latch_late", self.late),
            ("tx_latch_stale", self.stale),
            ("tx_latch_stuck", self.stuck),
            ("tx_latch_busy", self.busy),
            ("tx_latch_displaced", self.displaced),
            ("tx_latch_expired", self.expired),
        ]
    }
}

impl<F> TxArbiter<F> {
    /// The arbiter of an idle latch. The counter that `now` is told by has ticks of the length `rate`.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        let counts =
            LatchCounts { stamped: 0, lost: 0, late: 0, stale: 0, stuck: 0, busy: 0, displaced: 0, expired: 0 };
        Self { state: State::Idle, waiting: ArrayVec::new_const(), last: None, rate, counts }
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counts(&self) -> LatchCounts {
        self.counts
    }

    /// Whether a packet may be handed over now that asks for a stamp.
    #[must_use]
    pub fn is_free(&self) -> bool {
        matches!(self.state, State::Idle) && self.waiting.is_empty()
    }

    /// Gives the latch to a packet that is handed over right after this, asking for a stamp. Where the port does not take it:
    /// [`Self::withdraw`].
    ///
    /// # Errors
    /// The token, where the latch is taken or waited for: the packet goes without a stamp.
    pub fn claim(&mut self, token: TxToken, now: Ticks, latch: impl FnMut() -> Option<Ticks>) -> Result<(), TxToken> {
        if !self.is_free() {
            self.counts.busy += 1;
            return Err(token);
        }
        self.take(token, now, latch);
        Ok(())
    }

    /// Has a frame wait for the latch. Returns the frame that has to go without a stamp for it, where there is no more room:
    /// the newest of the least priority, which may be this one.
    pub fn wait(&mut self, frame: F, token: TxToken, now: Ticks) -> Option<(F, TxToken)> {
        let mut pushed_out = None;
        if self.waiting.is_full() {
            self.counts.displaced += 1;
            let least = self.place_of_least();
            match least.filter(|(_, priority)| *priority < token.priority()) {
                Some((place, _)) => pushed_out = self.waiting.pop_at(place).map(|out| (out.frame, out.token)),
                None => return Some((frame, token)),
            }
        }
        // There is room: one was taken out where there was none.
        let _ = self.waiting.try_push(Waiting { frame, token, since: now });
        pushed_out
    }

    /// The next frame that has waited and is to be handed over, if any.
    pub fn next(&mut self, now: Ticks, latch: impl FnMut() -> Option<Ticks>) -> Option<Next<F>> {
        if self.waiting.is_empty() {
            return None;
        }
        let expired = self.waiting.iter().position(|waiting| self.passed(waiting.since, now) > LONGEST_WAIT);
        if let Some(Waiting { frame, token, .. }) = expired.and_then(|place| self.waiting.pop_at(place)) {
            self.counts.expired += 1;
            return Some(Next::Unstamped(frame, token));
        }
        if !matches!(self.state, State::Idle) {
            return None;
        }
        let Waiting { frame, token, .. } = self.place_of_greatest().and_then(|place| self.waiting.pop_at(place))?;
        self.take(token, now, latch);
        Some(Next::Stamped(frame))
    }

    /// Takes the latch back from the packet that has it, which was not handed over after all.
    pub fn withdraw(&mut self) -> Option<TxToken> {
        if !matches!(self.state, State::InFlight { .. }) {
            return None;
        }
        match core::mem::replace(&mut self.state, State::Idle) {
            State::InFlight { token, .. } => Some(token),
            State::Idle | State::Draining { .. } => None,
        }
    }

    /// Looks at the latch, where that is due. Returns the packet that is answered, with where the NIC's clock stood as it left;
    /// with nothing, where that did not come in time.
    pub fn look(&mut self, now: Ticks, mut latch: impl FnMut() -> Option<Ticks>) -> Option<(TxToken, Option<Ticks>)> {
        let (State::InFlight { since, look, .. } | State::Draining { since, look }) = &mut self.state else {
            return None;
        };
        let due = now.0.wrapping_sub(look.0).cast_signed() >= 0;
        if !due {
            return None;
        }
        let waited = self.rate.span(now.0.wrapping_sub(since.0).cast_signed());
        *look = later(now, waited.half().clamp(FIRST_LOOK, SELDOM), self.rate);
        let found = latch();
        if matches!(self.state, State::Draining { .. }) {
            self.drained(found, waited);
            return None;
        }
        let is_stuck = found.is_some() && found == self.last;
        self.counts.stuck += u64::from(is_stuck);
        match found.filter(|_| !is_stuck) {
            Some(stamp) => {
                self.last = Some(stamp);
                self.counts.stamped += 1;
                Some((self.withdraw()?, Some(stamp)))
            }
            None if waited > PATIENCE => {
                self.counts.lost += 1;
                let token = self.withdraw()?;
                self.state = State::Draining { since: now, look: now };
                Some((token, None))
            }
            None => None,
        }
    }

    /// Takes everything back, where the port is gone: the tokens are lost, the frames go nowhere. Call it until it returns
    /// nothing.
    pub fn abandon(&mut self) -> Option<(Option<F>, TxToken)> {
        if let Some(token) = self.withdraw() {
            return Some((None, token));
        }
        self.state = State::Idle;
        self.last = None;
        self.waiting.pop_at(0).map(|waiting| (Some(waiting.frame), waiting.token))
    }

    /// What was found in the latch so long after a stamp was given up.
    fn drained(&mut self, found: Option<Ticks>, waited: Span) {
        if found.is_some() && found != self.last {
            self.last = found;
            self.counts.late += 1;
            self.state = State::Idle;
        } else if waited > DRAIN {
            self.state = State::Idle;
        }
    }

    /// Empties the latch and gives it to a packet.
    fn take(&mut self, token: TxToken, now: Ticks, mut latch: impl FnMut() -> Option<Ticks>) {
        for _ in 0..FLUSHES {
            let Some(stale) = latch() else { break };
            if self.last.replace(stale) == Some(stale) {
                // It shows the same again and again: nothing can be taken out of it.
                break;
            }
            self.counts.stale += 1;
        }
        self.state = State::InFlight { token, since: now, look: later(now, FIRST_LOOK, self.rate) };
    }

    fn passed(&self, from: Ticks, to: Ticks) -> Span {
        self.rate.span(to.0.wrapping_sub(from.0).cast_signed())
    }

    /// The oldest of those with the highest priority.
    fn place_of_greatest(&self) -> Option<usize> {
        StampPriority::ALL
            .iter()
            .rev()
            .find_map(|priority| self.waiting.iter().position(|waiting| waiting.token.priority() == *priority))
    }

    /// The newest of those with the lowest priority.
    fn place_of_least(&self) -> Option<(usize, StampPriority)> {
        StampPriority::ALL.iter().find_map(|priority| {
            let place = self.waiting.iter().rposition(|waiting| waiting.token.priority() == *priority)?;
            Some((place, *priority))
        })
    }
}

/// Where a counter with ticks of the length `rate` stands `span` after `now`.
fn later(now: Ticks, span: Span, rate: Rate) -> Ticks {
    let ticks = (span.units() << 40) / i128::from(rate.to_bits().max(1));
    Ticks(now.0.wrapping_add_signed(i64::try_from(ticks).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests;
