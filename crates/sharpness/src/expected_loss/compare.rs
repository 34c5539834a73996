//! Two weight vectors under the same perturbations: common random numbers.
//!
//! Draw j gives d_j = C(w_a + theta_j(w_a)) - C(w_b + theta_j(w_b)) from one stream, so what both
//! have in common cancels; the interval is that of the mean of d_j.

use std::fmt;

use smoothout_tensor::ParameterLayout;

use super::{Draw, ExpectedLoss};
use crate::estimate::Moments;
use crate::observer::unobserved;
use crate::pool::Pool;
use crate::sampling::BATCH;
use crate::{Ending, Estimate, Objective, Observer, SharpnessError, check_value, error};

/// What [`ExpectedLoss::compare`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Comparison {
    /// Cbar(w_a).
    pub first: Estimate,
    /// Cbar(w_b).
    pub second: Estimate,
    /// Cbar(w_a) - Cbar(w_b), by common random numbers.
    pub difference: Estimate,
    /// The difference of the rises, (Cbar - C)(w_a) - (Cbar - C)(w_b).
    pub rise_difference: Estimate,
    /// The seed of the draws.
    pub seed: u64,
    /// Evaluations of the objective.
    pub evaluations: usize,
    /// How the sampling ended.
    pub ending: Ending,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.difference.interval();
        write!(
            f,
            "expected loss {} against {}: difference {} (95 % interval [{low:.6e}, {high:.6e}]); {} evaluations, seed {}{}",
            self.first,
            self.second,
            self.difference,
            self.evaluations,
            self.seed,
            self.ending.remark()
        )
    }
}

impl ExpectedLoss {
    /// The expected losses of two weight vectors under the same draws, and the 95 % interval on
    /// their difference. With [`until`](ExpectedLoss::until), the wish is on the difference.
    ///
    /// # Errors
    /// As [`measure`](ExpectedLoss::measure).
    ///
    /// # Examples
    /// ```
    /// use smoothout_sharpness::{
    ///     ExpectedLoss, FnObjective, Geometry, ParameterLayout, Perturbation,
    /// };
    ///
    /// // A sharp minimum at 0 and a flat one at 3: exp(-w^2/0.02) against exp(-(w-3)^2/2).
    /// let f = FnObjective::new(1, |w: &[f64]| {
    ///     -(-w[0] * w[0] / 0.02).exp() - (-(w[0] - 3.0) * (w[0] - 3.0) / 2.0).exp()
    /// });
    /// let report = ExpectedLoss::new(Perturbation::new(Geometry::Absolute, 0.5)?)
    ///     .compare(&f, &ParameterLayout::flat(1), &[0.0], &[3.0])?;
    /// assert!(report.difference.interval().0 > 0.0); // the sharp one is worse, for certain
    /// # Ok::<(), smoothout_sharpness::SharpnessError>(())
    /// ```
    pub fn compare<O: Objective>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w_a: &[O::Real],
        w_b: &[O::Real],
    ) -> Result<Comparison, SharpnessError> {
        self.compare_observed(objective, layout, w_a, w_b, &mut unobserved)
    }

    /// [`compare`](Self::compare) with an observer, who sees the difference.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn compare_observed<O: Objective>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w_a: &[O::Real],
        w_b: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<Comparison, SharpnessError> {
        error::same_length("the layout", layout.len(), objective.dimension())?;
        self.perturbation.selected().count(layout)?;
        let clean = check_value(objective, w_a)? - check_value(objective, w_b)?;
        self.check_radius(layout, w_a)?;
        self.check_radius(layout, w_b)?;
        let mut pool = Pool::of_points(objective);
        let draw = Draw::new(self, layout)?;
        let [mut first, mut second, mut difference] = [Moments::default(); 3];
        let mut values_b = [0.0; BATCH];
        let ending = self.budget.sample(observer, 2 * draw.evaluations(), |start, out| {
            let values_b = &mut values_b[..out.len()];
            pool.values(start, out, &|objective, j, slot| draw.value(objective, w_a, j, slot));
            pool.values(start, values_b, &|objective, j, slot| draw.value(objective, w_b, j, slot));
            for (&a, &b) in out.iter().zip(&*values_b) {
                difference.push(error::finite("a perturbed loss", a - b)?);
                first.push(a);
                second.push(b);
            }
            Ok(difference.estimate())
        })?;
        let difference = difference.estimate();
        Ok(Comparison {
            first: first.estimate(),
            second: second.estimate(),
            difference,
            rise_difference: difference.shifted(-clean),
            seed: self.seed,
            evaluations: 2 * difference.samples * draw.evaluations(),
            ending,
        })
    }
}
