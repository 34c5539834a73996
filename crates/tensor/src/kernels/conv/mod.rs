//! Convolution over channels-last images.

mod by_images;
mod chunks;
mod correlation;
mod direct;
pub(super) mod double;
pub mod fused;
mod im2col;
mod pack;
pub(super) mod padded;
pub(super) mod plain;
mod shape;
mod store;
#[cfg(test)]
mod tests;
mod unit;
mod weight_gradient;
mod winograd;

pub use shape::Conv2dShape;

use super::{Arithmetic, InstructionSet, KernelChoice, Scratch};
use by_images::Stored;
use correlation::{Correlation, Direction};
use padded::Identity;

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Direct,
    /// Directly, as a product of matrices of patches.
    Im2col,
    Winograd,
}

impl Algorithm {
    /// That of the forward pass or the input gradient.
    fn of_correlation(
        choice: KernelChoice,
        with: Arithmetic,
        shape: &Conv2dShape,
        direction: Direction,
    ) -> Self {
        let target = match direction {
            Direction::Forward => shape.output_image(),
            Direction::InputGradient => shape.image,
        };
        let correlation = Correlation::new(*shape, direction);
        if is_best_direct(choice, with) && unit::serves(with, &correlation) {
            return Self::Direct;
        }
        if winograd::serves((choice, with), shape, target) {
            Self::Winograd
        } else if im2col::serves(with, shape) {
            Self::Im2col
        } else {
            Self::Direct
        }
    }

    /// The same, or another that takes some images at a time.
    fn by_images(self) -> Self {
        if self == Self::Im2col { Self::Direct } else { self }
    }

    /// That of the weight gradient.
    fn of_weight_gradient(choice: KernelChoice, with: Arithmetic, shape: &Conv2dShape) -> Self {
        if is_best_direct(choice, with) && unit::serves_weight_gradient(with, shape) {
            return Self::Direct;
        }
        if winograd::serves_weight_gradient(choice, shape) {
            Self::Winograd
        } else if im2col::serves_weight_gradient(shape) {
            Self::Im2col
        } else {
            Self::Direct
        }
    }
}

/// Whether convolutions that the unit takes are direct: it multiplies rounded factors in less time than
/// Winograd's algorithm takes for all of their bits, which dot products do not.
fn is_best_direct(choice: KernelChoice, with: Arithmetic) -> bool {
    choice == KernelChoice::Auto && with.rounds() && with.set == InstructionSet::Amx
}

/// The forward pass by `choice` of algorithm, computed `with` these instructions.
pub(super) fn forward(
    (choice, with): (KernelChoice, Arithmetic),
    shape: &Conv2dShape,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    shape.check(input.len(), weight.len(), output.len());
    if shape.is_empty() {
        return output.fill(0.0);
    }
    let (x, w, y, direction) = (input, weight, output, Direction::Forward);
    let correlation = Correlation::new(*shape, direction);
    match Algorithm::of_correlation(choice, with, shape, direction) {
        Algorithm::Direct => direct::correlate(with, correlation, x, w, y, scratch, Identity),
        Algorithm::Im2col => im2col::forward(with, shape, x, w, y, scratch, Identity),
        Algorithm::Winograd => {
            winograd::correlate(with.set, correlation, x, w, y, scratch, Identity)
        }
    }
}

/// The input gradient by `choice` of algorithm, computed `with` these instructions.
pub(super) fn input_gradient(
    (choice, with): (KernelChoice, Arithmetic),
    shape: &Conv2dShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    shape.check(input_gradient.len(), weight.len(), output_gradient.len());
    if shape.is_empty() {
        return input_gradient.fill(0.0);
    }
    let (w, g, dx, direction) = (weight, output_gradient, input_gradient, Direction::InputGradient);
    let correlation = Correlation::new(*shape, direction);
    match Algorithm::of_correlation(choice, with, shape, direction) {
        Algorithm::Direct => direct::correlate(with, correlation, g, w, dx, scratch, Identity),
        Algorithm::Im2col => im2col::input_gradient(with, shape, w, g, dx, scratch),
        Algorithm::Winograd => {
            winograd::correlate(with.set, correlation, g, w, dx, scratch, Identity)
        }
    }
}

/// The weight gradient by `choice` of algorithm, computed `with` these instructions.
pub(super) fn weight_gradient(
    (choice, with): (KernelChoice, Arithmetic),
    shape: &Conv2dShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    let (x, g, dw) = (input, output_gradient, weight_gradient);
    shape.check(x.len(), dw.len(), g.len());
    if shape.is_empty() {
        return dw.fill(0.0);
    }
    let stored = Stored { values: g, batch: shape.batch };
    match Algorithm::of_weight_gradient(choice, with, shape) {
        Algorithm::Direct => {
            weight_gradient::direct(with, shape, x, &stored, dw, scratch, Identity)
        }
        Algorithm::Im2col => im2col::weight_gradient(with, shape, x, g, dw, scratch, Identity),
        Algorithm::Winograd => {
            winograd::weight_gradient(with.set, shape, x, &stored, dw, scratch, Identity);
        }
    }
}
