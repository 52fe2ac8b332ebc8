//! What DPDK says when it does not start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod eal;

use sidereal_nic_dpdk::{Eal, EalError, EalOptions};

#[test]
fn an_unknown_argument_is_an_error_to_read() {
    let options = EalOptions { extra: vec!["--nonsense".to_owned()], ..eal::options() };
    let error = Eal::init(&options).unwrap_err();
    assert!(matches!(error, EalError::Refused { .. }));
    let message = error.to_string();
    for word in ["--no-huge", "--nonsense", "[dpdk] arguments", "DPDK says:"] {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}
