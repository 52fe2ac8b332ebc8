//! From the configuration to what the engine is told.

mod ptp;

pub(crate) use ptp::{Macs, kernel_macs, own_address};

use ipnet::IpNet;
use sidereal_engine::{
    Address, AuthenticationPolicy, BroadcastOptions, ClockOptions, ClockScale, EngineConfig, Flags, Reference,
    ReferenceKind, Saved, SelectionOptions, SmearOptions, SourceKind, SourceOptions, Steer, SystemReference,
};
use sidereal_ntp::{AssociationOptions, BroadcasterOptions, Key, KeyId, KeyTable, Poll, Role, Stratum, Version};
use sidereal_servo::{FilterKind, FilterOptions, PiOptions, ServoKind, ServoOptions, SteeringOptions};
use sidereal_time::Span;
use std::net::{IpAddr, SocketAddr};

use crate::command::Failure;
use crate::config::{
    self, Config, Driver, HostAddress, InterfaceName, KeyNumber, NtpMode, NtpSource, Port, PortKind, Whole,
};
use crate::stamping::{ReadBy, Stamping};

/// How often a clock of the host is read, to be steered or to be shown.
const CLOCK_READ_PERIOD: Span = Span::SECOND;

/// How often one that stamps packets is: where it stood at a stamp is told by the readings before.
const STAMPING_CLOCK_READ_PERIOD: Span = Span::from_nanos(62_500_000);

/// How many measurements a filter looks at where nothing is said: as many as RFC 5905 §10 does.
const FILTER_LENGTH: usize = 8;

/// Which measurements the filter `quantile` passes on where nothing is said: the quicker half.
const QUANTILE: f64 = 0.5;

/// Why the engine cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineConfigError {
    /// The file of keys has changed, and lacks one that is used.
    #[error("{user} uses key {key}, which the file of keys does not have")]
    UnknownKey {
        /// Who uses it.
        user: String,
        /// Its number.
        key: u32,
    },
    /// The identity of a PTP clock cannot be made.
    #[error("the PTP instance \"{instance}\" has no identity, because the port \"{port}\" has no MAC address")]
    NoMac {
        /// The instance.
        instance: String,
        /// Its port.
        port: String,
    },
    /// The system has no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl EngineConfigError {
    /// What to do about it.
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "add it to the file that `keys.file` names, or write the number of another",
            Self::NoMac { .. } => "name an interface that is there and has one, or write `identity` in that [[ptp]]",
            Self::Random(_) => "find out why getrandom(2) fails: nonces that can be guessed protect nothing",
        }
    }
}

impl From<EngineConfigError> for Failure {
    fn from(error: EngineConfigError) -> Self {
        Self::Usage(format!("{error}\n  help: {}", error.remedy()))
    }
}

/// What the engine is told of `config`, with the keys that it names out of `keys`, identities made of `macs`, and with what
/// was `saved` when it last ran. The sources are those of NTP, in their order, then the reference clocks in theirs, and then
/// the PTP instances; the clocks are the system clock and then those of `stamping`.
pub(crate) fn engine_config(
    config: &Config,
    keys: &KeyTable,
    macs: &Macs,
    stamping: &Stamping,
    saved: Option<Saved>,
) -> Result<EngineConfig, EngineConfigError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let servers = config.ntp_sources.iter().map(|source| ntp_source(source, config.over_ptp_domain, keys));
    let wired = config.reference_clocks.iter().map(|clock| Ok(reference_clock(clock)));
    let instances = config.ptp.iter().map(|instance| ptp::ptp_source(instance, config, macs));
    Ok(EngineConfig {
        reference: reference(config),
        sources: servers.chain(wired).chain(instances).collect::<Result<_, EngineConfigError>>()?,
        selection: selection(&config.selection),
        servo: servo(&config.servo),
        clocks: clocks(config, stamping),
        own_addresses: own_addresses(config),
        broadcasts: config
            .ntp_broadcasts
            .iter()
            .map(|broadcast| broadcast_options(broadcast, keys))
            .collect::<Result<_, _>>()?,
        smear: SmearOptions::new(config.smear.window.as_span()).unwrap_or_default(),
        seed,
        saved,
    })
}

