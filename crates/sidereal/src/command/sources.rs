//! `sidereal sources`: what a running sidereal thinks of its sources.

use sidereal_ops::{Reply, Request, SourceStatus, Sources};
use std::fmt::Write;

use super::control::{Arguments, ask};
use super::words::{ago, nanoseconds, table};
use super::{Failure, print, print_json};

pub(super) fn sources(arguments: &Arguments) -> Result<(), Failure> {
    match &ask(arguments, &Request::Sources)? {
        Reply::Sources(sources) if !arguments.json => print(words(sources)),
        reply => print_json(reply),
    }
}

const LEGEND: &str = "\
* selected   + combined with it   - agrees, is not followed   x falseticker, or disputed   ? cannot be used   o noselect
. a PTP port that follows nobody
offset: its time less ours; the truth is within +- bound of it   reach: last eight polls, octal   a authenticated   i interleaved
";

/// The sources as a table, and under each of them what is thought of it.
fn words(sources: &Sources) -> String {
    if sources.sources.is_empty() {
        return "there is no source: the configuration has no [[ntp.source]], [[ptp]] or [[reference_clock]]\n".into();
    }
    let header = [
        "", "source", "address", "mode", "stratum", "id", "poll", "reach", "last", "offset", "bound", "delay",
        "jitter", "",
    ];
    let right = [false, false, false, false, true, false, true, true, true, true, true, true, true, false];
    let rows: Vec<_> = sources.sources.iter().map(row).collect();
    let rows = table(&header, &right, &rows);
    let mut lines = rows.lines();
    let mut text = format!("{LEGEND}\n{}\n", lines.next().unwrap_or_default());
    for (line, source) in lines.zip(&sources.sources) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}\n     {}: {}", source.state, source.reason);
        if let Some(ignored) = &source.last_ignored {
            let _ = writeln!(text, "     last ignored: {ignored}");
        }
    }
    text.push('\n');
    text.push_str(&conclusion(sources));
    text
}

fn row(source: &SourceStatus) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let length = |nanos: Option<i64>| or_none(nanos.map(nanoseconds));
    let offset = |nanos: i64| format!("{}{}", if nanos > 0 { "+" } else { "" }, nanoseconds(nanos));
    let letters = [(source.authenticated, 'a'), (source.interleaved, 'i')];
    vec![
        mark(&source.state).into(),
        source.name.clone(),
        or_none(source.address.clone()),
        source.mode.clone().unwrap_or_else(|| source.kind.clone()),
        or_none(source.stratum.map(|stratum| stratum.to_string())),
        or_none(source.reference_id.clone()),
        or_none(source.poll.map(|poll| poll.to_string())),
        or_none(source.reach_octal.clone()),
        or_none(source.age_ms.map(ago)),
        or_none(source.offset_ns.map(offset)),
        length(source.bound_ns),
        length(source.delay_ns),
        length(source.jitter_ns),
        letters.into_iter().filter(|(is_so, _)| *is_so).map(|(_, letter)| letter).collect(),
    ]
}

/// The sign of a state, as the field has them. A state that a newer sidereal knows is one that cannot be used.
fn mark(state: &str) -> &'static str {
    match state {
        "selected" => "*",
        "combined" => "+",
        "outlier" | "unpreferred" | "waiting" => "-",
        "falseticker" | "disputed" => "x",
        "noselect" => "o",
        "idle" => ".",
        _ => "?",
    }
}

fn conclusion(sources: &Sources) -> String {
    match (sources.followed, &sources.system_peer, &sources.failure) {
        (false, ..) => "the system clock is the reference: no source is followed\n".into(),
        (true, Some(peer), _) => format!("following {peer} and what is combined with it\n"),
        (true, None, Some(failure)) => format!("following NO source: {failure}\n"),
        (true, None, None) => "following NO source\n".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, state: &str, reason: &str) -> SourceStatus {
        let (state, reason) = (state.into(), reason.into());
        SourceStatus { name: name.into(), kind: "ntp".into(), state, reason, ..SourceStatus::default() }
    }

    #[test]
    fn each_source_has_a_line_and_a_reason() {
        let good = SourceStatus {
            address: Some("10.77.0.1:123".into()),
            mode: Some("client".into()),
            stratum: Some(2),
            poll: Some(-2),
            reach_octal: Some("377".into()),
            offset_ns: Some(12_300),
            bound_ns: Some(150_000),
            age_ms: Some(250),
            authenticated: true,
            interleaved: true,
            last_ignored: Some("duplicate".into()),
            ..source("good", "selected", "the best of 3")
        };
        let liar = source("liar", "falseticker", "50.0 ms ahead of the majority");
        let mut document = Sources {
            followed: true,
            system_peer: Some("good".into()),
            failure: None,
            sources: vec![good, liar, source("new", "something newer", "?"), source("lan", "idle", "it leads")],
        };
        let text = words(&document);
        let line = text.lines().find(|line| line.starts_with("*  good")).unwrap();
        for part in ["10.77.0.1:123", "client", " 2 ", " -2 ", " 377 ", "250 ms", "+12.3 us", "150 us"] {
            assert!(line.contains(part), "{part}: {text}");
        }
        assert!(line.ends_with("  ai"), "{text}");
        assert!(text.contains("\n     selected: the best of 3\n     last ignored: duplicate\n"), "{text}");
        assert!(text.contains("\nx  liar ") && text.contains("\n?  new ") && text.contains("\n.  lan "), "{text}");
        assert!(text.contains("     falseticker: 50.0 ms ahead of the majority\n"), "{text}");
        assert!(text.ends_with("following good and what is combined with it\n"), "{text}");

        (document.system_peer, document.failure) = (None, Some("no majority".into()));
        assert!(words(&document).ends_with("following NO source: no majority\n"));
        document.followed = false;
        assert!(words(&document).ends_with("the system clock is the reference: no source is followed\n"));
        assert!(words(&Sources::default()).starts_with("there is no source"));
    }
}
