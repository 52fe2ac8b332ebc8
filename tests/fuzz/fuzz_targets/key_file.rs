//! Any text as a key file: read, or refused with the line that is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_ntp::KeyTable;

fuzz_target!(|text: &str| {
    let lines = text.lines().count();
    match KeyTable::parse(text) {
        Ok(keys) => {
            assert!(keys.len() <= lines);
            // The same lines in another order are the same keys.
            let reversed: String = text.lines().rev().flat_map(|line| [line, "\n"]).collect();
            assert_eq!(KeyTable::parse(&reversed).map(|keys| keys.len()), Ok(keys.len()));
        }
        Err(error) => assert!((1..=lines).contains(&error.line), "{error}"),
    }
});
