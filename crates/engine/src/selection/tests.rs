//! Selections as a whole.

mod properties;

use super::*;

fn us(value: i64) -> Span {
    Span::from_nanos(i128::from(value) * 1000)
}

fn ms(value: i64) -> Span {
    us(value * 1000)
}

/// A source at `offset` ± 2 ms that is fine in every way.
fn source(id: u16, offset: Span) -> Candidate {
    Candidate {
        id: SourceId(id),
        offset,
        distance: ms(2),
        jitter: us(58),
        stratum: 2,
        reachable: true,
        synchronised: true,
        looped: false,
        authenticated: false,
        samples: 1,
        age: Span::from_secs(16),
        flags: Flags::default(),
    }
}

/// Sources at these offsets, in milliseconds, with ids from 0.
fn sources(offsets_ms: &[i64]) -> Vec<Candidate> {
    (0..).zip(offsets_ms).map(|(id, &offset)| source(id, ms(offset))).collect()
}

fn ids(selection: &Selection) -> Vec<u16> {
    let mut ids: Vec<_> = selection.survivors.iter().map(|(id, _)| id.0).collect();
    ids.sort_unstable();
    ids
}

fn states(selection: &Selection) -> Vec<SourceState> {
    selection.verdicts.iter().map(|(_, verdict)| verdict.state).collect()
}

fn reason(selection: &Selection, id: u16) -> String {
    let (_, verdict) = selection.verdicts.iter().find(|(of, _)| of.0 == id).expect("a verdict on every candidate");
    verdict.reason.to_string()
}

fn select(candidates: &[Candidate], options: &SelectionOptions) -> Selection {
    Selector::default().select(candidates, options)
}

/// The same sources, each measured once more.
fn measured_again(candidates: &mut [Candidate]) {
    candidates.iter_mut().for_each(|candidate| candidate.samples += 1);
}

#[test]
fn one_source_is_followed_and_none_is_a_failure() {
    let selection = select(&sources(&[7]), &SelectionOptions::default());
    assert_eq!(selection.system_peer, Some(SourceId(0)));
    assert_eq!(selection.survivors, [(SourceId(0), 1.0)]);
    assert_eq!(reason(&selection, 0), "the only source to follow, root distance 2.0 ms");
    let nothing = select(&[], &SelectionOptions::default());
    assert_eq!((nothing.failure, nothing.verdicts.len()), (Some(NoSelection::NoSource), 0));
    assert_eq!(nothing.failure.map(|failure| failure.to_string()).as_deref(), Some("there is no source"));
}

#[test]
fn the_liar_of_four_is_named_with_numbers() {
    let selection = select(&sources(&[0, 1, -1, 50]), &SelectionOptions::default());
    assert_eq!(ids(&selection), [0, 1, 2]);
    assert_eq!(states(&selection)[3], SourceState::Falseticker);
    assert_eq!(reason(&selection, 3), "50.0 ms ahead of the majority (3 of 4), which agrees within 1.0 ms");
    assert_eq!(reason(&selection, 0), "the best of 3 sources that are followed, root distance 2.0 ms");
    assert_eq!(reason(&selection, 1), "followed beside the best one, counting 100 % of the closest source");
}

#[test]
fn half_the_sources_lying_alike_leaves_none() {
    let selection = select(&sources(&[0, 1, 50, 51]), &SelectionOptions::default());
    assert_eq!(selection.failure, Some(NoSelection::NoMajority { agreeing: 2, voters: 4 }));
    assert_eq!((selection.survivors.len(), selection.system_peer), (0, None));
    assert_eq!(states(&selection), [SourceState::Disputed; 4]);
    assert_eq!(reason(&selection, 0), "no majority: at most 2 of 4 sources agree, 3 have to");
}

