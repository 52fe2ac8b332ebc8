//! From the document to the scenario: names are found, numbers looked at.

mod config;
mod network;
mod ptp;
mod trouble;

pub(crate) use config::KEYS;

use core::ops::Range;

use sidereal_time::{LeapTable, Span};

use super::Scenario;
use super::document::{Document, LeapKind};
use super::values::Invalid;

/// What was found wrong, and where in the text.
pub(super) type Problems = Vec<(Option<Range<usize>>, Invalid)>;

/// Hosts in a scenario at most.
const MAX_HOSTS: usize = 1000;
/// The longest run: 400 days.
const MAX_DURATION: Span = Span::from_secs(400 * 86_400);
/// From 1900, the epoch of leap-second lists, to 1970.
const NTP_TO_POSIX_S: i128 = 2_208_988_800;
const DAY_S: i128 = 86_400;

/// What `document` means.
pub(super) fn check(document: Document, name: &str) -> Result<Scenario, Problems> {
    let mut problems = Problems::new();
    let duration = document.duration.get_ref().0;
    if !(Span::SECOND..=MAX_DURATION).contains(&duration) {
        let what = format!("a run of {} is out of range", document.duration.get_ref());
        problems.push((Some(document.duration.span()), Invalid::new(what, "write one from \"1s\" to \"400days\"")));
    }
    let leap_table = leap_table(&document, &mut problems);
    let names = network::Names::of(&document, &mut problems);
    let switches = network::switches(&document, &mut problems);
    let links = network::links(&document, &names, &mut problems);
    let hosts = config::hosts(&document, &names, &links, &mut problems);
    let faults = trouble::faults(&document, &names, &mut problems);
    let limits = trouble::limits(&document, &names, &mut problems);
    if document.host.len() > MAX_HOSTS {
        let what = format!("{} hosts are too many", document.host.len());
        problems.push((None, Invalid::new(what, format!("have at most {MAX_HOSTS}"))));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let start = leap_table.utc_to_tai(document.start.0);
    let (settle, runs) = (document.settle.0, document.runs);
    let name = name.to_owned();
    Ok(Scenario { name, start, duration, settle, runs, leap_table, hosts, links, switches, faults, limits })
}

/// The built-in table, and the leap second of the document.
fn leap_table(document: &Document, problems: &mut Problems) -> LeapTable {
    let built_in = LeapTable::built_in();
    let Some(leap) = &document.leap_second else { return built_in };
    let mut refuse = |what: String, remedy: &str| {
        problems.push((Some(leap.before.span()), Invalid::new(what, remedy)));
        LeapTable::built_in()
    };
    let (seconds, rest) = leap.before.get_ref().0.split();
    if rest != Span::ZERO || seconds % DAY_S != 0 {
        let what = format!("{} is not a midnight", leap.before.get_ref());
        return refuse(what, "write the midnight after the leap second, such as \"2026-07-01T00:00:00Z\"");
    }
    let mut list = String::new();
    let mut offset = 0;
    for entry in built_in.entries() {
        offset = entry.tai_offset_s;
        list += &format!("{} {offset}\n", entry.begins.split().0 + NTP_TO_POSIX_S);
    }
    offset += match leap.kind {
        LeapKind::Insert => 1,
        LeapKind::Delete => -1,
    };
    list += &format!("{} {offset}\n#@ {}\n", seconds + NTP_TO_POSIX_S, seconds + NTP_TO_POSIX_S + 366 * DAY_S);
    LeapTable::parse(&list).unwrap_or_else(|error| {
        refuse(format!("no leap second can be before {}: {error}", leap.before.get_ref()), "choose a later midnight")
    })
}
