//! What a NIC can stamp, and having it do so: `ETHTOOL_GET_TS_INFO` and `SIOCSHWTSTAMP`.

use crate::calls::{self, StampingInfo};
use crate::device::real_device;
use crate::timestamping::RxFilter;
use core::ffi::c_uint;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// What the NIC of an interface can stamp, as its driver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardwareStamping {
    /// The device that was asked: of a VLAN or a bond the one below ([`real_device`]).
    pub device: String,
    /// Its clock: `N` of `/dev/ptpN`.
    pub phc_index: Option<u32>,
    /// Whether it stamps packets that it sends.
    pub tx: bool,
    /// Whether it writes the time into the Sync messages that it sends.
    pub one_step_sync: bool,
    /// Whether into those and into Pdelay_Resp messages.
    pub one_step_peer_delay: bool,
    /// Which received packets it can be set to stamp.
    pub rx_filters: Vec<RxFilter>,
    /// Whether its stamps are told as its clock has them.
    pub raw: bool,
}

impl HardwareStamping {
    /// Whether it can serve for measurements: stamps on both ways, of a clock that can be read.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.raw
            && self.tx
            && self.phc_index.is_some()
            && self.rx_filters.iter().any(|filter| *filter != RxFilter::None)
    }

    /// The filter that serves `wanted` with the fewest other packets.
    #[must_use]
    pub fn least_filter(&self, wanted: RxFilter) -> Option<RxFilter> {
        LEAST_FIRST.into_iter().find(|filter| filter.serves(wanted) && self.rx_filters.contains(filter))
    }

    fn from_info(device: String, info: &StampingInfo) -> Self {
        let stamps = |flags: c_uint| info.so_timestamping & flags == flags;
        let sends = |tx_type: c_uint| info.tx_types & (1 << tx_type) != 0;
        let filters =
            (0..u8::try_from(u32::BITS).unwrap_or(u8::MAX)).filter(|number| info.rx_filters & (1 << number) != 0);
        Self {
            device,
            phc_index: u32::try_from(info.phc_index).ok(),
            tx: stamps(libc::SOF_TIMESTAMPING_TX_HARDWARE) && sends(libc::HWTSTAMP_TX_ON),
            one_step_sync: sends(libc::HWTSTAMP_TX_ONESTEP_SYNC),
            one_step_peer_delay: sends(libc::HWTSTAMP_TX_ONESTEP_P2P),
            rx_filters: filters.map(RxFilter::from_number).collect(),
            raw: stamps(libc::SOF_TIMESTAMPING_RAW_HARDWARE),
        }
    }
}

/// Filters that are asked for, those that stamp the fewest packets first.
const LEAST_FIRST: [RxFilter; 6] = [
    RxFilter::None,
    RxFilter::PtpV2L2Event,
    RxFilter::PtpV2L4Event,
    RxFilter::PtpV2Event,
    RxFilter::Ntp,
    RxFilter::All,
];

/// What a NIC is set to stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampingConfig {
    /// Whether sent packets are stamped that ask for it.
    pub tx: bool,
    /// Which received packets are.
    pub filter: RxFilter,
}

/// A NIC that was made to stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    /// What stamps.
    pub device: String,
    /// What it stamps of all that comes: what the driver says it was set to, which may be more than was asked for.
    pub filter: RxFilter,
    /// What it was set to before, where the driver says so. The same, where nothing had to be done.
    pub previous: Option<StampingConfig>,
}

