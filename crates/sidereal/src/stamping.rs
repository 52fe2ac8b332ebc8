//! Who stamps the packets of kernel ports: the NIC, where the configuration lets it and this machine has one that can.

use sidereal_cpu::LocalCounter;
use sidereal_nic_kernel::{Enabled, HardwareStamping, RxFilter, Timestamping, enable_stamping, hardware_stamping};
use sidereal_phc::{Access, PtpClock};
use sidereal_time::{ClockId, Rate};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

use crate::config::{
    self, Config, DevicePath, Invalid, KernelPort, Port, PortKind, PortName, Steer, TimeScale, Timestamps,
};

/// The clocks of this host besides the system's, and which of them stamp the packets of which interface.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stamping {
    clocks: Vec<HostClock>,
    interfaces: Vec<Stamped>,
    declined: Vec<Declined>,
}

/// A clock of this host besides the system's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostClock {
    /// How it is read.
    pub(crate) read_by: ReadBy,
    /// Whether it is made to follow us.
    pub(crate) steer: Steer,
    /// Whether it stamps packets.
    pub(crate) stamps: bool,
}

/// How a clock of this host is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadBy {
    /// By the kernel, as `/dev/ptpN`; it shows this scale.
    Device(DevicePath, TimeScale),
    /// By the worker of the port of this name, whose packets it stamps: it runs free.
    #[cfg_attr(not(feature = "dpdk"), expect(dead_code, reason = "only ports of DPDK have such a clock"))]
    Port {
        /// The port's name.
        name: PortName,
        /// How many bits it has.
        width: u8,
        /// How long a tick is, nominally.
        tick: Rate,
    },
}

/// An interface whose packets are stamped by its NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamped {
    /// Its name.
    pub(crate) interface: String,
    /// How it is stamped there.
    pub(crate) timestamping: Timestamping,
    /// What the NIC was to stamp of all that comes.
    wanted: RxFilter,
    /// Whether packets of NTP have its stamps both ways: those of a NIC on one way alone say less than the kernel's on both.
    pub(crate) ntp: bool,
}

/// An interface whose packets the kernel stamps, because its NIC does not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declined {
    interface: String,
    why: String,
}

/// What cannot be done on this machine of what the configuration says.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The path of the key that says it.
    pub(crate) key: String,
    /// What is wrong, and what to do about it.
    pub(crate) invalid: Invalid,
}

/// The NIC's stamps of one interface.
struct Found {
    device: PathBuf,
    bind_phc: Option<u32>,
    /// What it is to stamp of all that comes.
    wanted: RxFilter,
}

impl Stamping {
    /// The clocks that `config` lists, and packets that the kernel stamps: what is known without this machine.
    pub(crate) fn listed(config: &Config) -> Self {
        let clock = |ptp: &config::PtpClock| HostClock {
            read_by: ReadBy::Device(ptp.device.clone(), ptp.scale),
            steer: ptp.steer,
            stamps: false,
        };
        let mut stamping = Self { clocks: config.ptp_clocks.iter().map(clock).collect(), ..Self::default() };
        for device in config.ports.iter().filter_map(clock_of_dpdk) {
            stamping.stamps_by(device);
        }
        stamping
    }

    /// Has the NICs stamp that `config` wants to. Of one that is not there or cannot, only who says `hardware` is told.
    pub(crate) fn enable(config: &Config, counter: LocalCounter) -> Result<Self, Refused> {
        let mut stamping = Self::listed(config);
        for (key, port, kernel, interface) in stamped_ports(config) {
            if stamping.interfaces.iter().any(|known| known.interface == interface) {
                continue;
            }
            let enabled =
                find(config, kernel, interface, counter).and_then(|found| stamping.set(interface, kernel, &found));
            match enabled {
                Ok(()) => {}
                Err(invalid) if kernel.timestamps == Timestamps::Hardware => {
                    return Err(refused(&key, port, kernel, invalid));
                }
                Err(Invalid { what: why, .. }) => {
                    info!("{interface}: the kernel stamps its packets, because {why}");
                    stamping.declined.push(Declined { interface: interface.to_owned(), why });
                }
            }
        }
        Ok(stamping)
    }

