//! Whatever comes by PTP, the engine neither panics nor grows.

use crate::lan::{PORT, identity, instance, ptp};
use crate::world::{LOCAL, config, ntp};
use proptest::prelude::*;
use sidereal_engine::{Action, Engine, EngineConfig, Event, PtpOutgoing};
use sidereal_ptp::{
    Address, Announce, Body, ClockAccuracy, ClockClass, ClockQuality, Correction, DelayMechanism, Flags, Header,
    InstanceOptions, MAX_MESSAGE_LEN, Message, PortIdentity, TimeSource, Timestamp, Tlvs,
};
use sidereal_time::{Arrived, LeapTable, StampSource, Ticks};

/// More than any call of the engine may want done.
const MANY: usize = 100;

/// What happens.
#[derive(Debug, Clone)]
enum Happening {
    /// A message of a master that is nobody's, or its answer to what was sent last.
    Message {
        kind: u8,
        master: u8,
        time: (u32, u32),
        correction: i64,
        accuracy: u8,
        flags: u16,
    },
    /// Bytes.
    Bytes(Vec<u8>),
    Management(Vec<u8>),
    Port(bool),
    /// The last message left, or was lost.
    Left(Option<u64>),
    Configure(u8),
    Time,
}

fn happening() -> impl Strategy<Value = Happening> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..120);
    let accuracy = prop_oneof![Just(0x21_u8), any::<u8>()];
    // Mostly two-step, on the timescale of PTP.
    let flags = prop_oneof![3 => Just(0x0208_u16), 2 => Just(8_u16), 1 => any::<u16>()];
    let time = (1_770_000_000_u32..1_770_000_100, 0_u32..1_000_000_000);
    prop_oneof![
        12 => (0_u8..6, 1_u8..4, time, any::<i64>(), accuracy, flags).prop_map(
            |(kind, master, time, correction, accuracy, flags)| Happening::Message {
                kind, master, time, correction: correction >> 32, accuracy, flags
            }
        ),
        1 => bytes().prop_map(Happening::Bytes),
        1 => bytes().prop_map(Happening::Management),
        1 => any::<bool>().prop_map(Happening::Port),
        4 => prop_oneof![Just(None), (0_u64..3_000_000).prop_map(Some)].prop_map(Happening::Left),
        1 => any::<u8>().prop_map(Happening::Configure),
        6 => Just(Happening::Time),
    ]
}

fn everything(seed: u8) -> EngineConfig {
    let mut options = InstanceOptions { slave_only: seed & 1 != 0, path_trace: seed & 2 != 0, ..instance() };
    options.port.delay_mechanism = if seed & 4 == 0 { DelayMechanism::E2e } else { DelayMechanism::P2p };
    options.port.log_sync_interval = -7;
    options.port.hybrid = seed & 8 != 0;
    config(vec![ptp(options), ntp(1, 0)])
}

fn message(happening: &Happening, sequence_id: u16) -> Option<Vec<u8>> {
    let Happening::Message { kind, master, time, correction, accuracy, flags } = *happening else { return None };
    let [a, b, c, d] = time.0.to_be_bytes();
    let [e, f, g, h] = time.1.to_be_bytes();
    let timestamp = Timestamp([0, 0, a, b, c, d, e, f, g, h]);
    let requesting = PortIdentity { clock: identity(99), number: 1 };
    let announce = Announce {
        origin_timestamp: timestamp,
        current_utc_offset: 37,
        priority1: 100 + master,
        clock_quality: ClockQuality {
            clock_class: ClockClass::PRIMARY_REFERENCE,
            clock_accuracy: ClockAccuracy(accuracy),
            offset_scaled_log_variance: 1,
        },
        priority2: 128,
        grandmaster_identity: identity(master),
        steps_removed: 0,
        time_source: TimeSource::GNSS,
    };
    let body = match kind {
        0 | 1 => Body::Announce(announce),
        2 => Body::Sync(timestamp),
        3 => Body::FollowUp(timestamp),
        4 => Body::DelayResp { receive_timestamp: timestamp, requesting },
        _ => Body::PdelayResp { request_receipt_timestamp: timestamp, requesting },
    };
    let header = Header {
        flags: Flags(flags),
        correction: Correction(correction),
        source: PortIdentity { clock: identity(master), number: 1 },
        sequence_id,
        ..header()
    };
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let length = Message { header, body, tlvs: Tlvs::NONE }.write(&mut buffer).ok()?;
    buffer.get(..length).map(<[u8]>::to_vec)
}

