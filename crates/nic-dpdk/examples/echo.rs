//! Turns every UDP packet of a device around: `echo DEVICE [CORE [SECONDS [hugepages]]]`, on core 0 for 10 seconds without
//! hugepages where nothing is said. Prints once a second what it did. ARP is not answered: give the other end a permanent
//! neighbour entry.

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use sidereal_cpu::LocalCounter;
use sidereal_nic::{Burst, Content, Packet, RxQueue, TxQueue};
use sidereal_nic_dpdk::{DpdkPort, Eal, EalOptions, Link, PortOptions, WorkerThread, dpdk_version};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let device = arguments.next().ok_or("usage: echo DEVICE [CORE [SECONDS [hugepages]]]")?.parse()?;
    let core: usize = arguments.next().as_deref().unwrap_or("0").parse()?;
    let seconds: u64 = arguments.next().as_deref().unwrap_or("10").parse()?;
    let hugepages = arguments.next().is_some_and(|word| word == "hugepages");
    let options = PortOptions::new(device, LocalCounter::best());
    let cores = sidereal_cpu::cores().into_iter().filter_map(|core| u16::try_from(core).ok()).collect();
    let pci = options.device.pci_address().map(str::to_owned).into_iter().collect();
    let eal = Eal::init(&EalOptions { hugepages, memory_mib: 128, pci, cores, extra: Vec::new() })?;
    let DpdkPort { queues, capabilities, mac, mut monitor, .. } = DpdkPort::open(eal, &options)?;
    println!("{}: {} at {mac:02x?}: {capabilities:?}", dpdk_version(), options.device);

    sidereal_cpu::pin(core)?;
    let _worker = WorkerThread::register(eal)?;
    let (mut rx, mut tx) = queues.into_iter().next().ok_or("a port has a queue")?;
    let mut burst = Burst::new();
    let (mut turned, mut refused) = (0_usize, 0_usize);
    let start = Instant::now();
    let mut report_at = start + Duration::from_secs(1);
    while start.elapsed() < Duration::from_secs(seconds) {
        // The clock is read once for many turns, as a worker would.
        for _ in 0..1000 {
            rx.receive(&mut burst);
            for packet in &mut burst {
                turn_around(packet);
            }
            let sent = tx.transmit(&mut burst);
            turned += sent.sent;
            refused += sent.refused;
        }
        if Instant::now() >= report_at {
            report_at += Duration::from_secs(1);
            let status = monitor.read();
            println!("link {}, turned {turned}, refused {refused}, missed {}", status.link, rx.missed());
            if status.link == Link::Gone {
                return Err("the device is gone".into());
            }
        }
    }
    println!("{:?}", monitor.read());
    Ok(())
}

fn turn_around(packet: &mut impl Packet) {
    let Content::Frame { buffer, len, .. } = packet.content() else { return };
    let Some(headers) = buffer.get(..len).and_then(sidereal_wire::classify) else { return };
    let payload = headers.payload().len();
    match sidereal_wire::turn_around(buffer, &headers, payload) {
        0 => {}
        length => packet.reply(length, None),
    }
}