    /// What [`Self::enable`] would refuse, without touching anything.
    pub(crate) fn problems(config: &Config, counter: LocalCounter) -> Vec<Refused> {
        let hardware = stamped_ports(config).filter(|(.., kernel, _)| kernel.timestamps == Timestamps::Hardware);
        let problem = |(key, port, kernel, interface): (String, &Port, &KernelPort, &str)| {
            let invalid = find(config, kernel, interface, counter).err()?;
            Some(refused(&key, port, kernel, invalid))
        };
        hardware.filter_map(problem).collect()
    }

    /// The clocks, in the order of their numbers: the first is 1, because 0 is the system clock's.
    pub(crate) fn clocks(&self) -> &[HostClock] {
        &self.clocks
    }

    /// Who stamps what passes `interface`.
    pub(crate) fn of(&self, interface: &str) -> Timestamping {
        let found = self.interfaces.iter().find(|known| known.interface == interface);
        found.map_or(Timestamping::Software, |stamped| stamped.timestamping)
    }

    /// The interfaces whose NICs stamp.
    pub(crate) fn interfaces(&self) -> &[Stamped] {
        &self.interfaces
    }

    /// Why the NIC of `interface` does not stamp, where it was to if it can.
    pub(crate) fn declined(&self, interface: &str) -> Option<&str> {
        let declined = self.declined.iter().find(|declined| declined.interface == interface);
        declined.map(|declined| declined.why.as_str())
    }

    /// The number of the kernel's clock that the NIC of `port`, one of DPDK, stamps by, if there is one.
    #[cfg(feature = "dpdk")]
    pub(crate) fn kernel_clock(&mut self, port: &Port) -> Option<ClockId> {
        clock_of_dpdk(port).map(|device| self.stamps_by(device))
    }

    /// Adds the clock of an open port, of so many bits and with ticks of this length: which one it is.
    #[cfg(feature = "dpdk")]
    pub(crate) fn add_port(&mut self, name: &PortName, width: u8, tick: Rate) -> ClockId {
        let read_by = ReadBy::Port { name: name.clone(), width, tick };
        self.clocks.push(HostClock { read_by, steer: Steer::Off, stamps: true });
        ClockId(u8::try_from(self.clocks.len()).unwrap_or(u8::MAX))
    }

    /// The number of the clock that `device` is, which stamps packets; it is added where nothing is said of it.
    fn stamps_by(&mut self, device: &DevicePath) -> ClockId {
        let is_it = |known: &HostClock| match &known.read_by {
            ReadBy::Device(known, _) => is_same(known.as_path(), device.as_path()),
            ReadBy::Port { .. } => false,
        };
        let place = self.clocks.iter().position(is_it).unwrap_or_else(|| {
            let read_by = ReadBy::Device(device.clone(), TimeScale::Tai);
            self.clocks.push(HostClock { read_by, steer: Steer::Off, stamps: true });
            self.clocks.len() - 1
        });
        self.clocks.get_mut(place).into_iter().for_each(|clock| clock.stamps = true);
        ClockId(u8::try_from(place + 1).unwrap_or(u8::MAX))
    }

    fn set(&mut self, interface: &str, kernel: &KernelPort, found: &Found) -> Result<(), Invalid> {
        let device: DevicePath = found.device.display().to_string().parse()?;
        let Enabled { device: nic, filter, previous } = enable_stamping(interface, found.wanted).map_err(|error| {
            Invalid::new(error.to_string(), "give the program what it lacks, or write \"software\"")
        })?;
        match previous {
            Some(previous) if !(previous.tx && previous.filter == filter) => {
                warn!("{nic} now stamps received packets by the filter {filter}, it was {}", previous.filter);
            }
            _ => info!("{nic} stamps packets, received ones by the filter {filter}, told by {device}"),
        }
        let clock = self.stamps_by(&device);
        let timestamping = Timestamping::Hardware { clock, bind_phc: found.bind_phc, filter };
        // Who insists on the NIC's knows one that stamps more than its driver says.
        let ntp = filter.serves(RxFilter::Ntp) || kernel.timestamps == Timestamps::Hardware;
        self.interfaces.push(Stamped { interface: interface.to_owned(), timestamping, wanted: found.wanted, ntp });
        Ok(())
    }
}

/// The kernel's clock by which the NIC of a port of DPDK stamps.
fn clock_of_dpdk(port: &Port) -> Option<&DevicePath> {
    match &port.kind {
        PortKind::Dpdk(dpdk) => dpdk.hardware_clock.as_ref(),
        PortKind::Kernel(_) => None,
    }
}

