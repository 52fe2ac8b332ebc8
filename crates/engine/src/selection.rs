//! Which sources are to be believed: pure, over any kind of source, after RFC 5905 §11.2.
//!
//! A selection asks in turn: who can be used at all; what a majority agrees on, and who misses it; whether enough and
//! the right ones agree; who is further from the others than they scatter; who is preferred. Those that are left are
//! followed together, and one of them is named as the system peer.
//!
//! Nothing flaps. A source that is followed falls out only after it has failed in some measurements of its own, but for
//! what leaves no doubt; one that was out comes back only after it has passed in some; and a system peer gives way to
//! another only after that has been better for some. Only a source's own measurements count, because one that gives
//! none does no harm.

mod candidate;
mod cluster;
mod intersection;
mod verdict;

#[cfg(test)]
mod tests;

pub use candidate::{AuthenticationPolicy, Candidate, Flags, SelectionOptions};
pub(crate) use verdict::mistake;
pub use verdict::{NoSelection, Reason, Selection, SourceState, Verdict};

use sidereal_time::Span;

use crate::SourceId;
use cluster::{Cluster, Member, cluster};
use intersection::{Agreement, Dissent, Edge, Interval, intersect};

/// In how many measurements in a row a source that is followed must fail before it falls out.
const OUT_ROUNDS: u32 = 4;
/// In how many measurements in a row a source that failed must pass before it is followed, while there are others.
const RETURN_ROUNDS: u32 = 4;
/// In how many measurements in a row another source must be better by the reselect distance before it becomes the
/// system peer.
const BETTER_ROUNDS: u32 = 4;
/// In how many it must be better by anything at all: so many that chance alone does not bring them about.
const BARELY_BETTER_ROUNDS: u32 = 64;
/// How much root distance a stratum is worth when the system peer is chosen: the shorter way wins where distances
/// differ by more, and where they hardly do, the lower stratum.
const STRATUM_DISTANCE: Span = Span::from_nanos(1_000_000);
/// Distances below this count as this, so that no source counts for nothing beside one that claims to be perfect.
const SHORTEST_DISTANCE: Span = Span::from_nanos(1);

/// Selects sources, and remembers of each what hysteresis needs.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// In the order of their ids: then nothing depends on the order of the candidates.
    seats: Vec<Seat>,
    system_peer: Option<SourceId>,
    // Scratch memory.
    seats_before: Vec<Seat>,
    edges: Vec<Edge>,
    members: Vec<Member>,
}

/// A candidate, and how it fares.
#[derive(Debug, Clone)]
struct Seat {
    candidate: Candidate,
    memory: Memory,
    /// Whether it has been measured since the selection before.
    is_new: bool,
    /// The state that it would fall into if it were not followed already.
    failing: Option<SourceState>,
    /// What it is out for; `None` while it is in.
    out: Option<Verdict>,
}

/// What is remembered of a source from one selection to the next. Rounds are measurements in a row.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    is_followed: bool,
    /// It has failed, and has not made up for it.
    must_prove_itself: bool,
    failed_rounds: u32,
    passed_rounds: u32,
    better_rounds: u32,
    barely_better_rounds: u32,
}

impl Selector {
    /// Selects among `candidates`. To be called whenever there is a new measurement, or something else has changed.
    ///
    /// All memory but that of the result is kept for the next time.
    pub fn select(&mut self, candidates: &[Candidate], options: &SelectionOptions) -> Selection {
        self.seat(candidates);
        let failure = self.judge(options).err();
        self.choose_system_peer(options.reselect_distance);
        let selection = Selection {
            verdicts: self.verdicts(),
            survivors: self.survivors(),
            system_peer: self.system_peer,
            failure,
        };
        self.seats.iter_mut().for_each(Seat::remember);
        selection
    }

    fn seat(&mut self, candidates: &[Candidate]) {
        core::mem::swap(&mut self.seats, &mut self.seats_before);
        let before = &self.seats_before;
        self.seats.clear();
        self.seats.extend(candidates.iter().map(|candidate| {
            let place = before.binary_search_by_key(&candidate.id, |seat| seat.candidate.id).ok();
            let known = place.and_then(|place| before.get(place));
            Seat {
                candidate: *candidate,
                memory: known.map_or_else(Memory::default, |seat| seat.memory),
                is_new: known.is_none_or(|seat| seat.candidate.samples != candidate.samples),
                failing: None,
                out: None,
            }
        }));
        self.seats.sort_unstable_by_key(|seat| seat.candidate.id);
    }

