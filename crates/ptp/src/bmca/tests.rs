use proptest::prelude::*;

use super::*;
use crate::data_sets::{PortState, Roles};
use crate::fsm::{PortEvent, fsm};
use crate::identity::{ClockIdentity, PortIdentity};
use crate::message::{ClockAccuracy, ClockClass, ClockQuality};

/// A port of a clock with this number.
const fn port(clock: u8, number: u16) -> PortIdentity {
    PortIdentity { clock: identity(clock), number }
}

const fn identity(clock: u8) -> ClockIdentity {
    ClockIdentity([0, 0, 0, 0xff, 0xfe, 0, 0, clock])
}

/// Grandmaster 9, two steps away by the neighbour 5, as port 1 of clock 3 hears it.
const SET: ComparisonSet = ComparisonSet {
    priority1: 128,
    identity: identity(9),
    quality: ClockQuality {
        clock_class: ClockClass(248),
        clock_accuracy: ClockAccuracy(0x25),
        offset_scaled_log_variance: 0x5000,
    },
    priority2: 128,
    steps_removed: 2,
    sender: port(5, 1),
    receiver: port(3, 1),
    local_priority: 128,
};

fn with(change: impl Fn(&mut ComparisonSet)) -> ComparisonSet {
    let mut set = SET;
    change(&mut set);
    set
}

type Algorithm = fn(&ComparisonSet, &ComparisonSet) -> Relation;

fn assert_relation(algorithm: Algorithm, a: &ComparisonSet, b: &ComparisonSet, expected: Relation) {
    assert_eq!(algorithm(a, b), expected, "{a:?}\n{b:?}");
    assert_eq!(algorithm(b, a), expected.swapped(), "{b:?}\n{a:?}");
}

/// A field of a data set, lowered.
type Lowered = fn(&mut ComparisonSet);

const PRIORITY1: Lowered = |set| set.priority1 -= 1;
const CLASS: Lowered = |set| set.quality.clock_class.0 -= 1;
const ACCURACY: Lowered = |set| set.quality.clock_accuracy.0 -= 1;
const VARIANCE: Lowered = |set| set.quality.offset_scaled_log_variance -= 1;
const PRIORITY2: Lowered = |set| set.priority2 -= 1;
const LOCAL_PRIORITY: Lowered = |set| set.local_priority -= 1;
const IDENTITY: Lowered = |set| set.identity = identity(8);

/// Each field decides against all that come after it, and none of those before it differs.
fn assert_in_this_order(algorithm: Algorithm, fields: &[Lowered], base: impl Fn(&mut ComparisonSet)) {
    for (place, field) in fields.iter().enumerate() {
        let a = with(|set| {
            base(set);
            set.identity = identity(10);
            field(set);
            // The way says the opposite.
            set.steps_removed = 100;
        });
        let b = with(|set| {
            base(set);
            fields.iter().skip(place + 1).for_each(|field| field(set));
        });
        assert_relation(algorithm, &a, &b, Relation::ABetter);
    }
}

/// Figure 34.
#[test]
fn grandmasters_are_compared_field_by_field() {
    assert_in_this_order(compare, &[PRIORITY1, CLASS, ACCURACY, VARIANCE, PRIORITY2, IDENTITY], |_| {});
    // localPriority is not looked at.
    assert_relation(compare, &SET, &with(LOCAL_PRIORITY), Relation::Error2);
}

/// Figure 34: one grandmaster is compared by the way alone, even where its fields are not the same any longer.
#[test]
fn news_of_one_grandmaster_does_not_outdo_the_way_to_it() {
    let nearer = with(|set| set.steps_removed = 0);
    let better = with(PRIORITY1);
    assert_relation(compare, &nearer, &better, Relation::ABetter);
}

/// Figure 35.
fn assert_ways(algorithm: Algorithm) {
    let steps = |steps: u16, sender: PortIdentity, receiver: PortIdentity| ComparisonSet {
        steps_removed: steps,
        sender,
        receiver,
        ..SET
    };
    let us = port(3, 1);
    let rows = [
        // Two steps more, whoever is in between.
        (steps(0, port(5, 1), us), steps(2, port(1, 1), us), Relation::ABetter),
        (steps(0, port(5, 1), us), steps(u16::MAX, port(1, 1), us), Relation::ABetter),
        // B is one step longer: Receiver of B less than, greater than and equal to its Sender.
        (steps(1, port(5, 1), us), steps(2, port(4, 1), us), Relation::ABetter),
        (steps(1, port(5, 1), us), steps(2, port(2, 1), us), Relation::ABetterByTopology),
        (steps(1, port(5, 1), us), steps(2, port(3, 2), us), Relation::Error1),
        // As long: by the senders, clock before port.
        (steps(1, port(4, 2), us), steps(1, port(5, 1), us), Relation::ABetterByTopology),
        (steps(1, port(4, 1), us), steps(1, port(4, 2), us), Relation::ABetterByTopology),
        // The same sender: by the receiving ports.
        (steps(1, port(5, 1), us), steps(1, port(5, 1), port(3, 2)), Relation::ABetterByTopology),
        (steps(1, port(5, 1), us), steps(1, port(5, 1), us), Relation::Error2),
    ];
    for (a, b, expected) in rows {
        assert_relation(algorithm, &a, &b, expected);
    }
}

