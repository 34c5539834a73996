//! The gradient of the expected loss: the average of perturbed gradients.
//!
//! For a perturbation that does not depend on w, grad Cbar(w) = E[ grad C(w + Theta) ]. In the
//! filter, elementwise, Keskar and layer geometries Theta depends on w; the average is then the
//! *frozen-geometry gradient*, the derivative with the sizes of the perturbations held fixed, and
//! not grad Cbar.

use std::fmt;

use smoothout_tensor::{Geometry, ParameterLayout, Real};

use super::{Draw, ExpectedLoss};
use crate::estimate::Moments;
use crate::observer::{unobserved, watched};
use crate::pool::Pool;
use crate::sampling::BATCH;
use crate::vector::{epsilon, norm, sum, update};
use crate::{
    Differentiable, Ending, Estimate, Observer, Perturbed, Progress, SharpnessError,
    check_gradient, error,
};

/// What [`ExpectedLoss::gradient`] found beside the vector.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExpectedGradient {
    /// Cbar(w), from the same evaluations.
    pub expected: Estimate,
    /// ‖gradient‖.
    pub norm: f64,
    /// The standard error of the vector: sqrt( sum_i Var(g_i) / n ).
    pub standard_error: f64,
    /// True if the perturbation depends on w, so that this is the frozen-geometry gradient.
    pub frozen_geometry: bool,
    /// The largest rounding error that the sum over one draw can hold in a coordinate: epsilon
    /// times the largest gradient seen.
    pub rounding: f64,
    /// The seed of the draws.
    pub seed: u64,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// What was perturbed.
    pub perturbed: Perturbed,
    /// Whether all draws were taken.
    pub ending: Ending,
}

impl fmt::Display for ExpectedGradient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.frozen_geometry { "frozen-geometry gradient" } else { "gradient" };
        write!(
            f,
            "{name} of the expected loss: norm {:.6e}, standard error {:.1e}, at an expected loss of {}: {}; {} evaluations, seed {}",
            self.norm,
            self.standard_error,
            self.expected,
            self.perturbed,
            self.evaluations,
            self.seed
        )
    }
}

impl ExpectedLoss {
    /// Writes the average of the perturbed gradients to `gradient`. The wish of
    /// [`until`](ExpectedLoss::until) is not looked at: all draws are taken.
    ///
    /// # Errors
    /// As [`measure`](ExpectedLoss::measure), and if the gradient does not belong to the objective.
    ///
    /// # Examples
    /// A quadratic keeps its gradient, grad Cbar = grad C, and antithetic pairs say so exactly:
    /// ```
    /// use smoothout_sharpness::{
    ///     ExpectedLoss, FnObjective, Geometry, ParameterLayout, Perturbation,
    /// };
    ///
    /// let f = FnObjective::new(1, |w: &[f64]| w[0] * w[0]).with_gradient(|w, g| {
    ///     g[0] = 2.0 * w[0];
    ///     w[0] * w[0]
    /// });
    /// let mut gradient = [0.0];
    /// ExpectedLoss::new(Perturbation::new(Geometry::Absolute, 0.5)?)
    ///     .gradient(&f, &ParameterLayout::flat(1), &[3.0], &mut gradient)?;
    /// assert!((gradient[0] - 6.0).abs() < 1e-12);
    /// # Ok::<(), smoothout_sharpness::SharpnessError>(())
    /// ```
    pub fn gradient<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        gradient: &mut [O::Real],
    ) -> Result<ExpectedGradient, SharpnessError> {
        self.gradient_observed(objective, layout, w, gradient, &mut unobserved)
    }

    /// [`gradient`](Self::gradient) with an observer, who sees the expected loss.
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient).
    pub fn gradient_observed<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        gradient: &mut [O::Real],
        observer: Observer<'_>,
    ) -> Result<ExpectedGradient, SharpnessError> {
        error::same_length("the layout", layout.len(), objective.dimension())?;
        error::same_length("the gradient", gradient.len(), objective.dimension())?;
        check_gradient(objective, w)?;
        self.check_radius(layout, w)?;
        let perturbed = Perturbed::new(&self.perturbation, layout)?;
        let mut pool = Pool::of_vectors(objective);
        let draw = Draw::new(self, layout)?;
        let points = draw.evaluations();
        let (mut values, mut largest) = (Moments::default(), 0.0_f64);
        // Squared distances from the first draw's gradient: those from zero would lose a small spread about
        // a large mean to rounding.
        let (mut origin, mut squares) = (Vec::new(), 0.0);
        let mut totals = vec![0.0; w.len()];
        let draws = self.budget.draws;
        let ending = watched(draws.div_ceil(BATCH), observer, |batch| {
            let first = batch * BATCH;
            pool.vectors(
                first,
                BATCH.min(draws - first),
                &mut totals,
                |objective, j, slot, total| {
                    let mut value = 0.0;
                    for point in 0..points {
                        draw.place(w, j, point, &mut slot.point);
                        let (at, scratch) = (&slot.point, &mut slot.scratch);
                        if point == 0 {
                            value += objective.value_and_gradient(at, total, scratch);
                        } else {
                            value += objective.value_and_gradient(at, &mut slot.second, scratch);
                            let second = &slot.second;
                            update(total, |i, total| total + second[i]);
                        }
                    }
                    value / points as f64
                },
                |value, total| {
                    values.push(error::finite("a perturbed loss", value)?);
                    let length = error::finite("a perturbed gradient", norm(total))?;
                    largest = largest.max(length / points as f64);
                    if origin.is_empty() {
                        origin = total.to_vec();
                    }
                    squares += squared_distance(&origin, |i| total[i].as_f64());
                    Ok(())
                },
            )?;
            let expected = values.estimate();
            Ok(Progress::of(&expected, expected.samples * points))
        })?;
        let expected = values.estimate();
        let n = expected.samples as f64;
        update(gradient, |i, _| O::Real::from_f64(totals[i] / (n * points as f64)));
        let of_mean = squared_distance(&origin, |i| totals[i] / n);
        let variance = ((squares - n * of_mean) / (n - 1.0)).max(0.0);
        Ok(ExpectedGradient {
            expected,
            norm: norm(gradient),
            standard_error: (variance / n).sqrt() / points as f64,
            frozen_geometry: self.perturbation.geometry() != Geometry::Absolute,
            rounding: epsilon::<O::Real>() * largest,
            seed: self.seed,
            evaluations: expected.samples * points,
            perturbed,
            ending,
        })
    }
}

/// The squared distance of a vector from `origin`, in f64.
fn squared_distance<R: Real>(origin: &[R], vector: impl Fn(usize) -> f64 + Sync) -> f64 {
    sum(origin.len(), |range| range.map(|i| (vector(i) - origin[i].as_f64()).powi(2)).sum())
}
