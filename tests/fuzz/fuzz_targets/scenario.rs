//! Whatever stands in a scenario, reading it ends in a scenario or in an error that says what to do about it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_sim::scenario::Scenario;

fuzz_target!(|text: &str| {
    if let Err(error) = Scenario::parse(text, "fuzz.toml") {
        assert!(error.to_string().contains("\n  help: "), "{error}");
    }
});
