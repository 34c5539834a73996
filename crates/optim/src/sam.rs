//! SAM: sharpness-aware minimisation of `max over ‖epsilon‖ <= rho of C(w + epsilon)`.
//!
//! One parameter update:
//! 1. `g <- gradient of C at w`;
//! 2. `epsilon <- rho g / ‖g‖`, the maximiser of the linearised loss (equation 2 with p = 2);
//! 3. `g <- gradient of C at w + epsilon` (equation 3);
//! 4. clip the norm of g, and update the clean w with g.
//!
//! Both gradients are taken on the same batch, with the same random layers. A loss that is infinite
//! or NaN in either is an error. The oracle takes note of the first only: batch norm's running
//! statistics, and the accuracy, are those of the clean w. The reported loss is that of the second.
//!
//! # Source
//! Foret et al. 2021, arXiv:2010.01412, algorithm 1. The paper's rho is 0.05, its default here.
//!
//! # Differences
//! - A zero gradient gives epsilon = 0; implementations divide by ‖g‖ + 1e-12.
//! - The paper's experiments on several accelerators take epsilon of each one's part of the batch;
//!   here the whole batch's is the default, and [`AscentScope::GhostBatch`] their choice.
//! - Weight decay is the update rule's: it acts on the clean w and does not enter epsilon.

use smoothout_tensor::{Real, parallel_squared_norm};

use crate::ascent::{Ascent, scale};
use crate::pass::combine;
use crate::{
    AscentScope, Descent, GradientOracle, OptimError, Optimizer, StepError, StepReport, Update,
};

/// SAM around an update rule.
///
/// # Examples
/// `C(w) = h w^2 / 2` from w = 1: epsilon = rho, so the gradient is h (1 + rho).
/// ```
/// use smoothout_optim::{Descent, FnOracle, Optimizer, Sam, Sgd};
///
/// let h = 2.0;
/// let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
///     gradient[0] = h * w[0];
///     h * w[0] * w[0] / 2.0
/// });
/// let mut w = [1.0];
/// let mut sam = Sam::new(Descent::new(Sgd::new())).rho(0.5)?;
/// let report = sam.step(&mut w, &mut oracle, &mut [()], 0.1)?;
/// assert_eq!(report.gradient_norm, 3.0);
/// assert!((w[0] - 0.7).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sam<R, U> {
    descent: Descent<U>,
    rho: f64,
    ascent: Ascent<R>,
}

impl<R: Real, U: Update<R>> Sam<R, U> {
    /// With rho = 0.05 and one epsilon per batch.
    pub fn new(descent: Descent<U>) -> Self {
        Self { descent, rho: 0.05, ascent: Ascent::default() }
    }

    /// The length of epsilon, in the unit of w.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn rho(self, rho: f64) -> Result<Self, OptimError> {
        Ok(Self {
            rho: OptimError::check("rho", rho, rho >= 0.0, "finite and not negative")?,
            ..self
        })
    }

    /// Whether the batch or each ghost batch has an epsilon.
    #[must_use]
    pub fn scope(self, scope: AscentScope) -> Self {
        Self { ascent: self.ascent.scope(scope), ..self }
    }
}

impl<R: Real, U: Update<R>> Optimizer<R> for Sam<R, U> {
    type Rule = U;

    fn descent(&self) -> &Descent<U> {
        &self.descent
    }

    fn descent_mut(&mut self) -> &mut Descent<U> {
        &mut self.descent
    }

