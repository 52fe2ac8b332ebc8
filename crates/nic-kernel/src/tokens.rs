//! Packets that wait for their TX stamps.

use crate::Mode;
use crate::calls::{self, Message, Outcome};
use crate::control::Control;
use crate::timestamping::Stampers;
use sidereal_nic::BURST;
use sidereal_time::{TxStamp, TxToken};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

/// What became of stamps that did not come once and in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StampCounts {
    /// Packets whose stamp did not come in time, or never.
    pub lost: u64,
    /// Stamps that came after that.
    pub late: u64,
    /// Stamps of packets that had theirs, or that none was waited for.
    pub doubled: u64,
}

impl core::iter::Sum for StampCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, next| Self {
            lost: sum.lost + next.lost,
            late: sum.late + next.late,
            doubled: sum.doubled + next.doubled,
        })
    }
}

/// The packets of one socket that wait for their stamps. The kernel numbers the packets it is to stamp in the order in
/// which they are sent (SOF_TIMESTAMPING_OPT_ID), so the numbers here are without gaps.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The number of the next packet.
    next_id: u32,
    waiting: VecDeque<Waiting>,
    /// How many may wait.
    limit: usize,
    deadline_ns: u64,
    /// The numbers of packets that were given up last, as many as may wait.
    given_up: VecDeque<u32>,
    counts: StampCounts,
}

#[derive(Debug)]
struct Waiting {
    /// None once it is answered.
    token: Option<TxToken>,
    sent_ns: u64,
}

impl Outstanding {
    /// For at most `limit` packets at once, which `stampers` stamp.
    pub(crate) fn new(limit: usize, stampers: &Stampers) -> Self {
        Self {
            next_id: 0,
            waiting: VecDeque::with_capacity(limit),
            limit,
            deadline_ns: u64::try_from(stampers.deadline().as_nanos()).unwrap_or(u64::MAX),
            given_up: VecDeque::with_capacity(limit),
            counts: StampCounts::default(),
        }
    }

    /// What became of stamps so far.
    pub(crate) const fn counts(&self) -> StampCounts {
        self.counts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many packets may wait.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// How many more packets may wait.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.waiting.len())
    }

    /// A packet with `token` was sent at `now_ns` of CLOCK_MONOTONIC_RAW, and the kernel gave it the next number. There
    /// must be room.
    pub(crate) fn push(&mut self, token: TxToken, now_ns: u64) {
        self.waiting.push_back(Waiting { token: Some(token), sent_ns: now_ns });
        self.next_id = self.next_id.wrapping_add(1);
    }

    /// The stamp of packet `id` has come; None where it is unknown, answered, or given up.
    pub(crate) fn answer(&mut self, id: u32) -> Option<TxToken> {
        let place = id.wrapping_sub(self.first_id()) as usize;
        let token = self.waiting.get_mut(place).and_then(|waiting| waiting.token.take());
        if token.is_none() {
            match self.given_up.iter().position(|given_up| *given_up == id) {
                Some(place) => {
                    self.given_up.remove(place);
                    self.counts.late += 1;
                }
                None => self.counts.doubled += 1,
            }
        }
        self.forget_answered();
        token
    }

