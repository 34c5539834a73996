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
    /// The update that the rule counts from.
    start: u64,
}

impl<U> Descent<U> {
    /// Descent by `update`, without clipping.
    pub fn new(update: U) -> Self {
        Self { update, clip: None, step: 0, start: 0 }
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
    /// Names the vector of the rule's memory that `memory` lacks, that is empty after an update, or that
    /// has another length than the first; nothing is changed then.
    pub fn restore<R: Real>(
        &mut self,
        step: u64,
        mut memory: impl FnMut(&str) -> Option<Vec<R>>,
    ) -> Result<(), &'static str>
    where
        U: Update<R>,
    {
        let names: Vec<_> = self.update.memory().into_iter().map(|(name, _)| name).collect();
        let mut vectors: Vec<Vec<R>> = Vec::new();
        for name in names {
            let found = memory(name).filter(|found| step == 0 || !found.is_empty()).ok_or(name)?;
            if vectors.first().is_some_and(|first| first.len() != found.len()) {
                return Err(name);
            }
            vectors.push(found);
        }
        for ((_, to), vector) in self.update.memory_mut().into_iter().zip(vectors) {
            *to = vector;
        }
        (self.step, self.start) = (step, 0);
        Ok(())
    }

    /// The rule forgets what it remembers and counts its updates (for Adam's bias correction) from here on,
    /// as if the next were its first; [`steps`](Self::steps) goes on.
    pub fn restart<R: Real>(&mut self)
    where
        U: Update<R>,
    {
        self.update.memory_mut().into_iter().for_each(|(_, vector)| vector.clear());
        self.start = self.step;
    }

    /// After [`restore`](Self::restore): the rule was [restarted](Self::restart) `updates` updates ago.
    pub fn restarted(&mut self, updates: u64) {
        self.start = self.step.saturating_sub(updates);
    }

    /// A gradient's norm as it is: for an optimiser's step, before it changes anything.
    ///
    /// # Errors
    /// If it is infinite or NaN.
    pub fn finite<E>(&self, norm: f64) -> Result<f64, StepError<E>> {
        if norm.is_finite() { Ok(norm) } else { Err(StepError::Gradient { step: self.step, norm }) }
    }

    /// Clips the gradient, whose norm is `norm`, lets the rule move `w`, and counts the update: what an
    /// [`Optimizer`](crate::Optimizer) of one's own ends its step with.
    ///
    /// # Panics
    /// If the learning rate is infinite or NaN, the lengths of `w` and `gradient` differ, or `w` is not as
    /// long as at the update before.
    ///
    /// ```
    /// use smoothout_optim::{Descent, GhostCopy, GradientOracle, Optimizer, Sgd, StepError, StepReport};
    ///
    /// /// Plain descent along the signs of the first ghost batch's gradient.
    /// struct SignDescent(Descent<Sgd<f64>>);
    ///
    /// impl Optimizer<f64> for SignDescent {
    ///     type Rule = Sgd<f64>;
    ///     fn descent(&self) -> &Descent<Sgd<f64>> {
    ///         &self.0
    ///     }
    ///     fn descent_mut(&mut self) -> &mut Descent<Sgd<f64>> {
    ///         &mut self.0
    ///     }
    ///     fn step<O: GradientOracle<f64>>(
    ///         &mut self,
    ///         w: &mut [f64],
    ///         oracle: &mut O,
    ///         scratch: &mut [O::Scratch],
    ///         learning_rate: f64,
    ///     ) -> Result<StepReport, StepError<O::Error>> {
    ///         let step = self.0.steps();
    ///         let mut gradient = vec![0.0; w.len()];
    ///         let at = GhostCopy { ghost: 0, copy: 0 };
    ///         let loss = oracle
    ///             .gradient(at, w, &mut gradient, &mut scratch[0])
    ///             .map_err(|source| StepError::Oracle { step, source })?;
    ///         gradient.iter_mut().for_each(|g| *g = g.signum());
    ///         let norm = self.0.finite((w.len() as f64).sqrt())?;
    ///         self.0.descend(w, &gradient, norm, learning_rate);
    ///         Ok(StepReport { loss, gradient_norm: norm, radius_coefficient: 0.0 })
    ///     }
    /// }
    ///
    /// let mut oracle = smoothout_optim::FnOracle::new(|w, gradient| {
    ///     gradient[0] = 10.0;
    ///     10.0 * w[0]
    /// });
    /// let (mut w, mut optimizer) = ([1.0], SignDescent(Descent::new(Sgd::new())));
    /// optimizer.step(&mut w, &mut oracle, &mut [()], 0.25)?;
    /// assert_eq!((w, optimizer.steps()), ([0.75], 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn descend<R: Real>(&mut self, w: &mut [R], gradient: &[R], norm: f64, learning_rate: f64)
    where
        U: Update<R>,
    {
        assert!(learning_rate.is_finite(), "the learning rate is {learning_rate}");
        let factor = self.clip.map_or(1.0, |clip| clip.factor(norm));
        self.update.update(w, gradient, factor, learning_rate, self.step - self.start);
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
    use crate::{Adam, BaseUpdate, Sgd};

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

    /// After a restart a rule moves w as a new one does, and goes on from its memory.
    #[test]
    fn a_restarted_rule_is_a_new_one() {
        let mut descent = Descent::new(Adam::<f64>::new());
        let mut new = Descent::new(Adam::new());
        let (mut w, mut expected) = ([1.0], [1.0]);
        descent.descend(&mut [0.0], &[5.0], 5.0, 0.1);
        descent.restart();
        for gradient in [1.0, -3.0] {
            descent.descend(&mut w, &[gradient], 1.0, 0.1);
            new.descend(&mut expected, &[gradient], 1.0, 0.1);
        }
        let mut resumed = Descent::new(Adam::new());
        let kept = descent.update().memory().into_iter();
        let kept: std::collections::HashMap<_, _> =
            kept.map(|(name, v)| (name, v.to_vec())).collect();
        resumed.restore(descent.steps(), |name| kept.get(name).cloned()).unwrap();
        resumed.restarted(2);
        let mut again = w;
        for (descent, w) in
            [(&mut descent, &mut w), (&mut resumed, &mut again), (&mut new, &mut expected)]
        {
            descent.descend(w, &[2.0], 1.0, 0.1);
        }
        assert_eq!((w, again, descent.steps()), (expected, expected, 4));
    }

    /// Both moments have one length; a vector that is refused changes nothing; and a rule does not cut or
    /// fill what it remembers to fit another w.
    #[test]
    fn memory_is_as_long_as_w() {
        let mut descent = Descent::new(Adam::<f64>::new());
        let uneven = |name: &str| Some(vec![1.0; name.len()]);
        assert_eq!(descent.restore(1, uneven), Err("exp_avg_sq"));
        assert!(descent.update().memory().iter().all(|(_, vector)| vector.is_empty()));
        for mut rule in [BaseUpdate::Sgd(Sgd::<f64>::new()), BaseUpdate::Adam(Adam::new())] {
            rule.update(&mut [1.0; 2], &[1.0; 2], 1.0, 0.1, 0);
            let mut other = move || rule.update(&mut [1.0; 3], &[1.0; 3], 1.0, 0.1, 1);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut other)).unwrap_err();
        }
    }
}
