//! How a device is named.

use core::fmt;
use core::str::FromStr;

/// A device that DPDK can drive: a PCI function, or a virtual device made from its arguments. Parsed from
/// `0000:03:00.0[,ARGUMENTS]` or `net_af_packet0,iface=eth0,...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    bus: Bus,
    name: String,
    arguments: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bus {
    Pci,
    Virtual,
}

/// Why a string does not name a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Neither a PCI address nor the name of a virtual device.
    #[error(
        "`{0}` is neither a PCI address (0000:03:00.0) nor a virtual device of DPDK (net_af_packet0,iface=eth0): \
         a kernel interface is driven through one of these"
    )]
    Unknown(String),
    /// A NUL byte within.
    #[error("a device name must not contain a NUL byte")]
    Nul,
}

/// How the names of DPDK's virtual network devices begin; a number follows the driver's name.
const VIRTUAL_PREFIXES: [&str; 3] = ["net_", "eth_", "virtio_user"];

impl Device {
    /// The address of a PCI device with its domain, as EAL wants it; `None` of a virtual one.
    #[must_use]
    pub fn pci_address(&self) -> Option<&str> {
        (self.bus == Bus::Pci).then_some(self.name.as_str())
    }

    /// The name that DPDK knows the device's port by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the driver is told.
    #[must_use]
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    pub(crate) const fn bus(&self) -> &'static core::ffi::CStr {
        match self.bus {
            Bus::Pci => c"pci",
            Bus::Virtual => c"vdev",
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if text.contains('\0') {
            return Err(DeviceError::Nul);
        }
        let (name, arguments) = text.split_once(',').unwrap_or((text, ""));
        let (bus, name) = if let Some(address) = pci_address(name) {
            (Bus::Pci, address)
        } else if VIRTUAL_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            (Bus::Virtual, name.to_owned())
        } else {
            return Err(DeviceError::Unknown(text.to_owned()));
        };
        Ok(Self { bus, name, arguments: arguments.to_owned() })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.arguments.is_empty() { Ok(()) } else { write!(f, ",{}", self.arguments) }
    }
}

/// `[domain:]bus:device.function` in hexadecimal, completed by domain 0.
fn pci_address(text: &str) -> Option<String> {
    let hexadecimal = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    let (rest, function) = text.split_once('.')?;
    let (head, device) = rest.rsplit_once(':')?;
    let (domain, bus) = head.split_once(':').unwrap_or(("0000", head));
    let valid = (4..=8).contains(&domain.len())
        && hexadecimal(domain, domain.len())
        && hexadecimal(bus, 2)
        && hexadecimal(device, 2)
        && matches!(function.as_bytes(), [b'0'..=b'7']);
    valid.then(|| format!("{domain}:{bus}:{device}.{function}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{Device, DeviceError};

    #[test]
    fn a_pci_address_is_completed() {
        for (text, address, arguments) in [
            ("0000:03:00.0", "0000:03:00.0", ""),
            ("03:00.1", "0000:03:00.1", ""),
            ("0001:AF:1f.7,rx_timestamp=1", "0001:af:1f.7", "rx_timestamp=1"),
            ("10000:e1:00.0", "10000:e1:00.0", ""),
        ] {
            let device: Device = text.parse().unwrap();
            assert_eq!(device.pci_address(), Some(address));
            assert_eq!(device.name(), address);
            assert_eq!(device.arguments(), arguments);
            assert_eq!(device.bus(), c"pci");
        }
    }

    #[test]
    fn a_virtual_device_keeps_its_arguments() {
        let device: Device = "net_af_packet0,iface=veth0,qdisc_bypass=1".parse().unwrap();
        assert_eq!(device.pci_address(), None);
        assert_eq!(device.name(), "net_af_packet0");
        assert_eq!(device.arguments(), "iface=veth0,qdisc_bypass=1");
        assert_eq!(device.to_string(), "net_af_packet0,iface=veth0,qdisc_bypass=1");
        assert_eq!("net_null0".parse::<Device>().unwrap().to_string(), "net_null0");
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in
            ["", "eth0", "lo", "03:00", "3:0.0", "03:00.8", "0000:03:00.0.0", "zz:00.0", "a:b:c:d.0", ",iface=eth0"]
        {
            assert_eq!(text.parse::<Device>(), Err(DeviceError::Unknown(text.to_owned())), "{text}");
        }
        assert_eq!("net_null0,\0".parse::<Device>(), Err(DeviceError::Nul));
    }
}
