//! What is asked for.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;

use ipnet::IpNet;
use serde::Serialize;
use sidereal_ptp::MessageClass;

use crate::{Clients, OptionError};

/// The longest that one run lasts. A ramp is made of at most [`crate::MAX_STEPS`] of them and its last.
pub const MAX_DURATION: Duration = Duration::from_secs(3600);
/// The highest rate that can be asked for, in requests per second.
pub const MAX_REQUESTS_PER_SECOND: f64 = 100e6;

/// The PTP domain that is asked.
pub(crate) const DOMAIN: u8 = 0;

/// Whom to ask, as whom, and how much.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    /// The Ethernet interface that leads to the target.
    pub interface: String,
    /// The server's address and port.
    pub target: SocketAddr,
    /// The server's MAC address, or that of the next hop; asked of the kernel's neighbour table where it is not given.
    pub target_mac: Option<MacAddress>,
    /// The MAC address to send from; the interface's own where it is not given.
    pub source_mac: Option<MacAddress>,
    /// Where the clients' addresses are taken from.
    pub prefix: IpNet,
    /// How many clients there are.
    pub clients: u32,
    /// How they ask.
    pub mode: Mode,
    /// How much.
    pub plan: Plan,
    /// The core to send and receive on; wherever the scheduler puts the thread where it is not given.
    pub core: Option<usize>,
}

impl LoadOptions {
    /// The clients, once everything is seen to make sense.
    ///
    /// # Errors
    /// [`OptionError`].
    pub fn check(&self) -> Result<Clients, OptionError> {
        let (prefix, target) = (self.prefix, self.target.ip());
        if matches!(prefix, IpNet::V4(_)) != target.is_ipv4() {
            return Err(OptionError::Families { prefix, target });
        }
        if prefix.contains(&target) {
            return Err(OptionError::TargetAmongClients { prefix, target });
        }
        let event = MessageClass::Event.udp_port();
        if self.mode == Mode::DelayReq && self.target.port() != event {
            return Err(OptionError::PtpPort(self.target.port()));
        }
        self.plan.check()?;
        Clients::new(prefix, self.clients)
    }
}

/// How clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each request stands alone (RFC 5905).
    Basic,
    /// Each request after a client's first asks for the transmit timestamp of the reply before (RFC 9769).
    Interleaved,
    /// By PTP: Delay_Req of domain 0 by unicast over UDP, to a port that leads (hybrid operation, IEEE 1588-2019 16.9).
    DelayReq,
}

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plan {
    /// A steady rate.
    Rate {
        /// Requests per second of all clients together.
        requests_per_second: f64,
        /// How long.
        duration: Duration,
    },
    /// As much as the generator can send.
    Flood {
        /// How long.
        duration: Duration,
    },
    /// Short runs in search of the highest rate with little loss, then one at half of it.
    Ramp {
        /// The rate of the first step, in requests per second.
        start: f64,
        /// The rate to stop at, in requests per second.
        maximum: f64,
        /// The share of requests that may stay unanswered.
        loss_limit: f64,
        /// How long each step lasts.
        step: Duration,
    },
}

impl Plan {
    fn check(&self) -> Result<(), OptionError> {
        match *self {
            Self::Rate { requests_per_second, duration } => {
                check_rate(requests_per_second)?;
                check_duration(duration)
            }
            Self::Flood { duration } => check_duration(duration),
            Self::Ramp { start, maximum, loss_limit, step } => {
                check_rate(start)?;
                check_rate(maximum)?;
                if !(0.0..1.0).contains(&loss_limit) {
                    return Err(OptionError::Loss(loss_limit));
                }
                check_duration(step)
            }
        }
    }
}

fn check_rate(rate: f64) -> Result<(), OptionError> {
    if rate > 0.0 && rate <= MAX_REQUESTS_PER_SECOND { Ok(()) } else { Err(OptionError::Rate(rate)) }
}

const fn check_duration(duration: Duration) -> Result<(), OptionError> {
    if duration.is_zero() || duration.as_nanos() > MAX_DURATION.as_nanos() {
        return Err(OptionError::Duration(duration));
    }
    Ok(())
}

/// The address of a network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

impl FromStr for MacAddress {
    type Err = OptionError;

    /// Six hexadecimal numbers of two digits with colons between them.
    fn from_str(text: &str) -> Result<Self, OptionError> {
        let wrong = || OptionError::Mac(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            let is_hex = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = if is_hex { u8::from_str_radix(part, 16).map_err(|_| wrong())? } else { return Err(wrong()) };
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(target: &str, prefix: &str, plan: Plan) -> LoadOptions {
        LoadOptions {
            interface: "eth0".to_owned(),
            target: target.parse().unwrap(),
            target_mac: None,
            source_mac: None,
            prefix: prefix.parse().unwrap(),
            clients: 100,
            mode: Mode::Basic,
            plan,
            core: None,
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let second = Duration::from_secs(1);
        let plan = Plan::Flood { duration: second };
        assert_eq!(options("10.77.0.1:123", "10.77.64.0/18", plan).check().unwrap().count(), 100);
        let refused = |target, prefix, plan| options(target, prefix, plan).check().unwrap_err();
        assert!(matches!(refused("[fd77::1]:123", "10.77.64.0/18", plan), OptionError::Families { .. }));
        assert!(matches!(refused("10.77.64.9:123", "10.77.64.0/18", plan), OptionError::TargetAmongClients { .. }));
        assert!(matches!(refused("10.77.0.1:123", "10.77.64.0/26", plan), OptionError::PrefixTooSmall { .. }));

        let by_ptp = LoadOptions { mode: Mode::DelayReq, ..options("10.77.0.1:123", "10.77.64.0/18", plan) };
        assert_eq!(by_ptp.check().unwrap_err(), OptionError::PtpPort(123));

        let with_plan = |plan| refused("10.77.0.1:123", "10.77.64.0/18", plan);
        for duration in [Duration::ZERO, MAX_DURATION + Duration::from_nanos(1)] {
            assert_eq!(with_plan(Plan::Flood { duration }), OptionError::Duration(duration));
        }
        for rate in [0.0, -1.0, f64::INFINITY, 1e9] {
            let plan = Plan::Rate { requests_per_second: rate, duration: second };
            assert_eq!(with_plan(plan), OptionError::Rate(rate));
        }
        let not_a_number = Plan::Rate { requests_per_second: f64::NAN, duration: second };
        assert!(matches!(with_plan(not_a_number), OptionError::Rate(_)));
        let ramp = |loss_limit| Plan::Ramp { start: 1e4, maximum: 1e6, loss_limit, step: second };
        for loss_limit in [-0.01, 1.0] {
            assert_eq!(with_plan(ramp(loss_limit)), OptionError::Loss(loss_limit));
        }
    }

    #[test]
    fn mac_addresses_are_read_as_they_are_written() {
        let address: MacAddress = "02:00:00:fF:77:01".parse().unwrap();
        assert_eq!(address, MacAddress([2, 0, 0, 255, 0x77, 1]));
        assert_eq!(address.to_string(), "02:00:00:ff:77:01");
        for wrong in ["", "02", "02:00:00:00:77", "02:00:00:00:77:01:02", "2:0:0:0:77:1", "+2:00:00:00:77:01"] {
            assert_eq!(wrong.parse::<MacAddress>(), Err(OptionError::Mac(wrong.to_owned())));
        }
    }
}
