//! The arbiter of TX stamps: whatever its latch says and whenever, each token comes back once and each frame leaves once.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use sidereal_nic::{Next, TxArbiter, WAITING};
use sidereal_time::{Rate, StampPriority, Ticks, TxToken};

fuzz_target!(|steps: Vec<(u8, u32, Option<u16>)>| {
    let mut arbiter = TxArbiter::new(Rate::NANOSECOND);
    let (mut now, mut waiting, mut given) = (0_u64, BTreeSet::new(), BTreeSet::new());
    for (number, (kind, wait, said)) in (0_u64..).zip(steps) {
        now = now.wrapping_add(wait.into());
        let mut latch = || said.map(|stamp| Ticks(stamp.into()));
        let priority = StampPriority::ALL[usize::from(kind >> 6)];
        let token = TxToken::new(number).with_priority(priority);
        match kind % 8 {
            0 => {
                given.insert(number);
                if let Err(back) = arbiter.claim(token, Ticks(now), latch) {
                    assert!(given.remove(&back.redeem()));
                }
            }
            1 => {
                given.insert(number);
                waiting.insert(number);
                if let Some((frame, back)) = arbiter.wait(number, token, Ticks(now)) {
                    assert!(waiting.remove(&frame) && given.remove(&back.redeem()));
                }
            }
            2 | 3 => match arbiter.next(Ticks(now), &mut latch) {
                Some(Next::Stamped(frame)) => assert!(waiting.remove(&frame)),
                Some(Next::Unstamped(frame, back)) => {
                    assert!(waiting.remove(&frame) && given.remove(&back.redeem()));
                }
                None => {}
            },
            4 => {
                if let Some(back) = arbiter.withdraw() {
                    assert!(given.remove(&back.redeem()));
                }
            }
            5 => {
                while let Some((frame, back)) = arbiter.abandon() {
                    assert!(frame.is_none_or(|frame| waiting.remove(&frame)) && given.remove(&back.redeem()));
                }
                assert!(given.is_empty() && arbiter.is_free());
            }
            _ => {
                if let Some((back, stamp)) = arbiter.look(Ticks(now), &mut latch) {
                    assert!(given.remove(&back.redeem()) && (stamp.is_none() || stamp == latch()));
                }
            }
        }
        assert!(waiting.len() <= WAITING && given.len() <= waiting.len() + 1);
    }
});
