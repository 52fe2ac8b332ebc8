//! The sources as the reference: those that are believed are followed by one tracker.

use sidereal_ntp::{PollAdvice, Stratum, SystemVariables};
use sidereal_servo::{IntervalAdvice, Measurement, Offered, ServoOptions, Tracker, TrackerState};
use sidereal_time::{ClockModel, Instant, LeapTable, LocalClock, NtpShort, NtpTimestamp, Reading, Span, Tai, Ticks};

use crate::config::EngineConfig;
use crate::doubt::{CounterDoubt, Minority};
use crate::identity::Identity;
use crate::leap;
use crate::report::{Report, Reports};
use crate::saved::Saved;
use crate::selection::{Candidate, Selection, SelectionOptions, Selector};
use crate::source::{Source, SourceId, Upstream, Yardstick};
use crate::sources::Sources;
use crate::status::{FollowingStatus, Synchronisation};

/// A selection is at most so old: sources that fall silent are noticed by it.
const RESELECT_AFTER: Span = Span::from_secs(4);
/// How long what is published must hold: until it is published again.
pub(crate) const REPUBLISH_AFTER: Span = Span::SECOND;

/// Follows the sources that are believed.
#[derive(Debug)]
pub(crate) struct Follower {
    local: LocalClock,
    servo: ServoOptions,
    rules: SelectionOptions,
    identity: Identity,
    tracker: Tracker,
    /// The counter at its nominal rate, while there is no time: by it, sources can be compared with each other.
    provisional: ClockModel,
    selector: Selector,
    selection: Selection,
    candidates: Vec<Candidate>,
    selected_at: Option<Ticks>,
    synchronisation: Synchronisation,
    /// What is told on, and the name of the source it is of.
    upstream: Option<(SourceId, Upstream)>,
    /// The last measurement that was followed.
    corrected: Option<(Ticks, Instant<Tai>)>,
    minority: Minority,
    doubt: CounterDoubt,
}

impl Follower {
    pub(crate) fn new(local: LocalClock, config: &EngineConfig, reports: &mut Reports, now: Ticks) -> Self {
        let learned = config.saved.as_ref().and_then(|saved| match saved.learned(&local) {
            Ok(learned) => Some(learned),
            Err(fault) => {
                reports.say(Report::SavedIgnored { fault });
                None
            }
        });
        Self {
            local,
            servo: config.servo,
            rules: config.selection,
            identity: Identity::new(&config.own_addresses, &config.sources),
            tracker: Tracker::new(local, &config.servo, learned.as_ref(), now),
            provisional: local.unknown(now),
            selector: Selector::default(),
            selection: Selection { verdicts: Vec::new(), survivors: Vec::new(), system_peer: None, failure: None },
            candidates: Vec::new(),
            selected_at: None,
            synchronisation: Synchronisation::Acquiring,
            upstream: None,
            corrected: None,
            minority: Minority::default(),
            doubt: CounterDoubt::default(),
        }
    }

    /// Takes over other options. Another servo begins with the frequency that this one has learned.
    pub(crate) fn configure(&mut self, config: &EngineConfig, now: Ticks) {
        self.rules = config.selection;
        self.identity = Identity::new(&config.own_addresses, &config.sources);
        if self.servo != config.servo {
            self.servo = config.servo;
            let learned = self.tracker.learned(now);
            self.tracker = Tracker::new(self.local, &self.servo, learned.as_ref(), now);
        }
    }

    /// Our time, once there is one.
    pub(crate) fn model(&self) -> Option<ClockModel> {
        self.tracker.model()
    }

    /// What sources are measured with, where our time is `model`.
    pub(crate) fn yardstick<'a>(&'a self, model: Option<&'a ClockModel>, now: Ticks) -> Yardstick<'a> {
        Yardstick { model: model.unwrap_or(&self.provisional), is_time: model.is_some(), local: &self.local, now }
    }

    /// Asks anew which sources are to be believed, by our time `model`.
    pub(crate) fn select(
        &mut self,
        sources: &mut Sources,
        model: Option<&ClockModel>,
        now: Ticks,
        reports: &mut Reports,
    ) {
        self.selected_at = Some(now);
        let mut candidates = core::mem::take(&mut self.candidates);
        candidates.clear();
        let yardstick = self.yardstick(model, now);
        candidates.extend(
            sources
                .iter()
                .filter(|source| source.speaker.is_asked())
                .map(|source| source.candidate(&yardstick, &self.identity)),
        );
        self.selection = self.selector.select(&candidates, &self.rules);
        self.candidates = candidates;
        sources.judged(&self.selection.verdicts, now);
        self.note_system_peer(sources, reports);
    }

