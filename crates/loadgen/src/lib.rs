//! The load generator: NTP requests or PTP Delay_Req of many clients out at a set rate, replies and their stamps in; and the
//! fleet prober ([`probe`]), one client of many servers.
//!
//! The generator is an open loop: requests leave when they are due, whether or not earlier ones were answered, as those of real clients
//! do. One thread sends and receives. [`run`] is all that a caller needs; what of it has nothing to do with sockets and
//! clocks ([`Exchanges`], [`Ramp`]) is pure and can be fed by hand.
//!
//! The requests come from made-up addresses within a prefix. The server's host must have a route to that prefix through this
//! interface, and should have a neighbour entry with [`LoadOptions::source_mac`]: a MAC address that is not the interface's
//! own keeps the local kernel from taking the replies for its own and answering them with ICMP errors.
#![forbid(unsafe_code)]

mod clients;
mod delay;
mod error;
mod exchanges;
mod generator;
mod neighbour;
mod options;
pub mod probe;
mod ramp;
mod report;

pub use clients::Clients;
pub use error::{LoadError, OptionError};
pub use exchanges::{Exchanges, Outcome};
pub use generator::run;
pub use options::{LoadOptions, MAX_DURATION, MAX_REQUESTS_PER_SECOND, MacAddress, Mode, Plan};
pub use ramp::{Limit, MAX_STEPS, Ramp, Step};
pub use report::{Highest, LoadReport, Progress, RoundTrip, RunReport, SCHEMA, Wrong};
