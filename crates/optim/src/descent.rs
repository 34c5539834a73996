//! The last lines of every optimiser here: the mean gradient is clipped and moves the clean
//! weights.

use smoothout_tensor::Real;

use crate::{Clip, StepError, Update};

/// An update rule, the clipping of its gradient, and the count of its updates.
///
/// ```
/// use smoothout_optim::{Clip, Descent, FnOracle, Optimizer, Sam, Sgd};
///
/// // C(w) = 10 w: every gradient is 10, clipped to 5.
/// let descent = Descent::new(Sgd::new()).clip(Clip::new(5.0)?);
/// let mut sam = Sam::new(descent).rho(0.1)?;
/// let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 10.0;
///     10.0 * w[0]
/// });
/// let mut w = [1.0];
/// sam.step(&mut w, &mut oracle, &mut [()], 0.1)?;
/// assert!((w[0] - 0.5).abs() < 1e-6);
/// assert_eq!(sam.descent().steps(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Descent<U> {
    update: U,
    clip: Option<Clip>,
    step: u64,
}

impl<U> Descent<U> {
    /// Descent by `update`, without clipping.
    pub fn new(update: U) -> Self {
        Self { update, clip: None, step: 0 }
    }

    /// With the mean gradient's norm clipped.
    #[must_use]
    pub fn clip(self, clip: Clip) -> Self {
        Self { clip: Some(clip), ..self }
    }

    /// The number of updates so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The update rule, for its memory.
    pub fn update(&self) -> &U {
        &self.update
    }

    /// Goes on from a checkpoint: after `step` updates, with `memory` by name.
    ///
    /// # Errors
    /// Names the vector of the rule's memory that `memory` lacks, or that is empty after an update.
    pub fn restore<R: Real>(
        &mut self,
        step: u64,
        mut memory: impl FnMut(&str) -> Option<Vec<R>>,
    ) -> Result<(), &'static str>
    where
        U: Update<R>,
    {
        for (name, vector) in self.update.memory_mut() {
            *vector = memory(name).filter(|found| step == 0 || !found.is_empty()).ok_or(name)?;
        }
        self.step = step;
        Ok(())
    }

    /// A gradient's norm as it is.
    ///
    /// # Errors
    /// If it is infinite or NaN.
    pub(crate) fn finite<E>(&self, norm: f64) -> Result<f64, StepError<E>> {
        if norm.is_finite() { Ok(norm) } else { Err(StepError::Gradient { step: self.step, norm }) }
    }

    /// Clips the gradient, whose norm is `norm`, and lets the rule move `w`.
    pub(crate) fn descend<R: Real>(
        &mut self,
        w: &mut [R],
        gradient: &[R],
        norm: f64,
        learning_rate: f64,
    ) where
        U: Update<R>,
    {
        let factor = self.clip.map_or(1.0, |clip| clip.factor(norm));
        self.update.update(w, gradient, factor, learning_rate, self.step);
        self.step += 1;
    }
}

/// What a step saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The mean loss at the weights whose gradient was taken: the perturbed ones.
    pub loss: f64,
    /// The norm of the mean gradient before clipping.
    pub gradient_norm: f64,
    /// c(t), the coefficient of SmoothOut's radius; 0 where there is none.
    pub radius_coefficient: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sgd;

    /// A rule has no memory before its first update, and one afterwards.
    #[test]
    fn memory_is_empty_before_the_first_update_alone() {
        let mut descent = Descent::new(Sgd::<f64>::new());
        let empty = |_: &str| Some(Vec::<f64>::new());
        assert_eq!(descent.restore(0, empty), Ok(()));
        assert_eq!(descent.restore(1, empty), Err("momentum_buffer"));
        assert_eq!(descent.restore(1, |_| Some(vec![1.0])), Ok(()));
        assert_eq!(descent.steps(), 1);
    }
}
