//! What can stop a measurement before it starts, or make its number worthless.

use smoothout_tensor::TensorError;
use thiserror::Error;

/// Why there is no measurement: what was found, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SharpnessError {
    /// Two things that must have the same length do not.
    #[error("{what} has {found} elements where {expected} are expected: pass vectors of one model")]
    Dimension {
        /// The thing of the wrong length.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of the objective's vector.
        expected: usize,
    },
    /// A setting outside its range.
    #[error("{setting} is {found}: it must be {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        found: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A loss, gradient or product that is infinite or NaN.
    #[error(
        "{what} is not finite ({found}): look for an overflow or a division by zero there, or take a smaller radius"
    )]
    NotFinite {
        /// Where it was found.
        what: &'static str,
        /// The value.
        found: f64,
    },
    /// The objective gave two values at one point.
    #[error(
        "the objective is not deterministic: it gave {first} and then {second} at the same point; fix the batch, switch dropout and augmentation off and freeze the running statistics"
    )]
    NotDeterministic {
        /// The first value.
        first: f64,
        /// The second value.
        second: f64,
    },
    /// The gradient is not the derivative of the value.
    #[error(
        "the gradient does not belong to the objective: along the gradient (along a random direction, if it is zero) the derivative should be {gradient}, and finite differences give {difference} (tolerance {tolerance}); check its sign, its scale (mean or sum over the examples) and that both see the same data"
    )]
    WrongGradient {
        /// The directional derivative by the gradient.
        gradient: f64,
        /// The same by central differences.
        difference: f64,
        /// The difference that would have been accepted.
        tolerance: f64,
    },
    /// The gradient of one block is not the derivative of the value.
    #[error(
        "the gradient of the block {block:?} does not belong to the objective: along it the derivative should be {gradient}, and finite differences give {difference} (tolerance {tolerance}); check that block's part of the gradient"
    )]
    WrongBlock {
        /// The block's name.
        block: String,
        /// The directional derivative by the gradient.
        gradient: f64,
        /// The same by central differences.
        difference: f64,
        /// The difference that would have been accepted.
        tolerance: f64,
    },
    /// u'Hv and v'Hu differ.
    #[error(
        "the Hessian-vector product is not symmetric: u'Hv = {forward} but v'Hu = {backward} (tolerance {tolerance}); check that it differentiates the gradient at the same point and on the same data both times, and if it takes differences in f32, take f64"
    )]
    AsymmetricHessian {
        /// u'Hv.
        forward: f64,
        /// v'Hu.
        backward: f64,
        /// The difference that would have been accepted.
        tolerance: f64,
    },
    /// Directions that do not span what they should.
    #[error("the directions are linearly dependent: {what}")]
    DependentDirections {
        /// Which ones, and what to do.
        what: &'static str,
    },
    /// A block that the layout does not have.
    #[error("the layout has no block {name:?}: name one of its blocks")]
    NoBlock {
        /// The name.
        name: String,
    },
    /// Two weight vectors that should compute the same function.
    #[error(
        "the rescaled weights compute another function: the loss is {loss} before and {rescaled} after; rescale by positive factors that cancel, biases with their weights, and only through ReLUs"
    )]
    OtherFunction {
        /// The loss before.
        loss: f64,
        /// The loss after.
        rescaled: f64,
    },
    /// Two weight vectors that have the same loss and should compute the same function, but do not.
    #[error(
        "the rescaled weights compute another function: the loss is the same, but its slopes w_i df/dw_i in the block {block:?}, of norm {size}, changed by {difference} (tolerance {tolerance}); rescale by positive factors that cancel, biases with their weights, and only through ReLUs"
    )]
    OtherSlopes {
        /// The first block whose slopes changed.
        block: String,
        /// The norm of the block's slopes before.
        size: f64,
        /// The norm of its change.
        difference: f64,
        /// The change that would have been accepted.
        tolerance: f64,
    },
    /// A saved state that belongs to another grid.
    #[error(
        "the saved grid has {found}, this one {expected}: resume with the settings it was started with"
    )]
    OtherGrid {
        /// What the saved state holds.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// A wrong layout, selection or perturbation.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Checks a length.
pub(crate) fn same_length(
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), SharpnessError> {
    if found == expected {
        Ok(())
    } else {
        Err(SharpnessError::Dimension { what, found, expected })
    }
}

/// Checks a setting.
pub(crate) fn setting(
    setting: &'static str,
    found: f64,
    allowed: bool,
    expected: &'static str,
) -> Result<(), SharpnessError> {
    if allowed { Ok(()) } else { Err(SharpnessError::Setting { setting, found, expected }) }
}

/// Checks that a value is finite.
pub(crate) fn finite(what: &'static str, found: f64) -> Result<f64, SharpnessError> {
    if found.is_finite() { Ok(found) } else { Err(SharpnessError::NotFinite { what, found }) }
}
