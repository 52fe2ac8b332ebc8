//! Why there is no load.

use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;
use sidereal_cpu::PinError;
use sidereal_nic_kernel::packet::PacketError;

/// Why options make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OptionError {
    /// Nobody to ask.
    #[error("no clients: at least one must ask")]
    NoClients,
    /// More clients than addresses.
    #[error("{prefix} has room for {room} clients, not for {count}: take a shorter prefix or fewer clients")]
    PrefixTooSmall {
        /// The prefix.
        prefix: IpNet,
        /// How many clients there are to be.
        count: u32,
        /// How many it has room for.
        room: u64,
    },
    /// The clients could not be answered.
    #[error("the clients' prefix {prefix} and the target {target} are of different address families")]
    Families {
        /// The prefix.
        prefix: IpNet,
        /// The target's address.
        target: IpAddr,
    },
    /// The target would be one of the clients.
    #[error("the target {target} lies within the clients' prefix {prefix}")]
    TargetAmongClients {
        /// The prefix.
        prefix: IpNet,
        /// The target's address.
        target: IpAddr,
    },
    /// Delay_Req to a port where nobody waits for them.
    #[error("Delay_Req are sent to UDP port 319, not {0}")]
    PtpPort(u16),
    /// A rate that is not a number, not positive or too high.
    #[error("{0} requests per second: it must be more than 0 and at most {max}", max = crate::MAX_REQUESTS_PER_SECOND)]
    Rate(f64),
    /// A time that is zero or too long.
    #[error("{0:?}: a run lasts more than nothing and at most {max:?}", max = crate::MAX_DURATION)]
    Duration(Duration),
    /// A share that is none.
    #[error("a loss limit of {0}: it must be at least 0 and below 1")]
    Loss(f64),
    /// A MAC address in no known notation.
    #[error("{0:?} is not a MAC address such as 02:00:00:00:77:01")]
    Mac(String),
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The options make no sense.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// Where to send to is not known.
    #[error("no MAC address known for {target} on {interface} ({reason}): give the target's, or that of the next hop")]
    Neighbour {
        /// Whose MAC address was looked for.
        target: IpAddr,
        /// On which interface.
        interface: String,
        /// What stood in the way.
        reason: String,
    },
    /// The thread cannot have its core.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The packet socket.
    #[error(transparent)]
    Packet(#[from] PacketError),
}
