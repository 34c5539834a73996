//! Convolution over channels-last images.

mod correlation;
mod direct;
pub(super) mod double;
pub mod fused;
mod pack;
pub(super) mod padded;
pub(super) mod plain;
mod shape;
mod split;
mod store;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod winograd;

pub use shape::Conv2dShape;

use super::{InstructionSet, KernelChoice, Scratch};
use correlation::{Correlation, Direction};
use padded::Identity;

/// The forward pass by `choice` of algorithm, with the vectors of `set`.
pub(super) fn forward(
    (choice, set): (KernelChoice, InstructionSet),
    shape: &Conv2dShape,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    shape.check(input.len(), weight.len(), output.len());
    let correlation = Correlation::new(*shape, Direction::Forward);
    if winograd::serves((choice, set), shape, shape.output_image()) {
        winograd::correlate(set, correlation, input, weight, output, scratch, Identity);
    } else {
        direct::correlate(set, correlation, input, weight, output, scratch, Identity);
    }
}

/// The input gradient by `choice` of algorithm, with the vectors of `set`.
pub(super) fn input_gradient(
    (choice, set): (KernelChoice, InstructionSet),
    shape: &Conv2dShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    shape.check(input_gradient.len(), weight.len(), output_gradient.len());
    let correlation = Correlation::new(*shape, Direction::InputGradient);
    let (g, dx) = (output_gradient, input_gradient);
    if winograd::serves((choice, set), shape, shape.image) {
        winograd::correlate(set, correlation, g, weight, dx, scratch, Identity);
    } else {
        direct::correlate(set, correlation, g, weight, dx, scratch, Identity);
    }
}

/// The weight gradient by `choice` of algorithm, with the vectors of `set`.
pub(super) fn weight_gradient(
    (choice, set): (KernelChoice, InstructionSet),
    shape: &Conv2dShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    let (x, g, dw) = (input, output_gradient, weight_gradient);
    if winograd::serves_weight_gradient(choice, shape) {
        winograd::weight_gradient(set, shape, x, g, dw, scratch, Identity);
    } else {
        weight_gradient::direct(set, shape, x, g, dw, scratch, Identity);
    }
}
