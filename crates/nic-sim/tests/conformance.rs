//! The simulated NIC does what every backend must.

use core::time::Duration;
use sidereal_nic::conformance::{Harness, Kind, Outcome, Report, run};
use sidereal_nic::{Burst, Capabilities, Flow, RxStamps, Sent, TxQueue, TxStamps};
use sidereal_nic_sim::{
    SimControl, SimOptions, SimPacket, SimPackets, SimPort, SimRx, SimTx, StampFaults, WhenFull, link,
};
use sidereal_time::{TxStamp, TxToken};

struct Sim<T = SimTx> {
    rx: SimRx,
    tx: T,
    peer: SimPort,
    control: SimControl,
    options: SimOptions,
    kind: Kind,
}

impl<T: TxQueue<SimPacket>> Sim<T> {
    fn run(options: SimOptions, kind: Kind, tx: impl FnOnce(SimTx) -> T) -> Report {
        let (port, peer, control) = link(&options);
        run(&mut Self { rx: port.rx, tx: tx(port.tx), peer, control, options, kind })
    }
}

impl<T: TxQueue<SimPacket>> Harness for Sim<T> {
    type Rx = SimRx;
    type Tx = T;

    fn queue(&mut self) -> (&mut SimRx, &mut T) {
        // Time passes with every look: late stamps come in the end.
        self.control.advance(1);
        (&mut self.rx, &mut self.tx)
    }

    fn capabilities(&self) -> Capabilities {
        self.options.capabilities()
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn send(&mut self, packet: &[u8]) -> bool {
        match self.kind {
            Kind::Frames { .. } => self.peer.send(packet),
            Kind::Datagrams { flow } => self.peer.send_datagram(packet, flow),
        }
    }

    fn receive(&mut self, packet: &mut [u8]) -> Option<usize> {
        self.peer.take(packet).map(|taken| taken.len)
    }

    fn pool(&self) -> usize {
        2 * self.options.ring
    }

    fn set_link(&mut self, up: bool) -> bool {
        self.control.set_link(up);
        true
    }

    fn patience(&self) -> Duration {
        // Nothing here takes time.
        Duration::from_millis(200)
    }

    fn loses_stamps(&self) -> bool {
        self.options.stamp_faults.lost_percent > 50
    }
}

const FRAMES: Kind = Kind::Frames { header: [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5] };

fn assert_passed(report: &Report) {
    assert!(report.passed(), "{report}");
}

#[test]
fn hardware_stamps() {
    assert_passed(&Sim::run(SimOptions::default(), FRAMES, |tx| tx));
}

#[test]
fn no_rx_stamps_and_a_receiver_that_misses() {
    let options = SimOptions {
        rx_stamps: RxStamps::Software,
        tx_stamps: TxStamps::Software,
        when_full: WhenFull::Missed,
        ..SimOptions::default()
    };
    assert_passed(&Sim::run(options, FRAMES, |tx| tx));
}

#[test]
fn lost_and_late_stamps() {
    let stamp_faults = StampFaults { lost_percent: 60, late_percent: 50, late_by: 40 };
    assert_passed(&Sim::run(SimOptions { stamp_faults, ..SimOptions::default() }, FRAMES, |tx| tx));
}

#[test]
fn datagrams() {
    let flow = Flow {
        source: [192, 0, 2, 1].into(),
        source_port: 40_000,
        destination: [192, 0, 2, 2].into(),
        destination_port: 123,
    };
    let options = SimOptions {
        packets: SimPackets::Datagrams,
        rx_stamps: RxStamps::Kernel,
        tx_stamps: TxStamps::Kernel,
        ..SimOptions::default()
    };
    assert_passed(&Sim::run(options, Kind::Datagrams { flow }, |tx| tx));
}

/// A sending half that does one thing wrong.
struct Faulty {
    tx: SimTx,
    fault: Fault,
    /// Counts the tokens.
    count: usize,
}

enum Fault {
    /// The last packet of a burst stays in it.
    LeavesPacket,
    /// One packet of each burst does not go back to its pool.
    Leaks,
    /// Replies are sent from the last one to the first.
    Reverses,
    /// Every tenth token does not come back.
    ForgetsToken,
    /// Every tenth token comes back a second time.
    RepeatsToken(Option<(u64, TxStamp)>),
}

impl TxQueue<SimPacket> for Faulty {
    fn transmit(&mut self, burst: &mut Burst<SimPacket>) -> Sent {
        match self.fault {
            Fault::LeavesPacket => {
                let last = burst.pop();
                let sent = self.tx.transmit(burst);
                burst.extend(last);
                sent
            }
            Fault::Leaks => {
                burst.pop();
                self.tx.transmit(burst)
            }
            Fault::Reverses => {
                burst.reverse();
                self.tx.transmit(burst)
            }
            Fault::ForgetsToken | Fault::RepeatsToken(_) => self.tx.transmit(burst),
        }
    }

    fn originate(&mut self, frame: &[u8], token: Option<TxToken>) -> bool {
        self.tx.originate(frame, token)
    }

    fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        if let Fault::RepeatsToken(again) = &mut self.fault
            && let Some((key, stamp)) = again.take()
        {
            return Some((TxToken::new(key), stamp));
        }
        let (token, stamp) = self.tx.poll_stamp()?;
        self.count += 1;
        if !self.count.is_multiple_of(10) {
            return Some((token, stamp));
        }
        match &mut self.fault {
            Fault::ForgetsToken => self.tx.poll_stamp(),
            Fault::RepeatsToken(again) => {
                let key = token.redeem();
                *again = Some((key, stamp));
                Some((TxToken::new(key), stamp))
            }
            _ => Some((token, stamp)),
        }
    }
}

#[track_caller]
fn assert_found(fault: Fault, check: &str) {
    // A small ring, so that leaks show soon.
    let options = SimOptions { ring: 128, ..SimOptions::default() };
    let report = Sim::run(options, FRAMES, |tx| Faulty { tx, fault, count: 0 });
    let found = report.outcomes.iter().any(|(name, outcome)| *name == check && matches!(outcome, Outcome::Failed(_)));
    assert!(found, "the fault was not found by {check:?}:\n{report}");
}

#[test]
fn the_suite_finds_faults() {
    assert_found(Fault::LeavesPacket, "only marked packets are sent, and the burst is left empty");
    assert_found(Fault::Leaks, "buffers come back: many times the pool");
    assert_found(Fault::Reverses, "replies leave in order, unchanged, and as long as they were marked");
    assert_found(Fault::ForgetsToken, "every token comes back once");
    assert_found(Fault::RepeatsToken(None), "every token comes back once");
}
