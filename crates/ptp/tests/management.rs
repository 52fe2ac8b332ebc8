//! An instance that is asked and told by management messages.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says no by panicking")]

use core::net::IpAddr;

use proptest::prelude::*;
use sidereal_ptp::{
    Action, Address, Answer, Body, ClockAccuracy, ClockClass, ClockIdentity, ClockQuality, ClockState, Content,
    Context, Data, Destination, Flags, Header, IgnoreReason, Instance, InstanceOptions, MAX_ANSWER_LEN,
    MAX_MESSAGE_LEN, Management, ManagementError, ManagementId, Message, MessageType, PortIdentity, PortState,
    Received, SdoId, TimePropertiesDs, TimeSource, TlvWriter, Tlvs,
};
use sidereal_time::{Arrived, ClockModel, Counter, Instant, LocalClock, PtpTimestamp, Rate, StampSource, Ticks};

const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -28 };
const SECOND: u64 = 1_000_000_000;
const ASKER: PortIdentity = PortIdentity { clock: ClockIdentity([9; 8]), number: 77 };
const OWN: ClockIdentity = ClockIdentity([2, 0, 0, 0xff, 0xfe, 0, 0, 1]);

fn address(last: u8) -> Address {
    Address::Ip(IpAddr::from([10, 0, 0, last]))
}

/// One instance, at some time.
struct Clock {
    instance: Instance,
    now: u64,
    has_time: bool,
}

impl Clock {
    fn new(options: &InstanceOptions) -> Self {
        let options = InstanceOptions { identity: OWN, ..options.clone() };
        let instance = with(0, true, |context| Instance::new(&options, Ticks(0), context));
        Self { instance, now: 0, has_time: true }
    }

    /// Lets `seconds` pass; what is sent is dropped, but for what is given back: management messages.
    fn run(&mut self, seconds: u64) -> Vec<(Vec<u8>, Destination)> {
        let mut answers = Vec::new();
        let end = self.now + seconds * SECOND;
        loop {
            let now = self.now;
            let mut buffer = [0; MAX_MESSAGE_LEN];
            while let Some(sent) =
                with(now, self.has_time, |context| self.instance.poll_transmit(Ticks(now), context, &mut buffer))
            {
                if Message::parse(&buffer).unwrap().message_type() == MessageType::Management {
                    answers.push((buffer[..sent.len].to_vec(), sent.to));
                }
            }
            match self.instance.poll_timeout() {
                Some(Ticks(next)) if next <= end => self.now = next.max(now + 1),
                _ => break,
            }
        }
        self.now = end;
        answers
    }

    fn ask(&mut self, message: &[u8]) -> Result<Answer, IgnoreReason> {
        let now = self.now;
        with(now, self.has_time, |context| self.instance.manage(message, Ticks(now), context))
    }

    fn receive(&mut self, message: &[u8], from: Address) -> Received {
        let now = self.now;
        let arrival = Some(Arrived { ticks: Ticks(now), source: StampSource::Kernel });
        with(now, self.has_time, |context| self.instance.receive(message, Some(from), arrival, Ticks(now), context))
    }

