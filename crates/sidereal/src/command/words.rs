//! Numbers for people.

use sidereal_ntp::SystemVariables;
use sidereal_time::StampSource;
use std::collections::BTreeMap;

/// A length of time in nanoseconds with three digits or more and the unit that suits it: `12.3 us`.
pub(crate) fn nanoseconds(value: i64) -> String {
    fractional_nanoseconds(value as f64)
}

/// Likewise, where fractions of a nanosecond are known: `2.5 ns`.
pub(crate) fn fractional_nanoseconds(value: f64) -> String {
    let (scale, unit) = match value.abs() {
        below if below < 999.95 => return format!("{} ns", (value * 10.0).round() / 10.0 + 0.0),
        below if below < 1e6 => (1e3, "us"),
        below if below < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let scaled = value / scale;
    let decimals = if scaled.abs() < 10.0 {
        2
    } else if scaled.abs() < 100.0 {
        1
    } else {
        0
    };
    format!("{scaled:.decimals$} {unit}")
}

/// Who took a stamp.
pub(super) const fn source_name(source: StampSource) -> &'static str {
    match source {
        StampSource::Software => "software",
        StampSource::Kernel => "kernel",
        StampSource::Latch => "latch",
        StampSource::Hardware => "hardware",
    }
}

/// What a server follows: four characters say something at stratum 1 only; above they are an address (RFC 5905 §7.3).
pub(super) fn reference_id(system: &SystemVariables) -> String {
    let id = system.reference_id;
    match system.stratum.number() {
        2..=15 => std::net::Ipv4Addr::from(id.0).to_string(),
        _ => id.to_string(),
    }
}

/// How long ago something was, in milliseconds, in the unit that suits it: `12 s`.
pub(super) fn ago(millis: i64) -> String {
    match millis {
        short if short < 1000 => format!("{short} ms"),
        seconds if seconds < 100_000 => format!("{} s", seconds / 1000),
        minutes if minutes < 100 * 60_000 => format!("{} min", minutes / 60_000),
        hours => format!("{} h", hours / 3_600_000),
    }
}

/// Events per second, in thousands or millions where there are many: `1.20 M`.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        low if low < 10_000.0 => format!("{low:.0}"),
        middle if middle < 1e6 => format!("{:.1} k", middle / 1e3),
        high => format!("{:.2} M", high / 1e6),
    }
}

/// Rows with their columns aligned; numbers to the right is what `right` says of each column.
pub(super) fn table(header: &[&str], right: &[bool], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((cell, width), right) in cells.zip(&widths).zip(right) {
            let padded = if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(&padded);
            line.push_str("  ");
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// What has occurred so far, all that is counted together, most frequent first.
pub(super) fn occurrences<'a>(what: &str, counts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in counts.flatten() {
        *sums.entry(name).or_default() += count;
    }
    let mut sums: Vec<_> = sums.into_iter().filter(|(_, count)| *count > 0).collect();
    sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let listed: Vec<String> = sums.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("{what:<8} {}\n", if listed.is_empty() { "none".into() } else { listed.join("  ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_get_the_unit_that_suits_them() {
        for (value, text) in [
            (0, "0 ns"),
            (-999, "-999 ns"),
            (1_000, "1.00 us"),
            (-12_345, "-12.3 us"),
            (123_456, "123 us"),
            (9_990_000, "9.99 ms"),
            (1_500_000_000, "1.50 s"),
        ] {
            assert_eq!(nanoseconds(value), text);
        }
        for (value, text) in [(-2.53, "-2.5 ns"), (-0.01, "0 ns"), (999.96, "1.00 us"), (12_345.6, "12.3 us")] {
            assert_eq!(fractional_nanoseconds(value), text);
        }
    }

    #[test]
    fn ages_are_rounded_down() {
        for (millis, text) in [(0, "0 ms"), (999, "999 ms"), (99_999, "99 s"), (119_999, "1 min"), (86_400_000, "24 h")]
        {
            assert_eq!(ago(millis), text);
        }
    }

    #[test]
    fn rates_stay_short() {
        for (value, text) in [(0.4, "0"), (9_999.0, "9999"), (12_340.0, "12.3 k"), (1_200_000.0, "1.20 M")] {
            assert_eq!(rate(value), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["lan0".to_owned(), "1".to_owned()], vec!["a".to_owned(), "1000".to_owned()]];
        assert_eq!(table(&["port", "rx"], &[false, true], &rows), "port    rx\nlan0     1\na     1000\n");
    }
}
