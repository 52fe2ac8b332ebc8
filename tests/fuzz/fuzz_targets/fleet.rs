//! What a prober is given: lists of targets, and datagrams from servers that it asks, or does not ask.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_loadgen::probe::{Fleet, Pace, TargetSpec};
use sidereal_ntp::HEADER_LEN;
use sidereal_time::{Instant, StampSource, Utc};

const PACE: Pace = Pace { gap_ns: 1_000_000, rounds: None, until_ns: u64::MAX, timeout_ns: 2_000_000 };

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        for target in TargetSpec::of_lines(text).unwrap_or_default() {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
    }

    let now = Instant::<Utc>::from_secs(1_800_000_000);
    let servers = [([192, 0, 2, 1], 123).into(), ([192, 0, 2, 2], 123).into()];
    let mut fleet = Fleet::new((0..).zip(servers), PACE, 0, [7; 32]);
    let mut now_ns = 0;
    let mut recorded = 0;
    for chunk in data.chunks(1 + HEADER_LEN) {
        let Some((choice, message)) = chunk.split_first() else { break };
        now_ns += u64::from(choice >> 4) * 250_000;
        let ask = fleet.request(now_ns, now);
        let mut message = message.to_vec();
        // Most are to echo the right timestamp, or nothing behind it would be seen.
        if let (Some(ask), Some(origin), true) = (ask, message.get_mut(24..32), choice & 7 != 0) {
            origin.copy_from_slice(&ask.message[40..]);
        }
        let from = servers[usize::from(choice >> 3 & 1)];
        let (_, record) = fleet.receive(from, &message, (now, StampSource::Kernel), now_ns);
        recorded += u64::from(record.is_some());
        let record = ask.and_then(|ask| fleet.departed(ask.token, None));
        recorded += u64::from(record.is_some());
    }
    let answered: u64 = fleet.seen().map(|seen| seen.counts.answered).sum();
    assert!(recorded <= answered);
});