    /// Does what `action` says, and checks all of the answer but its TLV, which is given to `check`.
    fn act(&mut self, action: Action, id: ManagementId, data: &Data<'_>, check: impl FnOnce(Content<'_>)) {
        let answer = self.ask(&message(action, id, data)).unwrap();
        let answer = Message::parse(&answer).unwrap();
        let expected = if action == Action::Command { Action::Acknowledge } else { Action::Response };
        let Body::Management(body) = answer.body else { panic!("{answer:?}") };
        assert_eq!(
            (body.target, body.action, body.starting_boundary_hops, body.boundary_hops),
            (ASKER, expected, 2, 2)
        );
        assert_eq!((answer.header.source.clock, answer.header.sequence_id), (OWN, 1234));
        let mut tlvs = answer.tlvs.iter();
        check(tlvs.next().unwrap().content().unwrap());
        assert_eq!(tlvs.next(), None);
    }

    fn get(&mut self, id: ManagementId, check: impl FnOnce(Data<'_>)) {
        self.act(Action::Get, id, &Data::Nothing, |content| {
            let Content::Management(tlv) = content else { panic!("{id}: {content:?}") };
            assert_eq!(tlv.id, id);
            check(Data::parse(id, tlv.data).unwrap_or_else(|error| panic!("{id}: {error}")));
        });
    }

    fn set(&mut self, id: ManagementId, data: Data<'_>) -> Result<(), ManagementError> {
        self.change(Action::Set, id, &data)
    }

    fn command(&mut self, id: ManagementId, data: Data<'_>) -> Result<(), ManagementError> {
        self.change(Action::Command, id, &data)
    }

    /// Whether it is complied with: the answer then has the data that was given.
    fn change(&mut self, action: Action, id: ManagementId, data: &Data<'_>) -> Result<(), ManagementError> {
        let mut outcome = Ok(());
        self.act(action, id, data, |content| match content {
            Content::Management(tlv) => assert_eq!((tlv.id, Data::parse(id, tlv.data).as_ref()), (id, Ok(data))),
            Content::ManagementErrorStatus(status) => {
                assert_eq!(status.id, id);
                outcome = Err(status.error);
            }
            content => panic!("{content:?}"),
        });
        outcome
    }
}

/// What an instance is told of a primary reference at `now`.
fn with<T>(now: u64, has_time: bool, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let model = ClockModel { reference: Instant::from_secs(1_800_000_000), ..LOCAL.unknown(Ticks(0)) };
    let state = ClockState {
        quality: ClockQuality {
            clock_class: ClockClass::PRIMARY_REFERENCE,
            clock_accuracy: ClockAccuracy::WITHIN_1_US,
            offset_scaled_log_variance: 0x4e5d,
        },
        time_properties: TimePropertiesDs {
            current_utc_offset: 37,
            current_utc_offset_valid: true,
            leap59: false,
            leap61: true,
            time_traceable: true,
            frequency_traceable: false,
            ptp_timescale: true,
            time_source: TimeSource::GNSS,
        },
        can_lead: true,
    };
    let mut random = || now;
    let time = has_time.then_some(&model);
    act(&mut Context { clock: &LOCAL, time, state: &state, selected: false, random: &mut random })
}

fn header(flags: Flags) -> Header {
    Header {
        sdo_id: SdoId::DEFAULT,
        minor_version: 0,
        domain: 0,
        flags,
        correction: sidereal_ptp::Correction::ZERO,
        message_type_specific: [0; 4],
        source: ASKER,
        sequence_id: 1234,
        control: MessageType::Management.control(),
        log_interval: 0x7f,
    }
}

