//! Direct convolution of stride one by the [matrix unit](crate::kernels::unit).
//!
//! Images are split into their parts once, in a padded copy: a [`Grid`] in which every tap of every
//! target pixel finds its value a fixed distance away. So the terms of sixteen pixels are a tile of the
//! unit as they lie there, and no patch is ever copied.
//!
//! A correlation takes four tiles of pixels and one of weights at a time, see [`correlate`]; the gradient
//! of the weight takes one tile of the output's gradient and four of the input, see [`weight_gradient`].

mod correlate;
mod grid;
mod slab;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod weights;

pub(super) use correlate::band;
pub(super) use weight_gradient::{Chunk, chunk};
pub(super) use weights::prepare;

use super::Conv2dShape;
use super::correlation::Correlation;
use crate::kernels::InstructionSet;
use crate::kernels::simd::LANES;
use grid::Grid;

/// Whether the matrix unit takes a direct correlation. With few source channels it would multiply zeros
/// for the most part; pairs of terms are made of two channels. Values that meet few taps, as with a
/// stride, are not worth splitting.
pub(super) fn serves(set: InstructionSet, correlation: &Correlation) -> bool {
    let (sources, _) = correlation.channels();
    set == InstructionSet::Amx
        && sources >= LANES
        && sources.is_multiple_of(2)
        && correlation.shape().meets_often()
}

/// The same for the gradient of a weight, whose terms are pixels.
pub(super) fn serves_weight_gradient(set: InstructionSet, shape: &Conv2dShape) -> bool {
    set == InstructionSet::Amx
        && shape.in_channels.min(shape.out_channels) >= LANES
        && shape.meets_often()
}

impl Conv2dShape {
    fn meets_often(&self) -> bool {
        self.stride == [1, 1] && self.kernel != [1, 1]
    }
}
