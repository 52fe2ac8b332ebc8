//! Exchanges that PTP carries, through switches that say how long they kept them (RFC 10030 §3).

use sidereal_ntp::{AssociationOptions, Carriage, HEADER_LEN};
use sidereal_time::Span;

use crate::client::options;
use crate::lab::{Host, MICROSECOND, Random, SECOND, World, key};

/// How long a message is on the way without queues, and how much of that is its own reception.
const WAY: u64 = 20 * MICROSECOND;
const RECEPTION: u64 = MICROSECOND;
/// The longest that a switch keeps one.
const QUEUE: u64 = 200 * MICROSECOND;

fn span(ns: u64) -> Span {
    Span::from_nanos(ns.into())
}

/// What transparent clocks say of a message that was so long on the way, at a link of known speed.
fn told(travelled: u64) -> Carriage {
    Carriage { correction: span(travelled - WAY), reception: span(RECEPTION) }
}

/// A client that asks by PTP, 300 us behind its server, through queues.
fn world(asks: &AssociationOptions, carriage: fn(u64) -> Carriage) -> World {
    let mut client = Host::asking(&AssociationOptions { over_ptp: Some(123), ..asks.clone() });
    let mut server = Host::serving(true);
    (client.latency, server.latency, server.offset) = (3 * MICROSECOND, 5 * MICROSECOND, 300_000);
    let mut world = World::new(client, server, WAY);
    let mut random = Random(11);
    world.link = Box::new(move |_, at| vec![at + WAY + 1 + random.below(QUEUE)]);
    world.carriage = Some(carriage);
    world
}

#[test]
fn what_switches_say_is_taken_away() {
    for (interleaved, number) in [(false, 0), (true, 0), (true, 5)] {
        let asks = AssociationOptions { interleaved, key: (number > 0).then(|| key(number)), ..options() };
        let mut world = world(&asks, told);
        world.run_until(40 * SECOND);
        world.assert_bounds();
        let measured = &world.hosts[0].measured;
        assert!(measured.len() > 20, "{}", measured.len());
        for measured in measured.iter().filter(|measured| measured.interleaved == interleaved) {
            // What is left is what a server of basic mode does not know of its own reply, halved.
            let unknown = span(if interleaved { 0 } else { 5 * MICROSECOND - RECEPTION }).half();
            let error = world.error(0, measured) + unknown;
            assert!(error.abs() < Span::from_nanos(10), "{error}: {measured:?}");
            let delay = measured.reading.window() - unknown - unknown;
            // 100 ppm of what was kept stay, and the reception of both messages, as on a direct link.
            assert!(delay >= span(2 * WAY + 2 * RECEPTION) - Span::from_nanos(10), "{delay}");
            assert!(delay < span(2 * WAY + 2 * RECEPTION) + Span::from_nanos(100), "{delay}");
        }
        let counts = *world.hosts[0].association().counts();
        assert_eq!((counts.measured_corrected, counts.corrections_refused), (counts.measured, 0));
    }
}

#[test]
fn without_the_field_or_a_switch_nothing_is_corrected() {
    // A link of unknown speed, and no transparent clock on it.
    let mut plain = world(&options(), |_| Carriage::default());
    plain.run_until(10 * SECOND);
    plain.assert_bounds();
    let counts = *plain.hosts[0].association().counts();
    assert!(counts.measured > 5);
    assert_eq!((counts.measured_corrected, counts.corrections_refused), (0, 0));

    // Version 3 has no extension fields.
    let version = sidereal_ntp::Version::V3;
    let mut old = world(&AssociationOptions { version, ..options() }, told);
    old.run_until(10 * SECOND);
    old.assert_bounds();
    let counts = *old.hosts[0].association().counts();
    assert!(counts.measured > 5 && counts.measured_corrected == 0, "{counts:?}");
}

#[test]
fn switches_that_lie_are_not_believed_and_never_break_the_bound() {
    let lies: [fn(u64) -> Carriage; 3] = [
        |_| Carriage { correction: Span::from_nanos(-1_000_000), reception: span(RECEPTION) },
        |travelled| Carriage { correction: span(10 * travelled), reception: span(RECEPTION) },
        // As much as can just be believed.
        |travelled| Carriage { correction: span(travelled * 9 / 10), reception: span(0) },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut world = world(&options(), lie);
        world.run_until(20 * SECOND);
        world.assert_bounds();
        let counts = *world.hosts[0].association().counts();
        assert!(counts.measured > 10, "{counts:?}");
        let refused = if number < 2 { counts.measured } else { 0 };
        assert_eq!(counts.corrections_refused, refused, "lie {number}: {counts:?}");
    }
}

#[test]
fn the_field_is_asked_for_and_answered_by_ptp_alone() {
    let mut world = world(&options(), told);
    world.run_until(3 * SECOND);
    for host in &world.hosts {
        assert!(host.sent.iter().all(|(_, message)| message.len() == HEADER_LEN + 28), "{:?}", host.sent);
        assert!(host.sent.iter().all(|(_, message)| message[48..52] == [0x01, 0x0a, 0, 28]));
    }
    world.carriage = None;
    world.hosts[1].sent.clear();
    world.run_until(6 * SECOND);
    assert!(world.hosts[1].sent.iter().all(|(_, message)| message.len() == HEADER_LEN));
}