fn written(header: Header, target: PortIdentity, action: Action, tlvs: Tlvs<'_>) -> Vec<u8> {
    let body = Management { target, starting_boundary_hops: 3, boundary_hops: 1, action };
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let length = Message { header, body: Body::Management(body), tlvs }.write(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

fn message(action: Action, id: ManagementId, data: &Data<'_>) -> Vec<u8> {
    let mut room = [0; 512];
    let mut tlvs = TlvWriter::new(&mut room);
    data.write(id, &mut tlvs).unwrap();
    written(header(Flags::NONE), PortIdentity::ALL, action, tlvs.finish())
}

fn get(flags: Flags, target: PortIdentity) -> Vec<u8> {
    let mut room = [0; 64];
    let mut tlvs = TlvWriter::new(&mut room);
    Data::Nothing.write(ManagementId::DEFAULT_DATA_SET, &mut tlvs).unwrap();
    written(header(flags), target, Action::Get, tlvs.finish())
}

#[test]
fn every_data_set_is_told_as_it_is() {
    let mut options = InstanceOptions { user_description: "clock;attic".into(), ..InstanceOptions::default() };
    options.port.interface = "lan0".into();
    options.port.protocol_address = Some(address(1));
    let mut clock = Clock::new(&options);
    clock.run(30);
    assert_eq!(clock.instance.port_state(), PortState::Master);
    let (default, port, time) =
        (clock.instance.default_ds(), clock.instance.port_ds(), clock.instance.time_properties_ds());
    clock.get(ManagementId::DEFAULT_DATA_SET, |data| {
        let Data::DefaultDataSet(told) = data else { panic!("{data:?}") };
        assert_eq!((told.clock_identity, told.clock_quality), (OWN, default.clock_quality));
        assert_eq!((told.number_ports, told.two_step, told.slave_only), (1, true, false));
    });
    clock.get(ManagementId::PARENT_DATA_SET, |data| {
        let Data::ParentDataSet(told) = data else { panic!("{data:?}") };
        assert_eq!((told.grandmaster_identity, told.parent_port_identity.number), (OWN, 0));
    });
    clock.get(ManagementId::TIME_PROPERTIES_DATA_SET, |data| assert_eq!(data, Data::TimePropertiesDataSet(time)));
    clock.get(ManagementId::PORT_DATA_SET, |data| {
        let Data::PortDataSet(told) = data else { panic!("{data:?}") };
        assert_eq!((told.port_identity, told.port_state), (port.port_identity, PortState::Master));
    });
    clock.get(ManagementId::CURRENT_DATA_SET, |data| {
        let Data::CurrentDataSet(told) = data else { panic!("{data:?}") };
        assert_eq!(told.steps_removed, 0);
    });
    clock.get(ManagementId::CLOCK_DESCRIPTION, |data| {
        let Data::ClockDescription(told) = data else { panic!("{data:?}") };
        assert_eq!((told.network_protocol, told.protocol_address), (1, &[10, 0, 0, 1][..]));
        assert_eq!(told.user_description.as_bytes(), b"clock;attic");
    });
    clock.get(ManagementId::PORT_PROPERTIES_NP, |data| {
        let Data::PortPropertiesNp(told) = data else { panic!("{data:?}") };
        assert_eq!((told.interface.as_bytes(), told.port_state), (&b"lan0"[..], PortState::Master));
    });
    let sent = clock.instance.counts().sent(MessageType::Announce);
    clock.get(ManagementId::PORT_STATS_NP, |data| {
        let Data::PortStatsNp(told) = data else { panic!("{data:?}") };
        assert_eq!(told.sent[usize::from(MessageType::Announce.bits())], sent);
        assert!(sent > 5);
    });
    clock.get(ManagementId::TIME, |data| {
        let expected = PtpTimestamp::new(1_800_000_030, 0).unwrap();
        assert_eq!(data, Data::Time(expected.into()));
    });
    clock.get(ManagementId::TIME_STATUS_NP, |data| {
        let Data::TimeStatusNp(told) = data else { panic!("{data:?}") };
        assert_eq!((told.gm_present, told.gm_identity, told.master_offset_ns), (false, OWN, 0));
    });
    clock.has_time = false;
    assert_eq!(clock.change(Action::Get, ManagementId::TIME, &Data::Nothing), Err(ManagementError::Unpopulated));
}

#[test]
fn parts_of_the_data_sets_agree_with_the_whole() {
    let mut clock = Clock::new(&InstanceOptions::default());
    clock.get(ManagementId::UTC_PROPERTIES, |data| {
        let flags = Flags::LEAP_61.with(Flags::CURRENT_UTC_OFFSET_VALID, true);
        assert_eq!(data, Data::UtcProperties(37, flags));
    });
    clock.get(ManagementId::TRACEABILITY_PROPERTIES, |data| {
        assert_eq!(data, Data::TraceabilityProperties(Flags::TIME_TRACEABLE));
    });
    clock.get(ManagementId::TIMESCALE_PROPERTIES, |data| {
        assert_eq!(data, Data::TimescaleProperties(Flags::PTP_TIMESCALE, TimeSource::GNSS));
    });
    clock.get(ManagementId::CLOCK_ACCURACY, |data| {
        assert_eq!(data, Data::ClockAccuracy(ClockAccuracy::WITHIN_1_US));
    });
    clock.get(ManagementId::GRANDMASTER_SETTINGS_NP, |data| {
        let Data::GrandmasterSettingsNp(told) = data else { panic!("{data:?}") };
        assert_eq!((told.utc_offset, told.time_flags), (37, 0b1_1101));
    });
    for id in (0..=0xffff).map(ManagementId) {
        let outcome = |content: Content<'_>| match content {
            Content::Management(tlv) => assert!(Data::parse(id, tlv.data).is_ok(), "{id}"),
            Content::ManagementErrorStatus(status) if id.name().is_some() => {
                assert_eq!(status.error, ManagementError::NotSupported, "{id}");
            }
            Content::ManagementErrorStatus(status) => assert_eq!(status.error, ManagementError::NoSuchId),
            content => panic!("{content:?}"),
        };
        clock.act(Action::Get, id, &Data::Nothing, outcome);
    }
}

#[test]
fn what_can_be_set_is_set_and_shown() {
    let mut clock = Clock::new(&InstanceOptions::default());
    assert_eq!(clock.set(ManagementId::PRIORITY1, Data::Number(5)), Ok(()));
    assert_eq!(clock.set(ManagementId::PRIORITY2, Data::Number(6)), Ok(()));
    assert_eq!(clock.set(ManagementId::LOG_SYNC_INTERVAL, Data::LogInterval(-7)), Ok(()));
    assert_eq!(clock.set(ManagementId::LOG_ANNOUNCE_INTERVAL, Data::LogInterval(-3)), Ok(()));
    assert_eq!(clock.set(ManagementId::LOG_MIN_PDELAY_REQ_INTERVAL, Data::LogInterval(2)), Ok(()));
    assert_eq!(clock.set(ManagementId::ANNOUNCE_RECEIPT_TIMEOUT, Data::Number(4)), Ok(()));
    assert_eq!(clock.set(ManagementId::PATH_TRACE_ENABLE, Data::Flag(true)), Ok(()));
    let (default, port) = (clock.instance.default_ds(), clock.instance.port_ds());
    assert_eq!((default.priority1, default.priority2), (5, 6));
    assert_eq!((port.log_sync_interval, port.log_announce_interval, port.log_min_pdelay_req_interval), (-7, -3, 2));
    assert_eq!((port.announce_receipt_timeout, clock.instance.options().path_trace), (4, true));
    let syncs = |clock: &Clock| clock.instance.counts().sent(MessageType::Sync);
    clock.run(10);
    let before = syncs(&clock);
    clock.run(10);
    assert!((1279..=1281).contains(&(syncs(&clock) - before)), "{}", syncs(&clock) - before);
}

#[test]
fn what_cannot_be_set_is_refused_by_name() {
    let mut clock = Clock::new(&InstanceOptions::default());
    let options = clock.instance.options().clone();
    let refused = [
        (ManagementId::LOG_SYNC_INTERVAL, Data::LogInterval(-8), ManagementError::WrongValue),
        (ManagementId::LOG_ANNOUNCE_INTERVAL, Data::LogInterval(7), ManagementError::WrongValue),
        (ManagementId::ANNOUNCE_RECEIPT_TIMEOUT, Data::Number(1), ManagementError::WrongValue),
        (ManagementId::DOMAIN, Data::Number(1), ManagementError::NotSetable),
        (ManagementId::CLOCK_ACCURACY, Data::ClockAccuracy(ClockAccuracy(0x20)), ManagementError::NotSetable),
        (ManagementId::PRIORITY1, Data::Nothing, ManagementError::WrongLength),
        (ManagementId::FAULT_LOG, Data::Nothing, ManagementError::NotSupported),
        (ManagementId(0xdead), Data::Nothing, ManagementError::NoSuchId),
    ];
    for (id, data, error) in refused {
        assert_eq!(clock.set(id, data), Err(error), "{id}");
    }
    assert_eq!(clock.instance.options(), &options);
    assert_eq!(clock.set(ManagementId::SLAVE_ONLY, Data::Flag(true)), Ok(()));
    assert_eq!(clock.set(ManagementId::MASTER_ONLY, Data::Flag(true)), Err(ManagementError::WrongValue));
}

#[test]
fn ports_are_disabled_enabled_and_initialized() {
    let mut clock = Clock::new(&InstanceOptions::default());
    clock.run(30);
    assert_eq!(clock.command(ManagementId::DISABLE_PORT, Data::Nothing), Ok(()));
    assert_eq!(clock.instance.port_state(), PortState::Disabled);
    assert_eq!(clock.command(ManagementId::INITIALIZE, Data::Initialize(0)), Ok(()));
    assert_eq!(clock.instance.port_state(), PortState::Disabled);
    assert_eq!(clock.command(ManagementId::ENABLE_PORT, Data::Nothing), Ok(()));
    clock.run(30);
    assert_eq!(clock.instance.port_state(), PortState::Master);
    assert_eq!(clock.command(ManagementId::INITIALIZE, Data::Initialize(0)), Ok(()));
    assert_eq!(clock.instance.port_state(), PortState::Listening);
    assert_eq!(clock.command(ManagementId::INITIALIZE, Data::Initialize(1)), Err(ManagementError::WrongValue));
    assert_eq!(clock.command(ManagementId::PRIORITY1, Data::Number(1)), Err(ManagementError::NotSupported));
}

#[test]
fn what_is_not_for_us_is_not_answered() {
    let mut clock = Clock::new(&InstanceOptions::default());
    let own = PortIdentity { clock: OWN, number: 1 };
    for target in [own, PortIdentity { number: 0, ..own }, PortIdentity { number: 0xffff, ..own }] {
        assert!(clock.ask(&get(Flags::NONE, target)).is_ok());
    }
    for target in [PortIdentity { number: 2, ..own }, ASKER] {
        assert_eq!(clock.ask(&get(Flags::NONE, target)), Err(IgnoreReason::NotAddressed));
    }
    let mut other_domain = get(Flags::NONE, own);
    other_domain[4] = 1;
    assert_eq!(clock.ask(&other_domain), Err(IgnoreReason::WrongDomain));
    let answer = clock.ask(&get(Flags::NONE, own)).unwrap();
    assert_eq!(clock.ask(&answer), Err(IgnoreReason::NotAddressed));
    let bare = written(header(Flags::NONE), own, Action::Get, Tlvs::NONE);
    assert_eq!(clock.ask(&bare), Err(IgnoreReason::NoManagementTlv));
}

#[test]
fn the_network_may_ask_where_it_has_access_and_never_change() {
    let question = get(Flags::NONE, PortIdentity::ALL);
    let mut closed = Clock::new(&InstanceOptions::default());
    assert_eq!(closed.receive(&question, address(7)), Received::Ignored(IgnoreReason::ManagementDenied));
    assert_eq!(closed.run(1), []);

    let open = InstanceOptions { management_access: vec!["10.0.0.7/32".parse().unwrap()], ..Default::default() };
    let mut clock = Clock::new(&open);
    assert_eq!(clock.receive(&question, address(8)), Received::Ignored(IgnoreReason::ManagementDenied));
    assert_eq!(clock.receive(&question, address(7)), Received::Accepted);
    assert_eq!(clock.receive(&question, address(7)), Received::Ignored(IgnoreReason::ManagementBusy));
    let answers = clock.run(1);
    let [(answer, Destination::Primary)] = answers.as_slice() else { panic!("{answers:?}") };
    let Body::Management(body) = Message::parse(answer).unwrap().body else { panic!("{answer:?}") };
    assert_eq!((body.target, body.action), (ASKER, Action::Response));

    let unicast = get(Flags::UNICAST, PortIdentity::ALL);
    assert_eq!(clock.receive(&unicast, address(7)), Received::Accepted);
    let answers = clock.run(1);
    let [(answer, Destination::Unicast(to))] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(*to == address(7) && Message::parse(answer).unwrap().header.flags.has(Flags::UNICAST));

    let set = message(Action::Set, ManagementId::PRIORITY1, &Data::Number(0));
    assert_eq!(clock.receive(&set, address(7)), Received::Ignored(IgnoreReason::ManagementDenied));
    assert_eq!(clock.instance.options().priority1, 128);
    let link = Address::Link([2, 0, 0, 0, 0, 7]);
    assert_eq!(clock.receive(&question, link), Received::Ignored(IgnoreReason::ManagementDenied));
}

#[test]
fn a_disabled_port_still_answers_and_a_broken_one_does_not_send() {
    let open = InstanceOptions { management_access: vec!["10.0.0.0/8".parse().unwrap()], ..Default::default() };
    let question = get(Flags::NONE, PortIdentity::ALL);
    let mut clock = Clock::new(&open);
    assert_eq!(clock.command(ManagementId::DISABLE_PORT, Data::Nothing), Ok(()));
    assert_eq!(clock.receive(&question, address(7)), Received::Accepted);
    assert!(clock.instance.poll_timeout().is_some());
    assert_eq!(clock.run(1).len(), 1);
    with(clock.now, true, |context| clock.instance.faulty(true, Ticks(clock.now), context));
    assert_eq!(clock.receive(&question, address(7)), Received::Accepted);
    assert_eq!(clock.run(1), []);
}

#[test]
fn the_longest_description_fits() {
    let mut options = InstanceOptions { user_description: "x".repeat(1000), ..InstanceOptions::default() };
    options.port.interface = "y".repeat(1000);
    let mut clock = Clock::new(&options);
    clock.get(ManagementId::CLOCK_DESCRIPTION, |data| {
        let Data::ClockDescription(told) = data else { panic!("{data:?}") };
        assert_eq!(told.user_description.as_bytes(), [b'x'; 128]);
    });
    clock.get(ManagementId::PORT_PROPERTIES_NP, |data| {
        let Data::PortPropertiesNp(told) = data else { panic!("{data:?}") };
        assert_eq!(told.interface.as_bytes(), [b'y'; 255]);
    });
}

proptest! {
    #[test]
    fn nothing_that_is_asked_or_told_does_harm(
        asked in proptest::collection::vec((0_u8..5, prop_oneof![0_u16..8, 0x2000_u16..0x2022, 0xc000_u16..0xc00c], proptest::collection::vec(any::<u8>(), 0..40)), 1..20),
    ) {
        let mut clock = Clock::new(&InstanceOptions::default());
        for (action, id, data) in asked {
            let mut bytes = get(Flags::NONE, PortIdentity::ALL);
            bytes.truncate(48);
            bytes[46] = action;
            let length = data.len().next_multiple_of(2) + 2;
            bytes.extend([0, 1, 0, u8::try_from(length).unwrap()]);
            bytes.extend(id.to_be_bytes());
            bytes.extend(&data);
            bytes.resize(52 + length, 0);
            let total = u16::try_from(bytes.len()).unwrap();
            bytes[2..4].copy_from_slice(&total.to_be_bytes());
            if let Ok(answer) = clock.ask(&bytes) {
                prop_assert!(answer.len() <= MAX_ANSWER_LEN);
                prop_assert!(Message::parse(&answer).unwrap().tlvs.iter().next().is_some());
            }
            clock.run(1);
        }
    }
}