/// Everything that makes a source unusable by itself, in the order in which it is looked at: the last one of each pair
/// that is true does not matter.
#[test]
fn a_source_that_cannot_be_used_says_why() {
    use SourceState::{Distant, Jittery, Loop, NoSelect, Stale, Unmeasured, Unreachable, Unsynchronised};
    type Spoil = fn(&mut Candidate);
    let cases: [(Spoil, SourceState, &str); 8] = [
        (|it| it.flags.noselect = true, NoSelect, "it is marked noselect"),
        (|it| it.reachable = false, Unreachable, "none of its last 8 polls was answered"),
        (
            |it| (it.synchronised, it.stratum) = (false, 16),
            Unsynchronised,
            "it says that it is not synchronised (stratum 16)",
        ),
        (|it| it.looped = true, Loop, "its time comes from us"),
        (|it| it.samples = 0, Unmeasured, "there is no measurement of it"),
        (|it| it.age = Span::from_secs(101), Stale, "its last measurement is 101.0 s old, more than 100.0 s"),
        (|it| it.distance = ms(1001), Distant, "its root distance is 1.0 s, more than 1.0 s"),
        (|it| it.jitter = ms(12), Jittery, "its offsets scatter by 12.0 ms, more than 10.0 ms"),
    ];
    let options =
        SelectionOptions { max_jitter: Some(ms(10)), stale_after: Span::from_secs(100), ..SelectionOptions::default() };
    for (place, (spoil, state, words)) in cases.iter().enumerate() {
        let mut candidates = sources(&[0, 0]);
        spoil(&mut candidates[1]);
        let selection = select(&candidates, &options);
        assert_eq!(states(&selection), [SourceState::Selected, *state]);
        assert_eq!(reason(&selection, 1), *words);
        // Alone it is no better.
        let alone = select(&candidates[1..], &options);
        assert_eq!(alone.failure, Some(NoSelection::NoneUsable { candidates: 1 }));
        // What is looked at later does not matter.
        cases[place..].iter().for_each(|(spoil, ..)| spoil(&mut candidates[1]));
        assert_eq!(states(&select(&candidates, &options))[1], *state);
    }
}

#[test]
fn a_source_that_is_not_to_be_followed_does_not_vote() {
    let mut candidates = sources(&[0, 50, 50]);
    candidates[1].flags.noselect = true;
    candidates[2].reachable = false;
    assert_eq!(ids(&select(&candidates, &SelectionOptions::default())), [0]);
}

#[test]
fn enough_sources_must_agree() {
    let options = SelectionOptions { minimum_sources: 3, ..SelectionOptions::default() };
    let selection = select(&sources(&[0, 1, 50]), &options);
    assert_eq!(selection.failure, Some(NoSelection::TooFew { agreeing: 2, wanted: 3 }));
    assert_eq!(states(&selection), [SourceState::Waiting, SourceState::Waiting, SourceState::Falseticker]);
    assert_eq!(reason(&selection, 0), "it agrees, but of the 3 sources wanted only 2 do");
    assert_eq!(ids(&select(&sources(&[0, 1, 50, 2]), &options)), [0, 1, 3]);
}

#[test]
fn a_required_source_must_agree() {
    let mut candidates = sources(&[0, 1, 50, 51]);
    candidates[2].flags.require = true;
    candidates.push(source(4, ms(0)));
    let selection = select(&candidates, &SelectionOptions::default());
    assert_eq!(selection.failure, Some(NoSelection::RequiredMissing));
    assert_eq!(states(&selection)[0], SourceState::Waiting);
    assert_eq!(reason(&selection, 0), "it agrees, but no required source does");
    candidates[0].flags.require = true;
    assert_eq!(ids(&select(&candidates, &SelectionOptions::default())), [0, 1, 4]);
}

#[test]
fn preferred_sources_leave_no_room_for_others() {
    let mut candidates = sources(&[0, 1, 2, 50]);
    candidates[1].flags.prefer = true;
    candidates[3].flags.prefer = true;
    let selection = select(&candidates, &SelectionOptions::default());
    assert_eq!(ids(&selection), [1]);
    assert_eq!(states(&selection)[0], SourceState::Unpreferred);
    assert_eq!(reason(&selection, 0), "it agrees, but 1 preferred can be used");
    assert_eq!(states(&selection)[3], SourceState::Falseticker);
}

#[test]
fn trusted_sources_vouch_for_the_others() {
    // Three agree around 6 ms; the trusted one says 0 ± 2 ms.
    let mut candidates = sources(&[0, 6, 6, 7]);
    candidates[0].flags.trust = true;
    // This one does not contradict it, but it is not vouched for.
    candidates[1].distance = ms(5);
    let selection = select(&candidates, &SelectionOptions::default());
    assert_eq!(ids(&selection), [0]);
    assert_eq!(
        states(&selection),
        [SourceState::Selected, SourceState::Untrusted, SourceState::Falseticker, SourceState::Falseticker]
    );
    assert_eq!(reason(&selection, 1), "6.0 ms ahead of the trusted sources, which agree within 2.0 ms");
    // A trusted source that cannot be used vouches for nobody.
    candidates[0].reachable = false;
    assert_eq!(ids(&select(&candidates, &SelectionOptions::default())), [1, 2, 3]);
}

