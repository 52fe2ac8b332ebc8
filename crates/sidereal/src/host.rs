//! What a configuration asks of the machine it is checked on. None of it is an error: it may be meant for another one.

use std::path::Path;

use crate::config::{Config, Idle, KernelPort, Mode, PortKind, Ptp};

/// What the operator should know before `config` runs here, a sentence each.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = core_warnings(config, &sidereal_cpu::cores());
    warnings.extend(interface_warnings(config, Path::new("/sys/class/net")));
    let has_dpdk = config.ports.iter().any(|port| matches!(port.kind, PortKind::Dpdk(_)));
    if has_dpdk && config.dpdk.hugepages && !has_huge_pages(Path::new("/sys/kernel/mm/hugepages")) {
        warnings.push(
            "no huge pages are set aside: `sysctl vm.nr_hugepages=512` sets them aside, `dpdk.hugepages = false` does \
             without"
                .into(),
        );
    }
    warnings
}

fn core_warnings(config: &Config, cores: &[usize]) -> Vec<String> {
    if config.mode == Mode::Single {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for port in &config.ports {
        for core in port.cores.iter().filter(|core| !cores.contains(core)) {
            warnings.push(format!("core {core} of port \"{}\" is not one that this process may use here", port.name));
        }
    }
    let workers: usize = config.ports.iter().map(|port| port.queues).sum();
    let unpinned = config.ports.iter().any(|port| port.cores.is_empty());
    if config.workers.idle == Idle::Spin {
        if workers >= cores.len() {
            warnings.push(format!(
                "{workers} spinning workers on {} cores leave none for the other threads: write `workers.idle = \
                 \"yield\"` or \"sleep\"",
                cores.len()
            ));
        }
        if config.workers.real_time.0.is_some() && unpinned {
            warnings.push(
                "workers that spin at a real-time priority and are not pinned may starve the machine: give every port \
                 `cores`"
                    .into(),
            );
        }
    }
    warnings
}

/// Interfaces that PTP needs and that are not among `interfaces`.
fn interface_warnings(config: &Config, interfaces: &Path) -> Vec<String> {
    let warning = |instance: &Ptp| {
        let port = config.ports.iter().find(|port| port.name == instance.port)?;
        let PortKind::Kernel(KernelPort { interface: Some(interface), .. }) = &port.kind else { return None };
        let is_here = interfaces.join(interface.as_str()).exists();
        (!is_here).then(|| {
            format!("the PTP instance \"{}\" needs the interface {interface}, which is not here", instance.name)
        })
    };
    config.ptp.iter().filter_map(warning).collect()
}

/// Whether any size of huge page has at least one.
fn has_huge_pages(sizes: &Path) -> bool {
    let Ok(sizes) = std::fs::read_dir(sizes) else { return false };
    sizes.flatten().any(|size| {
        let count = std::fs::read_to_string(size.path().join("nr_hugepages"));
        count.is_ok_and(|count| count.trim().parse().is_ok_and(|count: u64| count > 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core_warnings_of(text: &str, cores: &[usize]) -> Vec<String> {
        let text = format!("[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\n{text}");
        core_warnings(&Config::parse(&text, Path::new("F")).unwrap(), cores)
    }

    #[test]
    fn cores_that_are_missing_and_cores_that_are_fought_for_are_told() {
        assert_eq!(core_warnings_of("cores = [1]", &[0, 1]), Vec::<String>::new());
        assert!(core_warnings_of("cores = [2]", &[0, 1])[0].contains("core 2 of port \"a\""));
        assert!(core_warnings_of("queues = 2", &[0, 1])[0].contains("2 spinning workers on 2 cores"));
        assert_eq!(core_warnings_of("queues = 2\n[workers]\nidle = 'yield'", &[0, 1]), Vec::<String>::new());
        assert!(core_warnings_of("[workers]\nreal_time = 5", &[0, 1])[0].contains("may starve the machine"));
        assert_eq!(core_warnings_of("cores = [0]\n[workers]\nreal_time = 5", &[0, 1]), Vec::<String>::new());
    }

    #[test]
    fn an_interface_that_is_missing_is_told() {
        let text = "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\ninterface = 'eth7'\n\
                    [[ptp]]\nname = 'lan'\n[[ptp.port]]\nport = 'a'\n";
        let config = Config::parse(text, Path::new("F")).unwrap();
        let interfaces = tempfile::tempdir().unwrap();
        let told = interface_warnings(&config, interfaces.path());
        assert_eq!(told, ["the PTP instance \"lan\" needs the interface eth7, which is not here"]);
        std::fs::create_dir(interfaces.path().join("eth7")).unwrap();
        assert!(interface_warnings(&config, interfaces.path()).is_empty());
    }

    #[test]
    fn huge_pages_of_any_size_count() {
        let sizes = tempfile::tempdir().unwrap();
        assert!(!has_huge_pages(sizes.path()));
        for (size, count) in [("hugepages-2048kB", "0\n"), ("hugepages-1048576kB", "2\n")] {
            std::fs::create_dir(sizes.path().join(size)).unwrap();
            std::fs::write(sizes.path().join(size).join("nr_hugepages"), count).unwrap();
            assert_eq!(has_huge_pages(sizes.path()), count != "0\n");
        }
        assert!(!has_huge_pages(Path::new("/nonexistent")));
    }
}
