use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sidereal_time::Span;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const PACE: Pace = Pace { gap_ns: 10 * MS, rounds: Some(2), until_ns: u64::MAX, timeout_ns: 500 * MS };

fn address(number: u32) -> SocketAddr {
    format!("10.0.0.{number}:123").parse().unwrap()
}

fn fleet(servers: u32, pace: Pace) -> Fleet {
    Fleet::new((0..servers).map(|number| (number, address(number))), pace, 0, [7; 32])
}

/// The system clock, when the other shows `now_ns`.
fn at(now_ns: u64) -> Instant<Utc> {
    Instant::from_secs(1_800_000_000) + Span::from_nanos(now_ns.into())
}

fn arrival(now_ns: u64) -> Arrival {
    (at(now_ns), StampSource::Kernel)
}

/// What a server of stratum 1 whose clock is right answers to `ask`, having it at `now_ns`.
fn answer(ask: &Ask, now_ns: u64) -> [u8; HEADER_LEN] {
    let time = NtpTimestamp::from_utc(at(now_ns)).to_be_bytes();
    let mut reply = [0; HEADER_LEN];
    reply[..4].copy_from_slice(&[0x24, 1, 6, 0xe7]);
    reply[12..16].copy_from_slice(b"GPS\0");
    reply[24..32].copy_from_slice(&ask.message[40..]);
    reply[32..40].copy_from_slice(&time);
    reply[40..].copy_from_slice(&time);
    reply
}

fn counts(fleet: &Fleet) -> Counts {
    fleet.seen().next().unwrap().counts
}

#[test]
fn requests_leave_in_turn_at_a_steady_pace_and_come_to_an_end() {
    let mut fleet = fleet(3, PACE);
    let mut left = Vec::new();
    for now_ns in (0..SECOND).step_by(1_000_000) {
        while let Some(ask) = fleet.request(now_ns, at(now_ns)) {
            left.push((now_ns / MS, ask.to));
        }
    }
    let expected: Vec<_> = (0..6).map(|number| (u64::from(number) * 10, address(number % 3))).collect();
    assert_eq!(left, expected);
    assert!(!fleet.is_done(550 * MS), "the last answers are waited for");
    assert!(fleet.is_done(551 * MS + 1));
    assert_eq!(counts(&fleet).lost(), 2);
}

#[test]
fn who_is_held_up_does_not_catch_up_in_a_burst() {
    let mut fleet = fleet(100, Pace { rounds: None, until_ns: 10 * SECOND, ..PACE });
    let burst = |fleet: &mut Fleet, now_ns| std::iter::from_fn(|| fleet.request(now_ns, at(now_ns))).count();
    assert_eq!(burst(&mut fleet, 0), 1);
    assert_eq!(burst(&mut fleet, 5 * SECOND), 1);
    assert_eq!(fleet.until_due_ns(5 * SECOND), PACE.gap_ns);
    assert_eq!(burst(&mut fleet, 10 * SECOND), 0, "the time is up");
}

#[test]
fn the_end_comes_with_the_last_request_or_when_the_time_is_up() {
    let mut by_count = fleet(1, Pace { gap_ns: 10 * SECOND, rounds: Some(1), ..PACE });
    let ask = by_count.request(0, at(0)).unwrap();
    by_count.receive(ask.to, &answer(&ask, MS), arrival(MS), MS);
    assert!(by_count.is_done(MS));
    let mut by_time = fleet(1, Pace { gap_ns: 10 * SECOND, rounds: None, until_ns: SECOND, ..PACE });
    assert!(by_time.request(0, at(0)).is_some());
    assert_eq!(by_time.until_due_ns(MS), SECOND - MS);
    assert!(by_time.request(SECOND, at(SECOND)).is_none() && by_time.is_done(SECOND));
    assert!(fleet(1, Pace { rounds: Some(0), ..PACE }).is_done(0));
}

#[test]
fn requests_cannot_be_told_beforehand_and_say_nothing() {
    let mut fleet = fleet(2, PACE);
    let asks: Vec<_> = (0..4).map(|n| fleet.request(n * PACE.gap_ns, at(0)).unwrap()).collect();
    let nonces: std::collections::BTreeSet<_> = asks.iter().map(|ask| &ask.message[40..]).collect();
    assert_eq!(nonces.len(), 4);
    for ask in &asks {
        assert_eq!((&ask.message[..4], &ask.message[4..40]), (&[0x23, 0, 6, 0][..], &[0; 36][..]));
    }
}

