//! The MAC address to send to, as the kernel knows it.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;

use serde::Deserialize;

use crate::{LoadError, MacAddress};

/// How often the table is looked at before the neighbour counts as unknown.
const ATTEMPTS: u32 = 20;
/// How long in between.
const INTERVAL: Duration = Duration::from_millis(100);
/// The discard service: where nobody listens and nobody is harmed.
const DISCARD_PORT: u16 = 9;

/// The MAC address of `target` on `interface`. Where the kernel does not know it yet, it is made to ask for it.
pub(crate) fn resolve(interface: &str, target: IpAddr) -> Result<MacAddress, LoadError> {
    let unknown = |reason| LoadError::Neighbour { target, interface: interface.to_owned(), reason };
    for attempt in 0..ATTEMPTS {
        if let Some(mac) = look_up(interface, target).map_err(unknown)? {
            return Ok(mac);
        }
        if attempt == 0 {
            // Any datagram makes the kernel look for its neighbour. If this one cannot be sent, nobody can be found.
            provoke(target).map_err(|error| unknown(error.to_string()))?;
        }
        thread::sleep(INTERVAL);
    }
    Err(unknown("it does not answer ARP or neighbour solicitations".to_owned()))
}

fn provoke(target: IpAddr) -> std::io::Result<()> {
    let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.send_to(&[], SocketAddr::new(target, DISCARD_PORT)).map(drop)
}

#[derive(Deserialize)]
struct Entry {
    dst: IpAddr,
    lladdr: Option<String>,
}

fn look_up(interface: &str, target: IpAddr) -> Result<Option<MacAddress>, String> {
    let output = Command::new("ip")
        .args(["-json", "neighbour", "show", "to", &target.to_string(), "dev", interface])
        .output()
        .map_err(|error| format!("cannot run ip: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(address_in(&output.stdout, target))
}

/// The address of `target` in a listing of `ip -json neighbour show`.
fn address_in(listing: &[u8], target: IpAddr) -> Option<MacAddress> {
    // Entries that say nothing of a MAC address, or in a form we do not know, are none.
    let entries: Vec<Entry> = serde_json::from_slice(listing).unwrap_or_default();
    entries.iter().find(|entry| entry.dst == target)?.lladdr.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_read() {
        let listing = br#"[{"dst":"10.77.0.9","state":["FAILED"]},
            {"dst":"10.77.0.1","lladdr":"02:00:00:00:77:01","state":["REACHABLE"]}]"#;
        let find = |target: &str| address_in(listing, target.parse().unwrap());
        assert_eq!(find("10.77.0.1"), Some(MacAddress([2, 0, 0, 0, 0x77, 1])));
        assert_eq!(find("10.77.0.9"), None);
        assert_eq!(find("10.77.0.2"), None);
        assert_eq!(address_in(b"[ ]", "10.77.0.1".parse().unwrap()), None);
        assert_eq!(address_in(b"", "10.77.0.1".parse().unwrap()), None);
    }
}
