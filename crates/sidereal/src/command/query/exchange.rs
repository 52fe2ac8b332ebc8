//! From replies to measurements, in the basic and in the interleaved mode.

use sidereal_ntp::client::{Reply, Request};
use sidereal_time::{Exchange, Instant, NtpTimestamp, Sample, Span, Utc};

/// The client's side of a series of exchanges with one server.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Whether the interleaved mode is asked for.
    interleaved: bool,
    last: Option<Last>,
}

/// What is kept of an exchange for an interleaved reply to the next request.
#[derive(Debug, Clone, Copy)]
struct Last {
    receive: NtpTimestamp,
    t1: Instant<Utc>,
    t4: Instant<Utc>,
}

/// What one reply told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measurement {
    /// Offset and delay.
    pub(super) sample: Sample,
    /// How far the offset may be from the truth: half the delay, half the server's root delay, and its root dispersion.
    pub(super) bound: Span,
}

impl Series {
    pub(super) fn new(interleaved: bool) -> Self {
        Self { interleaved, last: None }
    }

    /// The next request, with two numbers that nobody can guess.
    pub(super) fn request(&self, nonces: [u64; 2]) -> Request {
        let [transmit, receive] = nonces.map(NtpTimestamp::from_bits);
        match self.last.filter(|_| self.interleaved) {
            Some(last) => Request::interleaved(last.receive, receive, transmit),
            None => Request::basic(transmit),
        }
    }

    /// Takes the reply to the last request, which left at `t1`; the reply came at `t4`. An interleaved reply tells when
    /// the reply before it left, and so completes the exchange before (RFC 9769 §2).
    pub(super) fn reply(&mut self, reply: &Reply, t1: Instant<Utc>, t4: Instant<Utc>) -> Option<Measurement> {
        let this = Last { receive: reply.receive, t1, t4 };
        let last = self.last.replace(this);
        let measured = if reply.interleaved { last? } else { this };
        let exchange = Exchange {
            t1: measured.t1,
            t2: measured.receive.near(measured.t1),
            t3: reply.transmit.near(measured.t1),
            t4: measured.t4,
        };
        let sample = exchange.sample();
        let bound = sample.bound + reply.system.root_delay.as_span().half() + reply.system.root_dispersion.as_span();
        Some(Measurement { sample, bound })
    }

    /// No reply came to the last request: the next one begins anew.
    pub(super) fn lost(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_ntp::SystemVariables;
    use sidereal_time::NtpShort;

    fn at(micros: i128) -> Instant<Utc> {
        Instant::from_secs(1_800_000_000) + Span::from_nanos(micros * 1000)
    }

    fn micros(span: Span) -> i128 {
        (span.as_nanos_rounded() + 500).div_euclid(1000)
    }

    fn reply(receive: i128, transmit: i128, interleaved: bool) -> Reply {
        Reply {
            system: SystemVariables {
                root_delay: NtpShort::from_span_rounded_up(Span::from_nanos(2_000_000)),
                root_dispersion: NtpShort::from_span_rounded_up(Span::from_nanos(5_000_000)),
                ..SystemVariables::UNSYNCHRONISED
            },
            poll: 6,
            receive: NtpTimestamp::from_utc(at(receive)),
            transmit: NtpTimestamp::from_utc(at(transmit)),
            interleaved,
            network_correction: None,
        }
    }

    #[test]
    fn a_basic_reply_measures_its_own_exchange() {
        // The server is 1000 us ahead, 100 us away, and takes 50 us.
        let measured = Series::new(false).reply(&reply(1100, 1150, false), at(0), at(250)).unwrap();
        assert_eq!((micros(measured.sample.offset), micros(measured.sample.delay)), (1000, 200));
        let bound = micros(measured.bound);
        assert!((6_100..6_140).contains(&bound), "100 + 1000 + 5000 us, rounded up by the short format: {bound}");
    }

    #[test]
    fn an_interleaved_reply_measures_the_exchange_before() {
        let mut series = Series::new(true);
        assert_eq!(series.request([7, 8]).origin, NtpTimestamp::UNKNOWN);
        // The first reply says that it left at 1120, and really left at 1150.
        let basic = series.reply(&reply(1100, 1120, false), at(0), at(250)).unwrap();
        assert_eq!(micros(basic.sample.delay), 230);
        let request = series.request([7, 8]);
        assert_eq!(request.origin, NtpTimestamp::from_utc(at(1100)));
        assert_eq!((request.transmit.to_bits(), request.receive.to_bits()), (7, 8));
        let interleaved = series.reply(&reply(9100, 1150, true), at(8000), at(8999)).unwrap();
        assert_eq!((micros(interleaved.sample.offset), micros(interleaved.sample.delay)), (1000, 200));

        series.lost();
        assert_eq!(series.request([7, 8]).origin, NtpTimestamp::UNKNOWN);
        assert_eq!(series.reply(&reply(9100, 1150, true), at(8000), at(8999)), None);
    }
}
