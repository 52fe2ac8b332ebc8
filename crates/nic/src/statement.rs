//! What a port can do, in words.

use crate::capabilities::{
    Ability, Capabilities, ClockAbilities, ClockReading, Evidence, RxStamps, SendOnTime, Stamped, TxStamps,
};
use core::fmt::Display;

/// One thing that was found out about a port, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is about: `RX stamps`.
    pub about: &'static str,
    /// What the port does: `hardware, one packet at a time`.
    pub found: String,
    /// Whether that was tried, or is what the driver says.
    pub evidence: Evidence<String>,
    /// What it means for those who are served; empty where it means nothing that is not said already.
    pub consequence: String,
}

impl Display for Statement {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.about, self.found)?;
        match &self.evidence {
            Evidence::Claimed => Ok(()),
            Evidence::Confirmed => f.write_str(" [tried]"),
            Evidence::Refuted(claimed) => write!(f, " [tried; its driver claims: {claimed}]"),
        }?;
        if self.consequence.is_empty() { Ok(()) } else { write!(f, ": {}", self.consequence) }
    }
}

impl Capabilities {
    /// Everything that is known of the port, in words, the stamps first.
    #[must_use]
    pub fn statements(&self) -> Vec<Statement> {
        let mut statements = vec![
            tried("RX stamps", &self.rx_stamps, self.rx_consequence(), ToString::to_string),
            tried("TX stamps", &self.tx_stamps, self.tx_consequence(), ToString::to_string),
        ];
        if self.send_on_time.get().is_some() || self.send_on_time.evidence() != Evidence::Claimed {
            statements.push(tried("send on time", &self.send_on_time, self.send_consequence(), departure));
        }
        statements.extend(self.clock.iter().flat_map(ClockAbilities::statements));
        statements.push(plain("checksums", self.checksum_words().into(), ""));
        let spread = match (self.queues, self.spread_by_address) {
            (1, _) => "",
            (_, true) => "each client always meets the same one",
            (_, false) => "a client meets several: interleaved mode and rate limits see only a part of it",
        };
        statements.push(plain("queues", self.queues.to_string(), spread));
        statements
    }

    fn rx_consequence(&self) -> String {
        let others = if self.checksums.by_kernel { "the kernel" } else { "our program" };
        let ptp_alone = format!("other packets, NTP among them, are stamped by {others}");
        match self.rx_stamps.get() {
            RxStamps::Software => "what a packet waits before our program finds it is not known".into(),
            RxStamps::Kernel => "what the NIC and its interrupt take is not known".into(),
            RxStamps::Hardware(Stamped::All) => "exact receive times for all packets".into(),
            RxStamps::Hardware(Stamped::Ptp) => format!("exact receive times for PTP; {ptp_alone}"),
            RxStamps::Latch(_, Stamped::All) | RxStamps::LastOfQueue(Stamped::All) => {
                format!("one packet of a burst has an exact time, the others are stamped by {others}")
            }
            RxStamps::Latch(_, Stamped::Ptp) | RxStamps::LastOfQueue(Stamped::Ptp) => {
                format!("of PTP packets that come at once, some have no exact time; {ptp_alone}")
            }
        }
    }

    fn tx_consequence(&self) -> String {
        let ptp = match self.tx_stamps.get() {
            TxStamps::None => "PTP cannot lead here, nor ask for delays",
            TxStamps::Software => "interleaved clients and PTP are told when our program let go of the packet",
            TxStamps::Kernel => "interleaved clients and PTP are told when the kernel's driver took the packet",
            TxStamps::Latch => "PTP has the latch first, and interleaved clients what is left of it",
            TxStamps::Fifo(_) | TxStamps::Hardware => "interleaved clients and PTP are told exact times",
        };
        let ntp = match (self.send_on_time.get(), self.tx_stamps.get()) {
            (Some(_), _) => "NTP replies leave at the T3 that they carry",
            (None, TxStamps::Latch | TxStamps::Fifo(_) | TxStamps::Hardware) => {
                "NTP replies use predicted T3, calibrated by sampled stamps"
            }
            (None, TxStamps::None | TxStamps::Software | TxStamps::Kernel) => "NTP replies use predicted T3",
        };
        format!("{ntp}; {ptp}")
    }

    fn send_consequence(&self) -> String {
        match self.send_on_time.get() {
            Some(_) => "T3 is true in the very reply that carries it".into(),
            None => "replies leave when the NIC gets to them".into(),
        }
    }

    const fn checksum_words(&self) -> &'static str {
        match (self.checksums.by_kernel, self.checksums.rx) {
            (true, _) => "by the kernel",
            (false, true) => "verified by the NIC",
            (false, false) => "verified by the workers",
        }
    }
}

impl ClockAbilities {
    fn statements(&self) -> Vec<Statement> {
        let yes = |can: &bool| if *can { "yes" } else { "no" }.to_owned();
        let step = if self.step.get() { "" } else { "its time is a model of ours; nobody else may read it" };
        let frequency = if self.frequency.get() {
            ""
        } else {
            "it runs free: a model tells the time of its stamps, and it drives no PPS output"
        };
        let reading = match self.reading.get() {
            ClockReading::Stamping => "",
            ClockReading::Host | ClockReading::Other => {
                "it says nothing about stamps; a model of them needs their own pairs"
            }
            ClockReading::Stopped | ClockReading::Unreadable => "hardware stamps mean nothing here and are not used",
        };
        vec![
            tried("clock reading", &self.reading, reading.into(), ToString::to_string),
            tried("clock can be set", &self.step, step.into(), yes),
            tried("clock frequency can be set", &self.frequency, frequency.into(), yes),
            plain(
                "clock counter",
                format!("{} bits at {:.6} MHz", self.width, self.tick.as_hertz() / 1e6),
                &self.wraps(),
            ),
        ]
    }

    /// How often it begins again, where that is often.
    fn wraps(&self) -> String {
        const RARELY_S: f64 = 3600.0 * 24.0 * 365.0;
        let period = f64::from(self.width).exp2() / self.tick.as_hertz();
        if period > RARELY_S {
            String::new()
        } else {
            format!("it begins again every {period:.0} s and is read more often")
        }
    }
}

fn departure(sends: &Option<SendOnTime>) -> String {
    sends.as_ref().map_or_else(|| "no".into(), |sends| format!("yes, to {} ns", sends.granularity.as_nanos_rounded()))
}

fn tried<T: Copy + PartialEq>(
    about: &'static str,
    ability: &Ability<T>,
    consequence: String,
    words: fn(&T) -> String,
) -> Statement {
    let evidence = match ability.evidence() {
        Evidence::Claimed => Evidence::Claimed,
        Evidence::Confirmed => Evidence::Confirmed,
        Evidence::Refuted(claimed) => Evidence::Refuted(words(&claimed)),
    };
    Statement { about, found: words(&ability.get()), evidence, consequence }
}

fn plain(about: &'static str, found: String, consequence: &str) -> Statement {
    Statement { about, found, evidence: Evidence::Claimed, consequence: consequence.to_owned() }
}
