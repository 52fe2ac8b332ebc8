//! The world: hosts, links and a heap of what happens next.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sidereal_time::{Instant, Span, Tai};

use crate::fault::{Fault, FaultKind};
use crate::host::{EngineHost, Health, Host, Input, Outbox, ReferenceHost};
use crate::packet::Network;
use crate::scenario::{HostKind, Scenario};
use crate::truth::Sample;

/// A timer that a host asks for runs out this long from now at the earliest, as on any real host: so time always goes on.
const SOONEST: Span = Span::from_nanos(1000);

/// A run that goes on.
#[derive(Debug)]
pub(crate) struct World<'s> {
    scenario: &'s Scenario,
    now: Instant<Tai>,
    hosts: Vec<Host>,
    /// When each host's timer runs out.
    timers: Vec<Option<Instant<Tai>>>,
    network: Network,
    queue: BinaryHeap<Entry>,
    /// Counts what was put into the queue.
    sequence: u64,
    /// Of each host.
    samples: Vec<Vec<Sample>>,
}

/// Something that will happen. The heap gives the earliest first, and of those at one time the one put in first.
#[derive(Debug)]
struct Entry {
    at: Instant<Tai>,
    sequence: u64,
    happening: Happening,
}

#[derive(Debug)]
enum Happening {
    Input(usize, Input),
    Timer(usize),
    Begins(Fault),
    Ends(Fault),
    Second(u32),
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<'s> World<'s> {
    /// The beginning of the run `seed` of `scenario`.
    pub(crate) fn new(scenario: &'s Scenario, seed: u64) -> Self {
        let start = scenario.start;
        let hosts: Vec<Host> = scenario
            .hosts
            .iter()
            .enumerate()
            .map(|(number, host)| match &host.kind {
                HostKind::Reference(options) => Host::Reference(Box::new(ReferenceHost::new(
                    number,
                    host,
                    options,
                    &scenario.leap_table,
                    seed,
                    start,
                ))),
                HostKind::Engine(options) => {
                    Host::Engine(Box::new(EngineHost::new(number, host, options, &scenario.leap_table, seed, start)))
                }
            })
            .collect();
        let mut world = Self {
            scenario,
            now: start,
            timers: vec![None; hosts.len()],
            samples: vec![Vec::new(); hosts.len()],
            hosts,
            network: Network::new(scenario, seed),
            queue: BinaryHeap::new(),
            sequence: 0,
        };
        for number in 0..world.hosts.len() {
            world.set_timer(number, start);
        }
        for fault in &scenario.faults {
            world.put(start + fault.at, Happening::Begins(*fault));
        }
        world.put(start + Span::SECOND, Happening::Second(1));
        world
    }

    /// Goes on until `until` after the beginning, at most to the end of the run.
    pub(crate) fn run_until(&mut self, until: Span) {
        let end = self.scenario.start + until.min(self.scenario.duration);
        while self.queue.peek().is_some_and(|next| next.at <= end) {
            let Some(entry) = self.queue.pop() else { break };
            self.now = entry.at;
            self.happen(entry.happening);
        }
        self.now = end;
    }

    /// What was seen of the host with this number.
    pub(crate) fn samples(&self, host: usize) -> &[Sample] {
        self.samples.get(host).map_or(&[], Vec::as_slice)
    }

    /// What hosts did that no policy allows, with their names.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let of = |(host, options): (&Host, &crate::scenario::HostOptions)| match host {
            Host::Reference(_) => Vec::new(),
            Host::Engine(host) => host.breaches().iter().map(|what| format!("{}: {what}", options.name)).collect(),
        };
        self.hosts.iter().zip(&self.scenario.hosts).flat_map(of).collect()
    }

    fn put(&mut self, at: Instant<Tai>, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Entry { at, sequence: self.sequence, happening });
    }

    fn set_timer(&mut self, host: usize, at: Instant<Tai>) {
        let at = at.max(self.now + SOONEST);
        if let Some(timer) = self.timers.get_mut(host)
            && timer.is_none_or(|earlier| at < earlier || earlier < self.now)
        {
            *timer = Some(at);
            self.put(at, Happening::Timer(host));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Input(host, input) => self.tell(host, input),
            Happening::Timer(host) => {
                // A timer that was since set to an earlier time has run out then.
                if let Some(timer) = self.timers.get_mut(host)
                    && *timer == Some(self.now)
                {
                    *timer = None;
                    self.tell(host, Input::Timer);
                }
            }
            Happening::Second(second) => {
                for (host, samples) in self.hosts.iter_mut().zip(&mut self.samples) {
                    samples.extend(host.sample(second, self.now));
                }
                self.put(self.now + Span::SECOND, Happening::Second(second + 1));
            }
            Happening::Begins(fault) => self.fault(fault, true),
            Happening::Ends(fault) => self.fault(fault, false),
        }
    }

    fn tell(&mut self, host: usize, input: Input) {
        let mut outbox = Outbox::default();
        if let Some(told) = self.hosts.get_mut(host) {
            told.happen(input, self.now, &mut outbox);
        }
        self.carry_out(host, outbox);
    }

    fn carry_out(&mut self, host: usize, outbox: Outbox) {
        for (leaves, packet) in outbox.packets {
            for passage in self.network.send(host, &packet) {
                let arrival = Input::Arrival(passage.packet);
                self.put(leaves + passage.after, Happening::Input(passage.host, arrival));
            }
        }
        for (at, input) in outbox.later {
            self.put(at, Happening::Input(host, input));
        }
        if let Some(at) = outbox.timer {
            self.set_timer(host, at);
        }
    }

    /// A fault begins, or ends.
    fn fault(&mut self, fault: Fault, begins: bool) {
        if begins && let Some(duration) = fault.duration {
            self.put(self.now + duration, Happening::Ends(fault));
        }
        let sign = |by: Span| if begins { by } else { -by };
        let extra = |by: Span| if begins { by } else { Span::ZERO };
        let health = |ill: Health| if begins { ill } else { Health::Good };
        match fault.kind {
            FaultKind::LinkDown { link } => self.network.link(link).for_each(|way| way.set_down(begins)),
            FaultKind::Delay { link, by } => self.network.link(link).for_each(|way| way.set_extra(extra(by))),
            FaultKind::Asymmetry { link, by } => {
                self.network.there(link).into_iter().for_each(|way| way.set_extra(extra(by)));
            }
            FaultKind::Jitter { link, factor } => {
                let factor = if begins { factor } else { 1.0 };
                self.network.link(link).for_each(|way| way.set_jitter_factor(factor));
            }
            FaultKind::LieStep { .. }
            | FaultKind::LieRamp { .. }
            | FaultKind::Unsynchronised { .. }
            | FaultKind::Degraded { .. }
            | FaultKind::Down { .. }
            | FaultKind::CounterJump { .. }
            | FaultKind::Suspend { .. }
            | FaultKind::SetClock { .. }
            | FaultKind::Restart { .. } => {}
        }
        let Some(number) = fault.kind.host() else { return };
        let mut outbox = Outbox::default();
        match self.hosts.get_mut(number) {
            Some(Host::Reference(host)) => match fault.kind {
                FaultKind::LieStep { by, .. } => host.lie(sign(by), self.now),
                FaultKind::LieRamp { rate, .. } => host.run_away(if begins { rate } else { 0.0 }, self.now),
                FaultKind::Unsynchronised { .. } => host.set_health(health(Health::Unsynchronised)),
                FaultKind::Degraded { .. } => host.set_health(health(Health::Degraded)),
                FaultKind::Down { .. } => host.set_down(begins),
                _ => {}
            },
            Some(Host::Engine(host)) => match fault.kind {
                FaultKind::Down { .. } => host.set_down(begins),
                FaultKind::CounterJump { by, .. } if begins => {
                    host.jump(by);
                    outbox.timer = Some(self.now);
                }
                FaultKind::SetClock { by, .. } if begins => host.set_clock(by, self.now),
                FaultKind::Suspend { .. } if begins => host.suspend(),
                FaultKind::Suspend { .. } => {
                    host.resume(fault.duration.unwrap_or_default(), self.now, &mut outbox);
                }
                FaultKind::Restart { .. } if begins => host.stop(self.now),
                FaultKind::Restart { .. } => host.restart(self.now, &mut outbox),
                _ => {}
            },
            None => {}
        }
        self.carry_out(number, outbox);
    }
}
