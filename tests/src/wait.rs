use core::time::Duration;
use std::thread;
use std::time::Instant;

use crate::{Error, Result};

/// How often a condition is looked at again.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks at `condition` until it gives a value, which is returned, or until `deadline` has passed.
///
/// The condition answers `Err` with what it saw while it does not hold; the last of these is in the error.
///
/// # Errors
/// [`Error::TimedOut`], naming `what`.
pub fn until_some<T, S: ToString>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<T, S>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(seen) if start.elapsed() >= deadline => {
                return Err(Error::TimedOut(what.into(), deadline, seen.to_string()));
            }
            Err(_) => thread::sleep(INTERVAL),
        }
    }
}

/// As [`until_some`] for a plain condition.
///
/// # Errors
/// [`Error::TimedOut`], naming `what`.
pub fn until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    until_some(what, deadline, || if condition() { Ok(()) } else { Err("nothing of it") })
}
