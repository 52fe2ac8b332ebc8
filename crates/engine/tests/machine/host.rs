//! A host for the engine: a counter of nanoseconds, and a kernel with a system clock.

use sidereal_engine::{
    Action, ClockReading, Engine, EngineConfig, Event, Reference, Report, SelectionOptions, SmearOptions, Snapshot,
    SystemReference,
};
use sidereal_ntp::{ReferenceId, Stratum};
use sidereal_servo::{Discipline, ServoOptions};
use sidereal_time::{
    ClockId, Counter, Instant, LeapTable, LocalClock, NtpTimestamp, Rate, Reading, Span, Tai, Ticks, Utc,
};

pub(crate) const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -24 };
pub(crate) const CONFIG: SystemReference = SystemReference {
    stratum: Stratum::PRIMARY,
    reference_id: ReferenceId(*b"LOCL"),
    root_delay: Span::from_nanos(1_000_000),
    root_dispersion: Span::from_nanos(2_000_000),
};
/// An engine that follows the system clock, of which this is said.
pub(crate) fn config(reference: SystemReference) -> EngineConfig {
    EngineConfig {
        reference: Reference::System(reference),
        sources: Vec::new(),
        selection: SelectionOptions::default(),
        servo: ServoOptions::default(),
        clocks: Vec::new(),
        own_addresses: Vec::new(),
        broadcasts: Vec::new(),
        smear: SmearOptions::default(),
        seed: [7; 32],
        saved: None,
    }
}

pub(crate) fn read(reading: Reading<Utc>) -> Event<'static> {
    Event::ClockRead { clock: ClockId::SYSTEM, reading: ClockReading::Utc(reading) }
}

pub(crate) fn discipline(discipline: Discipline) -> Event<'static> {
    Event::Discipline { clock: ClockId::SYSTEM, discipline }
}

/// How long a reading takes here.
const WINDOW: Span = Span::from_nanos(60);

/// What the kernel makes of leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// It was told: it steps its clock so long after the leap second begins.
    Told { late: Span },
    /// It was not told: its clock goes on as if nothing was.
    Untold,
}

pub(crate) struct Host {
    pub(crate) engine: Engine,
    /// The truth.
    pub(crate) tai: Instant<Tai>,
    pub(crate) ticks: Ticks,
    pub(crate) table: LeapTable,
    pub(crate) kernel: Kernel,
    /// How far the system clock is off.
    pub(crate) off: Span,
    /// Whether the system clock cannot be read.
    pub(crate) silent: bool,
    /// What was published last.
    pub(crate) published: Option<Snapshot>,
    pub(crate) reports: Vec<Report>,
    /// How often the system clock was asked for.
    pub(crate) asked: u32,
    untold_offset_s: i64,
}

impl Host {
    pub(crate) fn new(table: LeapTable, utc: Instant<Utc>) -> Self {
        let ticks = Ticks(77_000_000_000);
        Self {
            engine: Engine::new(LOCAL, config(CONFIG), table.clone(), ticks),
            tai: table.utc_to_tai(utc),
            ticks,
            untold_offset_s: table.tai_offset(utc).into(),
            table,
            kernel: Kernel::Told { late: Span::ZERO },
            off: Span::ZERO,
            silent: false,
            published: None,
            reports: Vec::new(),
            asked: 0,
        }
    }

    /// In the summer of 2017, far from any leap second.
    pub(crate) fn ordinary() -> Self {
        Self::new(LeapTable::built_in(), Instant::from_secs(1_500_000_000))
    }

    /// Lets the engine run until `until`.
    pub(crate) fn run_until(&mut self, until: Instant<Tai>) {
        loop {
            self.act();
            let wait = Span::from_nanos(i128::from(self.engine.poll_timeout().map_or(0, |due| due.0 - self.ticks.0)));
            if self.tai + wait > until {
                self.advance(until - self.tai);
                return;
            }
            self.advance(wait);
            self.engine.handle(Event::Timer, self.ticks);
        }
    }

    pub(crate) fn run(&mut self, span: Span) {
        self.run_until(self.tai + span);
    }

    pub(crate) fn handle(&mut self, event: Event<'_>) {
        self.engine.handle(event, self.ticks);
        self.act();
    }

    pub(crate) fn advance(&mut self, span: Span) {
        self.tai += span;
        self.ticks.0 += nanos(span);
    }

    /// Time passes and nobody calls the engine.
    pub(crate) fn sleep(&mut self, span: Span) {
        self.advance(span);
        self.engine.handle(Event::Timer, self.ticks);
    }

    /// What UTC really is.
    pub(crate) fn utc(&self) -> Instant<Utc> {
        self.table.tai_to_utc(self.tai)
    }

    /// What the system clock shows.
    pub(crate) fn system_clock(&self) -> Instant<Utc> {
        let shown = match self.kernel {
            Kernel::Told { late } => self.table.tai_to_utc(self.tai - late) + late,
            Kernel::Untold => Instant::from_units((self.tai - Span::from_secs(self.untold_offset_s)).units()),
        };
        shown + self.off
    }

    /// What the engine makes of the counter, and of a kernel's stamp, at present.
    pub(crate) fn told(&self) -> (NtpTimestamp, NtpTimestamp) {
        let Some(snapshot) = self.published else { panic!("nothing is published") };
        let stamp = nanos(self.system_clock() - Instant::EPOCH);
        (snapshot.local_ntp.at(self.ticks), snapshot.realtime_ntp.at(Ticks(stamp)))
    }

    fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::ReadClock(ClockId::SYSTEM) => {
                    self.asked += 1;
                    if !self.silent {
                        self.engine.handle(discipline(self.discipline()), self.ticks);
                        let reading = Reading::new(self.ticks, self.system_clock(), WINDOW);
                        self.engine.handle(read(reading), self.ticks);
                    }
                }
                Action::Publish(snapshot) => self.published = Some(snapshot),
                Action::Report(report) => self.reports.push(report),
                other => panic!("{other:?} is not wanted where the system clock is the reference"),
            }
        }
    }

    fn discipline(&self) -> Discipline {
        let day = Span::from_secs(86_400);
        let told = self.kernel != Kernel::Untold;
        let armed = self.table.next(self.tai).filter(|(at, _)| told && *at - self.tai <= day);
        Discipline {
            synchronised: true,
            max_error: Span::from_nanos(1_000),
            tai_offset_s: None,
            leap_step: armed.map_or(0, |(_, step)| step),
        }
    }
}

/// Of a span that is not negative and shorter than 584 years.
fn nanos(span: Span) -> u64 {
    let Ok(nanos) = u64::try_from(span.as_nanos_rounded()) else { panic!("{span} s") };
    nanos
}