    /// Selects again where that is due.
    pub(crate) fn reselect(
        &mut self,
        sources: &mut Sources,
        model: Option<&ClockModel>,
        now: Ticks,
        reports: &mut Reports,
    ) {
        let due = self.selected_at.is_none_or(|at| self.local.passed(at, now) >= RESELECT_AFTER);
        if due && !sources.is_empty() {
            self.select(sources, model, now, reports);
        }
    }

    /// Before there is a time: the first reading says where the counter stands, so that others can be compared with it.
    pub(crate) fn pin(&mut self, reading: &Reading<Tai>) {
        let unpinned = self.provisional.reference == Instant::EPOCH;
        if self.tracker.model().is_none() && unpinned {
            let ClockModel { reference_ticks, reference, .. } = &mut self.provisional;
            (*reference_ticks, *reference) = (reading.ticks(), reading.at());
        }
    }

    /// A source has been measured, and selection has been asked: follows it, if it is believed.
    pub(crate) fn follow(
        &mut self,
        id: SourceId,
        measurement: &Measurement,
        sources: &mut Sources,
        now: Ticks,
        reports: &mut Reports,
    ) {
        let Some(weight) = self.weight(id) else { return };
        if !self.is_credible(sources, now) {
            return;
        }
        let generation = self.tracker.model().map_or(0, |model| model.generation);
        self.tracker.follow(self.selection.survivors.len());
        let measurement = Measurement { witness: id.0, ..measurement.weighted(weight) };
        match self.tracker.offer(&measurement, now) {
            Offered::Accepted | Offered::First => {}
            Offered::Stepped { by } => {
                let generation = self.tracker.model().map_or(generation, |model| model.generation);
                reports.say(Report::TimeStepped { by, generation });
            }
            refused @ (Offered::Outlier | Offered::Insane | Offered::Stale) => {
                if let Some(source) = sources.get_mut(id) {
                    source.ignore(refusal(refused));
                }
                return;
            }
        }
        let at =
            self.tracker.model().map_or(measurement.reading.at(), |model| model.instant(measurement.reading.ticks()));
        self.corrected = Some((now, at));
        if let Some(source) = sources.get_mut(id) {
            let advice = self.tracker.interval_advice(measurement.variance, source.interval());
            source.advise(poll_advice(advice));
        }
    }

    /// Whether the counter, and not the source `id`, is wrong where the two disagree: where the system clock has jumped
    /// against the counter, and the sources say the same. The counter is then taken to have jumped.
    pub(crate) fn doubts_counter(
        &mut self,
        id: SourceId,
        reading: &Reading<Tai>,
        bound: Span,
        now: Ticks,
        reports: &mut Reports,
    ) -> bool {
        let Some(model) = self.tracker.model() else { return false };
        let offset = reading.at() - model.instant(reading.ticks());
        let quorum = self.selection.survivors.len() / 2 + 1;
        if !self.doubt.witness(id, offset, bound + model.error_at(now), quorum, &self.local, now) {
            return false;
        }
        reports.say(Report::CounterJumped { by: Some(offset) });
        self.counter_jumped(now);
        true
    }

    /// The system clock has jumped by `by` against the counter. Either may be wrong.
    pub(crate) fn note_jump(&mut self, by: Span, now: Ticks) {
        self.doubt.begin(by, now);
    }

    /// The counter has jumped: nobody knows what time it is.
    pub(crate) fn counter_jumped(&mut self, now: Ticks) {
        self.doubt = CounterDoubt::default();
        let rate = self.tracker.model().map_or(self.local.rate, |model| model.rate);
        self.tracker.counter_jumped(now);
        self.provisional = LocalClock { rate, ..self.local }.unknown(now);
        self.selector = Selector::default();
        self.selection.survivors.clear();
        self.selected_at = None;
        self.minority = Minority::default();
        self.corrected = self.corrected.map(|(_, at)| (now, at));
    }

    /// TAI has moved by `by`.
    pub(crate) fn relabel(&mut self, by: Span) {
        self.tracker.relabel(by);
        self.provisional.reference += by;
    }