fn reference(config: &Config) -> Reference {
    let clock = &config.clock;
    match config.reference {
        config::Reference::Sources => Reference::Sources,
        config::Reference::System => Reference::System(SystemReference {
            stratum: Stratum::new(clock.stratum.to_u8()).unwrap_or(Stratum::UNSYNCHRONISED),
            reference_id: clock.reference_id.0,
            root_delay: clock.root_delay.as_span(),
            root_dispersion: clock.root_dispersion.as_span(),
        }),
    }
}

fn ntp_source(source: &NtpSource, over_ptp_domain: u8, keys: &KeyTable) -> Result<SourceOptions, EngineConfigError> {
    let name = source.name.as_ref().map_or_else(|| source.address.to_string(), ToString::to_string);
    let port = source.udp_port();
    let address = match &source.address {
        HostAddress::Ip(ip) => Address::Socket(SocketAddr::new(*ip, port)),
        HostAddress::Name(name) => Address::Name { name: name.clone(), port },
    };
    let association = AssociationOptions {
        role: match source.mode {
            NtpMode::Client => Role::Client,
            NtpMode::Symmetric => Role::SymmetricActive,
            NtpMode::SymmetricPassive => Role::SymmetricPassive,
            NtpMode::Broadcast => Role::BroadcastClient,
        },
        version: version(source.version),
        key: source.key.map(|key| find_key(keys, key, || format!("the source \"{name}\""))).transpose()?,
        interleaved: source.interleaved,
        over_ptp: source.over_ptp.then_some(over_ptp_domain),
        min_poll: poll(source.min_poll),
        max_poll: poll(source.max_poll),
        iburst: source.iburst,
        burst: source.burst,
        max_delay: source.max_delay.map(|limit| limit.as_span()),
        max_delay_ratio: source.max_delay_ratio.map(config::Ratio::get),
    };
    Ok(SourceOptions {
        name,
        kind: SourceKind::Ntp { address, pool: source.pool.map(|members| members.get() as usize), association },
        filter: FilterOptions {
            kind: filter(source.filter, source.filter_length, source.quantile),
            asymmetry_limit: source.asymmetry_limit.map(|limit| limit.as_span()),
        },
        flags: Flags { prefer: source.prefer, require: source.require, trust: source.trust, noselect: source.noselect },
        offset: source.offset.as_span(),
    })
}

fn filter(kind: config::FilterKind, length: Option<Whole<1, 64>>, quantile: Option<config::Share>) -> FilterKind {
    let length = length.map_or(FILTER_LENGTH, |length| length.get() as usize);
    match kind {
        config::FilterKind::None => FilterKind::None,
        config::FilterKind::MinimumDelay => FilterKind::MinimumDelay { length },
        config::FilterKind::MovingMedian => FilterKind::MovingMedian { length },
        config::FilterKind::Quantile => {
            FilterKind::Quantile { length, quantile: quantile.map_or(QUANTILE, config::Share::get) }
        }
    }
}

fn reference_clock(clock: &config::ReferenceClock) -> SourceOptions {
    let kind = match clock.driver {
        Driver::Pps(_) | Driver::ExternalTimestamp { .. } => ReferenceKind::Pulse,
        Driver::Shm(_) | Driver::Sock(_) | Driver::Ptp(_) => ReferenceKind::Sampled,
    };
    let flags = clock.flags;
    SourceOptions {
        name: clock.name.to_string(),
        kind: SourceKind::Reference {
            kind,
            reference_id: clock.reference_id.0,
            stratum: clock.stratum,
            poll: poll(clock.poll),
            delay: clock.delay.as_span(),
        },
        filter: FilterOptions {
            kind: match clock.filter_length {
                1 => FilterKind::None,
                length => FilterKind::MovingMedian { length },
            },
            asymmetry_limit: None,
        },
        flags: Flags { prefer: flags.prefer, require: flags.require, trust: flags.trust, noselect: flags.noselect },
        offset: clock.offset.as_span(),
    }
}

