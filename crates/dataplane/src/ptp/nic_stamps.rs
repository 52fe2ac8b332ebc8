//! Whether a port's NIC stamps event messages.

use sidereal_ptp::Transport;

/// So many event messages in a row without a stamp say that the NIC stamps none, whatever its driver claims.
const SILENT_AFTER: u8 = 16;

/// What is believed of a port's NIC: where it stamps event messages, one without a stamp has no time of arrival. Another clock is not
/// put in the place of the NIC's, as the two differ by what the NIC, the bus and the worker take.
///
/// NICs that know PTP over Ethernet do not all know it over UDP: each is a belief of its own.
#[derive(Debug, Clone, Copy)]
pub struct NicStamps {
    over_ethernet: Belief,
    over_udp: Belief,
}

#[derive(Debug, Clone, Copy)]
struct Belief {
    expected: bool,
    /// Event messages in a row that had none.
    without: u8,
}

impl NicStamps {
    /// As the port claims, until its messages tell.
    #[must_use]
    pub const fn claimed(claimed: bool) -> Self {
        let belief = Belief { expected: claimed, without: 0 };
        Self { over_ethernet: belief, over_udp: belief }
    }

    /// Whether an event message over `transport` should have a stamp.
    #[must_use]
    pub const fn are_expected(&self, transport: Transport) -> bool {
        match transport {
            Transport::Ethernet => self.over_ethernet.expected,
            Transport::UdpIpv4 | Transport::UdpIpv6 => self.over_udp.expected,
        }
    }

    /// An event message has come over `transport`, with a stamp of the NIC or without.
    pub(crate) const fn note(&mut self, transport: Transport, stamped: bool) {
        let belief = match transport {
            Transport::Ethernet => &mut self.over_ethernet,
            Transport::UdpIpv4 | Transport::UdpIpv6 => &mut self.over_udp,
        };
        if stamped {
            *belief = Belief { expected: true, without: 0 };
        } else {
            belief.without = belief.without.saturating_add(1);
            belief.expected &= belief.without < SILENT_AFTER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_ptp::Transport::{Ethernet, UdpIpv4, UdpIpv6};

    #[test]
    fn a_nic_that_never_stamps_is_not_waited_for() {
        let mut stamps = NicStamps::claimed(true);
        for _ in 1..SILENT_AFTER {
            stamps.note(Ethernet, false);
            assert!(stamps.are_expected(Ethernet));
        }
        stamps.note(Ethernet, false);
        assert!(!stamps.are_expected(Ethernet));
        stamps.note(Ethernet, true);
        assert!(stamps.are_expected(Ethernet), "it does after all");
    }

    #[test]
    fn a_lost_stamp_now_and_then_changes_nothing() {
        let mut stamps = NicStamps::claimed(true);
        for message in 0..1000 {
            stamps.note(UdpIpv4, message % usize::from(SILENT_AFTER) == 0);
            assert!(stamps.are_expected(UdpIpv6));
        }
    }

    #[test]
    fn a_nic_may_know_ptp_over_ethernet_alone() {
        let mut stamps = NicStamps::claimed(true);
        for _ in 0..SILENT_AFTER {
            stamps.note(Ethernet, true);
            stamps.note(UdpIpv4, false);
        }
        assert_eq!((stamps.are_expected(Ethernet), stamps.are_expected(UdpIpv4)), (true, false));
    }
}
