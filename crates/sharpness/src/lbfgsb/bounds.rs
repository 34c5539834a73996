//! The box: a lower and an upper bound for each variable, infinite where there is none.

use smoothout_tensor::Real;

use crate::{SharpnessError, error};

/// Bounds l_i <= x_i <= u_i.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a, R> {
    lower: &'a [R],
    upper: &'a [R],
}

impl<'a, R: Real> Bounds<'a, R> {
    /// Bounds from two slices; `-inf` and `inf` mean none.
    ///
    /// # Errors
    /// If the lengths differ, or no finite value lies between: a bound is NaN, a lower bound is above its
    /// upper bound or `inf`, or an upper bound is `-inf`.
    pub fn new(lower: &'a [R], upper: &'a [R]) -> Result<Self, SharpnessError> {
        error::same_length("the upper bounds", upper.len(), lower.len())?;
        for (l, u) in lower.iter().zip(upper) {
            let expected = "at most its upper bound, with a finite value between them";
            let allowed = l <= u && *l < R::infinity() && *u > R::neg_infinity();
            error::setting("a lower bound", l.as_f64(), allowed, expected)?;
        }
        Ok(Self { lower, upper })
    }

    /// The number of variables.
    pub(super) fn len(&self) -> usize {
        self.lower.len()
    }

    /// The bound that variable i meets when it moves in the direction of `sign`.
    pub(super) fn toward(&self, i: usize, sign: R) -> R {
        if sign < R::zero() { self.lower[i] } else { self.upper[i] }
    }

    /// The nearest feasible value.
    pub(super) fn clamp(&self, i: usize, value: R) -> R {
        value.max(self.lower[i]).min(self.upper[i])
    }

    /// True if the value is strictly between the bounds.
    pub(super) fn holds_inside(&self, i: usize, value: R) -> bool {
        self.lower[i] < value && value < self.upper[i]
    }

    /// True if the value is at a bound.
    pub(super) fn meets(&self, i: usize, value: R) -> bool {
        value == self.lower[i] || value == self.upper[i]
    }

    /// True if the variable may move: l_i < u_i.
    pub(super) fn leaves_room(&self, i: usize) -> bool {
        self.lower[i] < self.upper[i]
    }

    /// (some variable has a bound, all variables have both).
    pub(super) fn kind(&self) -> (bool, bool) {
        let finite = |i: usize| (self.lower[i].is_finite(), self.upper[i].is_finite());
        let any = (0..self.len()).any(|i| finite(i).0 || finite(i).1);
        (any, (0..self.len()).all(|i| finite(i) == (true, true)))
    }
}
