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
        let mut statements = self.stamp_statements();
        statements.extend(self.clock_statements());
        statements.push(plain("checksums", self.checksum_words().into(), ""));
        let spread = match (self.queues, self.spread_by_address) {
            (1, _) => "",
            (_, true) => "each client always meets the same one",
            (_, false) => "a client meets several: interleaved mode and rate limits see only a part of it",
        };
        statements.push(plain("queues", self.queues.to_string(), spread));
        statements
    }

    /// What is known of its stamps alone: all that can be said of a port that is not open.
    #[must_use]
    pub fn stamp_statements(&self) -> Vec<Statement> {
        let mut statements = vec![
            tried("RX stamps", &self.rx_stamps, self.rx_consequence(), ToString::to_string),
            tried("TX stamps", &self.tx_stamps, self.tx_consequence(), ToString::to_string),
        ];
        if self.send_on_time.get().is_some() || self.send_on_time.evidence() != Evidence::Claimed {
            statements.push(tried("send on time", &self.send_on_time, self.send_consequence(), departure));
        }
        statements
    }

    /// What is known of the clock that stamps; nothing where there is none.
    #[must_use]
    pub fn clock_statements(&self) -> Vec<Statement> {
        self.clock.iter().flat_map(ClockAbilities::statements).collect()
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
        let ntp = match (self.send_on_time.get(), self.reply_stamps()) {
            (Some(_), _) => "NTP replies leave at the T3 that they carry",
            (None, TxStamps::Latch | TxStamps::Fifo(_) | TxStamps::Hardware) => {
                "NTP replies use predicted T3, calibrated by sampled stamps"
            }
            (None, TxStamps::None | TxStamps::Software | TxStamps::Kernel) => {
                "NTP replies tell when they are handed over, and what follows is not known"
            }
        };
        let told = match (self.tx_stamps.get(), self.reply_stamps()) {
            (TxStamps::None, _) => "PTP cannot lead here, nor ask for delays",
            (TxStamps::Software, _) => "interleaved clients and PTP are told when our program let go of the packet",
            (TxStamps::Kernel, _) => "interleaved clients and PTP are told when the kernel's driver took the packet",
            (TxStamps::Latch, _) => "PTP has the latch first, and interleaved clients what is left of it",
            (_, TxStamps::Kernel) => {
                "PTP is told exact times, interleaved clients when the kernel's driver took the packet"
            }
            (TxStamps::Fifo(_) | TxStamps::Hardware, _) => "interleaved clients and PTP are told exact times",
        };
        format!("{ntp}; {told}")
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
        let step = if self.step.get() {
            ""
        } else {
            "it shows a time of its own, which a model of ours brings to the true one"
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChecksumOffload;
    use sidereal_time::{Rate, Span};

    fn port() -> Capabilities {
        Capabilities {
            rx_stamps: Ability::claimed(RxStamps::Hardware(Stamped::All)),
            tx_stamps: Ability::claimed(TxStamps::Latch),
            send_on_time: Ability::claimed(None),
            clock: None,
            checksums: ChecksumOffload { rx: true, by_kernel: false },
            queues: 4,
            spread_by_address: true,
            max_length: 1518,
        }
    }

    fn said(capabilities: &Capabilities) -> Vec<String> {
        capabilities.statements().iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn assert_says(capabilities: &Capabilities, words: &str) {
        let said = said(capabilities);
        assert!(said.iter().any(|statement| statement.contains(words)), "{words:?} is not in {said:#?}");
    }

    #[test]
    fn a_claim_that_was_tried_says_what_came_of_it() {
        let claimed = port();
        assert_eq!(
            said(&claimed)[0],
            "RX stamps: hardware, stored with the packet (every packet): exact receive times for all packets"
        );
        let confirmed = Capabilities { rx_stamps: claimed.rx_stamps.tried(claimed.rx_stamps.get()), ..claimed };
        assert_says(&confirmed, "(every packet) [tried]: exact");
        let refuted = Capabilities { tx_stamps: claimed.tx_stamps.tried(TxStamps::Software), ..claimed };
        assert_says(
            &refuted,
            "[tried; its driver claims: hardware, one packet at a time]: NTP replies tell when they are handed over, ",
        );
        assert_eq!(refuted.tx_stamps.get(), TxStamps::Software);
    }

    #[test]
    fn the_same_nic_says_something_else_for_each_way_it_is_built() {
        let base = port();
        assert_says(
            &base,
            "hardware, one packet at a time: NTP replies use predicted T3, calibrated by sampled stamps",
        );
        let none = Capabilities { tx_stamps: Ability::claimed(TxStamps::None), ..base };
        assert_says(&none, "PTP cannot lead here");
        let latch = Capabilities { rx_stamps: Ability::claimed(RxStamps::Latch(1, Stamped::Ptp)), ..base };
        assert_says(&latch, "one register (PTP alone): of PTP packets that come at once");
        assert_says(&latch, "NTP among them, are stamped by our program");
        let sockets = ChecksumOffload { rx: false, by_kernel: true };
        let sockets = Capabilities { checksums: sockets, tx_stamps: Ability::claimed(TxStamps::Hardware), ..base };
        assert_says(&sockets, "TX stamps: hardware, any packet that asks for one: NTP replies use predicted T3");
        let ptp_alone = Ability::claimed(RxStamps::Hardware(Stamped::Ptp));
        let ptp_alone = Capabilities { rx_stamps: ptp_alone, ..sockets };
        assert_says(&ptp_alone, "any packet that asks for one: NTP replies tell when they are handed over");
        assert_says(&ptp_alone, "PTP is told exact times, interleaved clients when the kernel's driver took");
        let on_time = SendOnTime { granularity: Span::from_nanos(500) };
        let on_time = Capabilities { send_on_time: Ability::claimed(Some(on_time)), ..base };
        assert_says(&on_time, "send on time: yes, to 500 ns: T3 is true in the very reply");
        assert_says(&on_time, "NTP replies leave at the T3 that they carry");
        assert!(said(&base).iter().all(|statement| !statement.starts_with("send on time")));
    }

    #[test]
    fn a_clock_says_what_one_reads_who_reads_it() {
        let clock = ClockAbilities {
            step: Ability::claimed(true),
            frequency: Ability::claimed(true).tried(false),
            reading: Ability::claimed(ClockReading::Stamping).tried(ClockReading::Host),
            width: 40,
            tick: Rate::NANOSECOND,
        };
        let host = Capabilities { clock: Some(clock), ..port() };
        assert_says(
            &host,
            "clock reading: CLOCK_MONOTONIC_RAW of the host [tried; its driver claims: the clock that stamps",
        );
        assert_says(&host, "clock frequency can be set: no [tried; its driver claims: yes]: it runs free");
        assert_says(&host, "clock counter: 40 bits at 1000.000000 MHz: it begins again every 1100 s");
        let wide = Capabilities { clock: Some(ClockAbilities { width: 64, ..clock }), ..port() };
        assert!(said(&wide).contains(&"clock counter: 64 bits at 1000.000000 MHz".to_owned()), "{:#?}", said(&wide));
    }

    #[test]
    fn queues_that_share_clients_say_what_is_lost() {
        assert_says(&Capabilities { spread_by_address: false, ..port() }, "rate limits see only a part of it");
        assert_says(&port(), "queues: 4: each client always meets the same one");
        assert!(said(&Capabilities { queues: 1, ..port() }).contains(&"queues: 1".to_owned()));
    }
}
