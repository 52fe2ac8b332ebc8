//! A counter that asks a perfect server for the time, over a path with queues.

use sidereal_servo::{
    FilterOptions, Filtered, Learned, Measurement, Offered, ServoKind, ServoOptions, SourceFilter, Tracker,
    TrackerState,
};
use sidereal_time::{Counter, Instant, LocalClock, Rate, Reading, Span, Tai, Ticks};

use super::Random;

/// One way without queues, in seconds.
pub(crate) const ONE_WAY_S: f64 = 10e-6;
/// What is left out at the beginning of a run, in seconds.
pub(crate) const SETTLING_S: u32 = 500;

/// A row of the table that the servos are compared by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The mean wait of one way, in seconds.
    pub(crate) jitter: f64,
    /// The random walk of the counter's frequency, in s/s per square root of a second.
    pub(crate) wander: f64,
    /// The interval of the exchanges, as a power of two of a second.
    pub(crate) poll: u32,
    pub(crate) until: u32,
    /// What chrony 4.3 reaches: the median RMS error, in seconds.
    pub(crate) chrony: f64,
    /// What is aimed for.
    pub(crate) aim: f64,
}

pub(crate) const ROWS: [Row; 5] = [
    Row { name: "quiet", jitter: 1e-6, wander: 1e-10, poll: 0, until: 4_000, chrony: 97e-9, aim: 48e-9 },
    Row { name: "lan", jitter: 5e-6, wander: 1e-9, poll: 0, until: 4_000, chrony: 550e-9, aim: 275e-9 },
    Row { name: "lan-poll4", jitter: 5e-6, wander: 1e-9, poll: 4, until: 20_000, chrony: 1.99e-6, aim: 1.0e-6 },
    Row { name: "busy", jitter: 50e-6, wander: 1e-9, poll: 3, until: 10_000, chrony: 4.6e-6, aim: 3.4e-6 },
    Row { name: "wan", jitter: 1e-3, wander: 1e-9, poll: 6, until: 60_000, chrony: 75e-6, aim: 64e-6 },
];

/// What the network and the counter are like in one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// The mean wait of one way, in seconds; the deviation, where it is Gaussian.
    pub(crate) jitter: f64,
    pub(crate) gaussian: bool,
    /// What the way to the server is longer than the way back, in seconds.
    pub(crate) detour: f64,
    pub(crate) wander: f64,
    /// How much the frequency changes in this second beyond its random walk, in s/s.
    pub(crate) drift: f64,
    pub(crate) lost: bool,
}

impl Row {
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions { jitter: self.jitter, gaussian: false, detour: 0.0, wander: self.wander, drift: 0.0, lost: false }
    }
}

/// One look at the published clock, each second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) second: u32,
    /// Published less true, in seconds.
    pub(crate) error: f64,
    pub(crate) bound: f64,
    pub(crate) uncertainty: f64,
    pub(crate) state: TrackerState,
}

/// A client with its counter.
pub(crate) struct Client {
    random: Random,
    local: LocalClock,
    pub(crate) filter: SourceFilter,
    pub(crate) tracker: Tracker,
    second: u32,
    /// What the counter shows less the truth, in seconds, at the whole second, and its frequency error.
    pub(crate) phase: f64,
    pub(crate) frequency: f64,
    interval: u32,
    pub(crate) offers: Vec<Offered>,
}

