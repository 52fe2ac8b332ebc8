//! The arbiter beside a latch that keeps one stamp, loses some, and is late with others.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A counter of nanoseconds, the NIC's clock too.
const RATE: Rate = Rate::NANOSECOND;
const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// A NIC that stamps packets by the time they were handed over, `late` after that.
#[derive(Default)]
struct Nic {
    /// When each stamp comes into the latch, and what it says.
    under_way: Vec<(u64, u64)>,
    latch: Option<u64>,
    stuck: bool,
    reads: usize,
}

impl Nic {
    fn hand_over(&mut self, now: u64, late: Option<u64>) {
        self.under_way.extend(late.map(|late| (now + late, now)));
    }

    fn read(&mut self, now: u64) -> Option<Ticks> {
        self.reads += 1;
        let mut arrived: Vec<(u64, u64)> = Vec::new();
        self.under_way.retain(|stamp| {
            let is_there = stamp.0 <= now;
            arrived.extend(is_there.then_some(*stamp));
            !is_there
        });
        arrived.sort_unstable();
        for (_, stamp) in arrived {
            // A latch that is taken keeps what it has.
            self.latch.get_or_insert(stamp);
        }
        let stamp = self.latch.map(Ticks);
        if !self.stuck {
            self.latch = None;
        }
        stamp
    }
}

fn token(key: u64) -> TxToken {
    TxToken::new(key)
}

/// Looks every microsecond from `from` on until the latch is answered.
fn answer(arbiter: &mut TxArbiter<u64>, nic: &mut Nic, from: u64) -> (u64, u64, Option<Ticks>) {
    (from..from + 100 * MS)
        .step_by(usize::try_from(US).unwrap())
        .find_map(|now| arbiter.look(Ticks(now), || nic.read(now)).map(|(token, stamp)| (now, token.redeem(), stamp)))
        .unwrap()
}

#[test]
fn a_stamp_comes_back_with_its_token() {
    let (mut arbiter, mut nic) = (TxArbiter::<u64>::new(RATE), Nic::default());
    arbiter.claim(token(7), Ticks(0), || nic.read(0)).unwrap();
    nic.hand_over(0, Some(30 * US));
    assert!(!arbiter.is_free());
    let (at, key, stamp) = answer(&mut arbiter, &mut nic, 0);
    assert_eq!((key, stamp), (7, Some(Ticks(0))));
    assert!(at < 60 * US, "found at {at} ns");
    assert!(nic.reads < 12, "{} looks: they become fewer", nic.reads);
    assert!(arbiter.is_free());
}

#[test]
fn a_stamp_that_does_not_come_is_lost_and_the_late_one_is_nobodys() {
    let (mut arbiter, mut nic) = (TxArbiter::<u64>::new(RATE), Nic::default());
    arbiter.claim(token(1), Ticks(0), || nic.read(0)).unwrap();
    nic.hand_over(0, Some(30 * MS));
    let (lost, key, stamp) = answer(&mut arbiter, &mut nic, 0);
    assert_eq!((key, stamp), (1, None));
    assert!((20 * MS..21 * MS).contains(&lost), "at {lost}");
    assert!(nic.reads < 150, "{} looks", nic.reads);
    assert_eq!(arbiter.claim(token(2), Ticks(lost), || nic.read(lost)), Err(token(2)), "it may still come");
    assert_eq!(arbiter.look(Ticks(31 * MS), || nic.read(31 * MS)), None);
    assert!(arbiter.is_free());
    arbiter.claim(token(3), Ticks(32 * MS), || nic.read(32 * MS)).unwrap();
    nic.hand_over(32 * MS, Some(US));
    assert_eq!(answer(&mut arbiter, &mut nic, 32 * MS).2, Some(Ticks(32 * MS)));
    let expected = LatchCounts { stamped: 1, lost: 1, late: 1, busy: 1, ..LatchCounts::default() };
    assert_eq!(arbiter.counts(), expected);
}

#[test]
fn what_is_in_the_latch_before_is_taken_out() {
    let (mut arbiter, mut nic) = (TxArbiter::<u64>::new(RATE), Nic { latch: Some(99), ..Nic::default() });
    arbiter.claim(token(1), Ticks(1000), || nic.read(1000)).unwrap();
    nic.hand_over(1000, Some(US));
    assert_eq!(answer(&mut arbiter, &mut nic, 1000).2, Some(Ticks(1000)));
    assert_eq!(arbiter.counts().stale, 1);
}

#[test]
fn a_stuck_latch_answers_nobody() {
    let (mut arbiter, mut nic) = (TxArbiter::<u64>::new(RATE), Nic::default());
    arbiter.claim(token(1), Ticks(0), || nic.read(0)).unwrap();
    nic.hand_over(0, Some(US));
    nic.stuck = true;
    assert_eq!(answer(&mut arbiter, &mut nic, 0).2, Some(Ticks(0)), "nobody could know");
    arbiter.claim(token(2), Ticks(MS), || nic.read(MS)).unwrap();
    assert_eq!(answer(&mut arbiter, &mut nic, MS).2, None);
    assert!(arbiter.counts().stuck > 0);
    assert_eq!((arbiter.counts().stamped, arbiter.counts().lost), (1, 1));
}