#[test]
fn authentication_counts_for_what_the_policy_says() {
    use AuthenticationPolicy::{Ignore, Mix, Prefer, Require};
    let with = |authentication| SelectionOptions { authentication, ..SelectionOptions::default() };
    // Two that anybody may have forged against one authenticated.
    let mut candidates = sources(&[0, 20, 20]);
    candidates[0].authenticated = true;
    for (policy, followed) in [(Prefer, vec![0]), (Require, vec![0]), (Mix, vec![0]), (Ignore, vec![1, 2])] {
        assert_eq!(ids(&select(&candidates, &with(policy))), followed, "{policy:?}");
    }
    let preferred = select(&candidates, &with(Prefer));
    assert_eq!(reason(&preferred, 1), "it is not authenticated, and 1 authenticated can be used");
    assert_eq!(states(&preferred)[1], SourceState::Unauthenticated);
    let required = select(&candidates, &with(Require));
    assert_eq!(reason(&required, 1), "it is not authenticated, and only authenticated sources are used");
    // The authenticated one is lost.
    candidates[0].reachable = false;
    for (policy, followed) in [(Prefer, vec![1, 2]), (Require, vec![]), (Mix, vec![]), (Ignore, vec![1, 2])] {
        assert_eq!(ids(&select(&candidates, &with(policy))), followed, "{policy:?}");
    }
    assert_eq!(select(&candidates, &with(Mix)).failure, Some(NoSelection::RequiredMissing));
    // Those that agree with it help it, if the policy lets them.
    let mut candidates = sources(&[0, 1, 50]);
    candidates[0].authenticated = true;
    for (policy, followed) in [(Prefer, vec![0]), (Require, vec![0]), (Mix, vec![0, 1]), (Ignore, vec![0, 1])] {
        assert_eq!(ids(&select(&candidates, &with(policy))), followed, "{policy:?}");
    }
}

#[test]
fn what_scatters_from_the_others_is_clustered_out() {
    let candidates: Vec<_> = (0..5).zip([0, 30, -30, 20, 1800]).map(|(id, offset)| source(id, us(offset))).collect();
    let selection = select(&candidates, &SelectionOptions::default());
    assert_eq!(ids(&selection), [0, 1, 2, 3]);
    assert_eq!(states(&selection)[4], SourceState::Outlier);
    assert_eq!(
        reason(&selection, 4),
        "1.8 ms ahead of the mean of the sources that are followed, which scatter by 22.9 us"
    );
}

#[test]
fn weights_are_the_reciprocal_of_the_distance() {
    let mut candidates = sources(&[0, 0, 0]);
    candidates[1].distance = ms(8);
    candidates[2].distance = ms(4);
    let selection = select(&candidates, &SelectionOptions::default());
    assert_eq!(selection.survivors, [(SourceId(0), 1.0), (SourceId(2), 0.5), (SourceId(1), 0.25)]);
    assert_eq!(reason(&selection, 1), "followed beside the best one, counting 25 % of the closest source");
    // A distance of nothing is no reason to count for everything.
    candidates[0].distance = Span::ZERO;
    let weights = select(&candidates, &SelectionOptions::default()).survivors;
    assert!(weights.iter().all(|(_, weight)| weight.is_finite() && *weight > 0.0), "{weights:?}");
}

/// Five sources that agree. If the last one goes 3 ms away it misses the two whose distance is short, but not the other
/// two: it is a falseticker, unless those two are.
fn with_two_close_ones() -> Vec<Candidate> {
    let mut candidates = sources(&[0, 0, 0, 0, 0]);
    (candidates[2].distance, candidates[3].distance) = (us(500), us(500));
    candidates
}

#[test]
fn a_source_falls_out_after_some_measurements_and_comes_back_after_some() {
    let mut candidates = with_two_close_ones();
    let (good, bad) = (Span::ZERO, ms(3));
    let mut selector = Selector::default();
    let options = SelectionOptions::default();
    assert_eq!(ids(&selector.select(&candidates, &options)), [0, 1, 2, 3, 4]);
    candidates[4].offset = bad;
    for round in 1..OUT_ROUNDS {
        measured_again(&mut candidates);
        let selection = selector.select(&candidates, &options);
        assert_eq!(ids(&selection), [0, 1, 2, 3, 4]);
        let expected =
            format!("still followed, but falseticker in {round} of its measurements; at {OUT_ROUNDS} it falls out");
        assert_eq!(reason(&selection, 4), expected);
        // Measurements of others are not its own.
        candidates[0].samples += 1;
        assert_eq!(reason(&selector.select(&candidates, &options), 4), expected);
    }
    measured_again(&mut candidates);
    assert_eq!(ids(&selector.select(&candidates, &options)), [0, 1, 2, 3]);
    candidates[4].offset = good;
    for round in 1..RETURN_ROUNDS {
        measured_again(&mut candidates);
        let selection = selector.select(&candidates, &options);
        assert_eq!(ids(&selection), [0, 1, 2, 3]);
        assert_eq!(states(&selection)[4], SourceState::Waiting);
        assert_eq!(
            reason(&selection, 4),
            format!("it was out, and has passed in {round} of {RETURN_ROUNDS} measurements since")
        );
    }
    measured_again(&mut candidates);
    assert_eq!(ids(&selector.select(&candidates, &options)), [0, 1, 2, 3, 4]);
}

