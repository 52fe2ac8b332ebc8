use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use sidereal_time::{Counter, Rate};

use super::*;
use crate::bmca::compare;
use crate::identity::ClockIdentity;
use crate::message::{ClockAccuracy, ClockClass, ClockQuality, TimeSource, Timestamp};

/// Ticks are nanoseconds, and wrap every eighteen minutes.
const CLOCK: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 40, rate: Rate::from_bits(1 << 56), precision: -30 };
const INTERVAL: Span = Span::SECOND;
const US: PortIdentity = PortIdentity { clock: ClockIdentity([0xaa; 8]), number: 1 };

fn source(number: u64) -> PortIdentity {
    PortIdentity { clock: ClockIdentity(number.to_be_bytes()), number: 1 }
}

fn heard(number: u64, priority1: u8, sequence_id: u16) -> Heard {
    let quality = ClockQuality {
        clock_class: ClockClass::DEFAULT,
        clock_accuracy: ClockAccuracy::UNKNOWN,
        offset_scaled_log_variance: u16::MAX,
    };
    Heard {
        source: source(number),
        from: None,
        sequence_id,
        flags: Flags::NONE,
        announce: Announce {
            origin_timestamp: Timestamp([0; 10]),
            current_utc_offset: 37,
            priority1,
            clock_quality: quality,
            priority2: 128,
            grandmaster_identity: source(number).clock,
            steps_removed: 0,
            time_source: TimeSource::GNSS,
        },
    }
}

fn from(address: u8, heard: Heard) -> Heard {
    Heard { from: Some(Address::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, address)))), ..heard }
}

/// What a port hears, in milliseconds.
#[derive(Default)]
struct Port {
    masters: ForeignMasters,
}

impl Port {
    fn hear(&mut self, heard: Heard, at_ms: u64) -> Announced {
        self.masters.announce(&heard, Ticks(at_ms * 1_000_000), INTERVAL, &CLOCK)
    }

    fn best(&mut self, at_ms: u64) -> Option<PortIdentity> {
        self.masters.expire(Ticks(at_ms * 1_000_000), INTERVAL, &CLOCK);
        self.masters.best(US, 128, compare).map(|(master, _)| master.source)
    }
}

#[test]
fn a_master_counts_from_its_second_announce_within_four_intervals() {
    let mut port = Port::default();
    assert_eq!(port.best(0), None);
    port.hear(heard(1, 128, 0), 0);
    assert_eq!(port.best(0), None);
    // The first is out of the window.
    port.hear(heard(1, 128, 1), 4_001);
    assert_eq!(port.best(4_001), None);
    port.hear(heard(1, 128, 2), 8_000);
    assert_eq!(port.best(8_000), Some(source(1)));
    assert_eq!(port.best(8_001), Some(source(1)));
    assert_eq!(port.best(8_002), None);
    // Silent, it is forgotten altogether.
    assert_eq!(port.best(12_000), None);
    assert_eq!(port.masters.iter().len(), 1);
    assert_eq!(port.best(12_001), None);
    assert_eq!(port.masters.iter().len(), 0);
}

#[test]
fn a_copy_does_not_count() {
    let mut port = Port::default();
    assert_eq!(port.hear(heard(1, 128, 7), 0), Announced::Noted);
    assert_eq!(port.hear(heard(1, 128, 7), 1), Announced::Duplicate);
    assert_eq!(port.best(1), None);
    // The sequence may wrap.
    assert_eq!(port.hear(heard(1, 128, 0), 2), Announced::Noted);
    assert_eq!(port.best(2), Some(source(1)));
}

#[test]
fn the_best_of_those_that_count_is_the_best_by_what_it_said_last() {
    let mut port = Port::default();
    for at in [0, 1] {
        port.hear(heard(1, 20, at), at.into());
        port.hear(heard(2, 10, at), at.into());
    }
    port.hear(heard(3, 1, 0), 1);
    assert_eq!(port.best(1), Some(source(2)));
    port.hear(heard(2, 30, 2), 2);
    assert_eq!(port.best(2), Some(source(1)));
    let (master, set) = port.masters.best(US, 77, compare).unwrap();
    assert_eq!((master.announce.priority1, master.last_heard()), (20, Some(Ticks(1_000_000))));
    assert_eq!((set.receiver, set.local_priority, set.sender), (US, 77, source(1)));
}

#[test]
fn the_parent_counts_until_it_is_given_up() {
    let mut port = Port::default();
    port.hear(heard(1, 128, 0), 0);
    port.hear(heard(1, 128, 1), 1_000);
    port.masters.follow(source(1));
    assert_eq!(port.best(100_000), Some(source(1)));
    assert_eq!(port.masters.iter().map(ForeignMaster::last_heard).collect::<Vec<_>>(), [None]);
    // Another is not taken for it, and the old parent is nothing once another is followed.
    for at in [0, 1] {
        port.hear(heard(2, 200, at), 100_000 + u64::from(at));
    }
    assert_eq!(port.best(100_001), Some(source(1)));
    port.masters.follow(source(2));
    assert_eq!(port.best(100_001), Some(source(2)));
    port.masters.forget_parent();
    assert_eq!(port.best(100_001), None);
    assert_eq!(port.masters.iter().len(), 0);
}

