//! Any text as a leap-second list; what is read must convert both ways.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_time::{Instant, LeapTable, Span, Tai, Utc};

fuzz_target!(|text: &str| {
    let Ok(table) = LeapTable::parse(text) else { return };
    for entry in table.entries() {
        for away_s in -2..=2 {
            let utc: Instant<Utc> = entry.begins + Span::from_secs(away_s);
            let tai = table.utc_to_tai(utc);
            // Only the number that a deletion leaves out comes back as another: the one after it.
            let back = table.tai_to_utc(tai);
            assert!(back == utc || (away_s == -1 && back == entry.begins), "{utc} became {back}");
            assert_eq!(table.utc_to_tai(back), tai);
        }
    }
    let mut now: Instant<Tai> = Instant::from_secs(i64::MIN >> 1);
    let mut changes = 0;
    while let Some((at, step)) = table.next(now) {
        assert!(at > now && step.abs() == 1);
        now = at;
        changes += 1;
    }
    assert_eq!(changes + 1, table.entries().count());
});