impl HostClock {
    /// What people call it.
    pub(crate) fn name(&self) -> String {
        match &self.read_by {
            ReadBy::Device(device, _) => device.to_string(),
            ReadBy::Port { name, .. } => name.to_string(),
        }
    }
}

impl Stamped {
    /// Has the NIC stamp once more: drivers forget it when a device is gone for a while, some when its link is.
    pub(crate) fn renew(&self) {
        match enable_stamping(&self.interface, self.wanted) {
            Ok(Enabled { device, filter, .. }) => {
                info!("{device} stamps packets, received ones by the filter {filter}")
            }
            Err(error) => warn!("{}: its packets have no stamps any more: {error}", self.interface),
        }
    }
}

/// The kernel ports whose packets a NIC may stamp, with the paths of their tables.
fn stamped_ports(config: &Config) -> impl Iterator<Item = (String, &Port, &KernelPort, &str)> {
    config.ports.iter().enumerate().filter_map(|(index, port)| match &port.kind {
        PortKind::Kernel(kernel) if kernel.timestamps != Timestamps::Software => {
            Some((format!("port.{index}"), port, kernel, kernel.interface.as_ref()?.as_str()))
        }
        PortKind::Kernel(_) | PortKind::Dpdk(_) => None,
    })
}

fn refused(key: &str, port: &Port, kernel: &KernelPort, invalid: Invalid) -> Refused {
    let key = format!("{key}.{}", if kernel.hardware_clock.is_some() { "hardware_clock" } else { "timestamps" });
    let what = format!("port \"{}\": \"hardware\" cannot be done: {}", port.name, invalid.what);
    Refused { key, invalid: Invalid::new(what, invalid.remedy) }
}

/// What stamps, and by which clock it is told.
fn find(config: &Config, kernel: &KernelPort, interface: &str, counter: LocalCounter) -> Result<Found, Invalid> {
    const OTHERWISE: &str = "write \"auto\" or \"software\", or name an interface whose NIC can (`ethtool -T`)";
    let offered = hardware_stamping(interface).map_err(|error| Invalid::new(error.to_string(), OTHERWISE))?;
    let (true, Some(own)) = (offered.is_usable(), offered.phc_index) else {
        let what = format!("the NIC of {interface} takes no hardware stamps");
        return Err(Invalid::new(what, OTHERWISE));
    };
    let own_device = PtpClock::device(own);
    let device = kernel.hardware_clock.as_ref().map_or(own_device.clone(), |clock| clock.as_path().to_owned());
    let clock = PtpClock::open(&device, Access::Read, counter).map_err(|error| {
        Invalid::new(error.to_string(), "let this user read it, or write `timestamps = \"software\"`")
    })?;
    let bind_phc = match clock.index() {
        Some(index) if index != own && clock.virtual_of() == Some(own) => Some(index),
        Some(index) if index != own => {
            let what = format!("{} is no clock of the NIC of {interface}", device.display());
            let remedy = format!("write \"{}\", or a virtual clock of that", own_device.display());
            return Err(Invalid::new(what, remedy));
        }
        _ => None,
    };
    Ok(Found { device, bind_phc, wanted: wanted(config, interface, &offered) })
}

/// The least that is worth to be stamped, of what the NIC can: NTP, which every port serves, and PTP where it is spoken.
pub(crate) fn wanted(config: &Config, interface: &str, offered: &HardwareStamping) -> RxFilter {
    let is_here = |name: &PortName| {
        config.ports.iter().any(|port| {
            port.name == *name
                && matches!(&port.kind, PortKind::Kernel(kernel)
                    if kernel.interface.as_ref().is_some_and(|own| own.as_str() == interface))
        })
    };
    let speaks_ptp = config.ntp_server.over_ptp
        || config.ptp.iter().any(|instance| is_here(&instance.port))
        || config.ntp_sources.iter().any(|source| source.over_ptp);
    let wishes: &[RxFilter] = if speaks_ptp {
        &[RxFilter::All, RxFilter::PtpV2Event, RxFilter::PtpV2L2Event, RxFilter::PtpV2L4Event]
    } else {
        &[RxFilter::Ntp, RxFilter::PtpV2Event]
    };
    let able = wishes.iter().find(|wish| offered.least_filter(**wish).is_some());
    able.copied().unwrap_or(RxFilter::PtpV2Event)
}