#[test]
fn the_greater_goes_first_and_the_least_gives_way() {
    let mut arbiter = TxArbiter::<u64>::new(RATE);
    arbiter.claim(token(0), Ticks(0), || None).unwrap();
    for place in 0..WAITING as u64 {
        let priority = if place % 2 == 0 { StampPriority::DelayReq } else { StampPriority::Sampled };
        assert_eq!(arbiter.wait(place, token(place).with_priority(priority), Ticks(1)), None);
    }
    let (frame, _) = arbiter.wait(100, token(100).with_priority(StampPriority::Sync), Ticks(2)).unwrap();
    assert_eq!(frame, 15, "the newest of the least");
    let (frame, _) = arbiter.wait(101, token(101), Ticks(2)).unwrap();
    assert_eq!(frame, 101, "no greater than who is there");
    assert_eq!(arbiter.next(Ticks(3), || None), None, "the latch is taken");
    assert_eq!(arbiter.withdraw(), Some(token(0)));
    let mut order = Vec::new();
    while let Some(Next::Stamped(frame)) = arbiter.next(Ticks(4), || None) {
        order.push(frame);
        let _ = arbiter.withdraw();
    }
    assert_eq!(order, [100, 0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13]);
    assert_eq!(arbiter.counts().displaced, 2);
}

#[test]
fn nobody_waits_for_ever() {
    let mut arbiter = TxArbiter::<u64>::new(RATE);
    assert_eq!(arbiter.wait(5, token(5), Ticks(0)), None);
    let late = Ticks(201 * MS);
    assert_eq!(arbiter.next(late, || None), Some(Next::Unstamped(5, token(5))));
    assert_eq!(arbiter.counts().expired, 1);
}

#[derive(Debug, Clone)]
enum Step {
    /// A reply that wants a stamp, whose stamp comes so late.
    Claim(Option<u64>),
    /// A frame that can wait, of the priority of this number.
    Wait(usize),
    /// So much time passes, with a turn of the worker at the end.
    Pass(u64),
    /// The port does not take the next frame.
    Refuse,
    /// The port goes away.
    Abandon,
}

fn lateness() -> impl Strategy<Value = Option<u64>> {
    // Up to where a stamp that was given up is still waited for.
    prop_oneof![1 => Just(None), 6 => (0..50 * US).prop_map(Some), 2 => (0..39 * MS).prop_map(Some)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => lateness().prop_map(Step::Claim),
        4 => (0..4_usize).prop_map(Step::Wait),
        8 => (0..100 * US).prop_map(Step::Pass),
        3 => (0..50 * MS).prop_map(Step::Pass),
        1 => Just(Step::Refuse),
        1 => Just(Step::Abandon),
    ]
}

proptest! {
    /// Every token comes back once; a stamp is never that of another packet; one packet at a time is under way that asks.
    #[test]
    fn stamps_are_those_of_their_packets(steps in proptest::collection::vec((step(), lateness()), 0..200)) {
        let (mut arbiter, mut nic) = (TxArbiter::<u64>::new(RATE), Nic::default());
        let (mut now, mut key, mut refuse) = (0, 0, false);
        let mut given = BTreeSet::new();
        let mut handed_over = std::collections::BTreeMap::new();
        let mut in_flight = 0;
        let turns = steps.into_iter().chain((0..200).map(|_| (Step::Pass(15 * MS), Some(US))));
        for (step, late) in turns {
            now += 1;
            match step {
                Step::Claim(late) => {
                    key += 1;
                    given.insert(key);
                    match arbiter.claim(token(key), Ticks(now), || nic.read(now)) {
                        Ok(()) => {
                            in_flight += 1;
                            handed_over.insert(key, now);
                            nic.hand_over(now, late);
                        }
                        Err(back) => prop_assert!(given.remove(&back.redeem())),
                    }
                }
                Step::Wait(priority) => {
                    key += 1;
                    given.insert(key);
                    let wanted = token(key).with_priority(StampPriority::ALL[priority]);
                    if let Some((frame, back)) = arbiter.wait(key, wanted, Ticks(now)) {
                        prop_assert_eq!(frame, back.redeem());
                        prop_assert!(given.remove(&frame));
                    }
                }
                Step::Pass(time) => {
                    now += time;
                    if let Some((back, stamp)) = arbiter.look(Ticks(now), || nic.read(now)) {
                        let back = back.redeem();
                        in_flight -= 1;
                        prop_assert!(given.remove(&back));
                        let at = handed_over.get(&back).copied();
                        prop_assert!(stamp.is_none() || stamp.map(|ticks| ticks.0) == at, "{:?} is not {:?}", stamp, at);
                    }
                    while let Some(next) = arbiter.next(Ticks(now), || nic.read(now)) {
                        match next {
                            Next::Stamped(frame) if core::mem::take(&mut refuse) => {
                                let back = arbiter.withdraw().unwrap().redeem();
                                prop_assert_eq!(back, frame);
                                prop_assert!(given.remove(&back));
                            }
                            Next::Stamped(frame) => {
                                in_flight += 1;
                                handed_over.insert(frame, now);
                                nic.hand_over(now, late);
                            }
                            Next::Unstamped(frame, back) => {
                                prop_assert_eq!(frame, back.redeem());
                                prop_assert!(given.remove(&frame));
                            }
                        }
                    }
                }
                Step::Refuse => refuse = true,
                Step::Abandon => {
                    while let Some((frame, back)) = arbiter.abandon() {
                        in_flight -= i32::from(frame.is_none());
                        prop_assert!(given.remove(&back.redeem()));
                    }
                    nic = Nic::default();
                }
            }
            prop_assert!((0..=1).contains(&in_flight));
        }
        prop_assert!(given.is_empty(), "never answered: {:?}", given);
        prop_assert!(arbiter.is_free());
    }
}
