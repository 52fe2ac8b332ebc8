//! Samples as comma-separated values.

use core::fmt::Write;

use crate::run::Run;

/// The samples that `runs` kept, one line each: times in seconds, frequencies as fractions.
#[must_use]
pub fn csv(runs: &[Run]) -> String {
    let mut text = String::from(
        "seed,host,second,synchronised,locked,error_s,bound_s,uncertainty_s,clock_error_s,frequency_error\n",
    );
    for run in runs {
        for (host, samples) in &run.samples {
            for sample in samples {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "{},{host},{},{},{},{:e},{:e},{:e},{:e},{:e}",
                    run.seed,
                    sample.second,
                    u8::from(sample.synchronised),
                    u8::from(sample.locked),
                    sample.error,
                    sample.bound,
                    sample.uncertainty,
                    sample.clock_error,
                    sample.frequency_error,
                );
            }
        }
    }
    text
}