fn broadcast_options(broadcast: &config::NtpBroadcast, keys: &KeyTable) -> Result<BroadcastOptions, EngineConfigError> {
    let to = SocketAddr::new(broadcast.address, broadcast.port.to_u16());
    let key = broadcast.key.map(|key| find_key(keys, key, || format!("the broadcast to {to}"))).transpose()?;
    Ok(BroadcastOptions {
        to,
        broadcaster: BroadcasterOptions {
            version: version(broadcast.version),
            key,
            interleaved: broadcast.interleaved,
            poll: poll(broadcast.poll),
        },
    })
}

/// Where we serve. A port that is bound to all addresses is at each that the host has now.
fn own_addresses(config: &Config) -> Vec<SocketAddr> {
    let of_port = |port: &Port| -> Vec<IpAddr> {
        match &port.kind {
            PortKind::Dpdk(dpdk) => dpdk.addresses.iter().map(IpNet::addr).collect(),
            PortKind::Kernel(kernel) => {
                kernel.bind.iter().flat_map(|bound| addresses_at(*bound, kernel.interface.as_ref())).collect()
            }
        }
    };
    let served = config.ntp_server.port.to_u16();
    config.ports.iter().flat_map(of_port).map(|address| SocketAddr::new(address, served)).collect()
}

