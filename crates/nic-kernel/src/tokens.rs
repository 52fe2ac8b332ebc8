//! Packets that wait for their TX stamps.

use crate::Mode;
use crate::calls::{self, Message, Outcome};
use crate::control::Control;
use core::time::Duration;
use sidereal_nic::BURST;
use sidereal_time::{TxStamp, TxToken};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

/// How long a stamp is waited for. It comes when the driver takes the packet, so only a long device queue delays it.
pub(crate) const DEADLINE: Duration = Duration::from_millis(20);
#[expect(clippy::cast_possible_truncation, reason = "20 ms are few nanoseconds")]
const DEADLINE_NS: u64 = DEADLINE.as_nanos() as u64;

/// The packets of one socket that wait for their stamps. The kernel numbers the packets it is to stamp in the order in
/// which they are sent (SOF_TIMESTAMPING_OPT_ID), so the numbers here are without gaps.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The number of the next packet.
    next_id: u32,
    waiting: VecDeque<Waiting>,
    /// How many may wait.
    limit: usize,
}

#[derive(Debug)]
struct Waiting {
    /// None once it is answered.
    token: Option<TxToken>,
    sent_ns: u64,
}

impl Outstanding {
    /// For at most `limit` packets at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self { next_id: 0, waiting: VecDeque::with_capacity(limit), limit }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
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
        #[expect(clippy::cast_possible_truncation, reason = "few wait")]
        let first = self.next_id.wrapping_sub(self.waiting.len() as u32);
        let token = self.waiting.get_mut(id.wrapping_sub(first) as usize)?.token.take();
        self.forget_answered();
        token
    }

    /// Reads what is on the error queue of the packets' socket, as many notices as there is room for, and hands out the
    /// tokens that they answer. Returns how many notices there were.
    pub(crate) fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        mode: Mode,
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
                answer(token, told.stamp.map_or(TxStamp::Lost, TxStamp::Stamped));
            }
        }
        read
    }

    /// The next token whose stamp has not come in time.
    pub(crate) fn expired(&mut self, now_ns: u64) -> Option<TxToken> {
        let oldest = self.waiting.front()?;
        (now_ns.wrapping_sub(oldest.sent_ns) > DEADLINE_NS).then(|| self.give_up()).flatten()
    }

    /// The oldest token, as lost.
    pub(crate) fn give_up(&mut self) -> Option<TxToken> {
        let token = self.waiting.pop_front()?.token;
        self.forget_answered();
        token
    }

    /// The kernel numbers from 0 again. Nobody may wait any more.
    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        self.next_id = 0;
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
    use super::{DEADLINE_NS, Outstanding};
    use sidereal_time::TxToken;

    #[test]
    fn stamps_find_their_tokens_in_any_order_and_once() {
        let mut outstanding = Outstanding::new(8);
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
        let mut outstanding = Outstanding::new(8);
        outstanding.push(TxToken::new(7), 5);
        outstanding.push(TxToken::new(8), 6);
        assert_eq!(outstanding.expired(5 + DEADLINE_NS), None);
        assert_eq!(outstanding.expired(6 + DEADLINE_NS), Some(TxToken::new(7)));
        assert_eq!(outstanding.expired(6 + DEADLINE_NS), None);
        assert_eq!(outstanding.answer(0), None);
        assert_eq!(outstanding.answer(1), Some(TxToken::new(8)));
    }
}