    /// Two gradients per ghost batch and a parameter update.
    fn step<O: GradientOracle<R>>(
        &mut self,
        w: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>> {
        let Self { descent, rho, ascent } = self;
        // Lines 1, 3 and 4 are those of `Ascent::step`.
        ascent.step(descent, w, oracle, scratch, learning_rate, |w, gradient, point| {
            let factor = R::from_f64(scale(*rho, parallel_squared_norm(gradient).sqrt()));
            combine(point, w, gradient, |_, w, g| w + factor * g); // 2
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::{self, Quadratic};
    use crate::{Adam, Clip, Sgd};

    fn sam(rho: f64, scope: AscentScope) -> Sam<f64, Sgd<f64>> {
        Sam::new(Descent::new(Sgd::new())).rho(rho).unwrap().scope(scope)
    }

    /// The gradient of a quadratic at w + rho H w / ‖H w‖.
    #[test]
    fn the_second_gradient_is_that_of_the_ascent_point() {
        let mut oracle = Quadratic::new(vec![3.0, 1.0, 0.5], vec![0.0]);
        let (start, rho, rate) = ([1.0, -2.0, 4.0], 0.3, 0.1);
        let mut w = start;
        let report =
            sam(rho, AscentScope::Batch).step(&mut w, &mut oracle, &mut [()], rate).unwrap();
        let first = [3.0, -2.0, 2.0];
        let length = 17.0_f64.sqrt();
        let mut loss = 0.0;
        for i in 0..3 {
            let point = start[i] + rho * first[i] / length;
            assert!((w[i] - (start[i] - rate * oracle.h[i] * point)).abs() < 1e-14);
            loss += oracle.h[i] * point * point / 2.0;
        }
        assert!((report.loss - loss).abs() < 1e-14);
    }

    /// Two ghost batches with gradients h w + slope of 3/4 and 1/4 of the examples. The batch's
    /// epsilon follows the mean gradient, a ghost batch's its own.
    #[test]
    fn epsilon_is_the_batchs_or_each_ghost_batchs() {
        // In one dimension epsilon is rho times a sign: ghost 0 has gradient 1 + 3, ghost 1 has
        // 1 - 5, the mean is 2.
        for (scope, shift) in [(AscentScope::Batch, 0.1), (AscentScope::GhostBatch, 0.1 * 0.5)] {
            let mut oracle = Quadratic::new(vec![1.0], vec![3.0, -5.0]).shares(vec![0.75, 0.25]);
            let mut w = [1.0];
            sam(0.1, scope).step(&mut w, &mut oracle, &mut [()], 1.0).unwrap();
            assert!((w[0] - (1.0 - (1.0 + shift + 1.0))).abs() < 1e-14, "{scope:?}");
        }
    }

    /// Running statistics and accuracy come from the first pass, once per ghost batch.
    #[test]
    fn one_pass_is_accepted() {
        for scope in [AscentScope::Batch, AscentScope::GhostBatch] {
            let mut oracle = Quadratic::new(vec![1.0; 4], vec![0.0; 3]);
            sam(0.1, scope).step(&mut [1.0; 4], &mut oracle, &mut [(), ()], 0.1).unwrap();
            assert_eq!(oracle.accepted, [0, 1, 2]);
        }
    }

    #[test]
    fn without_rho_it_is_the_rule_alone() {
        let mut optimizer = sam(0.0, AscentScope::Batch);
        let mut w = [1.0, -2.0];
        let mut oracle = Quadratic::new(vec![2.0, 1.0], vec![0.0]);
        optimizer.step(&mut w, &mut oracle, &mut [()], 0.25).unwrap();
        assert_eq!(w, [0.5, -1.5]);
    }

    /// A zero gradient has no direction: w stays, and is not NaN.
    #[test]
    fn a_stationary_point_is_left_alone() {
        let mut w = [0.0; 3];
        let mut oracle = Quadratic::new(vec![1.0; 3], vec![0.0]);
        sam(0.1, AscentScope::Batch).step(&mut w, &mut oracle, &mut [()], 0.1).unwrap();
        assert_eq!(w, [0.0; 3]);
    }

    #[test]
    fn scratches_and_threads_do_not_matter() {
        for scope in [AscentScope::Batch, AscentScope::GhostBatch] {
            rivals::same_bits(|| {
                let descent = Descent::new(Adam::new()).clip(Clip::new(5.0).unwrap());
                let mut optimizer = Sam::<f32, _>::new(descent).scope(scope);
                move |w, oracle, scratch| optimizer.step(w, oracle, scratch, 0.01).unwrap().loss
            });
        }
    }

    #[test]
    fn a_step_that_diverges_leaves_the_weights_alone() {
        let mut oracle = Quadratic::new(vec![f64::INFINITY], vec![0.0]);
        let (mut w, mut optimizer) = ([1.0], sam(0.1, AscentScope::Batch));
        let error = optimizer.step(&mut w, &mut oracle, &mut [()], 0.1).unwrap_err();
        assert!(error.to_string().contains("step 0"), "{error}");
        assert_eq!((w, optimizer.descent().steps()), ([1.0], 0));
    }

    #[test]
    fn settings_are_checked() {
        for rho in [-0.1, f64::NAN, f64::INFINITY] {
            let error = Sam::<f32, _>::new(Descent::new(Sgd::new())).rho(rho).unwrap_err();
            assert!(error.to_string().starts_with("rho is"), "{error}");
        }
    }
}