/// The addresses at which a socket is reached that is bound to `bound`, on `interface` alone where there is one. Where the
/// system does not list them, a loop is seen later, by its growing stratum.
fn addresses_at(bound: IpAddr, interface: Option<&InterfaceName>) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let here = nix::ifaddrs::getifaddrs().into_iter().flatten();
    here.filter(|here| interface.is_none_or(|interface| interface.as_str() == here.interface_name))
        .filter_map(|here| {
            let address = here.address?;
            let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            ipv4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(|address| address.is_ipv4() == bound.is_ipv4())
        .collect()
}

fn find_key(keys: &KeyTable, key: KeyNumber, user: impl FnOnce() -> String) -> Result<Key, EngineConfigError> {
    let found = KeyId::new(key.get()).and_then(|id| keys.get(id));
    found.cloned().ok_or_else(|| EngineConfigError::UnknownKey { user: user(), key: key.get() })
}

fn selection(selection: &config::Selection) -> SelectionOptions {
    SelectionOptions {
        minimum_sources: selection.minimum_sources.get() as usize,
        max_distance: selection.max_distance.as_span(),
        max_jitter: selection.max_jitter.map(|limit| limit.as_span()),
        reselect_distance: selection.reselect_distance.as_span(),
        authentication: match selection.authentication {
            config::Authentication::Prefer => AuthenticationPolicy::Prefer,
            config::Authentication::Require => AuthenticationPolicy::Require,
            config::Authentication::Mix => AuthenticationPolicy::Mix,
            config::Authentication::Ignore => AuthenticationPolicy::Ignore,
        },
        ..SelectionOptions::default()
    }
}

fn servo(servo: &config::Servo) -> ServoOptions {
    let pi = &servo.pi;
    ServoOptions {
        kind: match servo.kind {
            config::ServoKind::Pi => ServoKind::Pi,
            config::ServoKind::Regression => ServoKind::Regression,
            config::ServoKind::Kalman => ServoKind::Kalman,
        },
        step_threshold: servo.step_threshold.0.map(|threshold| threshold.as_span()),
        step_updates: servo.step_updates.map(Whole::get),
        max_slew_ppm: servo.max_slew_ppm.get(),
        max_frequency_ppm: servo.max_frequency_ppm.get(),
        holdover_limit: servo.holdover_limit.as_span(),
        max_bound: servo.max_bound.as_span(),
        pi: PiOptions {
            proportional_scale: pi.proportional_scale.get(),
            proportional_exponent: pi.proportional_exponent.get(),
            proportional_norm_max: pi.proportional_norm_max.get(),
            integral_scale: pi.integral_scale.get(),
            integral_exponent: pi.integral_exponent.get(),
            integral_norm_max: pi.integral_norm_max.get(),
        },
    }
}

fn clocks(config: &Config, stamping: &Stamping) -> Vec<ClockOptions> {
    let clock = |name: String, steer: config::Steer, scale, stamps| ClockOptions {
        name,
        steer: match steer {
            config::Steer::Off => Steer::Off,
            config::Steer::Dry => Steer::Dry,
            config::Steer::On => Steer::On,
        },
        scale,
        steering: SteeringOptions::default(),
        read_period: if stamps { STAMPING_CLOCK_READ_PERIOD } else { CLOCK_READ_PERIOD },
        stamps,
    };
    // What we follow does not follow us.
    let steer = match config.reference {
        config::Reference::System => config::Steer::Off,
        config::Reference::Sources => config.clock.steer,
    };
    let system = clock("system".into(), steer, ClockScale::Utc, false);
    let others = stamping.clocks().iter().map(|other| {
        let scale = match other.read_by {
            ReadBy::Device(_, config::TimeScale::Tai) => ClockScale::Tai,
            ReadBy::Device(_, config::TimeScale::Utc) => ClockScale::Utc,
            ReadBy::Port { width, tick, .. } => ClockScale::Free { width, rate: tick },
        };
        clock(other.name(), other.steer, scale, other.stamps)
    });
    core::iter::once(system).chain(others).collect()
}

fn poll(poll: config::Poll) -> Poll {
    Poll::new(poll.get()).unwrap_or(Poll::MAX)
}

fn version(version: Whole<1, 4>) -> Version {
    Version::new(version.to_u8()).unwrap_or(Version::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::Span;
    use std::path::Path;

    const PORT: &str =
        "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['127.0.0.1', '::1']\n[keys]\nfile = '/k'\n";

    fn of(text: &str) -> EngineConfig {
        let config = Config::parse(&format!("{PORT}{text}"), Path::new("F")).unwrap();
        let keys = KeyTable::parse("7 SHA1 HEX:0102").unwrap();
        engine_config(&config, &keys, &Macs::new(), &Stamping::listed(&config), None).unwrap()
    }

    #[test]
    fn what_nobody_writes_is_what_the_engine_takes_by_itself() {
        let config = of("[[ntp.source]]\naddress = '10.77.0.9'\n");
        assert_eq!(config.selection, SelectionOptions::default());
        assert_eq!(config.servo, ServoOptions::default());
        assert_eq!(config.smear, SmearOptions::default());
        let source = &config.sources[0];
        assert_eq!(
            (source.filter, source.flags, source.offset),
            (FilterOptions::default(), Flags::default(), Span::ZERO)
        );
        let SourceKind::Ntp { address, pool: None, association } = &source.kind else { unreachable!("{source:?}") };
        assert_eq!(*address, Address::Socket("10.77.0.9:123".parse().unwrap()));
        let default = AssociationOptions::default();
        assert_eq!(
            (association.role, association.version, association.key.is_none()),
            (Role::Client, Version::V4, true)
        );
        assert_eq!((association.min_poll, association.max_poll), (default.min_poll, default.max_poll));
        assert_eq!((association.iburst, association.burst), (default.iburst, default.burst));
    }

    #[test]
    fn every_key_of_a_source_arrives() {
        let config = of("[[ntp.source]]\naddress = 'a.example'\npool = 3\nport = 1123\nversion = 3\nkey = 7\n\
             interleaved = true\nmin_poll = -6\nmax_poll = 17\niburst = false\nburst = true\nmax_delay = '1ms'\n\
             max_delay_ratio = 2.5\noffset = '-2us'\nasymmetry_limit = '3us'\nfilter = 'quantile'\nfilter_length = 5\n\
             quantile = 0.25\nprefer = true\nrequire = true\ntrust = true\n\
             [[ntp.source]]\naddress = '10.0.0.1'\nkey = 7\nmode = 'symmetric_passive'\nname = 'peer'\n\
             [[reference_clock]]\nname = 'gps'\nkind = 'shm'\nunit = 2\nreference_id = 'GPS'\ndelay = '4us'\n\
             filter_length = 6\nnoselect = true\n\
             [[reference_clock]]\nname = 'pulse'\nkind = 'pps'\ndevice = '/dev/pps0'\npoll = 4\n");
        let [server, peer, shm, pps] = &config.sources[..] else { unreachable!("{:?}", config.sources) };
        assert_eq!([&server.name, &peer.name, &shm.name, &pps.name], ["a.example", "peer", "gps", "pulse"]);
        let SourceKind::Ntp { address, pool: Some(3), association } = &server.kind else { unreachable!("{server:?}") };
        assert_eq!(*address, Address::Name { name: "a.example".into(), port: 1123 });
        assert_eq!((association.version.number(), association.key.is_some(), association.interleaved), (3, true, true));
        assert_eq!((association.min_poll, association.max_poll), (Poll::MIN, Poll::MAX));
        assert_eq!((association.iburst, association.burst), (false, true));
        assert_eq!(association.max_delay, Some(Span::from_nanos(1_000_000)));
        assert_eq!(association.max_delay_ratio, Some(2.5));
        assert_eq!(server.offset, Span::from_nanos(-2_000));
        assert_eq!(server.filter.asymmetry_limit, Some(Span::from_nanos(3_000)));
        assert_eq!(server.filter.kind, FilterKind::Quantile { length: 5, quantile: 0.25 });
        assert_eq!(server.flags, Flags { prefer: true, require: true, trust: true, noselect: false });
        assert!(
            matches!(&peer.kind, SourceKind::Ntp { association, .. } if association.role == Role::SymmetricPassive)
        );
        let SourceKind::Reference { kind, reference_id, delay, .. } = &shm.kind else { unreachable!("{shm:?}") };
        assert_eq!((*kind, *delay), (ReferenceKind::Sampled, Span::from_nanos(4_000)));
        assert_eq!(reference_id.to_string(), "GPS");
        assert!(shm.flags.noselect && shm.filter.kind == FilterKind::MovingMedian { length: 6 });
        assert!(
            matches!(pps.kind, SourceKind::Reference { kind: ReferenceKind::Pulse, poll, .. } if poll.exponent() == 4)
        );
    }

    #[test]
    fn the_reference_is_not_steered_and_the_seed_is_fresh() {
        let (first, second) = (of("[[ptp_clock]]\ndevice = '/dev/ptp3'\nsteer = 'on'\nscale = 'utc'"), of(""));
        assert!(matches!(first.reference, Reference::System(_)));
        let steers: Vec<_> = first.clocks.iter().map(|clock| (clock.name.as_str(), clock.steer, clock.scale)).collect();
        assert_eq!(steers, [("system", Steer::Off, ClockScale::Utc), ("/dev/ptp3", Steer::On, ClockScale::Utc)]);
        assert_ne!(first.seed, second.seed);
        let sources = of("[[ntp.source]]\naddress = '10.0.0.1'\n[clock]\nsteer = 'on'");
        assert!(matches!(sources.reference, Reference::Sources));
        assert_eq!(sources.clocks[0].steer, Steer::On);
    }

    #[test]
    fn a_key_that_is_gone_is_named_with_its_user() {
        for (text, user) in [
            ("[[ntp.source]]\naddress = '10.0.0.1'\nkey = 8", "the source \"10.0.0.1\""),
            ("[[ntp.broadcast]]\naddress = '10.0.0.255'\nkey = 8", "the broadcast to 10.0.0.255:123"),
        ] {
            let config = Config::parse(&format!("{PORT}{text}"), Path::new("F")).unwrap();
            let error =
                engine_config(&config, &KeyTable::default(), &Macs::new(), &Stamping::default(), None).unwrap_err();
            assert_eq!(error.to_string(), format!("{user} uses key 8, which the file of keys does not have"));
            assert!(!error.remedy().is_empty());
        }
    }

    #[test]
    fn we_are_where_our_ports_are() {
        let bound = of("");
        let expected: Vec<SocketAddr> = ["127.0.0.1:123", "[::1]:123"].map(|text| text.parse().unwrap()).into();
        assert_eq!(bound.own_addresses, expected);
        assert!(addresses_at(IpAddr::from([0; 4]), None).contains(&IpAddr::from([127, 0, 0, 1])));
        let other = "none".parse().unwrap();
        assert!(addresses_at(IpAddr::from([0; 4]), Some(&other)).is_empty());
    }
}