fn header() -> Header {
    Header {
        sdo_id: sidereal_ptp::SdoId::DEFAULT,
        minor_version: 1,
        domain: 0,
        flags: Flags::NONE,
        correction: Correction::ZERO,
        message_type_specific: [0; 4],
        source: PortIdentity::default(),
        sequence_id: 0,
        control: 5,
        log_interval: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_are_survived(
        seed: u8,
        happenings in prop::collection::vec((happening(), 0_u64..1_500_000_000), 0..200),
    ) {
        let mut now = Ticks(1 << 40);
        let mut engine = Engine::new(LOCAL, everything(seed), LeapTable::built_in(), now);
        let mut last: Option<PtpOutgoing> = None;
        let mut number = 0;
        for (happening, wait) in happenings {
            // Messages come close together: answers in time.
            let wait = if matches!(happening, Happening::Time) { wait } else { wait / 1_000 };
            now = Ticks(now.0.wrapping_add(wait));
            let arrival = Some(Arrived { ticks: now, source: StampSource::Hardware });
            let from = Some(Address::Link([2, 0, 0, 0, 0, 1]));
            number += 1;
            let answers = matches!(happening, Happening::Message { kind: 4.., .. });
            let asked = last.as_ref().and_then(|sent| Message::parse(&sent.payload).ok()).map(|sent| sent.header.sequence_id);
            let sequence_id = asked.filter(|_| answers).unwrap_or(number / 2);
            match &happening {
                Happening::Message { .. } => {
                    let message = message(&happening, sequence_id).unwrap_or_default();
                    engine.handle(Event::PtpReceived { port: PORT, from, message: &message, arrival }, now);
                }
                Happening::Bytes(message) => engine.handle(Event::PtpReceived { port: PORT, from, message, arrival }, now),
                Happening::Management(message) => engine.handle(Event::PtpManagement { client: 1, message }, now),
                Happening::Port(usable) => engine.handle(Event::PtpPort { port: PORT, usable: *usable }, now),
                Happening::Left(late) => {
                    if let Some(packet) = last.as_ref().filter(|sent| sent.stamp_wanted).map(|sent| sent.packet) {
                        let left = late.map(|late| Arrived {
                            ticks: Ticks(now.0.wrapping_sub(late)),
                            source: StampSource::Hardware,
                        });
                        engine.handle(Event::Transmitted { packet, left }, now);
                    }
                }
                Happening::Configure(seed) => engine.handle(Event::Configuration(Box::new(everything(*seed))), now),
                Happening::Time => engine.handle(Event::Timer, now),
            }
            let status = engine.status(now);
            prop_assert!(status.error.is_none_or(|error| !error.is_negative()));
            let [instance] = engine.ptp().try_into().unwrap();
            prop_assert!(instance.foreign_masters.len() <= sidereal_ptp::MAX_FOREIGN_MASTERS);
            prop_assert!(!instance.reason.is_empty());
            let wanted: Vec<_> = core::iter::from_fn(|| engine.poll_action()).take(MANY).collect();
            prop_assert!(wanted.len() < MANY, "{:?}", wanted.last());
            for action in wanted {
                match action {
                    Action::Report(report) => prop_assert!(!report.to_string().is_empty()),
                    Action::SendPtp(outgoing) => {
                        prop_assert!(Message::parse(&outgoing.payload).is_ok());
                        last = Some(outgoing);
                    }
                    _ => {}
                }
            }
        }
    }
}
