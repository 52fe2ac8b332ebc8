//! Which of the sources that agree are further from the others than they scatter (RFC 5905 §11.2.2).

use crate::SourceId;

/// So many are always left (NMIN, RFC 5905 §11.2.2).
const FEWEST: usize = 3;
/// How much further away than others a source that is followed may be, so that none comes and goes by chance.
const LENIENCE: f64 = 3.0;

/// A source that agrees with the majority.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Member {
    pub(super) id: SourceId,
    /// Seconds, counted from somewhere near all members, so that squares lose nothing.
    pub(super) offset: f64,
    /// One standard deviation, in seconds.
    pub(super) jitter: f64,
    pub(super) preferred: bool,
    pub(super) followed: bool,
}

/// How the members that are left lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cluster {
    /// Their mean offset, in seconds.
    pub(super) mean: f64,
    /// The root mean square of their offsets from it, in seconds.
    pub(super) jitter: f64,
}

/// Takes away the member that is furthest from the others, again and again, until that would not make the whole
/// steadier than the steadiest of them is by itself, until it is a preferred one, or until [`FEWEST`] are left. Those
/// that are left keep their order.
pub(super) fn cluster(members: &mut Vec<Member>) -> Cluster {
    loop {
        let left = Cluster::of(members);
        let steadiest = members.iter().map(|member| member.jitter).fold(f64::INFINITY, f64::min);
        let furthest = members.iter().enumerate().max_by(|(_, a), (_, b)| {
            // Of two at the same distance the later id goes: the order of the members says nothing.
            left.away(a).total_cmp(&left.away(b)).then(a.id.cmp(&b.id))
        });
        match furthest {
            Some((place, member)) if members.len() > FEWEST && !member.preferred => {
                let lenience = if member.followed { LENIENCE } else { 1.0 };
                if left.selection_jitter(member, members.len()) <= steadiest * lenience {
                    return left;
                }
                members.remove(place);
            }
            _ => return left,
        }
    }
}

impl Cluster {
    fn of(members: &[Member]) -> Self {
        let count = members.len().max(1) as f64;
        let mean = members.iter().map(|member| member.offset).sum::<f64>() / count;
        let square = members.iter().map(|member| (member.offset - mean).powi(2)).sum::<f64>() / count;
        Self { mean, jitter: square.sqrt() }
    }

    fn away(&self, member: &Member) -> f64 {
        (member.offset - self.mean).abs()
    }

    /// The root mean square of the other members' distances from `member`, one of `count`. The sum of their squares is
    /// that of all from the mean, and `count` times the square of the member's own.
    fn selection_jitter(&self, member: &Member, count: usize) -> f64 {
        let count = count as f64;
        (count * (self.jitter.powi(2) + self.away(member).powi(2)) / (count - 1.0)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(offsets: &[f64], jitter: f64) -> Vec<Member> {
        let member = |(id, &offset)| Member { id: SourceId(id), offset, jitter, preferred: false, followed: false };
        (0..).zip(offsets).map(member).collect()
    }

    fn left(mut members: Vec<Member>) -> Vec<u16> {
        cluster(&mut members);
        members.iter().map(|member| member.id.0).collect()
    }

    #[test]
    fn the_selection_jitter_is_that_of_the_rfc() {
        let members = members(&[1.0, 2.0, 4.0, 9.0], 0.0);
        let by_formula = |from: f64| {
            let sum: f64 = members.iter().map(|member| (member.offset - from).powi(2)).sum();
            (sum / 3.0).sqrt()
        };
        for member in &members {
            let found = Cluster::of(&members).selection_jitter(member, members.len());
            assert!((found - by_formula(member.offset)).abs() < 1e-12, "{member:?}");
        }
    }

    /// Offsets 0, 1, 2, 3 and 20: the last one's selection jitter is sqrt((400 + 361 + 324 + 289) / 4) = 18.5. Of the
    /// four left, that of 0 and 3 is sqrt((1 + 4 + 9) / 3) = 2.16.
    #[test]
    fn outliers_go_one_by_one() {
        let offsets = [0.0, 1.0, 2.0, 3.0, 20.0];
        assert_eq!(left(members(&offsets, 19.0)), [0, 1, 2, 3, 4]);
        assert_eq!(left(members(&offsets, 18.0)), [0, 1, 2, 3]);
        assert_eq!(left(members(&offsets, 2.2)), [0, 1, 2, 3]);
        // 3 goes before 0, which is as far away.
        assert_eq!(left(members(&offsets, 2.1)), [0, 1, 2]);
        assert_eq!(left(members(&offsets, 0.0)), [0, 1, 2]);
    }

    #[test]
    fn those_that_are_followed_may_be_further_away() {
        let mut followed = members(&[0.0, 1.0, 2.0, 3.0, 20.0], 6.1);
        followed[4].followed = true;
        assert_eq!(left(followed.clone()), [0, 1, 2, 3]);
        followed.iter_mut().for_each(|member| member.jitter = 6.2);
        assert_eq!(left(followed), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_preferred_one_stays() {
        let mut preferred = members(&[0.0, 1.0, 2.0, 3.0, 20.0], 0.0);
        preferred[4].preferred = true;
        assert_eq!(left(preferred), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn equals_stay_together() {
        assert_eq!(left(members(&[5.0; 8], 0.0)).len(), 8);
        assert_eq!(left(Vec::new()), [0_u16; 0]);
    }
}