#[test]
fn ways_are_compared_by_length_then_by_neighbours() {
    assert_ways(compare);
    assert_ways(compare_alternate);
}

/// ITU-T G.8275.1 6.3: no priority1, localPriority before the identity.
#[test]
fn the_alternate_algorithm_compares_in_its_own_order() {
    assert_in_this_order(compare_alternate, &[CLASS, ACCURACY, VARIANCE, PRIORITY2, LOCAL_PRIORITY, IDENTITY], |_| {});
    assert_relation(compare_alternate, &SET, &with(PRIORITY1), Relation::Error2);
    // localPriority goes before the way to one grandmaster.
    let preferred = with(|set| {
        LOCAL_PRIORITY(set);
        set.steps_removed = 100;
    });
    assert_relation(compare_alternate, &preferred, &SET, Relation::ABetter);
}

/// ITU-T G.8275.1 6.3: of several grandmasters below class 128 the nearest is followed, whatever the identities.
#[test]
fn several_primary_references_may_lead_at_once() {
    let far = |class| {
        with(|set| {
            set.identity = identity(1);
            set.steps_removed = 7;
            set.quality.clock_class = ClockClass(class);
        })
    };
    let near = |class| with(|set| set.quality.clock_class = ClockClass(class));
    assert_relation(compare_alternate, &near(6), &far(6), Relation::ABetter);
    assert_relation(compare_alternate, &near(127), &far(127), Relation::ABetter);
    assert_relation(compare_alternate, &near(128), &far(128), Relation::BBetter);
    assert_relation(compare, &near(6), &far(6), Relation::BBetter);
}

/// The clock itself, of this class, and better than [`SET`] where `better`.
fn own(class: u8, better: bool) -> ComparisonSet {
    ComparisonSet {
        priority1: if better { 127 } else { 129 },
        identity: identity(3),
        quality: ClockQuality { clock_class: ClockClass(class), ..SET.quality },
        steps_removed: 0,
        sender: port(3, 0),
        receiver: port(3, 0),
        ..SET
    }
}

/// Figure 33, each end of it.
#[test]
fn a_port_is_what_figure_33_says() {
    use PortState::{Listening, Master, Passive, Slave, Uncalibrated};
    let on_port_2 = with(|set| set.receiver = port(3, 2));
    let elsewhere = with(|set| {
        set.identity = identity(8);
        set.receiver = port(3, 2);
    });
    let best_by_topology = with(|set| {
        set.sender = port(4, 1);
        set.receiver = port(3, 2);
    });
    let much_nearer = with(|set| {
        set.steps_removed = 0;
        set.receiver = port(3, 2);
    });
    let rows = [
        // Nothing heard, and listening: goes on.
        (Listening, Some(own(6, true)), None, None, None),
        (Listening, Some(own(248, true)), None, Some(on_port_2), None),
        (Listening, None, None, None, None),
        // Classes up to 127 lead, or stand back.
        (Passive, Some(own(6, false)), None, None, Some(Decision::M1)),
        (Listening, Some(own(127, true)), Some(SET), Some(SET), Some(Decision::M1)),
        (Master, Some(own(127, false)), Some(SET), Some(SET), Some(Decision::P1)),
        (Master, Some(own(1, false)), Some(SET), Some(on_port_2), Some(Decision::P1)),
        // Others lead where they are better than all that any port hears.
        (Master, Some(own(248, false)), None, None, Some(Decision::M2)),
        (Slave, Some(own(128, true)), Some(SET), Some(SET), Some(Decision::M2)),
        (Slave, Some(own(248, true)), Some(SET), Some(on_port_2), Some(Decision::M2)),
        // Else they follow on the port that hears the best,
        (Listening, Some(own(248, false)), Some(SET), Some(SET), Some(Decision::S1)),
        (Slave, Some(own(128, false)), Some(SET), Some(SET), Some(Decision::S1)),
        (Uncalibrated, None, Some(SET), Some(SET), Some(Decision::S1)),
        // stand back on those that hear it by a worse way,
        (Master, Some(own(248, false)), Some(SET), Some(best_by_topology), Some(Decision::P2)),
        // and lead on the others.
        (Master, Some(own(248, false)), None, Some(on_port_2), Some(Decision::M3)),
        (Passive, Some(own(248, false)), Some(SET), Some(elsewhere), Some(Decision::M3)),
        (Master, Some(own(248, false)), Some(SET), Some(much_nearer), Some(Decision::M3)),
        // Who cannot lead follows whomever there is.
        (Slave, None, None, None, Some(Decision::M2)),
    ];
    for (state, own, port_best, best, expected) in rows {
        let decision = decide(state, own.as_ref(), port_best.as_ref(), best.as_ref(), compare);
        assert_eq!(decision, expected, "{state:?}\n{own:?}\n{port_best:?}\n{best:?}");
    }
}

