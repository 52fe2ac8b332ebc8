//! What a source says, and how that compares with our time.

use sidereal_ntp::Measured;
use sidereal_ptp::MeasuredReading;
use sidereal_time::{ClockModel, Instant, LocalClock, Reading, Span, Tai, Ticks, Utc};

use super::Latest;

/// How fast it does while the counter's rate is only known from its maker: 500 ppm.
const UNKNOWN_RATE_PPB: i128 = 500_000;

/// What a source has to say, before anybody judges it.
pub(crate) struct Said {
    pub(super) reading: Raw,
    /// How far it may be off, whatever the path.
    pub(super) dispersion: Span,
    pub(super) authenticated: bool,
    pub(super) interleaved: bool,
}

/// A reading on the scale that it came in.
pub(super) enum Raw {
    Utc(Reading<Utc>),
    Tai(Reading<Tai>),
}

/// What a source is measured with.
#[derive(Clone, Copy)]
pub(crate) struct Yardstick<'a> {
    /// Our time, or, while there is none, the counter at its nominal rate from anywhere.
    pub(crate) model: &'a ClockModel,
    /// Whether it is our time.
    pub(crate) is_time: bool,
    pub(crate) local: &'a LocalClock,
    pub(crate) now: Ticks,
}

impl Said {
    pub(super) fn of_remote(measured: Measured) -> Self {
        let server = &measured.server;
        let root = server.root_delay.as_span().half() + server.root_dispersion.as_span();
        Self {
            reading: Raw::Utc(measured.reading),
            dispersion: measured.dispersion + root,
            authenticated: measured.authenticated,
            interleaved: measured.interleaved,
        }
    }

    pub(super) fn of_ptp(measured: sidereal_ptp::Measured) -> Self {
        Self {
            reading: match measured.reading {
                MeasuredReading::Tai(reading) => Raw::Tai(reading),
                MeasuredReading::Utc(reading) => Raw::Utc(reading),
            },
            dispersion: measured.dispersion + measured.master.accuracy,
            authenticated: false,
            interleaved: false,
        }
    }

    /// How far it may be off, whatever the filter makes of it.
    pub(crate) fn bound(&self) -> Span {
        self.dispersion
            + match self.reading {
                Raw::Utc(reading) => reading.error(),
                Raw::Tai(reading) => reading.error(),
            }
    }
}

impl Yardstick<'_> {
    /// By how much the source is ahead.
    pub(super) fn offset(&self, latest: &Latest) -> Span {
        let reading = latest.measurement.reading;
        reading.at() - self.model.instant(reading.ticks())
    }

    /// How wrong it may be by now.
    pub(super) fn distance(&self, latest: &Latest) -> Span {
        let known = i128::from(self.model.drift_ppb).min(UNKNOWN_RATE_PPB);
        let ppb = if self.is_time { known } else { UNKNOWN_RATE_PPB };
        latest.measurement.bound + Span::from_units(self.age(latest).units() * ppb / 1_000_000_000)
    }

    /// How old that is.
    pub(super) fn age(&self, latest: &Latest) -> Span {
        self.local.passed(latest.measurement.reading.ticks(), self.now).max(Span::ZERO)
    }

    /// The time at `ticks` by `latest`, and how far that may be off.
    pub(crate) fn extrapolate(&self, latest: &Latest, ticks: Ticks) -> (Instant<Tai>, Span) {
        let passed = self.local.passed(latest.measurement.reading.ticks(), ticks);
        (latest.measurement.reading.at() + passed, self.distance(latest))
    }
}
