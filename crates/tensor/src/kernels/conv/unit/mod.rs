//! Direct convolution by the [matrix unit](crate::kernels::unit).
//!
//! A task splits its images into their parts once, in a padded copy: a [`Grid`] in which every tap of every
//! target pixel finds its value a fixed distance away. So the terms of sixteen pixels are a tile of the
//! unit as they lie there, and no patch is copied; only of inputs of few channels the rows of patches are, see
//! [`fold`].
//!
//! A correlation takes four tiles of pixels and one of weights at a time, see [`correlate`]; the gradient
//! of the weight takes one tile of the output's gradient and four or five of the input, see
//! [`weight_gradient`].

mod correlate;
mod fold;
mod grid;
mod lines;
mod slab;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod weights;

pub(super) use correlate::band;
pub(super) use fold::{folded, folded_chunk};
pub(super) use weight_gradient::{Chunk, Chunks, chunk, sort, sums_len};
pub(super) use weights::{prepare, prepared_len};

use super::Conv2dShape;
use super::correlation::{Correlation, Direction};
use crate::kernels::Arithmetic;
use crate::kernels::simd::LANES;
use crate::kernels::unit::{PARTS, TERMS};
use grid::Grid;
use slab::Slab;

/// Multiply-adds that a value takes part in, at least, to be split, or rounded: of fewer, that takes as long as
/// multiplying.
fn least_multiply_adds(with: Arithmetic) -> usize {
    if with.rounds() { 32 } else { 64 }
}

/// Whether the matrix unit takes a direct correlation. With few source channels it would multiply zeros
/// for the most part, and of few terms writing a sum takes longer than adding them up; pairs of terms are
/// made of two channels.
pub(super) fn serves(with: Arithmetic, correlation: &Correlation) -> bool {
    let (sources, targets) = correlation.channels();
    let ([height, width], _) = correlation.images();
    let pairs = correlation.phases(0) * correlation.phases(1);
    if fold::folded_forward(with, correlation).is_some() {
        return true;
    }
    with.has_unit()
        && correlation.batch() > 0
        && sources >= LANES
        && sources.is_multiple_of(2)
        && correlation.shape().weight_len() >= 2 * TERMS * targets * pairs
        && is_worth_splitting(correlation, height * width * sources, least_multiply_adds(with))
}

/// Multiply-adds of the gradient of a weight that a value takes part in, at least, if all channels were whole
/// vectors; of others the unit multiplies zeros as well, so that there have to be more.
fn least_of_weight_gradient(with: Arithmetic) -> usize {
    if with.rounds() { 32 } else { 40 }
}

/// Whether the matrix unit takes the gradient of a weight.
pub(super) fn serves_weight_gradient(with: Arithmetic, shape: &Conv2dShape) -> bool {
    let correlation = Correlation::new(*shape, Direction::Forward);
    let values = || {
        let channels = [shape.in_channels, shape.out_channels];
        let [whole_in, whole_out] = channels.map(|channels| channels.next_multiple_of(LANES));
        let values = (shape.input_len() + shape.output_len()) / shape.batch;
        values * whole_in * whole_out / (channels[0] * channels[1])
    };
    with.has_unit()
        && shape.batch > 0
        && shape.in_channels.min(shape.out_channels) >= LANES
        && is_worth_splitting(&correlation, values(), least_of_weight_gradient(with))
        && fits_a_slab(shape)
}

/// The most lanes of an image that stay in the cache.
const LANES_OF_AN_IMAGE: usize = 1 << 20;

/// Whether the slab of an image does, and has lines to pair: of one alone half of the terms would be zeros.
fn fits_a_slab(shape: &Conv2dShape) -> bool {
    shape.output_image()[0] > 1
        && Slab::<PARTS>::new(shape, shape.out_channels, 1).len() <= LANES_OF_AN_IMAGE
}

/// Whether so many values of an image meet enough others, no pixels are skipped, and those of the target are
/// not a few among others.
fn is_worth_splitting(correlation: &Correlation, values: usize, least: usize) -> bool {
    let shape = correlation.shape();
    let [[height, width], stride] = [shape.kernel, shape.stride];
    let multiply_adds = shape.multiply_adds() / shape.batch;
    multiply_adds >= least * values && height >= stride[0] && width >= stride[1] && {
        let grid = Grid::new(correlation, &(0..correlation.images().1[0]), 1);
        let [lines, columns] = grid.target;
        lines > 0 && 2 * lines * columns >= grid.lines * grid.pitch
    }
}
