//! What drives an interface, as it says itself: `ETHTOOL_GDRVINFO`.

use crate::calls;
use crate::stamping::StampingError;
use std::ffi::CString;
use std::os::fd::AsFd;

/// The driver of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverInfo {
    /// Its name.
    pub driver: String,
    /// The version of the device's firmware; `None` where it has none, or does not say.
    pub firmware: Option<String>,
    /// Whether it lets the kernel stamp packets that are sent.
    pub kernel_tx_stamps: bool,
}

/// Asks the driver of `interface` who it is.
///
/// # Errors
/// [`StampingError::NoSuchInterface`]; [`StampingError::Call`] where there is no driver to ask.
pub fn driver_info(interface: &str) -> Result<DriverInfo, StampingError> {
    let call = |call| {
        let device = interface.to_owned();
        move |error| StampingError::Call { call, device, error }
    };
    let name = CString::new(interface).map_err(|_| StampingError::NoSuchInterface(interface.to_owned()))?;
    let socket = calls::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).map_err(call("socket"))?;
    calls::interface_index(&name).map_err(|_| StampingError::NoSuchInterface(interface.to_owned()))?;
    let info = calls::driver_info(socket.as_fd(), &name).map_err(call("ETHTOOL_GDRVINFO"))?;
    let stamps = calls::stamping_info(socket.as_fd(), &name).is_ok_and(|info| {
        info.so_timestamping & libc::SOF_TIMESTAMPING_TX_SOFTWARE == libc::SOF_TIMESTAMPING_TX_SOFTWARE
    });
    let firmware = text(&info.firmware);
    let says_it = !matches!(firmware.as_str(), "" | "N/A");
    Ok(DriverInfo { driver: text(&info.driver), firmware: says_it.then_some(firmware), kernel_tx_stamps: stamps })
}

/// What is written before the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{driver_info, text};
    use crate::StampingError;

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        for name in ["none", "nul\0in it"] {
            assert!(matches!(driver_info(name), Err(StampingError::NoSuchInterface(told)) if told == name));
        }
    }

    #[test]
    fn what_is_said_ends_with_the_first_zero() {
        assert_eq!((text(b"igb\0\0x"), text(b"4.0 "), text(b"")), ("igb".into(), "4.0".into(), String::new()));
    }
}
