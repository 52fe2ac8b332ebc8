//! The ports of PTP: by what each of their messages leaves, and for whom one is that has come.

mod domains;
mod interface;
mod ntp;
mod workers;

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{EnginePtp, OverPtpServer};
use sidereal_engine::PtpOutgoing;
use sidereal_ptp::{PortKey, Responders, Transport};
use sidereal_time::ClockModel;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use self::domains::Terms;
use self::interface::Interface;
use self::ntp::Ntp;
use self::workers::Workers;
use super::happened::Happened;
use super::sockets::Stray;
use super::waiting::Ready;
use crate::command::Failure;
use crate::config::{Config, PortKind, Ptp};
use crate::counter::Locator;
use crate::stamping::Stamping;

/// How often it is looked whether interfaces are there and up.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All ports of PTP: of kernel interfaces, whose sockets are here, and of ports whose packets the workers have.
#[derive(Debug)]
pub(super) struct PtpPorts {
    interfaces: Vec<Interface>,
    workers: Vec<Workers>,
    responders: Responders,
    looked: Option<Instant>,
    counter: LocalCounter,
    stamping: Stamping,
}

impl PtpPorts {
    /// The ports of `config` on interfaces of the kernel, with their sockets.
    pub(super) fn open(counter: LocalCounter, config: &Config, stamping: &Stamping) -> Result<Self, Failure> {
        let mut interfaces: Vec<Interface> = Vec::new();
        for ptp in &config.ptp {
            let Some(name) = interface_of(config, ptp) else { continue };
            let port = &ptp.options.port;
            let shared = interfaces.iter_mut().find(|interface| interface.is(name, port.transport));
            match shared {
                Some(interface) => interface.add(port.key, ptp.options.domain),
                None => {
                    let mut interface = Interface::new(name, port.transport, stamping.of(name), counter);
                    interface.add(port.key, ptp.options.domain);
                    interface.open().map_err(|error| {
                        let remedy = "stop what else speaks PTP there, or name another `port` in [[ptp.port]]";
                        Failure::Failed(format!("ptp \"{}\": {error}\n  help: {remedy}", ptp.name))
                    })?;
                    interfaces.push(interface);
                }
            }
        }
        Ok(Self {
            interfaces,
            workers: Vec::new(),
            responders: Responders::default(),
            looked: None,
            counter,
            stamping: stamping.clone(),
        })
    }

    /// Adds a port whose packets the workers have.
    pub(super) fn attach(&mut self, link: EnginePtp) {
        self.workers.push(Workers::new(link));
    }

    /// Has NTP that PTP carries answered on an interface of the kernel, where PTP may speak as well.
    pub(super) fn serve_ntp(&mut self, name: &str, transport: Transport, server: OverPtpServer) -> Result<(), Failure> {
        let place = self.interfaces.iter().position(|interface| interface.is(name, transport));
        let place = place.unwrap_or_else(|| {
            self.interfaces.push(Interface::new(name, transport, self.stamping.of(name), self.counter));
            self.interfaces.len() - 1
        });
        let Some(interface) = self.interfaces.get_mut(place) else { return Ok(()) };
        interface.serve_ntp(Ntp::new(server));
        if interface.is_open() {
            return Ok(());
        }
        interface.open().map_err(|error| {
            let remedy = "stop what else speaks PTP there, or remove `ntp.server.over_ptp`";
            Failure::Failed(format!("NTP over PTP: {error}\n  help: {remedy}"))
        })
    }

    /// How many descriptors there are.
    pub(super) fn count(&self) -> usize {
        self.interfaces.iter().map(|interface| interface.descriptors().count()).sum()
    }

    /// What to wait for, in the order that [`Self::turn`] wants.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.interfaces.iter().flat_map(Interface::descriptors)
    }

    /// How long nothing needs to be done here unless a descriptor is ready.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        let looking = match (self.interfaces.is_empty(), self.looked) {
            (true, _) => Duration::MAX,
            (false, None) => Duration::ZERO,
            (false, Some(looked)) => (looked + LOOK_EVERY).saturating_duration_since(now),
        };
        let of_interfaces = self.interfaces.iter().map(Interface::idle);
        of_interfaces.chain(self.workers.iter().map(Workers::idle)).fold(looking, Duration::min)
    }

    /// Who answers Delay_Req from now on.
    pub(super) fn set_responders(&mut self, responders: Responders) {
        self.responders = responders;
    }

    /// Sends a message; what becomes of it happens later, by [`Self::turn`], or at once.
    pub(super) fn send(&mut self, outgoing: &PtpOutgoing) -> Option<Happened> {
        if let Some(interface) = self.interfaces.iter_mut().find(|interface| interface.has(outgoing.port)) {
            return interface.send(outgoing);
        }
        match self.workers.iter_mut().find(|workers| workers.has(outgoing.port)) {
            Some(workers) => workers.send(outgoing),
            None => Some(Happened::SendFailed { packet: outgoing.packet, unreachable: true }),
        }
    }

    /// What has happened at the descriptors that are `ready` (in the order of [`Self::descriptors`]), at the workers, and to
    /// the interfaces. Delay_Req are answered at once, by `model`; stamps get their place on the counter by `clock`.
    pub(super) fn turn(
        &mut self,
        mut ready: &[Ready],
        clock: &mut Locator<'_>,
        model: &ClockModel,
        now: Instant,
    ) -> Vec<Happened> {
        let mut happened = Vec::new();
        for interface in &mut self.interfaces {
            let (own, rest) = ready.split_at_checked(interface.descriptors().count()).unwrap_or((&[], &[]));
            ready = rest;
            interface.turn(own, clock, Terms { responders: &self.responders, model }, &mut happened);
        }
        for workers in &mut self.workers {
            workers.turn(clock, &mut happened);
        }
        if self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.interfaces.iter_mut().for_each(|interface| interface.look(&mut happened));
        }
        happened
    }

    /// Takes a message that has come to a socket of another's on the port of PTP: what has happened by it, or `None` where
    /// nobody here is on the interface that it came by.
    pub(super) fn hear_stray(&mut self, stray: &Stray, model: &ClockModel) -> Option<Vec<Happened>> {
        let mut happened = Vec::new();
        let terms = Terms { responders: &self.responders, model };
        let mut interfaces = self.interfaces.iter_mut();
        interfaces.any(|interface| interface.hear_stray(stray, terms, &mut happened)).then_some(happened)
    }

    /// The Delay_Req that were answered at sockets and by workers since this was last asked: their instances know nothing of them.
    pub(super) fn take_answered(&mut self) -> Vec<Happened> {
        let of_interfaces = self.interfaces.iter_mut().flat_map(Interface::take_answered);
        of_interfaces.chain(self.workers.iter_mut().flat_map(Workers::take_answered)).collect()
    }

    /// What the sockets of a port have counted besides, by name.
    pub(super) fn counts(&self, port: PortKey) -> impl Iterator<Item = (&'static str, u64)> {
        let interface = self.interfaces.iter().find(|interface| interface.has(port));
        interface.into_iter().flat_map(move |interface| interface.counts(port))
    }
}

/// The name of the kernel's interface that an instance speaks by; `None` where workers have its packets.
pub(super) fn interface_of<'a>(config: &'a Config, ptp: &Ptp) -> Option<&'a str> {
    let port = config.ports.iter().find(|port| port.name == ptp.port)?;
    match &port.kind {
        PortKind::Kernel(kernel) => kernel.interface.as_ref().map(crate::config::InterfaceName::as_str),
        PortKind::Dpdk(_) => None,
    }
}
