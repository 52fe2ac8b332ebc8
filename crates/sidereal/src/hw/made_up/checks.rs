//! What is found wrong, and what is not.

use super::*;

#[test]
fn nothing_is_wrong_with_a_good_server() {
    let report = Host::good().check(CONFIG, false);
    assert_eq!(report.findings, []);
    let expected = [
        "pinned_workers",
        "isolated_cores",
        "tickless_cores",
        "interrupts",
        "numa",
        "idle_states",
        "governor",
        "hugepages",
        "iommu",
        "vfio",
        "stamps",
        "stamp_filters",
        "rivals",
    ];
    assert_eq!(report.good, expected);
    assert_eq!(report.unchecked.len(), 1, "{:?}", report.unchecked);
}

/// What is broken, what it is called, what is said of it, and what the remedy says.
type Fault = (fn(&mut Host), &'static str, &'static str, &'static str);

#[test]
fn each_single_fault_is_found_and_nothing_else() {
    let faults: [Fault; 23] = [
        (|h| h.write("sys/devices/system/cpu/isolated", "2"), "isolated_cores", "cores 3", "isolcpus=2-3"),
        (|h| h.remove("sys/devices/system/cpu/isolated"), "isolated_cores", "cores 2-3", "isolcpus=2-3"),
        (|h| h.write("sys/devices/system/cpu/nohz_full", "(null)"), "tickless_cores", "cores 2-3", "nohz_full=2-3"),
        (
            |h| h.write("proc/irq/45/effective_affinity_list", "1-2"),
            "interrupts",
            "interrupts go to the workers' cores: 45 (eth1-TxRx-0) to 2",
            "for irq in 45; do echo 0-1 > /proc/irq/$irq/smp_affinity_list; done",
        ),
        (
            |h| h.write("sys/bus/pci/devices/0000:3b:00.0/numa_node", "0"),
            "numa",
            "\"fast\" has its NIC 0000:3b:00.0 on node 0, and workers on cores 2",
            "out of 0-1",
        ),
        (
            |h| h.write("sys/bus/pci/devices/0000:5e:00.0/numa_node", "0"),
            "numa",
            "\"lan\" has its NIC 0000:5e:00.0 on node 0, and workers on cores 3",
            "out of 0-1",
        ),
        (
            |h| h.write("sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "0"),
            "idle_states",
            "cores 1 may sleep in C6, out of which they take 133 us",
            "--disable-by-latency 10",
        ),
        (
            |h| h.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave"),
            "governor",
            "cores 0 run under the governor powersave",
            "--governor performance",
        ),
        (
            |h| h.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "255"),
            "hugepages",
            "510 MiB of huge pages are free, and `dpdk.memory_mib` asks for 512",
            "vm.nr_hugepages=256",
        ),
        (|h| h.remove("sys/kernel/mm/hugepages"), "hugepages", "0 MiB", "vm.nr_hugepages=256"),
        (|h| h.remove("sys/kernel/iommu_groups/1"), "iommu", "no IOMMU", "intel_iommu=on"),
        (
            |h| h.pci("0000:3b:00.0", "0x1592", "ice"),
            "vfio",
            "0000:3b:00.0 is driven by ice",
            "--bind=vfio-pci 0000:3b:00.0",
        ),
        (|h| h.remove("sys/bus/pci/devices/0000:3b:00.0/driver"), "vfio", "driven by nothing", "modprobe vfio-pci"),
        (|h| h.remove("sys/bus/pci/devices/0000:3b:00.0"), "vfio", "no PCI device 0000:3b:00.0 is here", "lspci -D"),
        (
            |h| h.kernel.stamping = Err("no permission".into()),
            "stamps",
            "\"lan\" asks for hardware stamps",
            "ethtool -T",
        ),
        (
            |h| h.kernel.stamping.as_mut().unwrap().tx = false,
            "stamps",
            "the NIC of eth1 takes no hardware stamps",
            "`timestamps = \"software\"`",
        ),
        (|h| h.kernel.clock = Err("cannot open /dev/ptp0".into()), "stamps", "cannot open /dev/ptp0", "ethtool -T"),
        (
            |h| h.clock(|clock| (clock.index, clock.virtual_of) = (Some(4), Some(3))),
            "stamps",
            "/dev/ptp0 is no clock of the NIC of eth1",
            "ethtool -T eth1",
        ),
        (
            |h| h.kernel.stamping.as_mut().unwrap().rx_filters = vec![RxFilter::Other(13)],
            "stamps",
            "the NIC of eth1 cannot stamp ptpv2-event packets",
            "ethtool -T eth1",
        ),
        (|h| h.clock(|clock| clock.runs = false), "stamps", "/dev/ptp0 stands still", "ethtool -T"),
        (|h| h.clock(|clock| clock.virtual_clocks = vec![1]), "stamps", "runs free under virtual clocks", "ethtool -T"),
        (|h| h.rival("chronyd"), "rivals", "chronyd (process 812) may steer the system clock", "disable --now chronyd"),
        (
            |h| {
                h.pci("0000:5e:00.0", "0x16d7", "bnxt_en");
                h.write("sys/bus/pci/devices/0000:5e:00.0/vendor", "0x14e4");
            },
            "stamp_filters",
            "eth1 is set to stamp every packet",
            "hwstamp_ctl -i eth1 -t 1 -r 12",
        ),
    ];
    for (fault, check, found, remedy) in faults {
        let mut host = Host::good();
        fault(&mut host);
        let report = host.check(CONFIG, false);
        let [finding] = report.findings.as_slice() else { panic!("{found}: {:?}", report.findings) };
        assert_eq!(finding.check, check, "{finding:?}");
        assert!(finding.found.contains(found) && finding.remedy.contains(remedy), "{finding:?}");
        assert!(!finding.why.is_empty());
    }
}

#[test]
fn a_rival_that_has_the_nics_clock_open_is_found_on_both_clocks() {
    let mut host = Host::good();
    host.rival("systemd-timesyn");
    host.kernel.holds = true;
    let report = host.check(CONFIG, false);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.found.as_str()).collect();
    assert!(found[0].contains("the system clock") && found[1].contains("/dev/ptp0"), "{found:?}");
    assert!(report.findings[0].remedy.contains("systemd-timesyncd"), "{report:?}");
    assert_eq!(host.check(&CONFIG.replace("'on'", "'off'"), false).findings, []);
}

