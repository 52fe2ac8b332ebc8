//! Samples as a picture: the error of each host, and what the host said of it.

use plotters::prelude::*;

use crate::run::Run;
use crate::truth::Sample;

/// The picture's width, and the height of each host's part of it, in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 360;
/// Points of a line: where there are more samples, the extremes of each stretch are drawn.
const POINTS: usize = 1000;

/// The picture could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plot cannot be drawn: {0}")]
pub struct PlotError(String);

/// An SVG of the samples that `run` kept: for each host its error (blue), its system clock's (green), and on both sides
/// the uncertainty (orange) and the bound (grey).
///
/// # Errors
/// Where the drawing library says so.
pub fn svg(run: &Run) -> Result<String, PlotError> {
    let mut text = String::new();
    let height = HEIGHT * u32::try_from(run.samples.len()).unwrap_or(u32::MAX).clamp(1, 100);
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(told)?;
        let parts = root.split_evenly((run.samples.len().max(1), 1));
        for ((host, samples), part) in run.samples.iter().zip(&parts) {
            draw(host, samples, part)?;
        }
        root.present().map_err(told)?;
    }
    Ok(text)
}

/// What is drawn of a sample, and how.
type Line = (fn(&Sample) -> f64, RGBColor);

fn draw(
    host: &str,
    samples: &[Sample],
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
) -> Result<(), PlotError> {
    let samples: Vec<Sample> = samples.iter().filter(|sample| sample.synchronised).copied().collect();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Ok(()) };
    // The middle of the values decides the scale: a start that was far off would hide all that follows.
    let scale = |value: fn(&Sample) -> f64, share: usize| {
        let mut values: Vec<f64> = samples.iter().map(value).filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len().saturating_sub(1) * share / 100).copied().unwrap_or(1e-9)
    };
    let most = scale(|sample| sample.uncertainty, 90).max(scale(|sample| sample.error.abs(), 99)).max(1e-9) * 1.5;
    let (factor, unit) = unit(most);
    let end = f64::from(last.second).max(f64::from(first.second) + 1.0);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(format!("{host}: error in {unit}"), ("sans-serif", 16))
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(f64::from(first.second)..end, -most * factor..most * factor)
        .map_err(told)?;
    chart.configure_mesh().x_desc("seconds").light_line_style(WHITE).draw().map_err(told)?;
    let lines: [Line; 6] = [
        (|sample| sample.bound, RGBColor(160, 160, 160)),
        (|sample| -sample.bound, RGBColor(160, 160, 160)),
        (|sample| sample.uncertainty, RGBColor(230, 140, 30)),
        (|sample| -sample.uncertainty, RGBColor(230, 140, 30)),
        (|sample| sample.clock_error, RGBColor(60, 160, 80)),
        (|sample| sample.error, RGBColor(40, 90, 200)),
    ];
    for (value, colour) in lines {
        let clipped = |value: f64| value.clamp(-most, most) * factor;
        let points = extremes(&samples, value).map(|(second, value)| (second, clipped(value)));
        chart.draw_series(LineSeries::new(points, colour)).map_err(told)?;
    }
    Ok(())
}

/// The lowest and the highest value of each of [`POINTS`] stretches.
fn extremes(samples: &[Sample], value: fn(&Sample) -> f64) -> impl Iterator<Item = (f64, f64)> {
    samples.chunks(samples.len().div_ceil(POINTS).max(1)).flat_map(move |stretch| {
        let second = stretch.first().map_or(0.0, |sample| f64::from(sample.second));
        let values = || stretch.iter().map(value).filter(|value| value.is_finite());
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        let there = low <= high;
        [(second, low), (second, high)].into_iter().filter(move |_| there)
    })
}

/// What seconds are multiplied by so that `most` is a handy number, and what that is called.
fn unit(most: f64) -> (f64, &'static str) {
    match most {
        most if most < 1e-6 => (1e9, "ns"),
        most if most < 1e-3 => (1e6, "us"),
        most if most < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    }
}

fn told(error: impl core::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::svg;
    use crate::run::Run;
    use crate::truth::Sample;

    #[test]
    fn every_host_gets_its_part_of_the_picture() {
        let sample = |second| Sample {
            second,
            synchronised: true,
            locked: true,
            error: 1e-6 * f64::from(second % 7),
            bound: 1e-4,
            uncertainty: f64::INFINITY,
            clock_error: -1e-6,
            nic_clock_error: None,
            frequency_error: 0.0,
        };
        let samples: Vec<Sample> = (0..5000).map(sample).collect();
        let hosts = vec![("first".to_owned(), samples), ("second".to_owned(), Vec::new())];
        let picture = svg(&Run { samples: hosts, ..Run::default() }).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert!(picture.contains("first: error in us"));
        assert!(picture.contains("height=\"720\""));
        assert!(svg(&Run::default()).is_ok());
    }
}