#[test]
fn one_bad_measurement_now_and_then_changes_nothing() {
    let mut candidates = with_two_close_ones();
    let mut selector = Selector::default();
    for round in 0..100 {
        measured_again(&mut candidates);
        candidates[4].offset = if round % 3 == 2 { ms(3) } else { Span::ZERO };
        assert_eq!(ids(&selector.select(&candidates, &SelectionOptions::default())), [0, 1, 2, 3, 4], "{round}");
    }
}

#[test]
fn beyond_doubt_is_at_once() {
    let mut candidates = sources(&[0, 1, -1, 0]);
    candidates.iter_mut().for_each(|candidate| candidate.jitter = ms(2));
    let mut selector = Selector::default();
    let options = SelectionOptions::default();
    assert_eq!(ids(&selector.select(&candidates, &options)), [0, 1, 2, 3]);
    measured_again(&mut candidates);
    candidates[0].offset = ms(50);
    let selection = selector.select(&candidates, &options);
    assert_eq!(ids(&selection), [1, 2, 3]);
    assert_eq!(states(&selection)[0], SourceState::Falseticker);
    candidates[1].reachable = false;
    assert_eq!(ids(&selector.select(&candidates, &options)), [2, 3]);
    // It tells the truth again, and has to tell it for some time.
    candidates[0].offset = ms(0);
    measured_again(&mut candidates);
    assert_eq!(states(&selector.select(&candidates, &options))[0], SourceState::Waiting);
    // But where it is the only one left, it is better than none.
    (candidates[2].reachable, candidates[3].reachable) = (false, false);
    assert_eq!(ids(&selector.select(&candidates, &options)), [0]);
}

/// Selects `rounds` times with new measurements, and says how often the system peer changed.
fn changes(selector: &mut Selector, candidates: &mut [Candidate], rounds: u32) -> u32 {
    let mut count = 0;
    let mut peer = None;
    for _ in 0..rounds {
        measured_again(candidates);
        let chosen = selector.select(candidates, &SelectionOptions::default()).system_peer;
        count += u32::from(peer.is_some() && peer != chosen);
        peer = chosen;
    }
    count
}

#[test]
fn a_better_source_takes_over_after_some_measurements() {
    let mut candidates = sources(&[0, 0]);
    let mut selector = Selector::default();
    assert_eq!(changes(&mut selector, &mut candidates, 1), 0);
    assert_eq!(selector.system_peer, Some(SourceId(0)));
    // Better by more than the reselect distance and what both scatter.
    candidates[1].distance = ms(2) - us(217);
    assert_eq!(changes(&mut selector, &mut candidates, BETTER_ROUNDS - 1), 0);
    assert_eq!(selector.system_peer, Some(SourceId(0)));
    changes(&mut selector, &mut candidates, 1);
    assert_eq!(selector.system_peer, Some(SourceId(1)));
    // Better by less: after more of them.
    candidates[0].distance = candidates[1].distance - us(1);
    changes(&mut selector, &mut candidates, BARELY_BETTER_ROUNDS - 1);
    assert_eq!(selector.system_peer, Some(SourceId(1)));
    changes(&mut selector, &mut candidates, 1);
    assert_eq!(selector.system_peer, Some(SourceId(0)));
    // No better at all: never.
    candidates[1].distance = candidates[0].distance;
    assert_eq!(changes(&mut selector, &mut candidates, 1000), 0);
}

#[test]
fn a_lost_system_peer_is_replaced_at_once() {
    let mut candidates = sources(&[0, 0, 0]);
    candidates[2].stratum = 1;
    let mut selector = Selector::default();
    let options = SelectionOptions::default();
    assert_eq!(selector.select(&candidates, &options).system_peer, Some(SourceId(2)));
    candidates[2].reachable = false;
    assert_eq!(selector.select(&candidates, &options).system_peer, Some(SourceId(0)));
    // It is back, and has to be better for some time: a source that comes and goes takes nobody along.
    candidates[2].reachable = true;
    assert_eq!(selector.select(&candidates, &options).system_peer, Some(SourceId(0)));
}

#[test]
fn as_many_as_there_may_be() {
    let mut candidates: Vec<_> = (0..256).map(|id| source(id, us(i64::from(id % 7)))).collect();
    candidates.iter_mut().step_by(3).for_each(|candidate| candidate.offset = ms(500));
    let mut selector = Selector::default();
    for _ in 0..3 {
        measured_again(&mut candidates);
        let selection = selector.select(&candidates, &SelectionOptions::default());
        assert_eq!(selection.survivors.len(), 170);
        assert_eq!(states(&selection).iter().filter(|state| **state == SourceState::Falseticker).count(), 86);
    }
}

#[test]
fn every_state_has_its_own_word() {
    let mut words = SourceState::ALL.map(SourceState::word).to_vec();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), SourceState::ALL.len());
}