#[test]
fn decisions_are_recommended_states() {
    let rows = [
        (Decision::M1, PortEvent::RecommendedMaster, 0),
        (Decision::M2, PortEvent::RecommendedMaster, 0),
        (Decision::M3, PortEvent::RecommendedMaster, 4),
        (Decision::P1, PortEvent::RecommendedPassive, 0),
        (Decision::P2, PortEvent::RecommendedPassive, 0),
        (Decision::S1, PortEvent::RecommendedSlave { new_master: true }, 0),
    ];
    for (decision, event, intervals) in rows {
        assert_eq!(decision.event(true), event);
        assert_eq!(decision.qualification_intervals(3), intervals);
    }
    assert_eq!(Decision::S1.event(false), PortEvent::RecommendedSlave { new_master: false });
    assert_eq!(Decision::M3.qualification_intervals(u16::MAX), 65_536);
    // A clock that may no longer lead, and hears nobody, listens.
    let event = decide(PortState::Master, None, None, None, compare).unwrap().event(false);
    assert_eq!(fsm(PortState::Master, event, Roles::SlaveOnly), PortState::Listening);
}

prop_compose! {
    /// Few values of everything, so that they are often equal. A grandmaster says the same of itself whoever hears it, and
    /// every sender is another clock than the receiver.
    fn any_set()(
        grandmaster in 0_u8..4, steps_removed in 0_u16..4, sender in 10_u8..16, sender_port in 1_u16..3,
        receiver_port in 1_u16..4, local_priority in 1_u8..4, qualities in Just([(6, 1), (6, 1), (248, 1), (248, 2)]),
    ) -> ComparisonSet {
        let (class, priority2) = qualities[usize::from(grandmaster)];
        ComparisonSet {
            priority1: 1 + grandmaster / 3,
            identity: identity(grandmaster),
            quality: ClockQuality { clock_class: ClockClass(class), ..SET.quality },
            priority2,
            steps_removed,
            sender: port(sender, sender_port),
            receiver: port(13, receiver_port),
            local_priority,
        }
    }
}

proptest! {
    #[test]
    fn comparison_is_antisymmetric(a in any_set(), b in any_set()) {
        for algorithm in [compare, compare_alternate] {
            prop_assert_eq!(algorithm(&a, &b), algorithm(&b, &a).swapped());
        }
    }

    /// Where no error is found, what is better than the better is better. (One of a message that came back is left out: the
    /// standard has no order for it.)
    #[test]
    fn comparison_is_transitive(a in any_set(), b in any_set(), c in any_set()) {
        for algorithm in [compare, compare_alternate] {
            if algorithm(&a, &b).is_a() && algorithm(&b, &c).is_a() {
                let relation = algorithm(&a, &c);
                prop_assert!(relation.is_a() || relation == Relation::Error1, "{:?}", relation);
            }
        }
    }

    /// One of two clocks that hear each other leads and the other follows, if none of both is of a class that never does.
    #[test]
    fn two_clocks_agree_who_leads(a in any_set(), b in any_set()) {
        for algorithm in [compare, compare_alternate] {
            let clock = |set: &ComparisonSet, number: u8| ComparisonSet {
                identity: identity(number),
                quality: ClockQuality { clock_class: ClockClass(248), ..set.quality },
                steps_removed: 0,
                sender: port(number, 0),
                receiver: port(number, 0),
                local_priority: 1,
                ..*set
            };
            let (a, b) = (clock(&a, 1), clock(&b, 2));
            let hears = |own: &ComparisonSet, other: &ComparisonSet| {
                let heard = ComparisonSet {
                    sender: PortIdentity { number: 1, ..other.sender },
                    receiver: PortIdentity { number: 1, ..own.receiver },
                    ..*other
                };
                decide(PortState::Listening, Some(own), Some(&heard), Some(&heard), algorithm)
            };
            let both = [hears(&a, &b), hears(&b, &a)];
            prop_assert!(
                both == [Some(Decision::M2), Some(Decision::S1)] || both == [Some(Decision::S1), Some(Decision::M2)],
                "{:?}", both
            );
        }
    }
}
