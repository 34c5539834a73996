//! What can be wrong with an optimiser's settings, and what can go wrong in a step.

use thiserror::Error;

/// An invalid setting: what was found, what was expected.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A number outside its range.
    #[error("{name} is {found}: it must be {expected}")]
    Range {
        /// The setting.
        name: &'static str,
        /// What was given.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
    /// A ghost size that does not divide the batch size.
    #[error(
        "the ghost batch size {ghost} does not divide the batch size {batch}: choose a divisor of \
         {batch}, or a batch size that is a multiple of {ghost}"
    )]
    GhostSize {
        /// The ghost batch size.
        ghost: usize,
        /// The batch size.
        batch: usize,
    },
    /// A regime whose steps are not in order.
    #[error("{reason}: a regime starts at epoch 0, and each step starts later than the one before")]
    RegimeOrder {
        /// What is wrong with the order.
        reason: String,
    },
}

impl OptimError {
    /// `value` if it lies in the range, else the error that says so.
    pub(crate) fn check(
        name: &'static str,
        value: f64,
        holds: bool,
        expected: &'static str,
    ) -> Result<f64, Self> {
        if holds && value.is_finite() {
            Ok(value)
        } else {
            Err(Self::Range { name, found: value, expected })
        }
    }
}

/// Why a step was not taken. The weights are what they were before it (with de-noising off, what
/// they were before the first perturbation of the step). The oracle may have accepted some of the step's ghost
/// batches, and where several fail, how many run together decides which is named: go on from a checkpoint.
#[derive(Debug, Error)]
pub enum StepError<E> {
    /// The loss of a ghost batch is infinite or NaN.
    #[error(
        "the loss of ghost batch {ghost} (copy {copy}) is {loss} in step {step}: the weights have \
         diverged; a smaller learning rate or radius may help"
    )]
    Loss {
        /// The parameter update, counted from 0.
        step: u64,
        /// The ghost batch within the step.
        ghost: usize,
        /// The perturbed copy within the step.
        copy: usize,
        /// The loss.
        loss: f64,
    },
    /// The mean gradient's norm is infinite or NaN.
    #[error(
        "the gradient's norm is {norm} in step {step}: the weights have diverged; a smaller \
         learning rate or radius may help"
    )]
    Gradient {
        /// The parameter update, counted from 0.
        step: u64,
        /// The norm.
        norm: f64,
    },
    /// The oracle failed.
    #[error("the gradient of step {step} could not be computed")]
    Oracle {
        /// The parameter update, counted from 0.
        step: u64,
        /// What the oracle said.
        #[source]
        source: E,
    },
}