#[test]
fn of_two_masters_with_one_identity_the_first_stays_until_it_is_silent() {
    let mut port = Port::default();
    assert_eq!(port.hear(from(1, heard(1, 128, 0)), 0), Announced::Noted);
    assert_eq!(port.hear(from(2, heard(1, 1, 1)), 500), Announced::OtherAddress);
    assert_eq!(port.best(500), None);
    assert_eq!(port.hear(from(1, heard(1, 128, 1)), 1_000), Announced::Noted);
    let (master, _) = port.masters.best(US, 128, compare).unwrap();
    assert_eq!((master.announce.priority1, master.from), (128, from(1, heard(1, 0, 0)).from));
    assert_eq!(port.hear(from(2, heard(1, 1, 9)), 5_001), Announced::Noted);
    // Where nobody knows addresses, they say nothing.
    assert_eq!(port.hear(heard(1, 1, 10), 5_002), Announced::Noted);
    assert_eq!(port.best(5_002), Some(source(1)));
    assert_eq!(port.masters.iter().next().unwrap().from, from(2, heard(1, 0, 0)).from);
}

#[test]
fn a_hundred_thousand_identities_do_not_disturb_those_that_count() {
    let mut port = Port::default();
    let mut at_us: u64 = 0;
    let mut flood = 1_000_u64;
    // Two masters announce themselves once a second, and in between others claim to be better, each once.
    for second in 0..20_u16 {
        for number in [1, 2] {
            let outcome = port.masters.announce(&heard(number, 100, second), Ticks(at_us * 1_000), INTERVAL, &CLOCK);
            assert_eq!(outcome, Announced::Noted, "second {second}");
        }
        // The flood begins when both count.
        for _ in 0..if second == 0 { 0 } else { 100_000 / 19 + 1 } {
            flood += 1;
            at_us += 100;
            port.masters.announce(&heard(flood, 1, 0), Ticks(at_us * 1_000), INTERVAL, &CLOCK);
            assert!(port.masters.iter().len() <= MAX_FOREIGN_MASTERS);
        }
        at_us = (u64::from(second) + 1) * 1_000_000;
        if second > 0 {
            assert_eq!(port.best(at_us / 1_000), Some(source(1)), "second {second}");
        }
    }
    assert!(flood > 101_000);
    assert!(port.masters.evicted() > 99_000);
}

#[test]
fn where_all_count_there_is_no_room_for_another() {
    let mut port = Port::default();
    for at in [0, 1] {
        for number in 0..MAX_FOREIGN_MASTERS as u64 {
            port.hear(heard(number, 128, at), at.into());
        }
    }
    assert_eq!(port.hear(heard(100, 1, 0), 2), Announced::Full);
    assert_eq!((port.masters.iter().len(), port.masters.evicted()), (MAX_FOREIGN_MASTERS, 0));
    port.masters.clear();
    assert_eq!(port.hear(heard(100, 1, 0), 2), Announced::Noted);
    assert_eq!(port.masters.iter().len(), 1);
}

#[test]
fn the_one_that_is_silent_for_longest_makes_room_but_never_the_parent() {
    let mut port = Port::default();
    port.hear(heard(0, 128, 0), 0);
    port.masters.follow(source(0));
    for number in 1..MAX_FOREIGN_MASTERS as u64 {
        port.hear(heard(number, 128, 0), number);
    }
    assert_eq!(port.hear(heard(100, 128, 0), 100), Announced::Noted);
    let known = |port: &Port, number| port.masters.iter().any(|master| master.source == source(number));
    assert!(known(&port, 0) && !known(&port, 1) && known(&port, 2) && known(&port, 100));
    assert_eq!(port.masters.evicted(), 1);
}

proptest! {
    /// Whatever comes whenever: the table is bounded, without double entries, and the best is one that was heard.
    #[test]
    fn the_table_is_sound(messages in prop::collection::vec((0_u64..40, any::<u16>(), 0_u64..3_000, 0_u8..4), 0..200)) {
        let mut port = Port::default();
        let mut now = u64::MAX / 2_000_000;
        for (number, sequence_id, later, kind) in messages {
            now += later;
            match kind {
                0 => port.masters.follow(source(number)),
                1 => port.masters.forget_parent(),
                _ => {
                    let outcome = port.hear(heard(number, 128, sequence_id), now);
                    let known = port.masters.iter().any(|master| master.source == source(number));
                    prop_assert_eq!(known, outcome != Announced::Full);
                }
            }
            let mut sources: Vec<_> = port.masters.iter().map(|master| master.source).collect();
            sources.sort_unstable();
            sources.dedup();
            prop_assert_eq!(sources.len(), port.masters.iter().len());
            prop_assert!(sources.len() <= MAX_FOREIGN_MASTERS);
            prop_assert!(port.best(now).is_none_or(|best| sources.contains(&best)));
        }
    }
}
