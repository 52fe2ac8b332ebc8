//! Scenarios: what a run is made of.
//!
//! [`document::Document`] is the file as it is written; [`Scenario`] is what it means, after all names have been found and
//! all numbers looked at.

mod check;
pub mod document;
mod error;
pub mod values;

pub(crate) use check::KEYS;
pub use error::ScenarioError;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use sidereal_engine::{EngineConfig, Steer};
use sidereal_ptp::{Address, InstanceOptions, Transport};
use sidereal_servo::ServoKind;
use sidereal_time::{Instant, LeapTable, Span, Tai};

use crate::fault::Fault;
use crate::limit::Limit;
use crate::link::{DirectionOptions, Jitter};
use crate::nic::NicOptions;
use crate::oscillator::OscillatorOptions;
use crate::switch::SwitchOptions;
use values::Invalid;

/// A scenario file is smaller than this, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// The UDP port of servers.
pub const NTP_PORT: u16 = 123;
/// Where broadcasts go.
pub const BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 255, 255, 255));

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// When a run begins.
    pub start: Instant<Tai>,
    /// How long it lasts; a second at least.
    pub duration: Span,
    /// How much of its beginning the statistics leave out.
    pub settle: Span,
    /// How many runs there are where nobody asks for another number.
    pub runs: u32,
    /// The leap seconds that there are, and that all hosts know.
    pub leap_table: LeapTable,
    /// The hosts.
    pub hosts: Vec<HostOptions>,
    /// What connects them; no two hosts have two.
    pub links: Vec<LinkOptions>,
    /// What links lead through.
    pub switches: Vec<SwitchOptions>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What must hold.
    pub limits: Vec<Limit>,
}

/// A host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Its name.
    pub name: String,
    /// How it stamps packets.
    pub nic: NicOptions,
    /// How long it takes to answer a request after its transmit time was written.
    pub reply_latency: Jitter,
    /// The PTP domains that it takes part in.
    pub ptp: Vec<InstanceOptions>,
    /// What it is.
    pub kind: HostKind,
}

/// What a host is.
#[derive(Debug, Clone)]
pub enum HostKind {
    /// The real server on a clock that is right, but for what is said here and what faults do.
    Reference(ReferenceOptions),
    /// The real engine and the real server.
    Engine(Box<EngineOptions>),
}

/// What a reference tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReferenceOptions {
    /// How wrong its clock is.
    pub offset: Span,
    /// Its stratum, 1 to 15.
    pub stratum: u8,
    /// Its root delay.
    pub root_delay: Span,
    /// Its root dispersion.
    pub root_dispersion: Span,
}

/// A host that runs the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// What its counter and its system clock run on.
    pub oscillator: OscillatorOptions,
    /// How wrong the system clock is at the beginning.
    pub clock_offset: Span,
    /// Whether the system clock is steered.
    pub steer: Steer,
    /// What the engine is configured with, but for its seed; sources are told by [`address`].
    pub config: EngineConfig,
    /// What names stand for, in the order of the configuration's sources.
    pub names: Vec<(String, usize)>,
    /// How much wrong time the declared asymmetry limits allow, those of the hosts that it has the time from included.
    pub asymmetry_limit: Span,
}

/// A link between two hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkOptions {
    /// The hosts, by their number.
    pub between: [usize; 2],
    /// From the first to the second.
    pub there: DirectionOptions,
    /// From the second to the first.
    pub back: DirectionOptions,
    /// The switches on the way, by their number.
    pub through: Vec<usize>,
}

impl Scenario {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place and what to do about it.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let unreadable = |error: &std::io::Error| {
            let remedy = "name a scenario file that this user may read, such as those in tests/scenarios";
            ScenarioError::whole(&name, Invalid::new(format!("cannot be read: {error}"), remedy))
        };
        let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
        if length > FILE_MAX {
            let what = format!("has {length} bytes and cannot be a scenario");
            return Err(ScenarioError::whole(&name, Invalid::new(what, format!("a scenario has at most {FILE_MAX}"))));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
        Self::parse(&text, &name)
    }

    /// Has all hosts follow with the servo `kind`, whatever is said of each.
    pub fn follow_with(&mut self, kind: ServoKind) {
        for host in &mut self.hosts {
            if let HostKind::Engine(options) = &mut host.kind {
                options.config.servo.kind = kind;
            }
        }
    }

    /// Reads `text`, which is called `name` in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ScenarioError> {
        let document = toml::from_str(text).map_err(|error| ScenarioError::from_toml(name, text, &error))?;
        check::check(document, name).map_err(|problems| ScenarioError::at(name, text, problems))
    }
}

/// The address of the host with this number.
#[must_use]
pub fn address(host: usize) -> IpAddr {
    let [high, low] = u16::try_from(host + 1).unwrap_or(u16::MAX).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

/// Its MAC address: locally administered.
#[must_use]
pub fn mac(host: usize) -> [u8; 6] {
    let [high, low] = u16::try_from(host + 1).unwrap_or(u16::MAX).to_be_bytes();
    [2, 0, 0, 0, high, low]
}

/// Where the host with this number is found by PTP over `transport`.
#[must_use]
pub fn ptp_address(host: usize, transport: Transport) -> Address {
    match transport {
        Transport::UdpIpv4 => Address::Ip(address(host)),
        Transport::UdpIpv6 => {
            let low = u16::try_from(host + 1).unwrap_or(u16::MAX);
            Address::Ip(IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, low)))
        }
        Transport::Ethernet => Address::Link(mac(host)),
    }
}

/// The number of the host with this address, if it is one of [`ptp_address`].
#[must_use]
pub fn host_at_ptp(address: Address) -> Option<usize> {
    match address {
        Address::Ip(IpAddr::V6(address)) => match address.segments() {
            [0xfd00, 0, 0, 0, 0, 0, 0, low] => usize::from(low).checked_sub(1),
            _ => None,
        },
        Address::Ip(address) => host_at(address),
        Address::Link([2, 0, 0, 0, high, low]) => usize::from(u16::from_be_bytes([high, low])).checked_sub(1),
        Address::Link(_) => None,
    }
}

/// The number of the host with this address, if it is one of [`address`].
#[must_use]
pub fn host_at(address: IpAddr) -> Option<usize> {
    match address {
        IpAddr::V4(address) => match address.octets() {
            [10, 0, high, low] => usize::from(u16::from_be_bytes([high, low])).checked_sub(1),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}