impl Client {
    pub(crate) fn new(seed: u64, interval: u32, options: &ServoOptions, learned: Option<&Learned>) -> Self {
        let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0x1405_7b7e_f767_814f);
        let frequency = random.normal() * 10e-6;
        let local = LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -25 };
        Self {
            random,
            local,
            filter: SourceFilter::new(&FilterOptions::default(), local),
            tracker: Tracker::new(local, options, learned, Ticks(0)),
            second: 0,
            phase: 100.0,
            frequency,
            interval,
            offers: Vec::new(),
        }
    }

    /// Lets a second pass, under `conditions`.
    pub(crate) fn step(&mut self, conditions: &Conditions) -> Option<Look> {
        self.frequency += self.random.normal() * conditions.wander + conditions.drift;
        // Exchanges happen somewhere within the second, so that looks see them at all ages.
        let away = 0.05 + 0.9 * self.random.uniform();
        let waits = [self.wait(conditions), self.wait(conditions)];
        if self.second.is_multiple_of(self.interval) && !conditions.lost {
            let (forward, backward) = (ONE_WAY_S + conditions.detour + waits[0], ONE_WAY_S + waits[1]);
            let sent = self.ticks(away);
            let arrived = self.ticks(away + forward + backward);
            let middle = Ticks(sent.0.midpoint(arrived.0));
            let reading = Reading::new(middle, self.truth(away + forward), self.local.passed(sent, arrived));
            self.advance(arrived);
            let dispersion = Span::from_nanos(50) + Span::from_secs_f64((forward + backward) * 50e-6);
            if let Filtered::Passed(measurement) = self.filter.offer(reading, dispersion, self.tracker.model().as_ref())
            {
                self.offer(&measurement, arrived);
            }
        }
        self.second += 1;
        self.phase += self.frequency;
        self.look()
    }

    fn offer(&mut self, measurement: &Measurement, now: Ticks) {
        let offered = self.tracker.offer(measurement, now);
        self.offers.push(offered);
    }

    pub(crate) fn look(&mut self) -> Option<Look> {
        let now = self.ticks(0.0);
        self.advance(now);
        let model = self.tracker.model()?;
        Some(Look {
            second: self.second,
            error: (model.instant(now) - self.truth(0.0)).as_secs_f64(),
            bound: self.tracker.bound(now)?.as_secs_f64(),
            uncertainty: self.tracker.uncertainty(now)?.as_secs_f64(),
            state: self.tracker.state(),
        })
    }

    /// Timers that are due by `now`, each at its time.
    fn advance(&mut self, now: Ticks) {
        while let Some(due) = self.tracker.poll_timeout().filter(|due| self.local.passed(*due, now) >= Span::ZERO) {
            self.tracker.advance(due);
        }
    }

    fn wait(&mut self, conditions: &Conditions) -> f64 {
        if conditions.gaussian {
            // No wait is negative, but none is near that either.
            (6.0 + self.random.normal()).max(0.0) * conditions.jitter
        } else {
            self.random.exponential(conditions.jitter)
        }
    }

    /// What the counter shows `away` into this second.
    pub(crate) fn ticks(&self, away: f64) -> Ticks {
        let whole = u64::from(self.second) * 1_000_000_000;
        let rest = (self.phase + away * (1.0 + self.frequency)) * 1e9;
        Ticks(whole.wrapping_add_signed(rest.round() as i64))
    }

    fn truth(&self, away: f64) -> Instant<Tai> {
        Instant::from_secs(1_800_000_000 + i64::from(self.second)) + Span::from_secs_f64(away)
    }
}

/// What came of one run of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) rms: f64,
    pub(crate) seconds: usize,
    pub(crate) outside_bound: usize,
    pub(crate) outside_uncertainty: usize,
    pub(crate) median_bound: f64,
    pub(crate) median_uncertainty: f64,
}

impl Outcome {
    pub(crate) fn of(looks: &[Look]) -> Self {
        let median = |value: &dyn Fn(&Look) -> f64| {
            let mut values: Vec<f64> = looks.iter().map(value).collect();
            median(&mut values)
        };
        Self {
            rms: (looks.iter().map(|look| look.error.powi(2)).sum::<f64>() / looks.len() as f64).sqrt(),
            seconds: looks.len(),
            outside_bound: looks.iter().filter(|look| look.error.abs() > look.bound).count(),
            outside_uncertainty: looks.iter().filter(|look| look.error.abs() > look.uncertainty).count(),
            median_bound: median(&|look| look.bound),
            median_uncertainty: median(&|look| look.uncertainty),
        }
    }
}

/// Of at least one value.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2].midpoint(values[(values.len() - 1) / 2])
}

/// Runs `row` with one seed, with what `conditions` makes of those of the row in each second.
pub(crate) fn run(
    row: &Row,
    kind: ServoKind,
    seed: u64,
    conditions: impl Fn(u32, Conditions) -> Conditions,
) -> Vec<Look> {
    let mut client = Client::new(seed, 1 << row.poll, &ServoOptions { kind, ..ServoOptions::default() }, None);
    (0..row.until)
        .filter_map(|second| client.step(&conditions(second, row.conditions())))
        .filter(|look| look.second > SETTLING_S)
        .collect()
}