#[test]
fn an_exchange_is_complete_with_its_answer_and_its_stamp_whichever_is_first() {
    for stamp_first in [true, false] {
        let mut fleet = fleet(1, PACE);
        let ask = fleet.request(0, at(0)).unwrap();
        let reply = answer(&ask, 2 * MS);
        let stamp = Some((at(MS), StampSource::Kernel));
        let record = if stamp_first {
            assert_eq!(fleet.departed(ask.token, stamp), None);
            fleet.receive(ask.to, &reply, arrival(3 * MS), 3 * MS).1
        } else {
            assert_eq!(fleet.receive(ask.to, &reply, arrival(3 * MS), 3 * MS), (Outcome::Answer, None));
            fleet.departed(ask.token, stamp)
        };
        let record = record.unwrap();
        let sample = record.sample();
        assert_eq!((record.target(), sample.delay.as_nanos_rounded()), (0, 2_000_000));
        assert!(sample.offset.abs() < Span::from_nanos(2), "{:?}", sample.offset);
        assert_eq!(record.stamps(), Stamps { transmit: StampSource::Kernel, receive: StampSource::Kernel });
        assert_eq!(fleet.departed(ask.token, stamp), None, "each once");
    }
}

#[test]
fn a_request_without_a_stamp_left_when_it_was_handed_over() {
    let mut fleet = fleet(1, PACE);
    let ask = fleet.request(0, at(0)).unwrap();
    assert_eq!(fleet.departed(ask.token, None), None);
    let (_, record) = fleet.receive(ask.to, &answer(&ask, 2 * MS), arrival(4 * MS), 4 * MS);
    let record = record.unwrap();
    assert_eq!(record.sample().delay.as_nanos_rounded(), 4_000_000);
    assert_eq!(record.stamps().transmit, StampSource::Software);
}

#[test]
fn answers_that_are_none_are_counted_by_name() {
    let mut fleet = fleet(2, PACE);
    let first = fleet.request(0, at(0)).unwrap();
    fleet.departed(first.token, None);
    let right = answer(&first, MS);
    let mut receive = |from, message: &[u8], now_ns| fleet.receive(from, message, arrival(now_ns), now_ns).0;
    assert_eq!(receive(address(9), &right, MS), Outcome::Stranger);
    assert_eq!(receive(address(1), &right, MS), Outcome::Bogus, "another's answer");
    for byte in 24..32 {
        let mut wrong = right;
        wrong[byte] ^= 1;
        assert_eq!(receive(first.to, &wrong, MS), Outcome::Bogus);
    }
    assert_eq!(receive(first.to, &right[..47], MS), Outcome::Malformed);
    assert_eq!(receive(first.to, &[&[0x23], &right[1..]].concat(), MS), Outcome::Malformed, "a client's message");
    assert_eq!(receive(first.to, &right, MS), Outcome::Answer);
    assert_eq!(receive(first.to, &right, MS), Outcome::Duplicate);
    let expected = Counts { sent: 1, answered: 1, bogus: 8, malformed: 2, duplicate: 1, ..Counts::default() };
    assert_eq!(counts(&fleet), expected);
    assert_eq!(fleet.strangers(), 1);
    assert_eq!(counts(&fleet).lost(), 0);
}

#[test]
fn an_answer_after_its_time_is_late_before_and_after_the_next_request() {
    let mut fleet = fleet(1, Pace { rounds: Some(3), gap_ns: SECOND, ..PACE });
    let first = fleet.request(0, at(0)).unwrap();
    let late = fleet.receive(first.to, &answer(&first, MS), arrival(501 * MS), 501 * MS);
    assert_eq!(late, (Outcome::Late, None));
    let second = fleet.request(SECOND, at(SECOND)).unwrap();
    assert_eq!(fleet.receive(first.to, &answer(&first, MS), arrival(SECOND), SECOND).0, Outcome::Duplicate);
    let third = fleet.request(2 * SECOND, at(2 * SECOND)).unwrap();
    let now_ns = 2 * SECOND + MS;
    assert_eq!(fleet.receive(second.to, &answer(&second, SECOND), arrival(now_ns), now_ns).0, Outcome::Late);
    assert_eq!(fleet.receive(second.to, &answer(&second, SECOND), arrival(now_ns), now_ns).0, Outcome::Duplicate);
    assert_eq!(fleet.receive(first.to, &answer(&first, MS), arrival(now_ns), now_ns).0, Outcome::Bogus, "forgotten");
    assert_eq!(fleet.receive(third.to, &answer(&third, now_ns), arrival(now_ns), now_ns).0, Outcome::Answer);
    assert_eq!(counts(&fleet).lost(), 2);
    assert_eq!(fleet.departed(second.token, None), None, "the stamp of an earlier request");
}

#[test]
fn who_sends_a_kiss_is_left_alone_and_the_others_keep_their_pace() {
    let mut fleet = fleet(2, Pace { rounds: Some(3), ..PACE });
    let first = fleet.request(0, at(0)).unwrap();
    let mut kiss = answer(&first, MS);
    (kiss[0], kiss[1]) = (0xe4, 0);
    kiss[12..16].copy_from_slice(b"RATE");
    assert_eq!(fleet.receive(first.to, &kiss, arrival(MS), MS).0, Outcome::Kiss);
    let mut asked = Vec::new();
    for now_ns in (MS..100 * MS).step_by(1_000_000) {
        asked.extend(fleet.request(now_ns, at(now_ns)).map(|ask| (now_ns / MS, ask.to)));
    }
    assert_eq!(asked, [(10, address(1)), (30, address(1)), (50, address(1))]);
}

