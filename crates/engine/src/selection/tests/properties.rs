//! What holds whatever the sources say.

use proptest::prelude::*;

use super::*;

fn candidate() -> impl Strategy<Value = Candidate> {
    let numbers = (-20_000..20_000_i64, 1..10_000_i64, 0..2000_i64, 0..17_u8);
    let unlikely = || proptest::bool::weighted(0.05);
    let flags = (unlikely(), unlikely(), unlikely(), unlikely()).prop_map(|(prefer, require, trust, noselect)| Flags {
        prefer,
        require,
        trust,
        noselect,
    });
    (numbers, flags, unlikely(), unlikely(), any::<bool>(), any::<bool>()).prop_map(
        |((offset, distance, jitter, stratum), flags, lost, looped, authenticated, measured)| Candidate {
            offset: us(offset),
            distance: us(distance),
            jitter: us(jitter),
            stratum,
            reachable: !lost,
            synchronised: stratum < 16,
            looped,
            authenticated,
            samples: u32::from(measured) + 1,
            flags,
            ..source(0, Span::ZERO)
        },
    )
}

/// Some rounds of selections among the same sources, whose places are shuffled in every round.
fn rounds() -> impl Strategy<Value = (Vec<Vec<Candidate>>, Vec<Vec<Candidate>>)> {
    let round = |count| proptest::collection::vec(candidate(), count);
    let rounds = (1..20_usize).prop_flat_map(move |count| proptest::collection::vec(round(count), 1..8));
    let numbered = rounds.prop_map(|mut rounds| {
        for round in &mut rounds {
            (0..).zip(round).for_each(|(id, candidate)| candidate.id = SourceId(id));
        }
        rounds
    });
    numbered.prop_flat_map(|rounds| {
        let shuffled: Vec<_> = rounds.iter().map(|round| Just(round.clone()).prop_shuffle()).collect();
        (Just(rounds), shuffled)
    })
}

fn policy() -> impl Strategy<Value = SelectionOptions> {
    use AuthenticationPolicy::{Ignore, Mix, Prefer, Require};
    let authentication = proptest::sample::select(vec![Ignore, Mix, Prefer, Require]);
    (authentication, 0..4_usize, proptest::option::of(100..2000_i64)).prop_map(|(authentication, minimum, jitter)| {
        SelectionOptions {
            authentication,
            minimum_sources: minimum,
            max_jitter: jitter.map(us),
            max_distance: ms(9),
            ..SelectionOptions::default()
        }
    })
}

proptest! {
    /// The order of the candidates says nothing, and what is said of them holds together.
    #[test]
    fn order_says_nothing((rounds, shuffled) in rounds(), options in policy()) {
        let (mut one, mut other) = (Selector::default(), Selector::default());
        for (round, shuffled) in rounds.iter().zip(&shuffled) {
            let selection = one.select(round, &options);
            prop_assert_eq!(&selection, &other.select(shuffled, &options));
            prop_assert_eq!(selection.verdicts.len(), round.len());
            prop_assert_eq!(selection.failure.is_some(), selection.survivors.is_empty());
            prop_assert_eq!(selection.system_peer, selection.survivors.first().map(|(id, _)| *id));
            prop_assert!(selection.survivors.is_empty() || selection.survivors.iter().any(|(_, weight)| *weight == 1.0));
            prop_assert!(selection.survivors.iter().all(|(_, weight)| 0.0 < *weight && *weight <= 1.0));
            let followed = |state| matches!(state, SourceState::Selected | SourceState::Combined);
            for ((id, verdict), candidate) in selection.verdicts.iter().zip(round) {
                let survives = selection.survivors.iter().any(|(survivor, _)| survivor == id);
                prop_assert_eq!(followed(verdict.state), survives);
                prop_assert!(!survives || (candidate.reachable && candidate.synchronised && !candidate.looped));
                prop_assert!(!survives || !candidate.flags.noselect);
                prop_assert!(!verdict.reason.to_string().is_empty());
            }
        }
    }

    /// Whatever the minority says: nobody who has the truth is called a falseticker beyond doubt, so whoever was
    /// followed still is; and nobody is followed whose interval misses that of everybody who has it.
    #[test]
    fn a_majority_that_is_right_prevails(
        honest in proptest::collection::vec((-1000..=1000_i64, 1000..1500_i64), 2..20),
        lies in proptest::collection::vec(-200_000..200_000_i64, 0..19),
    ) {
        let mut candidates: Vec<_> = (0..).zip(&honest).map(|(id, &(off, distance))| Candidate {
            distance: us(distance),
            jitter: ms(5),
            ..source(id, us(off))
        }).collect();
        let mut selector = Selector::default();
        let options = SelectionOptions::default();
        let before = ids(&selector.select(&candidates, &options));
        prop_assert_eq!(before.len(), honest.len());
        let liars = lies.iter().take(honest.len() - 1);
        candidates.extend((100..).zip(liars).map(|(id, &lie)| source(id, us(lie))));
        measured_again(&mut candidates);
        let selection = selector.select(&candidates, &options);
        let followed = ids(&selection);
        prop_assert!(before.iter().all(|id| followed.contains(id)), "{selection:?}");
        for liar in candidates.iter().filter(|candidate| candidate.id.0 >= 100 && candidate.offset.abs() > ms(5)) {
            prop_assert!(!followed.contains(&liar.id.0), "{selection:?}");
        }
    }

    /// However many say otherwise.
    #[test]
    fn a_trusted_source_outvotes(others in proptest::collection::vec(-50_000..50_000_i64, 0..50)) {
        let mut candidates = vec![source(0, Span::ZERO)];
        candidates[0].flags.trust = true;
        candidates.extend((1..).zip(&others).map(|(id, &offset)| source(id, us(offset))));
        let selection = select(&candidates, &SelectionOptions::default());
        let followed = ids(&selection);
        prop_assert!(!followed.is_empty());
        for id in followed {
            // Those within the 2 ms that the trusted one vouches for.
            prop_assert!(candidates[usize::from(id)].offset.abs() <= ms(2), "{id}");
        }
    }

    /// Equal sources whose distances and offsets scatter as much as they say: the system peer is never another one, and
    /// whoever is followed hardly ever changes, although who is closest to the others does in most rounds.
    #[test]
    fn jitter_makes_nothing_flap(
        scatter in proptest::collection::vec(proptest::collection::vec((-100..=100_i64, -100..=100_i64), 5), 300),
    ) {
        let mut candidates = sources(&[0, 0, 0, 0, 0]);
        let mut selector = Selector::default();
        let mut chosen: Vec<Selection> = Vec::new();
        for round in scatter {
            measured_again(&mut candidates);
            for (candidate, (offset, distance)) in candidates.iter_mut().zip(round) {
                candidate.offset = us(offset);
                candidate.distance = ms(2) + us(distance);
            }
            chosen.push(selector.select(&candidates, &SelectionOptions::default()));
        }
        let changes = |of: fn(&Selection) -> Vec<u16>| chosen.windows(2).filter(|pair| of(&pair[0]) != of(&pair[1])).count();
        prop_assert_eq!(changes(|selection| selection.system_peer.iter().map(|id| id.0).collect()), 0);
        prop_assert!(changes(ids) < 10);
        prop_assert!(chosen.iter().all(|selection| selection.survivors.len() >= 3));
    }
}