#[test]
fn what_only_root_sees_is_not_called_good() {
    let config = CONFIG.replace("[clock]\nsteer = 'on'", "");
    let mut host = Host::good();
    host.kernel.is_root = false;
    assert!(host.check(&config, false).good.contains(&"rivals".to_owned()), "nobody runs who may");
    host.rival("ptp4l");
    let report = host.check(&config, false);
    assert_eq!(report.findings, []);
    let rivals = report.unchecked.iter().find(|unchecked| unchecked.check == "rivals").unwrap();
    assert_eq!(rivals.why, "only root sees whether ptp4l (process 812) has /dev/ptp0 open");
}

#[test]
fn the_sidereal_that_runs_is_no_rival_and_a_second_one_is() {
    let mut host = Host::good();
    host.rival("sidereal");
    assert_eq!(host.check(CONFIG, true).findings, []);
    assert_eq!(host.check(CONFIG, false).findings.len(), 1);
    host.rival("sidereal");
    assert_eq!(host.check(CONFIG, true).findings.len(), 1);
}

#[test]
fn a_machine_without_a_core_for_all_else_is_told_so() {
    let host = Host::good();
    host.write("sys/devices/system/cpu/online", "2-3");
    host.write("sys/devices/system/cpu/nohz_full", "3");
    host.write("proc/irq/45/effective_affinity_list", "3");
    host.write("proc/irq/9/effective_affinity_list", "2");
    host.write("proc/irq/9/acpi/x", "");
    let report = host.check(CONFIG, false);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.found.as_str()).collect();
    let expected = [
        "the kernel's timer interrupts the workers' cores 2",
        "interrupts go to the workers' cores: 9 (acpi) to 2, 45 (eth1-TxRx-0) to 3",
    ];
    assert_eq!(found, expected);
    assert!(report.findings.iter().all(|finding| finding.remedy.contains("leave a core without a worker")));
    let idle = report.unchecked.iter().find(|unchecked| unchecked.check == "idle_states").unwrap();
    assert_eq!(idle.why, "every core has a worker that spins");
}

#[test]
fn workers_that_spin_unpinned_are_found() {
    let config = CONFIG.replace("cores = [3]", "");
    let report = Host::good().check(&config, false);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(report.findings[0].found.contains("port \"lan\" are pinned to no core"));
    let sleeping = Host::good().check(&format!("{config}\n[workers]\nidle = 'sleep'"), false);
    assert_eq!(sleeping.findings, []);
}

