//! What is told of a machine's NICs and ports.

use super::*;

#[test]
fn the_inventory_tells_nics_clocks_and_what_they_are_used_for() {
    let inventory = Host::good().inventory(CONFIG);
    let [eth1] = inventory.interfaces.as_slice() else { panic!("{inventory:?}") };
    let nic = eth1.nic.as_ref().unwrap();
    assert_eq!((eth1.name.as_str(), nic.id.as_str(), nic.numa_node), ("eth1", "8086:1533", Some(1)));
    assert!(nic.name.as_ref().unwrap().starts_with("I210") && nic.latency.is_some());
    assert_eq!((eth1.driver.as_deref(), eth1.firmware.as_deref()), (Some("igb"), Some("3.25")));
    assert_eq!(
        (eth1.rx_filters.as_slice(), eth1.rx_filter.as_deref()),
        (&["none".to_owned(), "all".into()][..], Some("all"))
    );
    assert!(eth1.tx_stamps && !eth1.one_step && eth1.clock.is_some());
    assert!(eth1.statements[0].starts_with("RX stamps: hardware, stored with the packet (every packet)"), "{eth1:?}");
    assert!(eth1.statements[2].starts_with("clock reading: the clock that stamps packets"), "{eth1:?}");
    assert!(eth1.statements.contains(&"stamps are told by /dev/ptp0".to_owned()), "{eth1:?}");
    let [device] = inventory.devices.as_slice() else { panic!("{inventory:?}") };
    assert_eq!((device.nic.id.as_str(), device.driver.as_deref()), ("8086:1592", Some("vfio-pci")));
    let [fast, lan] = inventory.ports.as_slice() else { panic!("{inventory:?}") };
    assert!(fast.statements[0].starts_with("RX stamps: hardware"), "{fast:?}");
    assert!(fast.statements[1].contains("one packet at a time: NTP replies use predicted T3"), "{fast:?}");
    assert_eq!(lan.statements, eth1.statements);
}

#[test]
fn what_follows_from_a_clock_is_said() {
    let said = |change: fn(&mut Host)| {
        let mut host = Host::good();
        change(&mut host);
        host.inventory(CONFIG).interfaces[0].statements.join("; ")
    };
    let ptp_alone = said(|h| h.kernel.stamping.as_mut().unwrap().rx_filters = vec![RxFilter::PtpV2Event]);
    assert!(
        ptp_alone.contains("(PTP alone): exact receive times for PTP; other packets, NTP among them"),
        "{ptp_alone}"
    );
    assert!(said(|h| h.clock(|clock| clock.runs = false)).contains("clock reading: a clock that stands still [tried;"));
    let fixed = said(|h| h.clock(|clock| clock.max_frequency_ppb = 0));
    assert!(fixed.contains("clock can be set: yes; clock frequency can be set: no: it runs free"), "{fixed}");
    let below = said(|h| h.clock(|clock| clock.virtual_clocks = vec![3]));
    assert!(below.contains("clock can be set: no") && below.contains("hardware_clock = \"/dev/ptp3\""), "{below}");
    let denied = said(|h| h.kernel.clock = Err("denied".into()));
    assert!(denied.contains("RX stamps: kernel") && denied.contains("because denied"), "{denied}");
    let none = said(|h| h.kernel.stamping = Err("none".into()));
    assert!(none.contains("because no NIC does") && none.contains("TX stamps: kernel"), "{none}");
    assert!(said(|h| h.kernel.stamping.as_mut().unwrap().one_step_sync = true).contains("Follow_Up"));
}

#[test]
fn a_driver_that_lets_the_kernel_stamp_nothing_is_told() {
    let mut host = Host::good();
    host.kernel.stamping = Err("none".into());
    host.kernel.tx_by_kernel = false;
    let statements = |host: &Host| host.inventory(CONFIG).interfaces[0].statements.clone();
    assert!(statements(&host)[1].starts_with("TX stamps: none: "), "{:?}", statements(&host));
    // What is below it may.
    host.write("sys/class/net/eth1/lower_eth7", "");
    assert!(statements(&host)[1].starts_with("TX stamps: kernel"), "{:?}", statements(&host));
}

