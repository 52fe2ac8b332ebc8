//! What was measured.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{Limit, Mode};

/// The version of the report's form.
pub const SCHEMA: &str = "sidereal.load/1";

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The server's address and port.
    pub target: String,
    /// How many clients asked.
    pub clients: u32,
    /// How they asked.
    pub mode: Mode,
    /// Every run, in order.
    pub runs: Vec<RunReport>,
    /// What a ramp found; `None` for other plans, and where not even the lowest rate passed.
    pub highest: Option<Highest>,
    /// The run at half of that rate which ends a ramp, for round trips that are not those of full queues.
    pub half: Option<RunReport>,
}

/// The highest rate with little loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Highest {
    /// Answers per second of the fastest run that passed.
    pub requests_per_second: f64,
    /// What kept it from being higher.
    pub limited_by: Limit,
}

/// One run at one rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The rate that was asked for; `None` in a flood.
    pub asked_per_second: Option<f64>,
    /// How long requests were sent, in seconds.
    pub seconds: f64,
    /// Requests that left.
    pub sent: u64,
    /// Requests that were answered with times.
    pub received: u64,
    /// Requests that left per second.
    pub sent_per_second: f64,
    /// Answers per second of sending.
    pub received_per_second: f64,
    /// The share of requests without an answer, 0 to 1.
    pub loss: f64,
    /// The share of answers that were interleaved, 0 to 1.
    pub interleaved: f64,
    /// What came besides answers.
    pub wrong: Wrong,
    /// Requests that were due and not sent, because the generator was held up for too long.
    pub skipped: u64,
    /// Frames that this host received and the generator did not fetch in time; counted as lost.
    pub missed: u64,
    /// How long answers took; `None` without answers.
    pub round_trip_us: Option<RoundTrip>,
}

/// Replies that were no answers, counted by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Wrong {
    /// A second answer to the same request.
    pub duplicate: u64,
    /// The answer to no request, or to one of too long ago.
    pub origin: u64,
    /// Sent to another client than the one that asked.
    pub address: u64,
    /// Not an NTP reply.
    pub malformed: u64,
    /// A kiss code instead of times.
    pub kiss: u64,
    /// A server whose clock follows nothing.
    pub unsynchronised: u64,
}

/// Round trips, in microseconds: from just before the request's burst was handed to the kernel until the kernel had the
/// reply from the driver.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RoundTrip {
    /// The shortest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half were no longer.
    pub p50: f64,
    /// 90 % were no longer.
    pub p90: f64,
    /// 99 % were no longer.
    pub p99: f64,
    /// 99.9 % were no longer.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl RoundTrip {
    /// Of a histogram of nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds within the histogram's bounds")]
        let us = |ns: u64| ns as f64 / 1000.0;
        (!histogram.is_empty()).then(|| Self {
            min: us(histogram.min()),
            mean: histogram.mean() / 1000.0,
            p50: us(histogram.value_at_quantile(0.5)),
            p90: us(histogram.value_at_quantile(0.9)),
            p99: us(histogram.value_at_quantile(0.99)),
            p999: us(histogram.value_at_quantile(0.999)),
            max: us(histogram.max()),
        })
    }
}

/// How it goes, told once a second and at the end of each run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Which run this is, from 1.
    pub run: u32,
    /// The rate that was asked for; `None` in a flood.
    pub asked_per_second: Option<f64>,
    /// Seconds since the run began.
    pub elapsed_s: f64,
    /// Requests that left in this run.
    pub sent: u64,
    /// Answers in this run.
    pub received: u64,
    /// Whether the run is over.
    pub finished: bool,
}
