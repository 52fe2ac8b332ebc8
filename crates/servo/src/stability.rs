//! How stable a clock is: ADEV, TDEV and MTIE of evenly spaced phase errors.
//!
//! Averaging times are the octaves of the spacing, as long as at least one value can be made of the data.

/// The overlapping Allan deviation of `phase` (in seconds, `tau0` seconds apart): pairs of averaging time and deviation
/// (NIST SP 1065 §5.2.4).
#[must_use]
pub fn adev(phase: &[f64], tau0: f64) -> Vec<(f64, f64)> {
    let value = |n: usize| {
        let tau = n as f64 * tau0;
        let squares: Vec<f64> =
            phase.windows(2 * n + 1).filter_map(|w| Some((w.last()? - 2.0 * w.get(n)? + w.first()?).powi(2))).collect();
        (!squares.is_empty()).then(|| (tau, (squares.iter().sum::<f64>() / squares.len() as f64 / 2.0).sqrt() / tau))
    };
    octaves(value)
}

/// The time deviation of `phase` (in seconds, `tau0` seconds apart): pairs of averaging time and deviation in seconds
/// (ITU-T G.810 II.3).
#[must_use]
pub fn tdev(phase: &[f64], tau0: f64) -> Vec<(f64, f64)> {
    let sums: Vec<f64> = core::iter::once(0.0)
        .chain(phase.iter().scan(0.0, |sum, x| {
            *sum += x;
            Some(*sum)
        }))
        .collect();
    let value = |n: usize| {
        // Sums of the three neighbouring stretches of n values each.
        let squares: Vec<f64> = sums
            .windows(3 * n + 1)
            .filter_map(|w| {
                let third = w.last()? - w.get(2 * n)?;
                let second = w.get(2 * n)? - w.get(n)?;
                let first = w.get(n)? - w.first()?;
                Some(((third - 2.0 * second + first) / n as f64).powi(2))
            })
            .collect();
        (!squares.is_empty())
            .then(|| (n as f64 * tau0, (squares.iter().sum::<f64>() / squares.len() as f64 / 6.0).sqrt()))
    };
    octaves(value)
}

/// The maximum time interval error of `phase` (in seconds, `tau0` seconds apart): pairs of observation interval and the
/// largest peak to peak excursion within it, in seconds (ITU-T G.810 II.5).
#[must_use]
pub fn mtie(phase: &[f64], tau0: f64) -> Vec<(f64, f64)> {
    // Extremes of 2^k + 1 neighbours are those of two overlapping stretches of 2^(k-1) + 1.
    let mut lowest = phase.to_vec();
    let mut highest = phase.to_vec();
    let mut reach = 1;
    let mut pairs = Vec::new();
    while let (Some(low), Some(high)) = (extremes(&lowest, reach, f64::min), extremes(&highest, reach, f64::max)) {
        let widest = low.iter().zip(&high).map(|(low, high)| high - low).fold(0.0, f64::max);
        let interval = if pairs.is_empty() { 1 } else { 2 * reach };
        pairs.push((interval as f64 * tau0, widest));
        reach = interval;
        (lowest, highest) = (low, high);
    }
    pairs
}

/// The extreme of each value and the one `reach` later; `None` where there is none.
fn extremes(values: &[f64], reach: usize, extreme: impl Fn(f64, f64) -> f64) -> Option<Vec<f64>> {
    let later = values.get(reach..).filter(|later| !later.is_empty())?;
    Some(values.iter().zip(later).map(|(a, b)| extreme(*a, *b)).collect())
}

/// `value` of 1, 2, 4, ... as long as it has one.
fn octaves(value: impl Fn(usize) -> Option<(f64, f64)>) -> Vec<(f64, f64)> {
    (0..usize::BITS - 2).map_while(|k| value(1 << k)).collect()
}