    fn judge(&mut self, options: &SelectionOptions) -> Result<(), NoSelection> {
        self.check_usability(options);
        self.check_authentication(options.authentication);
        let agreement = self.vote(options.authentication)?;
        self.check_requirements(options)?;
        self.cluster(&agreement);
        self.hold_back_returning();
        self.check_preference();
        Ok(())
    }

    fn check_usability(&mut self, options: &SelectionOptions) {
        for seat in &mut self.seats {
            let candidate = &seat.candidate;
            if let Some(verdict) = never_usable(candidate, options) {
                seat.exclude(verdict);
            } else if candidate.distance > options.max_distance {
                let reason = Reason::Distant { distance: candidate.distance, most: options.max_distance };
                seat.fail(SourceState::Distant, reason);
            } else if let Some(most) = options.max_jitter.filter(|most| candidate.jitter > *most) {
                seat.fail(SourceState::Jittery, Reason::Jittery { jitter: candidate.jitter, most });
            }
        }
    }

    fn check_authentication(&mut self, policy: AuthenticationPolicy) {
        let authenticated = self.running().filter(|seat| seat.candidate.authenticated).count();
        let reason = match policy {
            AuthenticationPolicy::Require => Reason::AuthenticationRequired,
            AuthenticationPolicy::Prefer if authenticated > 0 => Reason::AuthenticationPreferred { authenticated },
            AuthenticationPolicy::Prefer | AuthenticationPolicy::Mix | AuthenticationPolicy::Ignore => return,
        };
        let verdict = Verdict { state: SourceState::Unauthenticated, reason };
        self.running_mut().filter(|seat| !seat.candidate.authenticated).for_each(|seat| seat.exclude(verdict));
    }

    /// Lets the sources vote on the time, only the trusted ones if there are any, and fails those that miss the result.
    fn vote(&mut self, policy: AuthenticationPolicy) -> Result<Agreement, NoSelection> {
        if self.running().next().is_none() {
            return Err(match self.seats.len() {
                0 => NoSelection::NoSource,
                candidates => NoSelection::NoneUsable { candidates },
            });
        }
        let by_trusted = self.running().any(|seat| seat.is_trusted(policy));
        let voters = running(&self.seats).filter(|seat| !by_trusted || seat.is_trusted(policy)).map(Seat::interval);
        let agreement = match intersect(&mut self.edges, voters) {
            Ok(agreement) => agreement,
            Err(Dissent { agreeing, voters }) => {
                let reason = Reason::Disputed { agreeing, voters };
                self.exclude_all(Verdict { state: SourceState::Disputed, reason });
                return Err(NoSelection::NoMajority { agreeing, voters });
            }
        };
        let Agreement { closest, widest, agreeing, voters } = agreement;
        for seat in self.running_mut() {
            let away = seat.candidate.offset - closest.middle();
            let within = closest.half_width();
            let falseticker = Reason::Falseticker { away, within, agreeing, voters };
            if !seat.interval().meets(&widest) {
                seat.memory.must_prove_itself = true;
                seat.exclude(Verdict { state: SourceState::Falseticker, reason: falseticker });
            } else if !seat.interval().meets(&closest) {
                seat.fail(SourceState::Falseticker, falseticker);
            } else if by_trusted && !seat.is_trusted(policy) && !closest.contains(seat.candidate.offset) {
                seat.fail(SourceState::Untrusted, Reason::Untrusted { away, within });
            }
        }
        Ok(agreement)
    }

    fn check_requirements(&mut self, options: &SelectionOptions) -> Result<(), NoSelection> {
        let policy = options.authentication;
        let is_missing = self.seats.iter().any(|seat| seat.is_required(policy))
            && !self.running().any(|seat| seat.is_required(policy));
        let agreeing = self.running().count();
        let wanted = options.minimum_sources.max(1);
        let (reason, failure) = if is_missing {
            (Reason::RequiredMissing, NoSelection::RequiredMissing)
        } else if agreeing < wanted {
            (Reason::TooFew { agreeing, wanted }, NoSelection::TooFew { agreeing, wanted })
        } else {
            return Ok(());
        };
        self.exclude_all(Verdict { state: SourceState::Waiting, reason });
        Err(failure)
    }

    fn cluster(&mut self, agreement: &Agreement) {
        let origin = agreement.closest.middle();
        let member = |seat: &Seat| Member {
            id: seat.candidate.id,
            offset: (seat.candidate.offset - origin).as_secs_f64(),
            jitter: seat.candidate.jitter.as_secs_f64(),
            preferred: seat.candidate.flags.prefer,
            followed: seat.memory.is_followed,
        };
        self.members.clear();
        self.members.extend(running(&self.seats).filter(|seat| seat.failing.is_none()).map(member));
        let Cluster { mean, jitter } = cluster(&mut self.members);
        for seat in self.seats.iter_mut().filter(|seat| seat.out.is_none() && seat.failing.is_none()) {
            if self.members.binary_search_by_key(&seat.candidate.id, |member| member.id).is_err() {
                let away = seat.candidate.offset - origin - Span::from_secs_f64(mean);
                seat.fail(SourceState::Outlier, Reason::Outlier { away, jitter: Span::from_secs_f64(jitter) });
            }
        }
    }

