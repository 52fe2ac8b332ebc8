//! The offset pipeline: N producers each put [`Record`]s of round trips into a ring of their own ([`Recorder`]), and one
//! [`Stage`] turns them into [`Sample`](sidereal_time::Sample)s: the last and the best of each target, and histograms of all.
//!
//! A producer never waits: a record that finds its ring full is lost, and counted. A record has the size of a cache line, and
//! what the stage keeps of a target is bounded, so that a hundred thousand targets take some tens of megabytes.
//!
//! ```
//! use sidereal_offsets::{Record, Stamps, pipeline};
//! use sidereal_time::{Exchange, Instant, Span, StampSource, Utc};
//!
//! let (mut recorders, mut stage) = pipeline(1, 1024, 100);
//! let at = |micros: i128| Instant::<Utc>::from_secs(1_800_000_000) + Span::from_nanos(micros * 1000);
//! // The target's clock is 1000 us ahead; each way takes 100 us.
//! let exchange = Exchange { t1: at(0), t2: at(1100), t3: at(1150), t4: at(250) };
//! let stamps = Stamps { transmit: StampSource::Kernel, receive: StampSource::Kernel };
//! recorders[0].record(Record::new(7, &exchange, Span::ZERO, stamps));
//! assert_eq!(stage.poll(), 1);
//! let best = stage.target(7).and_then(|target| target.best()).unwrap();
//! assert_eq!((best.offset, best.delay), (Span::from_nanos(1_000_000), Span::from_nanos(200_000)));
//! ```
#![forbid(unsafe_code)]

mod pipeline;
mod record;
mod target;
mod totals;

pub use pipeline::{MAX_RECORDS_PER_TURN, Recorder, Stage, pipeline};
pub use record::{Record, Stamps};
pub use target::{RECENT, Target};
pub use totals::{Percentiles, Totals};