#[test]
fn a_nic_that_the_kernel_shares_with_dpdk_keeps_its_driver() {
    let host = Host::good();
    host.pci("0000:3b:00.0", "0x101d", "mlx5_core");
    host.write("sys/bus/pci/devices/0000:3b:00.0/vendor", "0x15b3");
    host.remove("sys/kernel/iommu_groups/1");
    assert_eq!(host.check(CONFIG, false).findings, []);
    host.pci("0000:3b:00.0", "0x101d", "vfio-pci");
    host.write("sys/bus/pci/devices/0000:3b:00.0/vendor", "0x15b3");
    let report = host.check(CONFIG, false);
    assert!(report.findings[0].remedy.contains("--bind=mlx5_core 0000:3b:00.0"), "{report:?}");
}

#[test]
fn the_firmware_clock_is_asked_for_and_not_guessed() {
    let mut host = Host::good();
    host.pci("0000:5e:00.0", "0x101d", "mlx5_core");
    host.write("sys/bus/pci/devices/0000:5e:00.0/vendor", "0x15b3");
    let report = host.check(CONFIG, false);
    let said = report.unchecked.iter().find(|unchecked| unchecked.check == "firmware_clock").unwrap();
    assert!(said.why.contains("mstconfig -d 0000:5e:00.0 query REAL_TIME_CLOCK_ENABLE"), "{said:?}");
    host.kernel.firmware = Some(true);
    let good = host.check(CONFIG, false);
    assert!(good.findings.is_empty() && good.good.contains(&"firmware_clock".to_owned()), "{good:?}");
    host.kernel.firmware = Some(false);
    let wrong = host.check(CONFIG, false);
    assert_eq!(wrong.findings.len(), 1, "{wrong:?}");
    assert_eq!(wrong.findings[0].found, "0000:5e:00.0 has REAL_TIME_CLOCK_ENABLE off");
    assert!(wrong.findings[0].remedy.contains("mstconfig -d 0000:5e:00.0 set REAL_TIME_CLOCK_ENABLE=1"), "{wrong:?}");
}

#[test]
fn a_filter_that_somebody_has_narrowed_is_found_while_sidereal_runs() {
    let mut host = Host::good();
    assert_eq!(host.check(CONFIG, true).findings, []);
    host.kernel.filter = RxFilter::PtpV2Event;
    assert_eq!(host.check(CONFIG, false).findings, [], "sidereal will set it");
    let report = host.check(CONFIG, true);
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(finding.check, "stamp_filters");
    assert_eq!(finding.found, "eth1 is set to stamp ptpv2-event, and port \"lan\" needs all");
}

#[test]
fn an_interrupt_may_go_wherever_it_is_allowed_to_where_the_kernel_says_no_more() {
    let host = Host::good();
    host.remove("proc/irq/45/effective_affinity_list");
    host.write("proc/irq/45/smp_affinity_list", "0-3");
    let report = host.check(CONFIG, false);
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(finding.found, "interrupts go to the workers' cores: 45 (eth1-TxRx-0) to 2-3");
}

#[test]
fn what_needs_a_configuration_tells_what_there_is() {
    let report = Host::good().look(|machine| check(machine, None, false));
    let why = |check: &str| {
        let found = report.unchecked.iter().find(|unchecked| unchecked.check == check);
        found.unwrap_or_else(|| panic!("{check}: {report:?}")).why.clone()
    };
    assert!(why("isolated_cores").ends_with("; isolated: cores 2-3"), "{report:?}");
    assert!(why("hugepages").ends_with("; 1024 MiB are free"), "{report:?}");
    assert!(why("numa").ends_with("; nodes of memory: 2"), "{report:?}");
    assert!(why("iommu").ends_with("; one is in use"), "{report:?}");
    assert!(why("vfio").ends_with("; vfio-pci is not loaded"), "{report:?}");
    assert_eq!(report.findings, []);
}

#[test]
fn a_host_that_shows_nothing_has_nothing_wrong_that_could_be_seen() {
    let host = Host::bare();
    let report = host.look(|machine| check(machine, None, false));
    assert_eq!((report.findings, report.good), (vec![], vec!["rivals".to_owned()]));
    let inventory = host.look(|machine| inventory(machine, None, None));
    assert!(inventory.interfaces.is_empty() && inventory.devices.is_empty() && inventory.ports.is_empty());
    assert!(!inventory.running);
}

#[test]
fn two_daemons_on_the_system_clock_are_found_without_a_configuration() {
    let mut host = Host::bare();
    host.rival("chronyd");
    assert_eq!(host.look(|machine| check(machine, None, false)).findings, []);
    host.rival("ntpd");
    let report = host.look(|machine| check(machine, None, false));
    assert!(report.findings[0].found.contains("chronyd (process 812), ntpd (process 812)"), "{report:?}");
}
