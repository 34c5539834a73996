//! What an interval says to a question, in words that are counted.

use crate::reproduce::statistics::{Certainty, PairedDifference};

/// What an interval says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// All of it lies above 0.
    Above,
    /// All of it lies below 0.
    Below,
    /// It includes 0.
    Includes0,
    /// There is none.
    NoInterval,
}

impl Sign {
    pub(super) fn of(difference: Option<&PairedDifference>) -> Self {
        match difference.map(|difference| difference.certainty) {
            Some(Certainty::Interval { low, .. }) if low > 0.0 => Self::Above,
            Some(Certainty::Interval { high, .. }) if high < 0.0 => Self::Below,
            Some(Certainty::Interval { .. }) => Self::Includes0,
            Some(Certainty::OnePair | Certainty::NoSpread) | None => Self::NoInterval,
        }
    }
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    /// What the claim says, but with another reason beside it.
    NotAlone,
    /// What the claim says, and perhaps with another reason beside it.
    PerhapsNotAlone,
    InPart,
    No,
    CannotTell,
}

/// How answers are counted.
pub(super) const KINDS: [(Verdict, &str); 6] = [
    (Verdict::Yes, "yes"),
    (Verdict::NotAlone, "worse, but trained less far"),
    (Verdict::PerhapsNotAlone, "worse; whether trained as far is not shown"),
    (Verdict::InPart, "in part"),
    (Verdict::No, "no"),
    (Verdict::CannotTell, "cannot tell"),
];

/// "Yes" if the interval has the sign that the question asks for.
pub(super) fn verdict(found: Sign, asked: Sign) -> (Verdict, &'static str) {
    match found {
        Sign::Includes0 => (Verdict::CannotTell, "cannot tell: the interval includes 0"),
        Sign::NoInterval => (Verdict::CannotTell, "cannot tell: there is no interval"),
        found if found == asked => (Verdict::Yes, "yes"),
        _ => (Verdict::No, "no: the other way round"),
    }
}

/// Whether the large batch is worse, and if so, whether for its training alone.
pub(super) fn generalises_worse(test: Sign, trained: Trained) -> (Verdict, &'static str) {
    let as_counted = |verdict| *KINDS.iter().find(|kind| kind.0 == verdict).expect("a kind");
    match (test, trained) {
        (Sign::Below, Trained::LessFar) => as_counted(Verdict::NotAlone),
        (Sign::Below, Trained::NotShown) => as_counted(Verdict::PerhapsNotAlone),
        (test, _) => verdict(test, Sign::Below),
    }
}

/// How far the first of two arms is trained, by its accuracy on the training set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trained {
    /// Nothing speaks for less.
    AsFar,
    /// Less far by the mean, which the interval does not show; or nothing is known.
    NotShown,
    LessFar,
}

impl Trained {
    pub(super) fn of(difference: Option<&PairedDifference>) -> Self {
        match Sign::of(difference) {
            Sign::Below => Self::LessFar,
            Sign::Above => Self::AsFar,
            _ if difference.is_none_or(|difference| difference.mean < 0.0) => Self::NotShown,
            _ => Self::AsFar,
        }
    }
}

/// Whether a gap is closed, from the signs of the gap, of what is gained and of what is left.
pub(super) fn closed(gap: Sign, gained: Sign, left: Sign) -> (Verdict, &'static str) {
    match (gap, gained, left) {
        (Sign::NoInterval, ..) | (_, Sign::NoInterval, _) => {
            (Verdict::CannotTell, "cannot tell: there is no interval")
        }
        (Sign::Above, ..) => (Verdict::CannotTell, "there is no gap: the large batch is better"),
        (Sign::Includes0, ..) => {
            (Verdict::CannotTell, "cannot tell: the interval of the gap includes 0")
        }
        (Sign::Below, Sign::Below, _) => (Verdict::No, "no: it is wider"),
        (Sign::Below, Sign::Includes0, Sign::Below) => (
            Verdict::CannotTell,
            "not all of it; cannot tell if in part: the gain's interval includes 0",
        ),
        (Sign::Below, Sign::Includes0, _) => {
            (Verdict::CannotTell, "cannot tell: the intervals of gain and rest include 0")
        }
        (Sign::Below, Sign::Above, Sign::Above) => (Verdict::Yes, "yes, and more"),
        (Sign::Below, Sign::Above, Sign::Below) => (Verdict::InPart, "in part: a gap is left"),
        (Sign::Below, Sign::Above, Sign::Includes0 | Sign::NoInterval) => {
            (Verdict::InPart, "at least in part: the interval of what is left includes 0")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every answer follows from the signs.
    #[test]
    fn a_gap_is_closed_only_by_what_is_shown() {
        let signs = [Sign::Above, Sign::Below, Sign::Includes0, Sign::NoInterval];
        for gap in signs {
            for gained in signs {
                for left in signs {
                    let (found, words) = closed(gap, gained, left);
                    let decided = matches!(gained, Sign::Above | Sign::Below);
                    let told = gap == Sign::Below && decided;
                    assert_eq!(found != Verdict::CannotTell, told, "{gap:?} {gained:?} {words}");
                    if found == Verdict::Yes {
                        assert_eq!((gained, left), (Sign::Above, Sign::Above));
                    }
                }
            }
        }
    }

    #[test]
    fn a_verdict_needs_an_interval_that_excludes_0() {
        assert_eq!(verdict(Sign::Below, Sign::Below).0, Verdict::Yes);
        assert_eq!(verdict(Sign::Above, Sign::Below).0, Verdict::No);
        assert_eq!(verdict(Sign::Includes0, Sign::Below).0, Verdict::CannotTell);
        assert_eq!(Sign::of(None), Sign::NoInterval);
        let of = |pairs: &[(f64, f64)]| Sign::of(PairedDifference::of(pairs).as_ref());
        assert_eq!(of(&[(1.0, 9.0)]), Sign::NoInterval);
        assert_eq!(of(&[(1.0, 9.0), (1.1, 9.0), (0.9, 9.0)]), Sign::Below);
        assert_eq!(of(&[(1.0, 0.0), (-1.1, 0.0), (0.9, 0.0)]), Sign::Includes0);
    }

    /// A mean below 0 whose interval includes 0 does not show that both are trained as far.
    #[test]
    fn worse_alone_asks_for_training_as_far() {
        let trained = |pairs: &[(f64, f64)]| Trained::of(PairedDifference::of(pairs).as_ref());
        let below = [(98.0, 99.0), (98.1, 99.0), (97.9, 99.0)];
        let less_far = (Verdict::NotAlone, "worse, but trained less far");
        let perhaps = (Verdict::PerhapsNotAlone, "worse; whether trained as far is not shown");
        for (found, expected) in [
            (trained(&below), less_far),
            (trained(&[(98.0, 99.0), (99.1, 99.0), (98.9, 99.0)]), perhaps),
            (trained(&[(98.0, 99.0)]), perhaps),
            (trained(&[]), perhaps),
            (trained(&[(99.5, 99.0), (98.9, 99.0)]), (Verdict::Yes, "yes")),
            (trained(&[(99.0, 99.0), (98.0, 98.0)]), (Verdict::Yes, "yes")),
        ] {
            assert_eq!(generalises_worse(Sign::Below, found), expected);
            assert_eq!(generalises_worse(Sign::Above, found).0, Verdict::No);
            assert_eq!(generalises_worse(Sign::Includes0, found).0, Verdict::CannotTell);
        }
    }
}