/// Whether both paths lead to one device.
fn is_same(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| path.metadata().map(|metadata| metadata.rdev()).ok().filter(|number| *number != 0);
    one == other || matches!((number(one), number(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str, tables: &str) -> Config {
        let text =
            format!("[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\ninterface = 'lo'\n{more}\n{tables}");
        Config::parse(&text, Path::new("F")).unwrap()
    }

    fn offered(rx_filters: Vec<RxFilter>) -> HardwareStamping {
        HardwareStamping {
            device: "lo".into(),
            phc_index: Some(0),
            tx: true,
            one_step_sync: false,
            one_step_peer_delay: false,
            rx_filters,
            raw: true,
        }
    }

    #[test]
    fn an_interface_without_is_stamped_by_the_kernel_unless_hardware_is_asked_for() {
        let auto = Stamping::enable(&config("", "[[ptp_clock]]\ndevice = '/dev/ptp9'"), LocalCounter::best()).unwrap();
        assert_eq!((auto.of("lo"), auto.clocks().len()), (Timestamping::Software, 1));
        assert!(auto.declined("lo").unwrap().contains("lo takes no hardware stamps"), "{auto:?}");
        let hardware = config("timestamps = 'hardware'", "");
        let Refused { key, invalid } = Stamping::enable(&hardware, LocalCounter::best()).unwrap_err();
        assert_eq!(key, "port.0.timestamps");
        assert!(
            invalid.what.starts_with("port \"a\": \"hardware\" cannot be done: ") && invalid.what.contains("lo"),
            "{invalid}"
        );
        assert!(invalid.remedy.contains("\"software\""), "{invalid}");
        assert_eq!(Stamping::problems(&hardware, LocalCounter::best()).len(), 1);
        let software = config("timestamps = 'software'", "");
        assert_eq!(stamped_ports(&software).count(), 0);
    }

    #[test]
    fn the_filter_is_the_least_that_serves_who_is_there() {
        let ptp = "[[ptp]]\nname = 'p'\n[[ptp.port]]\nport = 'a'\n";
        let ntp = "[[ntp.source]]\naddress = '10.0.0.1'\n";
        let all = || offered(vec![RxFilter::None, RxFilter::All, RxFilter::Ntp, RxFilter::PtpV2Event]);
        let of_ptp = || offered(vec![RxFilter::None, RxFilter::PtpV2Event]);
        for (tables, nic, filter) in [
            (ptp.to_owned(), all(), RxFilter::All),
            (ntp.to_owned(), all(), RxFilter::Ntp),
            (String::new(), all(), RxFilter::Ntp),
            (format!("{ptp}{ntp}"), all(), RxFilter::All),
            (ptp.to_owned(), of_ptp(), RxFilter::PtpV2Event),
            (ntp.to_owned(), of_ptp(), RxFilter::PtpV2Event),
        ] {
            assert_eq!(wanted(&config("", &tables), "lo", &nic), filter, "{tables}");
        }
    }

    /// mlx5, whose clock the kernel shows: it may be listed, to be steered.
    #[cfg(feature = "dpdk")]
    #[test]
    fn a_port_of_dpdk_may_be_stamped_by_a_clock_of_the_kernel() {
        for (tables, steer) in [("", Steer::Off), ("[[ptp_clock]]\ndevice = '/dev/ptp7'\nsteer = 'on'", Steer::On)] {
            let text = format!(
                "[[port]]\nname = 'a'\nbackend = 'dpdk'\ndevice = '0000:03:00.0'\naddresses = ['10.0.0.1/24']\n\
                 hardware_clock = '/dev/ptp7'\n{tables}"
            );
            let config = Config::parse(&text, Path::new("F")).unwrap();
            let mut stamping = Stamping::listed(&config);
            assert_eq!(stamping.kernel_clock(&config.ports[0]), Some(ClockId(1)));
            let [clock] = stamping.clocks() else { panic!("{:?}", stamping.clocks()) };
            assert_eq!((clock.steer, clock.stamps), (steer, true));
        }
    }

    #[test]
    fn one_device_has_many_paths() {
        assert!(is_same(Path::new("/dev/null"), Path::new("/dev/../dev/null")));
        assert!(is_same(Path::new("/dev/ptp99"), Path::new("/dev/ptp99")));
        assert!(!is_same(Path::new("/dev/null"), Path::new("/dev/zero")));
        assert!(!is_same(Path::new("/"), Path::new("/tmp")));
    }
}