    /// Reads what is on the error queue of the packets' socket, as many notices as there is room for, and hands out the
    /// tokens that they answer. Returns how many notices there were.
    pub(crate) fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        mode: Mode,
        stampers: &Stampers,
        notices: &mut [Control],
        mut answer: impl FnMut(TxToken, TxStamp),
    ) -> usize {
        let mut outcomes = [Outcome::default(); BURST];
        let messages =
            notices.iter_mut().map(|control| Message { name: &mut [], payload: &mut [], control: control.room() });
        let read = calls::receive(socket, mode, libc::MSG_ERRQUEUE, messages, &mut outcomes).unwrap_or(0);
        for (control, outcome) in notices.iter().zip(outcomes).take(read) {
            let told = control.read(outcome.control);
            if let Some(token) = told.stamped_id.and_then(|id| self.answer(id)) {
                let stamp = stampers.stamp(&told);
                self.counts.lost += u64::from(stamp.is_none());
                answer(token, stamp.map_or(TxStamp::Lost, TxStamp::Stamped));
            }
        }
        read
    }

    /// The next token whose stamp has not come in time.
    pub(crate) fn expired(&mut self, now_ns: u64) -> Option<TxToken> {
        let oldest = self.waiting.front()?;
        (now_ns.wrapping_sub(oldest.sent_ns) > self.deadline_ns).then(|| self.give_up()).flatten()
    }

    /// The oldest token, as lost.
    pub(crate) fn give_up(&mut self) -> Option<TxToken> {
        let id = self.first_id();
        let token = self.waiting.pop_front()?.token;
        if self.given_up.len() == self.limit {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id);
        self.counts.lost += 1;
        self.forget_answered();
        token
    }

    /// The kernel numbers from 0 again. Nobody may wait any more.
    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        self.given_up.clear();
        self.next_id = 0;
    }

    /// The number of the oldest packet that waits.
    fn first_id(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "few wait")]
        self.next_id.wrapping_sub(self.waiting.len() as u32)
    }

    /// Keeps the oldest one unanswered.
    fn forget_answered(&mut self) {
        while self.waiting.front().is_some_and(|oldest| oldest.token.is_none()) {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outstanding, StampCounts};
    use crate::timestamping::{RxFilter, Stampers, Timestamping};
    use sidereal_time::{ClockId, TxToken};

    const DEADLINE_NS: u64 = 20_000_000;

    #[test]
    fn stamps_find_their_tokens_in_any_order_and_once() {
        let mut outstanding = Outstanding::new(8, &Stampers::KERNEL);
        outstanding.next_id = u32::MAX - 1;
        for key in 0..4 {
            outstanding.push(TxToken::new(key), 0);
        }
        assert_eq!(outstanding.answer(1), Some(TxToken::new(3)));
        assert_eq!(outstanding.answer(1), None);
        assert_eq!(outstanding.answer(u32::MAX - 1), Some(TxToken::new(0)));
        assert_eq!(outstanding.answer(u32::MAX - 1), None, "a number from before");
        assert_eq!(outstanding.answer(2), None, "a number that was never given");
        assert_eq!(outstanding.answer(0), Some(TxToken::new(2)));
        assert_eq!(outstanding.answer(u32::MAX), Some(TxToken::new(1)));
        assert!(outstanding.is_empty());
        assert_eq!(outstanding.room(), 8);
    }

    #[test]
    fn tokens_are_given_up_after_the_deadline_and_not_before() {
        let mut outstanding = Outstanding::new(8, &Stampers::KERNEL);
        outstanding.push(TxToken::new(7), 5);
        outstanding.push(TxToken::new(8), 6);
        assert_eq!(outstanding.expired(5 + DEADLINE_NS), None);
        assert_eq!(outstanding.expired(6 + DEADLINE_NS), Some(TxToken::new(7)));
        assert_eq!(outstanding.expired(6 + DEADLINE_NS), None);
        assert_eq!(outstanding.answer(0), None);
        assert_eq!(outstanding.answer(1), Some(TxToken::new(8)));
    }

    #[test]
    fn what_does_not_come_once_and_in_time_is_counted() {
        let mut outstanding = Outstanding::new(2, &Stampers::KERNEL);
        for key in 0..2 {
            outstanding.push(TxToken::new(key), 0);
        }
        assert_eq!(outstanding.answer(1), Some(TxToken::new(1)));
        assert_eq!(outstanding.answer(1), None, "doubled while another waits");
        assert_eq!(outstanding.expired(1 + DEADLINE_NS), Some(TxToken::new(0)));
        assert_eq!(outstanding.answer(0), None, "late");
        assert_eq!(outstanding.answer(0), None, "late and doubled");
        assert_eq!(outstanding.counts(), StampCounts { lost: 1, late: 1, doubled: 2 });
        for _ in 0..5 {
            outstanding.push(TxToken::new(0), 0);
            assert_eq!(outstanding.expired(1 + DEADLINE_NS), Some(TxToken::new(0)));
        }
        assert_eq!(outstanding.given_up, [5, 6], "the last ones are remembered");
        outstanding.restart();
        assert_eq!(outstanding.answer(5), None, "of a numbering that is over");
        assert_eq!(outstanding.counts(), StampCounts { lost: 6, late: 1, doubled: 3 });
    }

    #[test]
    fn a_nic_has_more_time() {
        let hardware = Timestamping::Hardware { clock: ClockId(1), bind_phc: None, filter: RxFilter::PtpV2Event };
        let mut outstanding = Outstanding::new(8, &Stampers::one(hardware));
        outstanding.push(TxToken::new(7), 0);
        assert_eq!(outstanding.expired(1 + DEADLINE_NS), None);
        assert_eq!(outstanding.expired(200_000_001), Some(TxToken::new(7)));
    }
}
