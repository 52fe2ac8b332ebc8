//! Whatever is offered, the fit neither panics nor loses its senses.

use proptest::prelude::*;
use sidereal_servo::CounterFit;
use sidereal_time::{Counter, Instant, Rate, Reading, Span, Ticks};

/// Readings of all sizes, and runs of readings that agree about a wild rate.
fn readings() -> impl Strategy<Value = Vec<(u64, i128, i128)>> {
    let any_reading = (any::<u64>(), any::<i128>(), any::<i128>());
    let near = (any::<u32>(), any::<u32>(), 0_u32..100_000_000)
        .prop_map(|(ticks, at, window)| (ticks.into(), i128::from(at) << 16, window.into()));
    prop::collection::vec(prop_oneof![any_reading, near], 0..200)
}

proptest! {
    #[test]
    fn any_readings_are_survived(width in any::<u8>(), rate in any::<u64>(), readings in readings(), probe in any::<u64>()) {
        let mut fit = CounterFit::new(Counter::Nic, width, Rate::from_bits(rate));
        let mut offered = 0;
        for (ticks, at, window) in readings {
            fit.offer(Reading::new(Ticks(ticks), Instant::from_units(at), Span::from_units(window)));
            offered += 1;
            if let Some(model) = fit.model() {
                prop_assert!(!model.error_at(Ticks(probe)).is_negative());
                prop_assert!(model.rate.to_bits() >= rate / 2 && model.rate.to_bits() <= rate.saturating_mul(2));
            }
        }
        let counts = fit.counts();
        prop_assert!(counts.accepted + counts.wide + counts.repeated + counts.outliers <= offered);
        prop_assert!(offered - (counts.accepted + counts.wide + counts.repeated + counts.outliers) < 4);
    }
}
