//! The PTP Instances of a reference: they lead with a clock that is right, but for what a scenario says.

use rand::Rng;
use sidereal_ptp::{
    Address, ClockState, Context, Destination, Instance, InstanceOptions, LeapState, MAX_MESSAGE_LEN, PortKey,
    Responders, Roles, TimeBasis, TimeSource, clock_state,
};
use sidereal_time::{Arrived, ClockId, ClockModel, Counter, LeapTable, LocalClock, Rate, Span, Ticks};

use crate::random::{Stream, stream};
use crate::scenario::HostOptions;

/// Leap seconds are announced for this long (IEEE 1588-2019 8.2.4.4).
const ANNOUNCED: Span = Span::from_secs(43_200);
/// The Allan deviation over a second that it claims: of a good oven.
const ALLAN_DEVIATION: f64 = 1e-11;
/// Its counter: one tick a nanosecond, read at once.
const LOCAL: LocalClock =
    LocalClock { counter: Counter::Nic(ClockId(1)), width: 64, rate: Rate::NANOSECOND, precision: -30 };

/// All of a reference.
#[derive(Debug)]
pub(super) struct Grandmasters {
    instances: Vec<Instance>,
    /// How far it says that it is from the truth at most.
    claimed: Span,
    random: Stream,
}

/// How its clock is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    /// The counter now.
    pub(super) ticks: Ticks,
    /// The time that it shows by its counter.
    pub(super) model: &'a ClockModel,
    pub(super) leap_table: &'a LeapTable,
    pub(super) health: Health,
}

/// What a reference says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// That it has it from satellites.
    Good,
    /// That it had it from there.
    Degraded,
    /// That it has none.
    Unsynchronised,
}

/// A message to be sent.
pub(super) struct Message {
    pub(super) port: PortKey,
    pub(super) to: Destination,
    pub(super) payload: Vec<u8>,
    /// The number by which its stamp is wanted.
    pub(super) stamped: Option<u32>,
}

impl Grandmasters {
    /// Those of `host` in the run `seed`, which says that it is at most `claimed` from the truth.
    pub(super) fn new(host: &HostOptions, claimed: Span, seed: u64, told: &Told<'_>) -> Self {
        let mut random = stream(seed, &format!("{}/grandmaster", host.name));
        let make = |options: &InstanceOptions| {
            let state = state(options, claimed, told);
            with_context(&state, told, &mut random, |context| Instance::new(options, told.ticks, context))
        };
        Self { instances: host.ptp.iter().map(make).collect(), claimed, random }
    }

    /// A message has come to `port`.
    pub(super) fn receive(
        &mut self,
        port: PortKey,
        message: &[u8],
        from: Address,
        arrival: Option<Arrived>,
        told: &Told<'_>,
    ) {
        self.tell(port, told, |instance, context| {
            instance.receive(message, Some(from), arrival, told.ticks, context);
            // It follows nobody, whatever it hears.
            while instance.poll_measured().is_some() {}
        });
    }

    /// What became of a message whose stamp was wanted.
    pub(super) fn transmitted(&mut self, port: PortKey, sequence: u32, left: Option<Arrived>, told: &Told<'_>) {
        self.tell(port, told, |instance, context| instance.transmitted(sequence, left, told.ticks, context));
    }

    /// What is to be sent now.
    pub(super) fn poll(&mut self, told: &Told<'_>) -> Vec<Message> {
        let mut messages = Vec::new();
        let ports: Vec<PortKey> = self.instances.iter().map(|instance| instance.options().port.key).collect();
        for port in ports {
            self.tell(port, told, |instance, context| {
                let mut buffer = [0; MAX_MESSAGE_LEN];
                while let Some(transmit) = instance.poll_transmit(told.ticks, context, &mut buffer) {
                    let payload = buffer.get(..transmit.len).unwrap_or_default().to_vec();
                    let stamped = transmit.stamp_wanted.then_some(transmit.sequence);
                    messages.push(Message { port, to: transmit.to, payload, stamped });
                }
            });
        }
        messages
    }

    /// When [`Self::poll`] is to be called again.
    pub(super) fn poll_timeout(&self) -> Option<Ticks> {
        let earlier = |a: Ticks, b: Ticks| if LOCAL.passed(a, b).is_negative() { b } else { a };
        self.instances.iter().filter_map(Instance::poll_timeout).reduce(earlier)
    }

    /// Who answers Delay_Req now.
    pub(super) fn responders(&self) -> Responders {
        Responders::new(self.instances.iter().filter_map(Instance::responder))
    }

    fn tell(&mut self, port: PortKey, told: &Told<'_>, then: impl FnOnce(&mut Instance, &mut Context<'_>)) {
        let of_port = |instance: &&mut Instance| instance.options().port.key == port;
        let Some(instance) = self.instances.iter_mut().find(of_port) else { return };
        let state = state(instance.options(), self.claimed, told);
        with_context(&state, told, &mut self.random, |context| then(instance, context));
    }
}

fn with_context<R>(
    state: &ClockState,
    told: &Told<'_>,
    random: &mut Stream,
    then: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    let mut context =
        Context { clock: &LOCAL, time: Some(told.model), state, selected: false, random: &mut || random.next_u64() };
    then(&mut context)
}

/// What is said of a clock that is at most `claimed` from the truth.
fn state(options: &InstanceOptions, claimed: Span, told: &Told<'_>) -> ClockState {
    let basis = match told.health {
        Health::Good => TimeBasis::PrimaryReference(TimeSource::GNSS),
        Health::Degraded => TimeBasis::Holdover { of_primary: true, within_specification: false },
        Health::Unsynchronised => TimeBasis::None,
    };
    let now = told.model.instant(told.ticks);
    let next = told.leap_table.next(now).filter(|(at, _)| *at - now <= ANNOUNCED);
    let leap = LeapState {
        tai_offset_s: Some(told.leap_table.tai_offset(told.leap_table.tai_to_utc(now))),
        // The table has what is added to UTC; TAI - UTC goes the other way.
        step: next.map_or(0, |(_, step)| -step),
    };
    let roles = Roles::new(options.slave_only, options.port.master_only);
    clock_state(&basis, Some(claimed), Some(ALLAN_DEVIATION), &leap, options.profile, roles)
}