    /// Sources that have failed prove themselves before they are followed again, as long as there are others.
    fn hold_back_returning(&mut self) {
        if self.running().all(Seat::is_returning) {
            return;
        }
        for seat in self.running_mut().filter(|seat| seat.is_returning()) {
            let reason = Reason::Returning { rounds: seat.passed_rounds(), of: RETURN_ROUNDS };
            seat.exclude(Verdict { state: SourceState::Waiting, reason });
        }
    }

    fn check_preference(&mut self) {
        let preferred = self.running().filter(|seat| seat.candidate.flags.prefer).count();
        if preferred > 0 {
            let verdict = Verdict { state: SourceState::Unpreferred, reason: Reason::Unpreferred { preferred } };
            self.running_mut().filter(|seat| !seat.candidate.flags.prefer).for_each(|seat| seat.exclude(verdict));
        }
    }

    /// Keeps the system peer for as long as it is followed and no other one has been better for long enough.
    fn choose_system_peer(&mut self, reselect_distance: Span) {
        let peer = self.running().find(|seat| Some(seat.candidate.id) == self.system_peer).map(|seat| seat.candidate);
        if let Some(peer) = &peer {
            self.running_mut().for_each(|seat| seat.compare(peer, reselect_distance));
        }
        let has_won = |seat: &&Seat| peer.is_none() || seat.is_better();
        let best = self.running().filter(has_won).min_by_key(|seat| seat.rank()).map(|seat| seat.candidate.id);
        let chosen = best.or(peer.map(|peer| peer.id));
        if chosen != self.system_peer {
            self.system_peer = chosen;
            for seat in &mut self.seats {
                seat.memory.better_rounds = 0;
                seat.memory.barely_better_rounds = 0;
            }
        }
    }

    fn verdicts(&self) -> Vec<(SourceId, Verdict)> {
        let followed = self.running().count();
        let nearest = self.nearest();
        let verdict = |seat: &Seat| {
            let is_peer = Some(seat.candidate.id) == self.system_peer;
            seat.out.unwrap_or(Verdict {
                state: if is_peer { SourceState::Selected } else { SourceState::Combined },
                reason: match seat.failing {
                    Some(state) => Reason::Kept { state, rounds: seat.failed_rounds(), of: OUT_ROUNDS },
                    None if is_peer => Reason::Best { distance: seat.candidate.distance, followed },
                    None => Reason::Combined { weight: seat.weight(nearest) },
                },
            })
        };
        self.seats.iter().map(|seat| (seat.candidate.id, verdict(seat))).collect()
    }

    fn survivors(&self) -> Vec<(SourceId, f64)> {
        let nearest = self.nearest();
        let mut survivors: Vec<_> = self.running().collect();
        survivors.sort_unstable_by_key(|seat| (Some(seat.candidate.id) != self.system_peer, seat.rank()));
        survivors.into_iter().map(|seat| (seat.candidate.id, seat.weight(nearest))).collect()
    }

    /// The shortest distance of a source that is followed.
    fn nearest(&self) -> Span {
        self.running().map(Seat::distance).min().unwrap_or(SHORTEST_DISTANCE)
    }

    fn exclude_all(&mut self, verdict: Verdict) {
        self.running_mut().for_each(|seat| seat.exclude(verdict));
    }

    fn running(&self) -> impl Iterator<Item = &Seat> {
        running(&self.seats)
    }

    fn running_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.seats.iter_mut().filter(|seat| seat.out.is_none())
    }
}

/// The seats of those that are not out.
fn running(seats: &[Seat]) -> impl Iterator<Item = &Seat> {
    seats.iter().filter(|seat| seat.out.is_none())
}

/// Why a source cannot be used, where no patience helps.
fn never_usable(candidate: &Candidate, options: &SelectionOptions) -> Option<Verdict> {
    let (state, reason) = if candidate.flags.noselect {
        (SourceState::NoSelect, Reason::NoSelect)
    } else if !candidate.reachable {
        (SourceState::Unreachable, Reason::Unreachable)
    } else if !candidate.synchronised {
        (SourceState::Unsynchronised, Reason::Unsynchronised { stratum: candidate.stratum })
    } else if candidate.looped {
        (SourceState::Loop, Reason::Loop)
    } else if candidate.samples == 0 {
        (SourceState::Unmeasured, Reason::Unmeasured)
    } else if candidate.age > options.stale_after {
        (SourceState::Stale, Reason::Stale { age: candidate.age, most: options.stale_after })
    } else {
        return None;
    };
    Some(Verdict { state, reason })
}