    /// Lets time pass; says whether the workers should know.
    pub(crate) fn run(&mut self, sources: &Sources, now: Ticks, reports: &mut Reports) -> bool {
        if self.tracker.poll_timeout().is_some_and(|due| self.local.passed(due, now) >= Span::ZERO) {
            self.tracker.advance(now);
        }
        if self.selection.survivors.is_empty()
            && self.selected_at.is_some()
            && matches!(self.tracker.state(), TrackerState::Step | TrackerState::Locked)
        {
            self.tracker.hold(now);
        }
        self.note_synchronisation(sources, now, reports)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Ticks> {
        self.tracker.poll_timeout()
    }

    pub(crate) fn synchronisation(&self) -> Synchronisation {
        self.synchronisation
    }

    pub(crate) fn is_followed(&self, id: SourceId) -> bool {
        self.weight(id).is_some()
    }

    /// The stamps of the sources are located within this.
    pub(crate) fn stamps_located(&mut self, within: Span) {
        self.tracker.share(within);
    }

    pub(crate) fn bound(&self, at: Ticks) -> Option<Span> {
        self.tracker.bound(at)
    }

    pub(crate) fn uncertainty(&self, at: Ticks) -> Option<Span> {
        self.tracker.uncertainty(at)
    }

    /// Of the counter over a second, by how it wanders: a random walk of the frequency, whose Allan variance grows with a third
    /// of the time.
    pub(crate) fn allan_deviation(&self, at: Ticks) -> Option<f64> {
        self.tracker.estimate(at).map(|estimate| estimate.wander / 3_f64.sqrt())
    }

    /// When our time was last corrected.
    pub(crate) fn corrected(&self) -> Option<Instant<Tai>> {
        self.corrected.map(|(_, at)| at)
    }

    pub(crate) fn saved(&self, now: Ticks) -> Option<Saved> {
        self.tracker.learned(now).map(|learned| Saved::new(&learned, self.local.counter))
    }

    /// What replies say of us; `None` while we are not synchronised.
    pub(crate) fn system_variables(&self, table: &LeapTable, now: Ticks) -> Option<SystemVariables> {
        let (_, upstream) = self.upstream?;
        if !matches!(self.synchronisation, Synchronisation::Synchronised | Synchronisation::Holdover) {
            return None;
        }
        let at = self.tracker.model()?.instant(now);
        // Until the next publication, half the root delay and the root dispersion are to cover the hard bound.
        let bound = self.tracker.bound(self.local.later(now, REPUBLISH_AFTER))?;
        let root_delay = NtpShort::from_span_rounded_up(upstream.root_delay);
        // What is less than the finest step of a reply cannot be told anyway.
        let least = (bound - root_delay.as_span().half()).max(NtpShort::from_bits(1).as_span());
        let dispersion = self.tracker.uncertainty_or(now, least)?;
        Some(SystemVariables {
            leap: leap::indicator(table, at),
            stratum: upstream.stratum,
            root_delay,
            root_dispersion: NtpShort::from_span_rounded_up(dispersion),
            reference_id: upstream.reference_id,
            reference_time: NtpTimestamp::from_utc(table.tai_to_utc(self.corrected().unwrap_or(at))),
            ..SystemVariables::UNSYNCHRONISED
        })
    }

    pub(crate) fn status(&self, now: Ticks) -> FollowingStatus {
        let estimate = self.tracker.estimate(now);
        let nominal = self.local.rate.as_hertz();
        FollowingStatus {
            state: self.tracker.state(),
            system_peer: self.selection.system_peer,
            followed: self.selection.survivors.len(),
            failure: self.failure(),
            frequency_ppm: estimate.map(|estimate| (estimate.rate.as_hertz() / nominal - 1.0) * 1e6),
            frequency_deviation_ppm: estimate.map(|estimate| estimate.frequency_deviation * 1e6),
            wander: estimate.map(|estimate| estimate.wander),
        }
    }

    fn weight(&self, id: SourceId) -> Option<f64> {
        self.selection.survivors.iter().find(|(survivor, _)| *survivor == id).map(|(_, weight)| *weight)
    }

    fn failure(&self) -> Option<String> {
        match &self.selection.failure {
            Some(failure) => Some(failure.to_string()),
            None if self.selected_at.is_none() || self.selection.survivors.is_empty() => {
                Some("no source has been measured".to_owned())
            }
            None => self.minority.words(),
        }
    }

    /// Whether those that agree are enough to be believed: see [`Minority`].
    fn is_credible(&mut self, sources: &Sources, now: Ticks) -> bool {
        let agreeing = self.selection.survivors.len();
        let electorate = sources.electorate();
        if agreeing * 2 > electorate {
            self.minority = Minority::default();
            return true;
        }
        let told = self.tracker.bound(now).map(|bound| {
            self.candidates
                .iter()
                .any(|candidate| self.is_followed(candidate.id) && candidate.offset.abs() <= candidate.distance + bound)
        });
        self.minority.is_credible(agreeing, electorate, told, &self.local, now)
    }

    fn note_system_peer(&mut self, sources: &Sources, reports: &mut Reports) {
        let Some(peer) = self.selection.system_peer.and_then(|id| sources.get(id)) else { return };
        let Some(upstream) = peer.upstream() else { return };
        let before = self.upstream.replace((peer.id, upstream));
        let changed = before.is_some_and(|(id, _)| id != peer.id);
        if changed && self.synchronisation == Synchronisation::Synchronised {
            reports.say(Report::Following { source: peer.name.clone(), stratum: peer.told_stratum() });
        }
    }

    fn note_synchronisation(&mut self, sources: &Sources, now: Ticks, reports: &mut Reports) -> bool {
        let next = self.next_synchronisation(now);
        let before = core::mem::replace(&mut self.synchronisation, next);
        if before == next {
            return false;
        }
        let bound = self.tracker.bound(now).unwrap_or_default();
        let alone = self.corrected.map_or(Span::ZERO, |(at, _)| self.local.passed(at, now));
        match next {
            Synchronisation::Synchronised => {
                let peer = self.upstream.and_then(|(id, _)| sources.get(id));
                reports
                    .say(Report::Followed { source: peer.map_or_else(String::new, |peer| peer.name.clone()), bound });
            }
            Synchronisation::Holdover => {
                let reason = self.failure().unwrap_or_else(|| "no source is heard".to_owned());
                reports.say(Report::Holdover { reason, bound });
            }
            Synchronisation::Lost => reports.say(Report::Unsynchronised { bound, alone }),
            Synchronisation::Acquiring => {}
        }
        true
    }

    fn next_synchronisation(&self, now: Ticks) -> Synchronisation {
        let (Some(bound), Some((_, upstream))) = (self.tracker.bound(now), self.upstream) else {
            return match self.synchronisation {
                Synchronisation::Acquiring => Synchronisation::Acquiring,
                _ => Synchronisation::Lost,
            };
        };
        let alone = self.corrected.map_or(Span::ZERO, |(at, _)| self.local.passed(at, now));
        let good = bound <= self.servo.max_bound && upstream.stratum != Stratum::UNSYNCHRONISED;
        match self.tracker.state() {
            TrackerState::Unlocked if self.synchronisation == Synchronisation::Acquiring => Synchronisation::Acquiring,
            TrackerState::Step | TrackerState::Locked if good => Synchronisation::Synchronised,
            TrackerState::Holdover if good && alone <= self.servo.holdover_limit => Synchronisation::Holdover,
            _ => Synchronisation::Lost,
        }
    }
}

fn refusal(offered: Offered) -> &'static str {
    match offered {
        Offered::Insane => "insane",
        Offered::Stale => "late",
        _ => "outlier_of_clock",
    }
}

const fn poll_advice(advice: IntervalAdvice) -> PollAdvice {
    match advice {
        IntervalAdvice::Shorter => PollAdvice::Shorter,
        IntervalAdvice::Keep => PollAdvice::Keep,
        IntervalAdvice::Longer => PollAdvice::Longer,
    }
}

/// The time at `ticks` by the source that knows it best, and how far that may be off: by it, pulses are numbered while we
/// have no time. Only sources that know the second by themselves are asked.
pub(crate) fn best_told(sources: &Sources, yardstick: &Yardstick<'_>, ticks: Ticks) -> Option<(Instant<Tai>, Span)> {
    let told = sources.iter().filter(|source| source.knows_seconds()).filter_map(Source::latest);
    told.map(|latest| yardstick.extrapolate(latest, ticks)).min_by_key(|(_, within)| *within)
}
