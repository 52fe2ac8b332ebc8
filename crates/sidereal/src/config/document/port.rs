//! The ports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SmearKind;
use crate::config::numbers::Whole;
use crate::config::values::{DevicePath, InterfaceName, PortAddress, PortName};

/// A port that time is served on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortTable {
    /// The port's name in status and logs; no two ports share one.
    pub name: PortName,
    /// Who moves the packets.
    pub backend: Backend,
    /// The device of a DPDK port: a PCI address (`0000:3b:00.0`), or a virtual device with its arguments
    /// (`net_af_packet0,iface=veth0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The port's addresses: of a DPDK port its own, with prefix lengths; of a kernel port the addresses to bind to.
    pub addresses: Vec<PortAddress>,
    /// How many queues share the work, one worker each.
    #[serde(default = "one_queue")]
    pub queues: Whole<1, 64>,
    /// The processor cores of the workers, one per queue; where none is given they are not pinned.
    #[serde(default)]
    pub cores: Vec<Whole<0, 1023>>,
    /// The name of a DPDK port's TAP interface, by which the kernel gets all packets that are not ours; `sd-` and the
    /// port's name where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<InterfaceName>,
    /// The largest IP packet of a DPDK port in bytes; 1500 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// VLAN identifiers that a DPDK port accepts besides untagged frames.
    #[serde(default)]
    pub vlans: Vec<Whole<1, 4094>>,
    /// The only interface that a kernel port listens on; all where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceName>,
    /// Who stamps the packets of a kernel port that has an `interface`; `auto` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Timestamps>,
    /// The clock by which the NIC of a kernel port tells its stamps, where that is not its own: a virtual clock of it
    /// (`/dev/ptp2`). Of a DPDK port with an mlx5 NIC whose firmware has REAL_TIME_CLOCK_ENABLE: the NIC's clock as the kernel shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_clock: Option<DevicePath>,
    /// How its clients are told of a leap second. Where it is smeared, nobody is told: their time runs a little slower or
    /// faster for a while, and they must ask no port that does not.
    #[serde(default)]
    pub smear: SmearKind,
}

/// The largest IP packet of a port, in bytes: at least what IPv4 asks for, at most what NICs take.
pub(in super::super) type Mtu = Whole<576, 9600>;

fn one_queue() -> Whole<1, 64> {
    Whole::literal::<1>()
}

/// Who stamps packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// The NIC, where it can; else the kernel.
    #[default]
    Auto,
    /// The NIC; where it cannot, the program does not start.
    Hardware,
    /// The kernel.
    Software,
}

/// Who moves the packets of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A NIC or virtual device that DPDK drives.
    Dpdk,
    /// UDP sockets of the kernel.
    Kernel,
}
