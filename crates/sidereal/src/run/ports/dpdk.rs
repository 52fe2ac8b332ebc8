//! Ports that DPDK drives.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::LinkSpeed;
use sidereal_nic::ClockAbilities;
use sidereal_nic_dpdk::{Device, DpdkPort, Eal, EalOptions, PortOptions, dpdk_version};
use tracing::info;

use super::{Link, OpenPort, PortClock, Queues};
use crate::command::Failure;
use crate::config::{self, Config, Port, PortKind};
use crate::stamping::Stamping;

/// DPDK, started if any port needs it.
pub(in crate::run) struct Environment(Option<Eal>);

impl Environment {
    pub(super) fn start(config: &Config) -> Result<Self, Failure> {
        let mut devices = Vec::new();
        for port in &config.ports {
            if let PortKind::Dpdk(dpdk) = &port.kind {
                devices.push(device(port, dpdk)?);
            }
        }
        if devices.is_empty() {
            return Ok(Self(None));
        }
        let options = EalOptions {
            hugepages: config.dpdk.hugepages,
            memory_mib: config.dpdk.memory_mib.get(),
            pci: devices.iter().filter_map(|device| device.pci_address().map(str::to_owned)).collect(),
            cores: free_cores(config, &sidereal_cpu::cores()),
            extra: config.dpdk.arguments.clone(),
        };
        let eal = Eal::init(&options).map_err(|error| Failure::Failed(error.to_string()))?;
        info!("{} has started", dpdk_version());
        Ok(Self(Some(eal)))
    }

    pub(super) fn open(
        &self,
        port: &Port,
        dpdk: &config::DpdkPort,
        counter: LocalCounter,
        stamping: &mut Stamping,
    ) -> Result<OpenPort, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("port \"{}\": {error}", port.name));
        let Some(eal) = self.0 else { return Err(failed(&"DPDK has not started")) };
        let options = PortOptions {
            queues: u16::try_from(port.queues).unwrap_or(u16::MAX),
            mtu: dpdk.mtu,
            kernel_clock: dpdk.hardware_clock.is_some(),
            ..PortOptions::new(device(port, dpdk)?, counter)
        };
        let mut opened = DpdkPort::open(eal, &options).map_err(|error| failed(&error))?;
        let clock = match (opened.clock.take(), opened.capabilities.clock) {
            (Some(clock), Some(ClockAbilities { width, tick, .. })) => {
                let id = stamping.add_port(&port.name, width, tick);
                opened.name_clock(id);
                Some(PortClock { id, clock: Box::new(clock) })
            }
            _ => {
                if let Some(id) = stamping.kernel_clock(port) {
                    opened.name_clock(id);
                }
                None
            }
        };
        Ok(OpenPort {
            queues: Queues::Dpdk(eal, opened.queues),
            capabilities: opened.capabilities,
            mac: Some(opened.mac),
            link: Link::Monitor { monitor: Box::new(opened.monitor), mac: opened.mac },
            speed: LinkSpeed::default(),
            declined: None,
            clock,
        })
    }
}

fn device(port: &Port, dpdk: &config::DpdkPort) -> Result<Device, Failure> {
    dpdk.device.parse().map_err(|error| Failure::Usage(format!("port \"{}\": {error}", port.name)))
}

/// The cores that no worker is pinned to; all, where there is no such core.
fn free_cores(config: &Config, cores: &[usize]) -> Vec<u16> {
    let pinned = |core: &&usize| config.ports.iter().any(|port| port.cores.contains(core));
    let free: Vec<&usize> = cores.iter().filter(|core| !pinned(core)).collect();
    let chosen = if free.is_empty() { cores.iter().collect() } else { free };
    chosen.into_iter().filter_map(|core| u16::try_from(*core).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn dpdk_gets_the_cores_that_workers_leave() {
        let config = |cores: &str| {
            let text =
                format!("[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\nqueues = 2\ncores = {cores}\n");
            Config::parse(&text, Path::new("F")).unwrap()
        };
        assert_eq!(free_cores(&config("[1, 2]"), &[0, 1, 2, 3]), [0, 3]);
        assert_eq!(free_cores(&config("[]"), &[0, 1]), [0, 1]);
        assert_eq!(free_cores(&config("[0, 1]"), &[0, 1]), [0, 1]);
    }
}
