//! The bracket of a radius that is sought: what is known of it, and which radius to try next.

use super::Verdict;

/// Radii that the draws cannot tell from the answer, at most; beyond that there are too few draws.
const MOST_UNDECIDED: usize = 6;

/// Where the answer is, as far as is known.
#[derive(Debug, Clone)]
pub(super) struct Bracket {
    /// The largest radius below (0 if there is none).
    pub(super) low: f64,
    /// The smallest radius above (infinite if there is none).
    pub(super) high: f64,
    /// Radii that cannot be told from the answer, in the order in which they were tried.
    undecided: Vec<f64>,
    /// By which a missing end is sought.
    factor: f64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// Try this radius.
    Try(f64),
    /// The bracket is narrow, or a radius in it cannot be told from the answer.
    Found,
    /// No end was found, and the draws told nothing of several radii.
    GiveUp,
}

impl Bracket {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self { low: 0.0, high: f64::INFINITY, undecided: Vec::new(), factor: 2.0 }
    }

    /// The same search anew, when its ends are known but for luck: a radius that cannot be told from the
    /// answer is kept, and where an end is missing after all it is sought near by.
    pub(super) fn again(&self, precision: f64) -> Self {
        let undecided = self.inside().into_iter().collect();
        Self { undecided, factor: (1.0 + precision).powi(4).min(2.0), ..Self::new() }
    }

    /// What a radius showed.
    pub(super) fn take(&mut self, radius: f64, verdict: Verdict) {
        match verdict {
            Verdict::Below => self.low = self.low.max(radius),
            Verdict::Above => self.high = self.high.min(radius),
            Verdict::Undecided => self.undecided.push(radius),
        }
    }

    /// A missing end is sought by the factor beyond all radii tried, the lower one first; then the
    /// bracket is halved until it is narrow: until `high` is at most `low` (1 + `precision`).
    pub(super) fn next(&self, precision: f64) -> Next {
        let undecided = self.undecided.iter().copied();
        if !self.has_ends() && self.undecided.len() >= MOST_UNDECIDED {
            Next::GiveUp
        } else if self.low == 0.0 {
            Next::Try(undecided.fold(self.high, f64::min) / self.factor)
        } else if self.high.is_infinite() {
            Next::Try(undecided.fold(self.low, f64::max) * self.factor)
        } else if self.inside().is_some() || self.high <= self.low * (1.0 + precision) {
            Next::Found
        } else {
            Next::Try((self.low * self.high).sqrt())
        }
    }

    /// Whether there is a radius below and one above.
    fn has_ends(&self) -> bool {
        self.low > 0.0 && self.high.is_finite()
    }

    /// The first radius between the ends that cannot be told from the answer.
    pub(super) fn inside(&self) -> Option<f64> {
        self.undecided.iter().copied().find(|&radius| self.low < radius && radius < self.high)
    }

    /// The best guess: a radius that cannot be told from the answer, or the geometric middle. Without
    /// ends only the first.
    pub(super) fn answer(&self) -> Option<f64> {
        if self.has_ends() {
            Some(self.inside().unwrap_or((self.low * self.high).sqrt()))
        } else {
            self.undecided.first().copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Missing ends are sought beyond every radius tried, also beyond those that told nothing.
    #[test]
    fn ends_are_sought_by_factors_of_two() {
        let next = |trials: &[(f64, Verdict)]| {
            let mut bracket = Bracket::new();
            trials.iter().for_each(|&(radius, verdict)| bracket.take(radius, verdict));
            bracket.next(0.1)
        };
        let (below, above, undecided) = (Verdict::Below, Verdict::Above, Verdict::Undecided);
        assert_eq!(next(&[(1.0, below)]), Next::Try(2.0));
        assert_eq!(next(&[(1.0, above)]), Next::Try(0.5));
        assert_eq!(next(&[(1.0, undecided)]), Next::Try(0.5));
        assert_eq!(next(&[(1.0, undecided), (0.5, undecided)]), Next::Try(0.25));
        assert_eq!(next(&[(1.0, undecided), (0.5, below)]), Next::Try(2.0));
        assert_eq!(next(&[(1.0, undecided), (0.5, below), (2.0, above)]), Next::Found);
        assert_eq!(next(&[(1.0, below), (4.0, above)]), Next::Try(2.0));
        assert_eq!(next(&[(1.0, below), (1.1, above)]), Next::Found);
        // One that told nothing counts only between the ends.
        assert_eq!(next(&[(1.0, undecided), (2.0, below), (8.0, above)]), Next::Try(4.0));
        let mut again =
            Bracket { low: 1.0, high: 3.0, undecided: vec![4.0, 2.0], factor: 2.0 }.again(0.1);
        again.take(1.0, undecided);
        assert_eq!(again.next(0.1), Next::Try(1.0 / 1.1_f64.powi(4)));
        again.take(0.5, below);
        assert_eq!(
            (again.next(0.1), again.answer()),
            (Next::Try(2.0 * 1.1_f64.powi(4)), Some(2.0))
        );
        let halves = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125].map(|radius| (radius, undecided));
        assert_eq!(next(&halves[..5]), Next::Try(0.03125));
        assert_eq!(next(&halves), Next::GiveUp);
    }
}