#[test]
fn who_has_no_time_is_unsynchronised() {
    let mut fleet = fleet(1, Pace { rounds: None, ..PACE });
    for (change, now_ns) in [(0, 0xe4_u8), (1, 16), (32, 0)].into_iter().zip((0..).step_by(10_000_000)) {
        let ask = fleet.request(now_ns, at(now_ns)).unwrap();
        fleet.departed(ask.token, None);
        let mut reply = answer(&ask, now_ns);
        match change {
            (32, _) => reply[32..40].fill(0),
            (place, value) => reply[place] = value,
        }
        assert_eq!(fleet.receive(ask.to, &reply, arrival(now_ns), now_ns), (Outcome::Unsynchronised, None));
    }
    assert_eq!((counts(&fleet).unsynchronised, counts(&fleet).lost()), (3, 0));
}

#[test]
fn what_the_kernel_did_not_take_was_not_sent() {
    let mut fleet = fleet(1, Pace { rounds: Some(1), ..PACE });
    let ask = fleet.request(0, at(0)).unwrap();
    fleet.unsent(ask.token);
    assert_eq!(fleet.departed(ask.token, None), None);
    assert_eq!(fleet.receive(ask.to, &answer(&ask, 1), arrival(1), 1).0, Outcome::Bogus);
    assert_eq!((counts(&fleet).sent, counts(&fleet).unsent), (0, 1));
    assert!(fleet.request(SECOND, at(SECOND)).is_none());
    assert!(fleet.is_done(SECOND), "nobody is waited for");
}

#[test]
fn a_fleet_of_none_is_done() {
    let mut fleet = fleet(0, PACE);
    assert!(fleet.request(0, at(0)).is_none() && fleet.is_done(0));
    assert_eq!(fleet.departed(0, None), None);
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u64),
    Stamp(bool),
    Answer { server: u32, changes: Vec<(usize, u8)> },
    Noise(Vec<u8>),
    Unsent,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..100 * MS).prop_map(Step::Ask),
        2 => any::<bool>().prop_map(Step::Stamp),
        4 => (0..4_u32, vec((0..HEADER_LEN, any::<u8>()), 0..3))
            .prop_map(|(server, changes)| Step::Answer { server, changes }),
        1 => vec(any::<u8>(), 0..100).prop_map(Step::Noise),
        1 => Just(Step::Unsent),
    ]
}

proptest! {
    /// Whatever comes in whatever order: requests and datagrams are all accounted for, and no exchange is recorded twice.
    #[test]
    fn nothing_is_counted_twice_or_not_at_all(steps in vec(step(), 0..200)) {
        let mut fleet = fleet(3, Pace { rounds: None, gap_ns: MS, ..PACE });
        let (mut now_ns, mut asked, mut datagrams, mut records) = (0, 0, 0, 0);
        let mut last = None;
        for step in steps {
            match step {
                Step::Ask(wait_ns) => {
                    now_ns += wait_ns;
                    let ask = fleet.request(now_ns, at(now_ns));
                    asked += u64::from(ask.is_some());
                    last = ask.or(last);
                }
                Step::Stamp(taken) => {
                    if let Some(ask) = last {
                        records += u64::from(fleet.departed(ask.token, taken.then(|| arrival(now_ns))).is_some());
                    }
                }
                Step::Answer { server, changes } => {
                    if let Some(ask) = last {
                        let mut reply = answer(&ask, now_ns);
                        changes.into_iter().for_each(|(place, value)| reply[place] = value);
                        datagrams += 1;
                        let from = if server == 3 { ask.to } else { address(server) };
                        records += u64::from(fleet.receive(from, &reply, arrival(now_ns), now_ns).1.is_some());
                    }
                }
                Step::Noise(noise) => {
                    datagrams += 1;
                    prop_assert_eq!(fleet.receive(address(1), &noise, arrival(now_ns), now_ns).1, None);
                }
                Step::Unsent => {
                    if let Some(ask) = last.take() {
                        fleet.unsent(ask.token);
                    }
                }
            }
        }
        let counts: Vec<Counts> = fleet.seen().map(|seen| seen.counts).collect();
        let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|counts| counts.sent + counts.unsent), asked);
        let heard = sum(|c| c.answered + c.unsynchronised + c.kiss + c.malformed + c.bogus + c.duplicate + c.late);
        prop_assert_eq!(heard + fleet.strangers(), datagrams);
        prop_assert!(records <= sum(|counts| counts.answered));
        for counts in counts {
            prop_assert!(counts.answered + counts.unsynchronised + counts.kiss <= counts.sent);
        }
    }
}
