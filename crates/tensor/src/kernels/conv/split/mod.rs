//! Direct convolution of stride one by the [matrix unit](crate::kernels::unit).
//!
//! A task splits its images into their parts once, in a padded copy: a [`Grid`] in which every tap of every
//! target pixel finds its value a fixed distance away. So the terms of sixteen pixels are a tile of the
//! unit as they lie there, and no patch is ever copied.
//!
//! A correlation takes four tiles of pixels and one of weights at a time, see [`correlate`]; the gradient
//! of the weight takes one tile of the output's gradient and four or five of the input, see
//! [`weight_gradient`].

mod correlate;
mod grid;
mod lines;
mod slab;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod weights;

pub(super) use correlate::band;
pub(super) use weight_gradient::{Chunk, chunk};
pub(super) use weights::prepare;

use super::Conv2dShape;
use super::correlation::{Correlation, Direction};
use crate::kernels::InstructionSet;
use crate::kernels::simd::LANES;
use grid::Grid;
use slab::Slab;

/// Whether the matrix unit takes a direct correlation. With few source channels it would multiply zeros
/// for the most part; pairs of terms are made of two channels.
pub(super) fn serves(set: InstructionSet, correlation: &Correlation) -> bool {
    let (sources, _) = correlation.channels();
    set == InstructionSet::Amx
        && sources >= LANES
        && sources.is_multiple_of(2)
        && is_worth_splitting(correlation)
}

/// The same for the gradient of a weight. Of fewer channels, splitting takes longer than multiplying; an
/// image of more lanes than that would not stay in the cache.
pub(super) fn serves_weight_gradient(set: InstructionSet, shape: &Conv2dShape) -> bool {
    const LANES_OF_AN_IMAGE: usize = 1 << 20;
    set == InstructionSet::Amx
        && shape.in_channels.min(shape.out_channels) >= LANES
        && is_worth_splitting(&Correlation::new(*shape, Direction::Forward))
        && Slab::new(shape, shape.out_channels, 1).len() <= LANES_OF_AN_IMAGE
}

/// Whether values meet several taps, which a stride and a single tap do not give them, and pixels of the
/// target are not a few among others.
fn is_worth_splitting(correlation: &Correlation) -> bool {
    let shape = correlation.shape();
    let [height, width] = correlation.images().1;
    shape.stride == [1, 1] && shape.kernel != [1, 1] && height > 0 && {
        let grid = Grid::new(correlation, &(0..height), 1);
        2 * height * width >= grid.lines * grid.pitch
    }
}