/// Why a NIC does not stamp.
#[derive(Debug, thiserror::Error)]
pub enum StampingError {
    /// There is no such network interface.
    #[error("no network interface {0:?}")]
    NoSuchInterface(String),
    /// The NIC, or what is no NIC, has no clock that stamps packets.
    #[error("{device} has no hardware timestamps: neither its driver nor what it drives takes any")]
    Unsupported {
        /// The device.
        device: String,
    },
    /// The NIC stamps, but not what is to be stamped.
    #[error("{device} cannot stamp {wanted} packets as they come: it can {}", list(.offered))]
    Filter {
        /// The device.
        device: String,
        /// What was asked for.
        wanted: RxFilter,
        /// What its driver offers.
        offered: Vec<RxFilter>,
    },
    /// The process may not set what a NIC stamps.
    #[error("no permission to have {device} stamp packets: it needs root or CAP_NET_ADMIN")]
    Permission {
        /// The device.
        device: String,
    },
    /// Anything else the kernel said no to.
    #[error("{call} on {device}: {error}")]
    Call {
        /// The request.
        call: &'static str,
        /// The device.
        device: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

fn list(filters: &[RxFilter]) -> String {
    filters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Asks the driver of the device under `interface` what it can stamp.
///
/// # Errors
/// [`StampingError::NoSuchInterface`]; [`StampingError::Unsupported`] where there is no driver to ask.
pub fn hardware_stamping(interface: &str) -> Result<HardwareStamping, StampingError> {
    Device::under(interface)?.ask()
}

/// What the device under `interface` is set to stamp.
///
/// # Errors
/// [`StampingError::Unsupported`] where its driver does not say.
pub fn stamping(interface: &str) -> Result<StampingConfig, StampingError> {
    Device::under(interface)?.config()
}

/// Has the device under `interface` stamp what it sends, and of what it receives `wanted` by the least filter that serves. What
/// others have had it stamp, it goes on stamping where its driver has a filter for both; where it does all this already,
/// it is left alone: some drivers reset their clock when they are set.
///
/// # Errors
/// [`StampingError`].
pub fn enable_stamping(interface: &str, wanted: RxFilter) -> Result<Enabled, StampingError> {
    let device = Device::under(interface)?;
    let stamping = device.ask()?;
    if !stamping.is_usable() {
        return Err(StampingError::Unsupported { device: device.name });
    }
    let previous = device.config().ok();
    if let Some(StampingConfig { tx: true, filter }) = previous
        && filter.serves(wanted)
    {
        return Ok(Enabled { device: device.name, filter, previous });
    }
    let before = previous.map_or(RxFilter::None, |previous| previous.filter);
    let both = LEAST_FIRST
        .into_iter()
        .find(|filter| filter.serves(wanted) && filter.serves(before) && stamping.rx_filters.contains(filter));
    let Some(filter) = both.or_else(|| stamping.least_filter(wanted)) else {
        return Err(StampingError::Filter { device: device.name, wanted, offered: stamping.rx_filters });
    };
    let filter = device.set(StampingConfig { tx: true, filter })?.filter;
    if filter.serves(wanted) || matches!(filter, RxFilter::Other(SOME)) {
        return Ok(Enabled { device: device.name, filter, previous });
    }
    Err(StampingError::Filter { device: device.name, wanted, offered: vec![filter] })
}

/// `HWTSTAMP_FILTER_SOME`: what was asked for, and more.
#[expect(clippy::cast_possible_truncation, reason = "the number is 2")]
const SOME: u8 = libc::HWTSTAMP_FILTER_SOME as u8;

/// A device, to be asked and set.
struct Device {
    name: String,
    bytes: CString,
    /// Any: requests about interfaces go by sockets.
    socket: OwnedFd,
}

impl Device {
    fn under(interface: &str) -> Result<Self, StampingError> {
        let no_such = || StampingError::NoSuchInterface(interface.to_owned());
        let name = real_device(interface);
        let bytes = CString::new(name.as_str()).map_err(|_| no_such())?;
        calls::interface_index(&bytes).map_err(|_| no_such())?;
        let socket = calls::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        let socket = socket.map_err(|error| StampingError::Call { call: "socket", device: name.clone(), error })?;
        Ok(Self { name, bytes, socket })
    }

    fn ask(&self) -> Result<HardwareStamping, StampingError> {
        let info = calls::stamping_info(self.socket.as_fd(), &self.bytes);
        let info = info.map_err(|error| self.failed("ETHTOOL_GET_TS_INFO", error))?;
        Ok(HardwareStamping::from_info(self.name.clone(), &info))
    }

    fn config(&self) -> Result<StampingConfig, StampingError> {
        let config = calls::stamping_config(self.socket.as_fd(), &self.bytes);
        config.map(StampingConfig::from_raw).map_err(|error| self.failed("SIOCGHWTSTAMP", error))
    }

    /// Returns what the driver made of it.
    fn set(&self, config: StampingConfig) -> Result<StampingConfig, StampingError> {
        let set = calls::set_stamping_config(self.socket.as_fd(), &self.bytes, config.raw());
        set.map(StampingConfig::from_raw).map_err(|error| self.failed("SIOCSHWTSTAMP", error))
    }

    fn failed(&self, call: &'static str, error: io::Error) -> StampingError {
        let device = self.name.clone();
        match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOTTY) => StampingError::Unsupported { device },
            Some(libc::EPERM | libc::EACCES) => StampingError::Permission { device },
            Some(libc::ENODEV) => StampingError::NoSuchInterface(device),
            _ => StampingError::Call { call, device, error },
        }
    }
}

impl StampingConfig {
    fn from_raw(raw: libc::hwtstamp_config) -> Self {
        let filter = u8::try_from(raw.rx_filter).unwrap_or(u8::MAX);
        // The one-step ways stamp whatever they do not write into.
        Self { tx: raw.tx_type > 0, filter: RxFilter::from_number(filter) }
    }

