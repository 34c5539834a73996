//! Who answers an optimiser's question: what are the loss and its gradient at these weights?

use std::convert::Infallible;

/// Which gradient of a step is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GhostCopy {
    /// The ghost batch, counted from 0 within the step.
    pub ghost: usize,
    /// The perturbed copy, counted from 0 within the step: `ghost * copies + i`. Each has its own
    /// perturbation and its own random layers.
    pub copy: usize,
}

/// The loss of a step's ghost batches and its gradient, at any weights.
///
/// `gradient` is called from several threads at once, each with a scratch of its own; `accept` is
/// called afterwards in the order of the copies, so that what a copy leaves behind (running
/// statistics of batch norm, accuracy counts) is gathered in the same order for any number of
/// threads.
pub trait GradientOracle<R>: Sync {
    /// Working memory of one evaluation.
    type Scratch: Send;
    /// Why an evaluation fails.
    type Error: Send;

    /// The number of ghost batches in this step.
    fn ghosts(&self) -> usize {
        1
    }

    /// The share of ghost batch `ghost` in the mean over the step's examples; the shares sum to 1.
    fn share(&self, ghost: usize) -> f64 {
        let _ = ghost;
        1.0 / self.ghosts() as f64
    }

    /// Writes the gradient of the ghost batch's mean loss at `w` and returns the loss.
    ///
    /// # Errors
    /// If it cannot be computed. A loss that is infinite or NaN is not an error here: the step
    /// finds it.
    fn gradient(
        &self,
        at: GhostCopy,
        w: &[R],
        gradient: &mut [R],
        scratch: &mut Self::Scratch,
    ) -> Result<f64, Self::Error>;

    /// The square of the l2 norm of the gradient that was just written with `scratch`, if that is known:
    /// it spares a pass over the gradient.
    fn squared_norm(&self, scratch: &Self::Scratch) -> Option<f64> {
        let _ = scratch;
        None
    }

    /// Takes note of a finished evaluation, in the order of the copies.
    fn accept(&mut self, at: GhostCopy, scratch: &mut Self::Scratch) {
        let _ = (at, scratch);
    }
}

/// A closure `(w, gradient) -> loss` as an oracle of one batch.
#[derive(Debug, Clone)]
pub struct FnOracle<F> {
    f: F,
}

impl<F> FnOracle<F> {
    /// An oracle that calls `f(w, gradient)`, which writes the gradient and returns the loss.
    pub fn new<R>(f: F) -> Self
    where
        F: Fn(&[R], &mut [R]) -> f64 + Sync,
    {
        Self { f }
    }
}

impl<R, F: Fn(&[R], &mut [R]) -> f64 + Sync> GradientOracle<R> for FnOracle<F> {
    type Scratch = ();
    type Error = Infallible;

    fn gradient(
        &self,
        _at: GhostCopy,
        w: &[R],
        gradient: &mut [R],
        (): &mut (),
    ) -> Result<f64, Infallible> {
        Ok((self.f)(w, gradient))
    }
}
