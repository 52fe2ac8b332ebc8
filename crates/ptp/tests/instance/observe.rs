//! Observing masters without following one.

use crate::lab::{LOCAL, MICROSECOND, SECOND, World, fast, identity, pair, tai};
use sidereal_ptp::{
    Address, ClockIdentity, DelayMechanism, Destination, IgnoreReason, InstanceOptions, MAX_MESSAGE_LEN, Message,
    MessageType, Observer, ObserverOptions, PortIdentity, PortState, Received, SdoId,
};
use sidereal_time::{Arrived, ClockModel, Span, StampSource, Ticks};
use std::net::IpAddr;

const STEP: u64 = 100 * MICROSECOND;
const WAY: u64 = 5 * MICROSECOND;

fn options(delay_mechanism: DelayMechanism) -> ObserverOptions {
    ObserverOptions {
        identity: PortIdentity { clock: ClockIdentity([7; 8]), number: 1 },
        domain: None,
        sdo_id: SdoId::DEFAULT,
        delay_mechanism,
        hybrid: false,
        minor_version: 1,
        interval: Span::SECOND,
    }
}

/// Lets an observer hear what host 0 of `world` sends, 5 us away, and host 0 what the observer asks, until `end`.
fn observe(world: &mut World, observer: &mut Observer, end: u64) {
    let arrived = |ns: u64| Arrived { ticks: Ticks(ns), source: StampSource::Hardware };
    let address = Address::Ip(IpAddr::from([10, 0, 0, 9]));
    let mut heard = world.hosts[0].sent.len();
    while world.now < end {
        let now = world.now;
        let mut buffer = [0; MAX_MESSAGE_LEN];
        if observer.poll_timeout().is_some_and(|at| at.0 <= now) {
            let transmit = observer.poll_transmit(Ticks(now), &LOCAL, &mut buffer).unwrap();
            observer.transmitted(transmit.sequence, Some(arrived(now)), &LOCAL);
            world.run_until(now + WAY);
            let message = &buffer[..transmit.len];
            if !world.answer(0, address, message) {
                world.deliver(0, address, message);
            }
        }
        world.run_until(now + STEP);
        for (at, to, message) in &world.hosts[0].sent[heard..] {
            if *to == Destination::Primary || *to == Destination::PeerDelay || *to == Destination::Unicast(address) {
                let from = Some(world.hosts[0].address);
                observer.receive(message, from, Some(arrived(at + WAY)), Ticks(at + WAY), &LOCAL);
            }
        }
        heard = world.hosts[0].sent.len();
    }
}

#[test]
fn a_master_is_observed_by_either_mechanism() {
    for delay_mechanism in [DelayMechanism::E2e, DelayMechanism::P2p] {
        for hybrid in [false, true] {
            let mut instance = fast();
            instance.port.delay_mechanism = delay_mechanism;
            let mut world = pair(&instance, WAY);
            world.hosts[0].ppb = 0;
            world.hosts[0].offset = Some(12_345);
            world.hosts.truncate(1);
            let mut observer = Observer::new(&ObserverOptions { hybrid, ..options(delay_mechanism) }, Ticks(0), &LOCAL);
            observe(&mut world, &mut observer, 20 * SECOND);
            let model = ClockModel { reference: tai(0), ..LOCAL.unknown(Ticks(0)) };
            let masters: Vec<_> = observer.masters().collect();
            let [master] = masters.as_slice() else { panic!("{masters:?}") };
            assert_eq!((master.domain, master.identity.clock), (0, identity(1)));
            assert_eq!(
                (master.two_step, master.log_sync_interval, master.log_announce_interval),
                (Some(true), Some(-3), Some(0))
            );
            assert_eq!(master.announce.unwrap().clock_quality.clock_class.0, 6);
            assert!(master.time_properties.unwrap().ptp_timescale);
            assert!(master.announces >= 5 && master.syncs > 50 && master.readings > 5, "{master:?}");
            assert_eq!(master.offset(&model).map(Span::as_nanos_rounded), Some(12_345));
            assert_eq!(master.mean_delay().map(Span::as_nanos_rounded), Some(5_000));
            assert_eq!(world.states(), [PortState::Master]);
        }
    }
}

#[test]
fn what_is_not_observed_is_named() {
    let mut world = pair(&InstanceOptions::default(), WAY);
    world.run_until(20 * SECOND);
    let (_, _, sync) = world.hosts[0].sent.iter().find(|(_, _, bytes)| bytes[0] & 15 == 0).unwrap();
    let receive = |observer: &mut Observer, bytes: &[u8]| observer.receive(bytes, None, None, Ticks(0), &LOCAL);
    let mut elsewhere =
        Observer::new(&ObserverOptions { domain: Some(3), ..options(DelayMechanism::E2e) }, Ticks(0), &LOCAL);
    assert_eq!(receive(&mut elsewhere, sync), Received::Ignored(IgnoreReason::WrongDomain));
    let mut observer = Observer::new(&options(DelayMechanism::E2e), Ticks(0), &LOCAL);
    assert_eq!(receive(&mut observer, &sync[..40]), Received::Ignored(IgnoreReason::Truncated));
    let mut of = |number: u8| {
        let mut bytes = sync.clone();
        bytes[27] = number;
        receive(&mut observer, &bytes)
    };
    // More identities than there is room for.
    assert!((0..32).all(|number| of(number) == Received::Accepted));
    assert_eq!(of(99), Received::Ignored(IgnoreReason::ForeignMastersFull));
    assert_eq!(observer.masters().len(), 32);
    assert_eq!(observer.counts().received(MessageType::Sync), 33);
    assert_eq!(Message::parse(sync).unwrap().message_type(), MessageType::Sync);
}