    fn raw(self) -> libc::hwtstamp_config {
        let tx_type = if self.tx { libc::HWTSTAMP_TX_ON } else { libc::HWTSTAMP_TX_OFF };
        libc::hwtstamp_config { flags: 0, tx_type: tx_type.cast_signed(), rx_filter: self.filter.number().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{HardwareStamping, StampingConfig, StampingError, enable_stamping, hardware_stamping};
    use crate::calls::StampingInfo;
    use crate::timestamping::RxFilter;

    /// As igb tells it of an 82576: every way of hardware, no, on; PTP.
    fn igb() -> HardwareStamping {
        let info = StampingInfo {
            so_timestamping: 0x5f,
            phc_index: 1,
            tx_types: 0b11,
            rx_filters: 1 | 1 << 12,
            ..StampingInfo::default()
        };
        HardwareStamping::from_info("eth1".into(), &info)
    }

    #[test]
    fn what_a_driver_says_is_read() {
        let igb = igb();
        assert_eq!(igb.phc_index, Some(1));
        assert!(igb.is_usable() && !igb.one_step_sync && !igb.one_step_peer_delay);
        assert_eq!(igb.rx_filters, [RxFilter::None, RxFilter::PtpV2Event]);
        let nothing =
            HardwareStamping::from_info("veth0".into(), &StampingInfo { phc_index: -1, ..Default::default() });
        assert!(!nothing.is_usable() && nothing.rx_filters.is_empty() && nothing.phc_index.is_none());
        let receives_only = HardwareStamping { tx: false, ..igb };
        assert!(!receives_only.is_usable());
    }

    #[test]
    fn the_least_filter_that_serves_is_taken() {
        let mut nic = igb();
        assert_eq!(nic.least_filter(RxFilter::PtpV2L2Event), Some(RxFilter::PtpV2Event));
        assert_eq!(nic.least_filter(RxFilter::Ntp), None);
        nic.rx_filters.push(RxFilter::All);
        assert_eq!(nic.least_filter(RxFilter::Ntp), Some(RxFilter::All));
        assert_eq!(nic.least_filter(RxFilter::PtpV2Event), Some(RxFilter::PtpV2Event));
        nic.rx_filters.push(RxFilter::PtpV2L2Event);
        assert_eq!(nic.least_filter(RxFilter::PtpV2L2Event), Some(RxFilter::PtpV2L2Event));
    }

    #[test]
    fn a_setting_is_written_as_it_was_read() {
        for tx in [false, true] {
            for number in 0..16 {
                let config = StampingConfig { tx, filter: RxFilter::from_number(number) };
                assert_eq!(StampingConfig::from_raw(config.raw()), config);
            }
        }
    }

    #[test]
    fn refusals_say_what_is_missing() {
        for name in ["", "no-such-link", "far-too-long-for-an-interface", "zero\0byte"] {
            assert!(matches!(hardware_stamping(name), Err(StampingError::NoSuchInterface(named)) if named == name));
        }
        let error = enable_stamping("lo", RxFilter::All).unwrap_err();
        assert_eq!(error.to_string(), "lo has no hardware timestamps: neither its driver nor what it drives takes any");
        let error = StampingError::Filter { device: "eth1".into(), wanted: RxFilter::Ntp, offered: igb().rx_filters };
        let text = "eth1 cannot stamp ntp-all packets as they come: it can none, ptpv2-event";
        assert_eq!(error.to_string(), text);
    }
}
