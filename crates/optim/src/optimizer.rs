//! What SmoothOut and its rivals have in common, for programs that choose among them.

use smoothout_tensor::Real;

use crate::{Descent, GradientOracle, StepError, StepReport, Update};

/// An optimiser that asks an oracle for gradients and descends the clean weights by a rule.
///
/// # Examples
/// ```
/// use smoothout_optim::{Descent, FnOracle, Optimizer, Sam, Sgd, SmoothOut};
///
/// /// Halves w: C(w) = w^2 / 2 with a learning rate of 1/2.
/// fn halve(mut optimizer: impl Optimizer<f64>) -> f64 {
///     let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
///         gradient[0] = w[0];
///         w[0] * w[0] / 2.0
///     });
///     let mut w = [1.0];
///     optimizer.step(&mut w, &mut oracle, &mut [()], 0.5).unwrap();
///     w[0]
/// }
/// assert_eq!(halve(SmoothOut::new(Sgd::new())), 0.5);
/// assert_eq!(halve(Sam::new(Descent::new(Sgd::new())).rho(0.0)?), 0.5);
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
pub trait Optimizer<R: Real> {
    /// The rule that moves the clean weights.
    type Rule: Update<R>;

    /// The update rule and the count of parameter updates.
    fn descent(&self) -> &Descent<Self::Rule>;

    /// As [`descent`](Self::descent).
    fn descent_mut(&mut self) -> &mut Descent<Self::Rule>;

    /// One step on the oracle's batch: a parameter update of `w`, unless the optimiser says
    /// otherwise.
    ///
    /// `scratch` holds the working memory of as many evaluations as may run at once; it decides
    /// memory and speed, not the result. The first call allocates, later ones of the same size do
    /// not.
    ///
    /// # Errors
    /// If the oracle fails, or a loss or the gradient is infinite or NaN; `w` is then unchanged.
    ///
    /// # Panics
    /// If `scratch` is empty, the oracle has no ghost batch, the length of `w` changed, `w` does not fit the
    /// optimiser's layout, or the learning rate is infinite or NaN.
    fn step<O: GradientOracle<R>>(
        &mut self,
        w: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>>;

    /// The number of steps so far.
    fn steps(&self) -> u64 {
        self.descent().steps()
    }

    /// What a checkpoint must keep besides w and the number of steps: vectors by name, each as
    /// long as w, or empty before the first step.
    fn memory(&self) -> Vec<(&'static str, &[R])> {
        self.descent().update().memory()
    }

    /// Goes on from a checkpoint: after `steps` steps, with `memory` by name.
    ///
    /// # Errors
    /// Names the vector that `memory` lacks, or that has another length than the others.
    fn restore(
        &mut self,
        steps: u64,
        memory: impl FnMut(&str) -> Option<Vec<R>>,
    ) -> Result<(), &'static str> {
        self.descent_mut().restore(steps, memory)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::rivals::Quadratic;
    use crate::{Adam, BaseUpdate, Sgd, SmoothOut};

    /// Gone on from what `memory` names, by every rule: the same bits. A vector that is missing is
    /// named.
    #[test]
    fn a_resumed_run_has_the_same_bits() {
        let sgd = BaseUpdate::Sgd(Sgd::<f32>::new().momentum(0.9).unwrap());
        let adam = BaseUpdate::Adam(Adam::new());
        for (rule, missing) in [(sgd, "momentum_buffer"), (adam, "exp_avg")] {
            let new = || SmoothOut::new(rule.clone());
            let mut oracle = Quadratic::new(vec![1.0, 2.0], vec![0.1, 0.2]);
            let mut run = |optimizer: &mut SmoothOut<f32, _>, w: &mut [f32], steps| {
                for _ in 0..steps {
                    Optimizer::step(optimizer, w, &mut oracle, &mut [()], 0.1).unwrap();
                }
            };
            let (mut whole, mut expected) = (new(), [1.0, -1.0]);
            run(&mut whole, &mut expected, 14);
            let (mut first, mut w) = (new(), [1.0, -1.0]);
            run(&mut first, &mut w, 7);
            let kept: HashMap<_, _> = Optimizer::memory(&first).into_iter().collect();
            let mut second = new();
            let steps = Optimizer::steps(&first);
            let lookup = |name: &str| kept.get(name).map(|vector| vector.to_vec());
            Optimizer::restore(&mut second, steps, lookup).unwrap();
            run(&mut second, &mut w, 7);
            assert_eq!((w, second.steps()), (expected, 14));
            assert_eq!(new().restore(7, |_| None), Err(missing));
        }
    }
}
