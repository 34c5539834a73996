//! Convolution over channels-last images.

mod correlation;
mod direct;
mod pack;
mod padded;
pub(super) mod plain;
mod shape;
mod store;
#[cfg(test)]
mod tests;
mod weight_gradient;

pub use shape::Conv2dShape;

use super::{InstructionSet, Scratch};
use correlation::{Correlation, Direction};
use padded::Identity;
use store::Overwrite;

/// The forward pass with the vectors of `set`.
pub(super) fn forward(
    set: InstructionSet,
    shape: &Conv2dShape,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    shape.check(input.len(), weight.len(), output.len());
    let correlation = Correlation::new(*shape, Direction::Forward);
    direct::correlate(set, correlation, input, weight, output, scratch, (Identity, Overwrite));
}

/// The input gradient with the vectors of `set`.
pub(super) fn input_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    shape.check(input_gradient.len(), weight.len(), output_gradient.len());
    let correlation = Correlation::new(*shape, Direction::InputGradient);
    let hooks = (Identity, Overwrite);
    direct::correlate(set, correlation, output_gradient, weight, input_gradient, scratch, hooks);
}

/// The weight gradient with the vectors of `set`.
pub(super) fn weight_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    weight_gradient::direct(set, shape, input, output_gradient, weight_gradient, scratch, Identity);
}
