//! Which MAC address a host is reached by.

use arrayvec::ArrayVec;
use core::net::IpAddr;

/// Hosts that are spoken to at a time, on one port; the one that was not for the longest time is forgotten.
const HOSTS: usize = 32;

/// The next hops of those whom messages are sent to, learned from the messages that come from them: on one link that is
/// their own MAC address, else the router's by which they come. Whoever is spoken to once is remembered, whoever only speaks
/// is not: nobody can make the port forget a master.
#[derive(Debug, Default)]
pub(super) struct NextHops {
    /// The one last spoken to first.
    known: ArrayVec<(IpAddr, Option<[u8; 6]>), HOSTS>,
    last_heard: Option<(IpAddr, [u8; 6])>,
}

impl NextHops {
    /// A message of `host` came from this MAC address.
    pub(super) fn heard(&mut self, host: IpAddr, mac: [u8; 6]) {
        self.last_heard = Some((host, mac));
        if let Some((_, known)) = self.known.iter_mut().find(|(known, _)| *known == host) {
            *known = Some(mac);
        }
    }

    /// Where a message to `host` goes. `None` where it has not been heard since it was first asked for.
    pub(super) fn of(&mut self, host: IpAddr) -> Option<[u8; 6]> {
        let place = self.known.iter().position(|(known, _)| *known == host);
        let mac = match place.and_then(|place| self.known.pop_at(place)) {
            Some((_, mac)) => mac,
            None => self.last_heard.filter(|(heard, _)| *heard == host).map(|(_, mac)| mac),
        };
        if self.known.is_full() {
            self.known.pop();
        }
        self.known.insert(0, (host, mac));
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const MASTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

    fn stranger(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0b00_0000 + number).into()
    }

    #[test]
    fn who_just_spoke_can_be_answered() {
        let mut hops = NextHops::default();
        assert_eq!(hops.of(MASTER), None);
        hops.heard(stranger(1), [1; 6]);
        assert_eq!(hops.of(stranger(1)), Some([1; 6]));
    }

    #[test]
    fn strangers_make_nobody_forgotten() {
        let mut hops = NextHops::default();
        hops.heard(MASTER, [2; 6]);
        assert_eq!(hops.of(MASTER), Some([2; 6]));
        for number in 0..100_000 {
            hops.heard(stranger(number), [3; 6]);
        }
        assert_eq!(hops.of(MASTER), Some([2; 6]));
        hops.heard(MASTER, [4; 6]);
        assert_eq!(hops.of(MASTER), Some([4; 6]), "the way has changed");
    }

    #[test]
    fn who_is_no_longer_spoken_to_is_forgotten() {
        let mut hops = NextHops::default();
        hops.heard(MASTER, [2; 6]);
        assert_eq!(hops.of(MASTER), Some([2; 6]));
        for number in 0..u32::try_from(HOSTS).unwrap() {
            hops.heard(stranger(number), [3; 6]);
            assert_eq!(hops.of(stranger(number)), Some([3; 6]));
        }
        assert_eq!(hops.of(MASTER), None);
        hops.heard(MASTER, [2; 6]);
        assert_eq!(hops.of(MASTER), Some([2; 6]));
    }
}