#[test]
fn what_dpdk_makes_of_a_nic_is_told_as_far_as_it_is_known() {
    let told = |vendor: &str, device: &str| {
        let host = Host::good();
        host.pci("0000:3b:00.0", device, "vfio-pci");
        host.write("sys/bus/pci/devices/0000:3b:00.0/vendor", vendor);
        host.inventory(CONFIG).ports[0].statements.join("; ")
    };
    let igb = told("0x8086", "0x1521");
    assert!(igb.contains("one register (PTP alone)") && igb.contains("RTE_LIBRTE_IEEE1588"), "{igb}");
    // A driver whose stamps we do not take, and a NIC that DPDK takes none from.
    let hns3 = told("0x19e5", "0xa221");
    assert!(hns3.contains("RX stamps: software") && hns3.contains("no stamps from net_hns3"), "{hns3}");
    let sfc = told("0x1924", "0x0a03");
    assert!(sfc.contains("RX stamps: software") && sfc.contains("DPDK takes no stamps from this NIC"), "{sfc}");
    let mlx5 = told("0x15b3", "0x101d");
    assert!(mlx5.contains("RX stamps: software") && mlx5.contains("no `hardware_clock` names the clock"), "{mlx5}");
    let with_clock = |vendor: &str, device: &str| {
        let host = Host::good();
        host.pci("0000:3b:00.0", device, "mlx5_core");
        host.write("sys/bus/pci/devices/0000:3b:00.0/vendor", vendor);
        let config = CONFIG.replace("cores = [2]", "cores = [2]\nhardware_clock = '/dev/ptp0'");
        host.inventory(&config).ports[0].statements.join("; ")
    };
    let real_time = with_clock("0x15b3", "0x101d");
    assert!(real_time.contains("stored with the packet (every packet)"), "{real_time}");
    assert!(real_time.contains("stamps are told by /dev/ptp0"), "{real_time}");
    let ice = with_clock("0x8086", "0x1592");
    assert!(ice.contains("cannot be opened: net_ice does not stamp by a `hardware_clock`"), "{ice}");
    assert!(told("0x1234", "0x5678").contains("nothing is known of the NIC 1234:5678"));
    let host = Host::good();
    host.remove("sys/bus/pci/devices/0000:3b:00.0");
    assert!(host.inventory(CONFIG).ports[0].statements[0].contains("no PCI device 0000:3b:00.0 is here"));
    let virtual_device = Host::good().inventory(&CONFIG.replace("0000:3b:00.0", "net_af_packet0,iface=eth1"));
    assert!(virtual_device.ports[0].statements[0].contains("found out when it is opened"));
}

#[test]
fn devices_without_an_interface_say_who_has_them() {
    let host = Host::good();
    let said = |host: &Host| host.inventory(CONFIG).devices[0].statements[0].clone();
    assert!(said(&host).contains("vfio-pci gives it to programs"), "{}", said(&host));
    host.pci("0000:3b:00.0", "0x1592", "ice");
    assert!(said(&host).contains("in another network namespace"), "{}", said(&host));
    host.remove("sys/bus/pci/devices/0000:3b:00.0/driver");
    assert!(said(&host).contains("no driver has it"), "{}", said(&host));
}

#[test]
fn a_virtual_nic_is_found_above_its_interface() {
    let host = Host::good();
    host.pci("0000:00:03.0", "0x1000", "virtio-pci");
    host.write("sys/bus/pci/devices/0000:00:03.0/virtio2/vendor", "0x1af4");
    host.write("sys/class/net/eth0/ifindex", "3");
    host.write("sys/class/net/eth0/type", "1");
    host.link("sys/class/net/eth0/device", "../../../bus/pci/devices/0000:00:03.0/virtio2");
    let inventory = host.inventory(CONFIG);
    let eth0 = inventory.interfaces.iter().find(|interface| interface.name == "eth0").unwrap();
    assert_eq!(eth0.nic.as_ref().map(|nic| nic.address.as_str()), Some("0000:00:03.0"));
    assert_eq!(inventory.devices.len(), 1, "the E810 alone: {:?}", inventory.devices);
}

#[test]
fn ports_without_hardware_stamps_say_why() {
    let words = |from: &str, to: &str| Host::good().inventory(&CONFIG.replace(from, to)).ports[1].statements.join("; ");
    assert!(words("timestamps = 'hardware'", "timestamps = 'software'").contains("`timestamps` is \"software\""));
    assert!(words("interface = 'eth1'\ntimestamps = 'hardware'", "").contains("names no `interface`"));
    assert!(words("'eth1'", "'eth7'").contains("eth7 is not here"));
    let clock = words("timestamps = 'hardware'", "timestamps = 'hardware'\nhardware_clock = '/dev/ptp9'");
    assert!(clock.contains("sidereal does not start") && clock.contains("/dev/ptp9"), "{clock}");
    let auto = words("timestamps = 'hardware'", "hardware_clock = '/dev/ptp9'");
    assert!(auto.contains("RX stamps: kernel") && auto.contains("because cannot open /dev/ptp9"), "{auto}");
}

#[test]
fn a_virtual_clock_is_told_with_the_one_below_it() {
    let mut host = Host::good();
    host.clock(|clock| (clock.index, clock.virtual_of) = (Some(2), Some(0)));
    let told = host.inventory(CONFIG).ports[1].statements.join("; ");
    assert!(told.contains("stamps are told by /dev/ptp0, a virtual clock over /dev/ptp0"), "{told}");
}
