//! TX stamps on their way back to whoever asked for them.

use crate::StampFaults;
use sidereal_nic::TOKENS;
use sidereal_time::{Stamp, Ticks, TxStamp, TxToken};
use std::collections::VecDeque;

/// Tokens that wait to be polled.
#[derive(Debug)]
pub(crate) struct Tokens {
    waiting: VecDeque<Waiting>,
    faults: StampFaults,
    lost: Share,
    late: Share,
}

#[derive(Debug)]
struct Waiting {
    token: TxToken,
    answer: TxStamp,
    due: Ticks,
}

/// Picks so many of a hundred, spread evenly.
#[derive(Debug, Default)]
struct Share {
    hundredths: u32,
}

impl Tokens {
    pub(crate) fn new(faults: StampFaults) -> Self {
        Self { waiting: VecDeque::with_capacity(TOKENS), faults, lost: Share::default(), late: Share::default() }
    }

    /// A packet with `token` left, stamped with `stamp`.
    pub(crate) fn stamped(&mut self, token: TxToken, stamp: Stamp) {
        let late = self.late.pick(self.faults.late_percent);
        if self.lost.pick(self.faults.lost_percent) {
            return self.lost(token, stamp.ticks);
        }
        let due = Ticks(stamp.ticks.0.wrapping_add(if late { self.faults.late_by } else { 0 }));
        self.push(Waiting { token, answer: TxStamp::Stamped(stamp), due });
    }

    /// A packet with `token` did not leave, or without a stamp.
    pub(crate) fn lost(&mut self, token: TxToken, now: Ticks) {
        self.push(Waiting { token, answer: TxStamp::Lost, due: now });
    }

    /// A token that is answered so, from `due` on.
    pub(crate) fn answered(&mut self, token: TxToken, answer: TxStamp, due: Ticks) {
        self.push(Waiting { token, answer, due });
    }

    /// The next token whose answer is due at `now`.
    pub(crate) fn poll(&mut self, now: Ticks) -> Option<(TxToken, TxStamp)> {
        let next = self.waiting.iter().position(|waiting| now.0.wrapping_sub(waiting.due.0).cast_signed() >= 0)?;
        self.waiting.remove(next).map(|waiting| (waiting.token, waiting.answer))
    }

    fn push(&mut self, waiting: Waiting) {
        if self.waiting.len() < TOKENS {
            self.waiting.push_back(waiting);
        }
    }
}

impl Share {
    fn pick(&mut self, percent: u8) -> bool {
        self.hundredths += u32::from(percent.min(100));
        let picked = self.hundredths >= 100;
        if picked {
            self.hundredths -= 100;
        }
        picked
    }
}
