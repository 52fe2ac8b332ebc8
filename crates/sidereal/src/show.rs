//! From what the engine knows to what the operator is shown.

mod clocks;
pub(crate) mod ptp;

use sidereal_engine::{FollowingStatus, SourceStatus, Status, Synchronisation};
use sidereal_ops::{self as ops, Sources};
use sidereal_servo::TrackerState;
use sidereal_time::{ClockId, Span};
use std::collections::BTreeMap;

use crate::leap;

/// The document of `sidereal sources`.
pub(crate) fn sources(status: &Status, sources: &[SourceStatus]) -> Sources {
    let following = status.following.as_ref();
    Sources {
        followed: following.is_some(),
        system_peer: system_peer(following, sources),
        failure: following.and_then(|following| following.failure.clone()),
        sources: sources.iter().map(source).collect(),
    }
}

/// Completes `document` with what only the engine knows: how its clock stands, which other clocks follow it, and what became
/// of readings.
pub(crate) fn complete(document: &mut ops::Status, status: &Status, sources: &[SourceStatus]) {
    let following = status.following.as_ref();
    let clock = &mut document.clock;
    clock.reference = if following.is_some() { "sources" } else { "system" }.into();
    clock.state = state(status).into();
    clock.system_peer = system_peer(following, sources);
    clock.bound_ns = status.error.map(nanos);
    clock.uncertainty_ns = status.uncertainty.map(nanos);
    clock.frequency_ppb = following.and_then(|following| following.frequency_ppm).map(|ppm| ppm * 1e3);
    document.readings = readings(status);
    // The system clock does not follow us while we follow it.
    let followers = status.clocks.iter().filter(|clock| following.is_some() || clock.id != ClockId::SYSTEM);
    document.clocks = followers.map(|clock| clocks::follower(clock, status.model.as_ref())).collect();
}

/// In nanoseconds, as documents have them.
pub(crate) fn nanos(span: Span) -> i64 {
    let nanos = span.as_nanos_rounded();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

fn source(source: &SourceStatus) -> ops::SourceStatus {
    ops::SourceStatus {
        name: source.name.clone(),
        address: source.address.map(|address| address.to_string()),
        kind: source.kind.into(),
        mode: source.mode.map(Into::into),
        state: source.state.word().into(),
        reason: source.reason.clone(),
        stratum: source.stratum.map(|stratum| stratum.number()),
        reference_id: source.reference_id.map(|id| id.to_string()),
        leap: source.leap.map(|leap| leap::indicator_name(leap).into()),
        poll: Some(source.poll),
        reach: Some(source.reach),
        reach_octal: Some(format!("{:o}", source.reach)),
        offset_ns: source.offset.map(nanos),
        delay_ns: source.delay.map(nanos),
        jitter_ns: source.jitter.map(nanos),
        bound_ns: source.bound.map(nanos),
        age_ms: source.age.map(|age| nanos(age) / 1_000_000),
        authenticated: source.authenticated,
        interleaved: source.interleaved,
        counts: source.counts.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        last_ignored: source.last_ignored.map(Into::into),
    }
}

fn system_peer(following: Option<&FollowingStatus>, sources: &[SourceStatus]) -> Option<String> {
    let id = following?.system_peer?;
    sources.iter().find(|source| source.id == id).map(|source| source.name.clone())
}

fn state(status: &Status) -> &'static str {
    match (&status.following, status.synchronisation) {
        (Some(following), _) => match following.state {
            TrackerState::Unlocked => "unlocked",
            TrackerState::Step => "step",
            TrackerState::Locked => "locked",
            TrackerState::Holdover => "holdover",
        },
        (None, Synchronisation::Acquiring) => "unlocked",
        (None, Synchronisation::Synchronised) => "locked",
        (None, Synchronisation::Holdover | Synchronisation::Lost) => "holdover",
    }
}

fn readings(status: &Status) -> BTreeMap<String, u64> {
    let counts = status.readings;
    let of_the_system_clock = [
        ("accepted", counts.accepted),
        ("wide", counts.wide),
        ("repeated", counts.repeated),
        ("outliers", counts.outliers),
        ("slews", counts.slews),
        ("steps", counts.steps),
        ("ambiguous", status.ambiguous),
    ];
    of_the_system_clock.into_iter().map(|(name, count)| (name.into(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_engine::{ClockStatus, SourceId, SourceState};

    fn status(following: Option<FollowingStatus>, clocks: Vec<ClockStatus>) -> Status {
        Status {
            synchronisation: Synchronisation::Synchronised,
            model: None,
            now: None,
            error: Some(Span::from_nanos(1_500)),
            uncertainty: None,
            tai_offset_s: None,
            discipline: None,
            readings: sidereal_servo::FitCounts { accepted: 7, ..sidereal_servo::FitCounts::default() },
            ambiguous: 2,
            leap_table_expires: None,
            following,
            clocks,
        }
    }

    fn following(system_peer: Option<SourceId>) -> Option<FollowingStatus> {
        Some(FollowingStatus {
            state: TrackerState::Holdover,
            system_peer,
            followed: 0,
            failure: Some("no majority".into()),
            frequency_ppm: Some(-0.25),
            frequency_deviation_ppm: None,
            wander: None,
        })
    }

    fn measured() -> SourceStatus {
        SourceStatus {
            id: SourceId(3),
            name: "other".into(),
            address: None,
            kind: "ntp",
            mode: Some("client"),
            state: SourceState::Falseticker,
            reason: "50.0 ms ahead".into(),
            stratum: None,
            reference_id: None,
            leap: None,
            poll: -2,
            reach: 0o377,
            offset: Some(Span::from_nanos(50_000_000)),
            delay: None,
            jitter: None,
            bound: None,
            age: Some(Span::from_nanos(1_999_999)),
            authenticated: true,
            interleaved: false,
            counts: vec![("sent", 4)],
            last_ignored: Some("bogus"),
        }
    }

    #[test]
    fn sources_are_shown_as_the_engine_sees_them() {
        let document = sources(&status(following(Some(SourceId(3))), Vec::new()), &[measured()]);
        assert_eq!((document.followed, document.system_peer.as_deref()), (true, Some("other")));
        assert_eq!(document.failure.as_deref(), Some("no majority"));
        let [source] = &document.sources[..] else { unreachable!("{document:?}") };
        assert_eq!((source.state.as_str(), source.reach_octal.as_deref()), ("falseticker", Some("377")));
        assert_eq!((source.offset_ns, source.age_ms, source.stratum), (Some(50_000_000), Some(1), None));
        assert_eq!((source.counts["sent"], source.last_ignored.as_deref()), (4, Some("bogus")));
        assert!(!sources(&status(None, Vec::new()), &[]).followed);
    }

    #[test]
    fn a_state_is_that_of_the_tracker_or_of_the_system_clock() {
        assert_eq!(
            (state(&status(following(None), Vec::new())), state(&status(None, Vec::new()))),
            ("holdover", "locked")
        );
        assert_eq!(readings(&status(None, Vec::new())).get("accepted"), Some(&7));
        assert_eq!(nanos(Span::from_secs(i64::MAX)), i64::MAX);
        assert_eq!(nanos(-Span::from_secs(i64::MAX)), i64::MIN);
    }
}