impl Seat {
    fn exclude(&mut self, verdict: Verdict) {
        self.out = Some(verdict);
    }

    /// Excludes it, unless it is followed and has not failed for long enough. What it fails in first is what is said of
    /// it.
    fn fail(&mut self, state: SourceState, reason: Reason) {
        self.failing.get_or_insert(state);
        if !self.memory.is_followed || self.failed_rounds() >= OUT_ROUNDS {
            self.exclude(Verdict { state, reason });
        }
    }

    /// Takes into the next selection what has become of it in this one.
    fn remember(&mut self) {
        let (failed_rounds, passed_rounds) = (self.failed_rounds(), self.passed_rounds());
        let has_failed = self.failing.is_some();
        let has_passed = !has_failed && self.out.is_none_or(|verdict| verdict.state.has_passed());
        self.memory.is_followed = self.out.is_none();
        self.memory.failed_rounds = if has_failed { failed_rounds } else { 0 };
        self.memory.passed_rounds = if has_passed { passed_rounds } else { 0 };
        self.memory.must_prove_itself |= has_failed && !self.memory.is_followed;
        self.memory.must_prove_itself &= self.memory.passed_rounds < RETURN_ROUNDS;
    }

    /// Where the truth lies if this source is right.
    fn interval(&self) -> Interval {
        Interval::around(self.candidate.offset, self.candidate.distance)
    }

    fn is_trusted(&self, policy: AuthenticationPolicy) -> bool {
        self.candidate.flags.trust || (policy == AuthenticationPolicy::Mix && self.candidate.authenticated)
    }

    fn is_required(&self, policy: AuthenticationPolicy) -> bool {
        let flags = self.candidate.flags;
        !flags.noselect && (flags.require || (policy == AuthenticationPolicy::Mix && self.candidate.authenticated))
    }

    /// In how many measurements in a row it has failed, if it fails in this one.
    fn failed_rounds(&self) -> u32 {
        self.memory.failed_rounds.saturating_add(self.is_new.into())
    }

    /// In how many measurements in a row it has passed, if it passes in this one.
    fn passed_rounds(&self) -> u32 {
        self.memory.passed_rounds.saturating_add(self.is_new.into())
    }

    fn is_returning(&self) -> bool {
        !self.memory.is_followed && self.memory.must_prove_itself && self.passed_rounds() < RETURN_ROUNDS
    }

    /// What system peers are chosen by: the least wins. One that is about to fall out comes last.
    fn rank(&self) -> (bool, Span, SourceId) {
        (self.failing.is_some(), self.candidate.standing(), self.candidate.id)
    }

    /// Counts whether it is better than the system peer, by more than both scatter.
    fn compare(&mut self, peer: &Candidate, reselect_distance: Span) {
        let lead = peer.standing() - self.candidate.standing();
        let noise = peer.jitter + self.candidate.jitter;
        let count = |rounds: u32, leads: bool| if leads { rounds.saturating_add(1) } else { 0 };
        if self.is_new && self.candidate.id != peer.id {
            self.memory.better_rounds = count(self.memory.better_rounds, lead > reselect_distance + noise);
            self.memory.barely_better_rounds = count(self.memory.barely_better_rounds, lead > Span::ZERO);
        }
    }

    /// Whether it has been better than the system peer for long enough.
    fn is_better(&self) -> bool {
        self.failing.is_none()
            && (self.memory.better_rounds >= BETTER_ROUNDS || self.memory.barely_better_rounds >= BARELY_BETTER_ROUNDS)
    }

    fn distance(&self) -> Span {
        self.candidate.distance.max(SHORTEST_DISTANCE)
    }

    /// The weight of RFC 5905 §11.2.3, the reciprocal of the root distance, against the `nearest`.
    fn weight(&self, nearest: Span) -> f64 {
        nearest.as_secs_f64() / self.distance().as_secs_f64()
    }
}

impl Candidate {
    /// Root distance, and what its stratum is worth.
    fn standing(&self) -> Span {
        self.distance + Span::from_units(STRATUM_DISTANCE.units() * i128::from(self.stratum))
    }
}

impl SourceState {
    /// Whether a source of this state agrees with the majority, and is not far from the others.
    const fn has_passed(self) -> bool {
        matches!(self, Self::Selected | Self::Combined | Self::Unpreferred | Self::Waiting)
    }
}
