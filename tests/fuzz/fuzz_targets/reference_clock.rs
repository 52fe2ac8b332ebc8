//! What reference clocks say: a datagram of a SOCK source, an image of NTP's shared memory, the kernel's answers about
//! pulses and external timestamps. Whatever it is, reading it ends in a sample that can be true, or in none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_phc::{ExternalTimestamp, PpsEdge, PpsInfo, SHM_BYTES, SOCK_BYTES, ShmImage, SockSample};
use sidereal_time::{Instant, Span, Tai, Utc};

/// The last second that a sample may tell of: 2^40, some 34 000 years.
const LAST: Instant<Utc> = Instant::from_secs((1 << 40) + 1);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(sample) = SockSample::parse(bytes) {
        assert_eq!(bytes.len(), SOCK_BYTES);
        assert!((Instant::EPOCH..LAST).contains(&sample.system));
        assert!((-1..=1).contains(&sample.leap_step));
        // The sum is an instant, printed like one.
        let _ = (sample.system + sample.offset).to_string();
    }
    let image = ShmImage::from_bytes(bytes);
    assert_eq!(image.is_some(), bytes.len() >= SHM_BYTES);
    if let Some(Ok(sample)) = image.map(|image| image.sample()) {
        assert!((Instant::EPOCH..LAST).contains(&sample.clock));
        assert!((Instant::EPOCH..LAST).contains(&sample.system));
        assert!((-1..=1).contains(&sample.leap_step));
        assert!(sample.precision > Span::ZERO && sample.precision < Span::SECOND);
    }
    for edge in [PpsEdge::Assert, PpsEdge::Clear] {
        if let Some(info) = PpsInfo::parse(bytes, edge) {
            assert!(info.sequence != 0);
            let _ = info.at.split();
        }
    }
    if let Some(event) = ExternalTimestamp::parse(bytes) {
        let _ = event.at::<Tai>().split();
    }
});
