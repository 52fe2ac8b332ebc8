//! Whatever stands in a configuration file, reading it ends in a configuration or in an error that has a remedy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal::config::Config;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Err(error) = Config::parse(text, Path::new("fuzz.toml")) {
        assert!(!error.problems().is_empty());
        assert!(error.problems().iter().all(|problem| !problem.invalid.remedy.is_empty()), "{error}");
    }
});
