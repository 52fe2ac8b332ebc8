//! Faults and limits.

use sidereal_time::Span;

use super::super::document::{Document, FaultKindName, FaultTable, HostKind, LimitTable};
use super::super::values::Invalid;
use super::Problems;
use super::network::Names;
use crate::fault::{Fault, FaultKind};
use crate::limit::Limit;

/// The faults of `document`.
pub(super) fn faults(document: &Document, names: &Names, problems: &mut Problems) -> Vec<Fault> {
    document.fault.iter().filter_map(|table| fault(table, document, names, problems)).collect()
}

fn fault(table: &FaultTable, document: &Document, names: &Names, problems: &mut Problems) -> Option<Fault> {
    if table.at.get_ref().0.is_negative() {
        let what = format!("a fault at {} is before the beginning", table.at.get_ref());
        problems.push((Some(table.at.span()), Invalid::new(what, "count from the beginning of the run")));
    }
    let span = table.kind.span();
    let name = *table.kind.get_ref();
    let missing = |key: &str, example: &str, problems: &mut Problems| {
        let what = format!("a fault of kind {name:?} needs `{key}`");
        problems.push((Some(span.clone()), Invalid::new(what, format!("add `{key} = {example}` to this table"))));
    };
    let host = |problems: &mut Problems| match &table.host {
        Some(host) => names.host(host, problems),
        None => {
            missing("host", "\"NAME\"", problems);
            None
        }
    };
    let of_kind = |kind: HostKind, problems: &mut Problems| {
        let host = host(problems)?;
        if document.host.get(host).is_some_and(|found| found.kind != kind) {
            let what = format!("a fault of kind {name:?} cannot happen to a host of another kind than {kind:?}");
            problems.push((Some(span.clone()), Invalid::new(what, "name another host")));
        }
        Some(host)
    };
    let link = |problems: &mut Problems| match &table.between {
        Some(between) => names.link(between, problems),
        None => {
            missing("between", "[\"NAME\", \"NAME\"]", problems);
            None
        }
    };
    let by = |problems: &mut Problems| match table.by {
        Some(by) => by.0,
        None => {
            missing("by", "\"10ms\"", problems);
            Span::ZERO
        }
    };
    let number = |value: Option<f64>, key: &str, problems: &mut Problems| match value {
        Some(value) if value.is_finite() => value,
        _ => {
            missing(key, "10.0", problems);
            1.0
        }
    };
    if matches!(name, FaultKindName::Suspend | FaultKindName::Restart) && table.duration.is_none() {
        missing("duration", "\"1h\"", problems);
    }
    let kind = match name {
        FaultKindName::LieStep => {
            FaultKind::LieStep { by: by(problems), host: of_kind(HostKind::Reference, problems)? }
        }
        FaultKindName::LieRamp => FaultKind::LieRamp {
            rate: number(table.ppm, "ppm", problems) * 1e-6,
            host: of_kind(HostKind::Reference, problems)?,
        },
        FaultKindName::Unsynchronised => FaultKind::Unsynchronised { host: of_kind(HostKind::Reference, problems)? },
        FaultKindName::Degraded => FaultKind::Degraded { host: of_kind(HostKind::Reference, problems)? },
        FaultKindName::Down => FaultKind::Down { host: host(problems)? },
        FaultKindName::LinkDown => FaultKind::LinkDown { link: link(problems)? },
        FaultKindName::Delay => FaultKind::Delay { by: by(problems), link: link(problems)? },
        FaultKindName::Asymmetry => FaultKind::Asymmetry { by: by(problems), link: link(problems)? },
        FaultKindName::Jitter => {
            FaultKind::Jitter { factor: number(table.factor, "factor", problems), link: link(problems)? }
        }
        FaultKindName::CounterJump => {
            FaultKind::CounterJump { by: by(problems), host: of_kind(HostKind::Engine, problems)? }
        }
        FaultKindName::Suspend => FaultKind::Suspend { host: of_kind(HostKind::Engine, problems)? },
        FaultKindName::SetClock => FaultKind::SetClock { by: by(problems), host: of_kind(HostKind::Engine, problems)? },
        FaultKindName::Restart => FaultKind::Restart { host: of_kind(HostKind::Engine, problems)? },
    };
    Some(Fault { at: table.at.get_ref().0, duration: table.duration.map(|duration| duration.0), kind })
}

/// The limits of `document`.
pub(super) fn limits(document: &Document, names: &Names, problems: &mut Problems) -> Vec<Limit> {
    document.limit.iter().filter_map(|table| limit(table, document, names, problems)).collect()
}

fn limit(table: &LimitTable, document: &Document, names: &Names, problems: &mut Problems) -> Option<Limit> {
    if table.at_most.is_none() && table.at_least.is_none() {
        let what = "a limit without a number".to_owned();
        problems.push((Some(table.host.span()), Invalid::new(what, "add `at_most` or `at_least`")));
    }
    let host = names.host(&table.host, problems)?;
    if document.host.get(host).is_some_and(|found| found.kind == HostKind::Reference) {
        let what = format!("{:?} is a reference and is not measured", table.host.get_ref());
        problems.push((Some(table.host.span()), Invalid::new(what, "name a host that runs the engine")));
    }
    Some(Limit {
        host,
        statistic: table.statistic,
        of: table.of,
        at_most: table.at_most,
        at_least: table.at_least,
        from: table.from.unwrap_or(document.settle).0,
        until: table.until.unwrap_or(*document.duration.get_ref()).0,
    })
}
