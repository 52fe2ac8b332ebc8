//! Which measurements are passed on.

use std::collections::VecDeque;

use sidereal_time::{Reading, Span};

use super::{FilterKind, Filtered};
use crate::Measurement;

/// The longest window.
const MAX_LENGTH: usize = 1_024;

/// A [`FilterKind`] with what it remembers.
#[derive(Debug, Clone)]
pub(super) struct Pick {
    kind: FilterKind,
    length: usize,
    window: VecDeque<Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    measurement: Measurement,
    /// Against the model, in seconds.
    offset: f64,
    passed: bool,
}

impl Pick {
    pub(super) fn new(kind: &FilterKind) -> Self {
        let length = match kind {
            FilterKind::None => 1,
            FilterKind::MinimumDelay { length }
            | FilterKind::MovingMedian { length }
            | FilterKind::Quantile { length, .. } => (*length).clamp(1, MAX_LENGTH),
        };
        Self { kind: *kind, length, window: VecDeque::with_capacity(length) }
    }

    pub(super) fn offer(&mut self, measurement: Measurement, offset: f64) -> Filtered {
        if self.window.len() == self.length {
            self.window.pop_front();
        }
        self.window.push_back(Candidate { measurement, offset, passed: false });
        match self.kind {
            FilterKind::None => Filtered::Passed(measurement),
            FilterKind::MinimumDelay { .. } => self.least_delay(),
            FilterKind::MovingMedian { .. } => self.median(),
            FilterKind::Quantile { quantile, .. } => self.quick(&measurement, quantile),
        }
    }

    pub(super) fn relabel(&mut self, by: Span) {
        for candidate in &mut self.window {
            let reading = candidate.measurement.reading;
            candidate.measurement.reading = Reading::new(reading.ticks(), reading.at() + by, reading.window());
        }
    }

    /// The best of a window, which then begins anew.
    fn least_delay(&mut self) -> Filtered {
        if self.window.len() < self.length {
            return Filtered::Held;
        }
        let best = self.window.iter().map(|c| c.measurement).min_by_key(|measurement| measurement.reading.window());
        self.window.clear();
        best.map_or(Filtered::Held, Filtered::Passed)
    }

    /// The median offset, unless it, or a newer one, was passed before.
    fn median(&mut self) -> Filtered {
        let mut order: Vec<usize> = (0..self.window.len()).collect();
        let offset = |i: &usize| self.window.get(*i).map_or(0.0, |candidate| candidate.offset);
        order.sort_by(|a, b| offset(a).total_cmp(&offset(b)));
        let Some(middle) = order.get(order.len() / 2).copied() else { return Filtered::Held };
        if self.window.iter().skip(middle).any(|candidate| candidate.passed) {
            return Filtered::Held;
        }
        let Some(candidate) = self.window.get_mut(middle) else { return Filtered::Held };
        candidate.passed = true;
        Filtered::Passed(candidate.measurement)
    }

    /// Whether the newest is among the quickest.
    fn quick(&self, newest: &Measurement, quantile: f64) -> Filtered {
        let quicker = self.window.iter().filter(|c| c.measurement.reading.window() < newest.reading.window()).count();
        let share = quicker as f64 / self.window.len() as f64;
        if share <= quantile.clamp(0.0, 1.0) { Filtered::Passed(*newest) } else { Filtered::Held }
    }
}
