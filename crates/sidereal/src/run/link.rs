//! Whether the links of ports are up, and ports whose device went away and came back.

use sidereal_dataplane::LinkSpeed;
use sidereal_nic::Capabilities;
use sidereal_ops::LinkState;
use std::collections::BTreeMap;
use std::path::Path;
use tracing::{info, warn};

use super::link_speeds::link_megabits;
use super::ports::Link;

/// Watches the link of one port.
pub(super) struct LinkWatch {
    link: Link,
    /// How fast it is, for who answers NTP over PTP.
    speed: LinkSpeed,
    state: LinkState,
    counts: BTreeMap<String, u64>,
    /// What the port can do, where that is found out as it works.
    capabilities: Option<Capabilities>,
}

impl LinkWatch {
    /// Watches `link`, and tells in `speed` how fast it is.
    pub(super) fn new(link: Link, speed: LinkSpeed) -> Self {
        Self { link, speed, state: LinkState::Unknown, counts: BTreeMap::new(), capabilities: None }
    }

    /// The state when it was last looked at.
    pub(super) fn state(&self) -> LinkState {
        self.state
    }

    /// What the device had counted then.
    pub(super) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// What the port can do, where more is known of that than when it was opened.
    pub(super) fn capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    /// Looks at the link of the port called `name`; what has changed is logged and returned. A device that is gone is taken up
    /// again once it is back.
    pub(super) fn look(&mut self, name: &str) -> Option<LinkState> {
        let state = match &mut self.link {
            Link::None => LinkState::Unknown,
            Link::Interface(interface) => {
                self.speed.set(link_megabits(interface));
                interface_state(Path::new("/sys/class/net"), interface)
            }
            #[cfg(feature = "dpdk")]
            Link::Monitor { monitor, mac } => {
                let status = monitor.read();
                self.speed.set(status.megabits);
                self.counts = device_counts(&status);
                self.capabilities = Some(status.capabilities);
                match status.link {
                    sidereal_nic_dpdk::Link::Up => LinkState::Up,
                    sidereal_nic_dpdk::Link::Down => LinkState::Down,
                    sidereal_nic_dpdk::Link::Gone => recover(monitor, *mac, name),
                }
            }
        };
        if core::mem::replace(&mut self.state, state) == state {
            return None;
        }
        match state {
            LinkState::Up => info!(port = name, "the link is up"),
            LinkState::Down => warn!(port = name, "the link is down"),
            LinkState::Unknown => {}
        }
        Some(state)
    }
}

#[cfg(feature = "dpdk")]
fn recover(monitor: &mut sidereal_nic_dpdk::PortMonitor, mac: [u8; 6], name: &str) -> LinkState {
    match monitor.recover() {
        Ok(now) if now == mac => info!(port = name, "the device is back"),
        Ok(_) => {
            warn!(port = name, "the device is back with another MAC address: restart, so that its TAP gets it too")
        }
        // Not there yet: the warning that the link is down has been given.
        Err(error) => tracing::debug!(port = name, %error, "the device is gone"),
    }
    LinkState::Down
}

#[cfg(feature = "dpdk")]
fn device_counts(status: &sidereal_nic_dpdk::PortStatus) -> BTreeMap<String, u64> {
    let counters = &status.counters;
    [
        ("rx_packets", counters.rx_packets),
        ("rx_bytes", counters.rx_bytes),
        ("rx_missed", counters.rx_missed),
        ("rx_errors", counters.rx_errors),
        ("rx_no_buffer", counters.rx_no_buffer),
        ("tx_packets", counters.tx_packets),
        ("tx_bytes", counters.tx_bytes),
        ("tx_errors", counters.tx_errors),
        ("buffers", status.buffers.into()),
        ("buffers_free", status.buffers_free.into()),
    ]
    .into_iter()
    .chain(status.latches.into_iter().filter(|(_, count)| *count > 0))
    .map(|(name, count)| (name.to_owned(), count))
    .collect()
}

/// What the kernel says of one of its interfaces; one that is gone is down. "unknown" is what interfaces without a carrier
/// say, such as loopback.
fn interface_state(interfaces: &Path, name: &str) -> LinkState {
    match std::fs::read_to_string(interfaces.join(name).join("operstate")) {
        Ok(state) if matches!(state.trim(), "up" | "unknown") => LinkState::Up,
        _ => LinkState::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_what_the_kernel_says() {
        let interfaces = tempfile::tempdir().unwrap();
        std::fs::create_dir(interfaces.path().join("eth0")).unwrap();
        for (says, state) in [
            ("up\n", LinkState::Up),
            ("unknown\n", LinkState::Up),
            ("down\n", LinkState::Down),
            ("lowerlayerdown\n", LinkState::Down),
        ] {
            std::fs::write(interfaces.path().join("eth0/operstate"), says).unwrap();
            assert_eq!(interface_state(interfaces.path(), "eth0"), state, "{says}");
        }
        assert_eq!(interface_state(interfaces.path(), "eth1"), LinkState::Down);
    }
}
