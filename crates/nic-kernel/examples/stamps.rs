//! Prints the stamps of PTP messages on an interface: `stamps INTERFACE [--udp] [--software] [--vclock N] [--seconds S]`.
//!
//! Says what the NIC can stamp, has it do so, then sends a Sync and a Delay_Req four times a second (to whoever listens: in domain
//! 127, which nobody follows) and prints when they left, and when others' messages came. Two of them on one link see each other.
//! `--vclock N` has the stamps told by the virtual clock /dev/ptpN. Needs root.

use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{
    Beside, PtpSocket, RxFilter, Timestamping, enable_stamping, hardware_address, hardware_stamping,
};
use sidereal_ptp::{Destination, MessageClass, Transport};
use sidereal_time::{ClockId, Stamp, TxStamp, TxToken};
use std::error::Error;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(250);
/// The types of event messages of PTP, by number (IEEE 1588-2019 table 36).
const NAMES: [&str; 4] = ["Sync", "Delay_Req", "Pdelay_Req", "Pdelay_Resp"];
const DOMAIN: u8 = 127;

struct Options {
    interface: String,
    transport: Transport,
    software: bool,
    virtual_clock: Option<u32>,
    seconds: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let can = hardware_stamping(&options.interface)?;
    println!("{can:?}");
    let timestamping = if options.software {
        Timestamping::Software
    } else {
        let enabled = enable_stamping(&options.interface, RxFilter::PtpV2Event)?;
        println!("{enabled:?}");
        Timestamping::Hardware { clock: ClockId(1), bind_phc: options.virtual_clock, filter: enabled.filter }
    };
    let mut socket = PtpSocket::open(&options.interface, options.transport, Beside::Anybody, timestamping)?;
    let mac = hardware_address(&options.interface)?;
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let (mut next, mut sequence) = (Instant::now(), 0);
    while Instant::now() < end {
        if Instant::now() >= next {
            next += INTERVAL;
            for kind in 0..2 {
                let sent = socket.send(
                    MessageClass::Event,
                    Destination::Primary,
                    &message(kind, mac, sequence),
                    Some(TxToken::new(u64::from(kind) << 16 | u64::from(sequence))),
                );
                if let Err(error) = sent {
                    println!("not sent: {error}");
                }
            }
            sequence += 1;
        }
        turn(&mut socket)?;
    }
    let counts = socket.stamp_counts();
    println!("{} lost, {} late, {} doubled", counts.lost, counts.late, counts.doubled);
    Ok(())
}

/// Waits a moment for messages and stamps, and prints them.
fn turn(socket: &mut PtpSocket) -> Result<(), Box<dyn Error>> {
    let mut fds: Vec<PollFd<'_>> = socket.descriptors().map(PollFd::readable).collect();
    poll(&mut fds, Some(Duration::from_millis(10)))?;
    let ready: Vec<(bool, bool)> = fds.iter().map(|fd| (fd.is_readable(), fd.has_error())).collect();
    for (place, (readable, error)) in ready.into_iter().enumerate() {
        if error {
            socket.read_notice(place);
        }
        let mut buffer = [0; 256];
        while let Some(received) = if readable { socket.receive(place, &mut buffer)? } else { None } {
            let sequence = buffer.get(30..32).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes);
            if let Some(name) = buffer.first().and_then(|first| NAMES.get(usize::from(first & 0xf))) {
                println!("rx {name} {sequence} from {:?}: {}", received.from, told(received.stamp));
            }
        }
    }
    while let Some((token, stamp)) = socket.poll_stamp() {
        let key = token.redeem();
        let name = if key >> 16 == 0 { "Sync" } else { "Delay_Req" };
        let stamp = match stamp {
            TxStamp::Stamped(stamp) => Some(stamp),
            TxStamp::Lost => None,
        };
        println!("tx {name} {}: {}", key & 0xffff, told(stamp));
    }
    Ok(())
}

fn told(stamp: Option<Stamp>) -> String {
    stamp.map_or_else(|| "no stamp".into(), |Stamp { ticks, source, .. }| format!("{} ns by {source:?}", ticks.0))
}

/// An event message (IEEE 1588-2019 13.3): header, and ten bytes for a time that nobody reads.
fn message(kind: u8, mac: [u8; 6], sequence: u16) -> [u8; 44] {
    let mut message = [0; 44];
    let [a, b, c, d, e, f] = mac;
    message[..6].copy_from_slice(&[kind, 2, 0, 44, DOMAIN, 0]);
    message[20..30].copy_from_slice(&[a, b, c, 0xff, 0xfe, d, e, f, 0, 1]);
    message[30..32].copy_from_slice(&sequence.to_be_bytes());
    message
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        interface: String::new(),
        transport: Transport::Ethernet,
        software: false,
        virtual_clock: None,
        seconds: 5,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--udp" => options.transport = Transport::UdpIpv4,
            "--software" => options.software = true,
            "--vclock" => options.virtual_clock = Some(value()?.parse()?),
            "--seconds" => options.seconds = value()?.parse()?,
            _ => options.interface = argument,
        }
    }
    if options.interface.is_empty() {
        return Err("which interface?  stamps INTERFACE [--udp] [--software] [--vclock N] [--seconds S]".into());
    }
    Ok(options)
}
