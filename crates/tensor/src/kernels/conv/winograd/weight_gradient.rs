//! The weight gradient: `dw = G^T [sum over tiles (B^T d B) * (A g A^T)] G`.
//!
//! In each of the 36 planes, the sum over tiles is a product of matrices, (source channels, tiles)
//! by (tiles, target channels). The batch is cut into chunks by shape only; every block of tiles
//! starts from zero and is added to its chunk's partial sum, and the chunks are added in order.

use rayon::prelude::*;

use super::blocks::{block_len, plane_len, planes, transform_gradient, transform_input};
use super::tiles::Tiles;
use super::transform::{PRODUCTS, Square, weight_plane_adjoint};
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::Conv2dShape;
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::padded::Load;
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::tile::{Sums, multiply_short, zeros};
use crate::kernels::{InstructionSet, Scratch, scratch};

/// Chunks of the batch, if it has as many images.
const CHUNKS: usize = 8;
/// The most elements that all partial sums together may have: four chunks of 128 by 128 channels.
const PARTIAL: usize = 4 * PRODUCTS * 128 * 128;
/// Tiles to a block.
const BLOCK: usize = 32;

/// Chunks that the batch of a shape is cut into.
pub(super) fn chunks(shape: &Conv2dShape) -> usize {
    let partial = PRODUCTS * shape.in_channels * shape.out_channels;
    CHUNKS.min(PARTIAL / partial).min(shape.batch)
}

/// The weight gradient, in parallel.
pub(in crate::kernels::conv) fn weight_gradient<L: Load>(
    set: InstructionSet,
    shape: &Conv2dShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
    load: L,
) {
    shape.check(input.len(), weight_gradient.len(), output_gradient.len());
    if output_gradient.is_empty() {
        weight_gradient.fill(0.0);
        return;
    }
    let correlation = Correlation::new(*shape, Direction::Forward);
    let tiles = Tiles::new(&correlation);
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let partial_len = PRODUCTS * inputs * outputs;
    let chunk = shape.batch.div_ceil(chunks(shape).max(1));
    let images = BLOCK.div_ceil(tiles.per_image()).min(chunk);
    let window = tiles.window(&correlation, &(0..tiles.image[0]));
    let padded_len = (images * window.len()).next_multiple_of(LANES);
    let buffer_len = padded_len + block_len(BLOCK, inputs) + block_len(BLOCK, outputs);

    let partials = scratch.take(shape.batch.div_ceil(chunk) * partial_len);
    let input = input.par_chunks(input.len() / shape.batch * chunk);
    let gradient = output_gradient.par_chunks(output_gradient.len() / shape.batch * chunk);
    partials.par_chunks_mut(partial_len).zip(input.zip(gradient)).for_each(
        |(partial, (input, gradient))| {
            scratch::with_thread_buffer(buffer_len, |buffer| {
                let channels = (inputs, outputs);
                let (padded, blocks) = buffer.split_at_mut(padded_len);
                let (block, gradient_block) = blocks.split_at_mut(block_len(BLOCK, inputs));
                let task = Chunk {
                    correlation,
                    tiles,
                    channels,
                    images,
                    input,
                    gradient,
                    load,
                    padded,
                    block,
                    gradient_block,
                    partial,
                };
                simd::run(set, task);
            });
        },
    );

    let (sum, rest) = partials.split_at_mut(partial_len);
    const PIECE: usize = 1 << 12;
    sum.par_chunks_mut(PIECE).enumerate().for_each(|(piece, sum)| {
        for partial in rest.chunks_exact(partial_len) {
            let partial = &partial[piece * PIECE..][..sum.len()];
            sum.iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
        }
    });
    let (sum, taps) = (&*sum, shape.kernel[0]);
    let filters = weight_gradient.par_chunks_mut(LANES * inputs * taps * taps);
    filters.enumerate().for_each(|(panel, filters)| {
        simd::run(set, Filters { taps, inputs, outputs, first: panel * LANES, sum, filters });
    });
}

/// A chunk of images: the unit of work of one thread.
struct Chunk<'a, L> {
    correlation: Correlation,
    tiles: Tiles,
    /// Of input and output.
    channels: (usize, usize),
    /// Images that are padded together.
    images: usize,
    input: &'a [f32],
    gradient: &'a [f32],
    load: L,
    /// Working memory: the padded input, a transformed block of it, and one of the gradient.
    padded: &'a mut [f32],
    block: &'a mut [f32],
    gradient_block: &'a mut [f32],
    /// (36, input channels, output channels).
    partial: &'a mut [f32],
}

impl<L: Load> Task for Chunk<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        self.partial.fill(0.0);
        let window = self.tiles.window(&self.correlation, &(0..self.tiles.image[0]));
        let (inputs, outputs) = self.channels;
        let image_len = window.image[0] * window.image[1] * inputs;
        let [height, width] = self.tiles.image;
        let gradient_len = height * width * outputs;
        let (side, in_rows) = (self.tiles.side, self.tiles.per_image());
        let inputs_of = self.input.chunks(self.images * image_len);
        for (input, gradient) in inputs_of.zip(self.gradient.chunks(self.images * gradient_len)) {
            window.load::<V>(input, self.padded, self.load);
            let all = input.len() / image_len * in_rows;
            let mut tiles = self.tiles.walk(height);
            let ahead = Ahead::new(&[]).and_behind(input).and_behind(gradient);
            let mut ahead = ahead.within(all.div_ceil(BLOCK) * PRODUCTS + all);
            for first in (0..all).step_by(BLOCK) {
                let count = BLOCK.min(all - first);
                for number in 0..count {
                    ahead.step();
                    let tile = tiles.step();
                    let from = tile.image * window.len()
                        + tile.row * window.row_len()
                        + tile.column * inputs;
                    let pixel = self.tiles.pixel(tile, height);
                    let valid = self.tiles.inside(tile, height);
                    // SAFETY: the window holds the patch of each tile; the gradient holds the
                    // valid pixels; the blocks have room for `BLOCK` tiles.
                    unsafe {
                        let patch = self.padded.as_ptr().add(from);
                        let to = self.block.as_mut_ptr().add(number * inputs);
                        let plane = plane_len(BLOCK, inputs);
                        transform_input::<V>(patch, window.row_len(), inputs, to, plane);
                        let from = gradient.as_ptr().add(pixel * outputs);
                        let to = self.gradient_block.as_mut_ptr().add(number * outputs);
                        let (row, plane) = (width * outputs, plane_len(BLOCK, outputs));
                        if side == 4 {
                            transform_gradient::<V, 4>(from, row, valid, outputs, to, plane);
                        } else {
                            transform_gradient::<V, 2>(from, row, valid, outputs, to, plane);
                        }
                    }
                }
                self.add::<V>(count, &mut ahead);
            }
        }
    }
}

impl<L: Load> Chunk<'_, L> {
    /// Adds the products of the first `count` tiles of the blocks to the partial sums.
    #[inline(always)]
    fn add<V: Vector>(&mut self, count: usize, ahead: &mut Ahead) {
        let outputs = self.channels.1;
        for j in 0..PRODUCTS {
            ahead.step();
            for column in (0..outputs).step_by(V::COLUMNS * LANES) {
                match (V::ROWS, (outputs - column) / LANES >= V::COLUMNS && V::COLUMNS == 2) {
                    (8, true) => self.plane::<V, 1, 8, 2>(j, column, count),
                    (8, false) => self.plane::<V, 2, 8, 1>(j, column, count),
                    (6, _) => self.plane::<V, 1, 4, 1>(j, column, count),
                    _ => self.plane::<V, 1, 2, 1>(j, column, count),
                }
            }
        }
    }

    /// All input channels and 16 N output channels of one plane; input channels are whole vectors,
    /// so Q B divides them.
    #[inline(always)]
    fn plane<V: Vector, const Q: usize, const B: usize, const N: usize>(
        &mut self,
        j: usize,
        column: usize,
        count: usize,
    ) {
        let (inputs, outputs) = self.channels;
        let x = &self.block[j * plane_len(BLOCK, inputs)..][..count * inputs];
        let g = &self.gradient_block[j * plane_len(BLOCK, outputs)..][..count * outputs];
        let partial = &mut self.partial[j * inputs * outputs..][..inputs * outputs];
        for channel in (0..inputs).step_by(Q * B) {
            let mut from = [x.as_ptr(); Q];
            for q in 0..Q {
                from[q] = x[channel + q * B..].as_ptr();
            }
            let mut sums: Sums<V, Q, B, N> = zeros();
            // SAFETY: each of the `count` tiles has `inputs` and `outputs` values, of which the
            // blocks of B from `channel` on and the 16 N from `column` on are a part.
            unsafe {
                let g = g.as_ptr().add(column);
                multiply_short(&mut sums, from, inputs, g, outputs, count);
            }
            for q in 0..Q {
                for b in 0..B {
                    for n in 0..N {
                        let at = (channel + q * B + b) * outputs + column + n * LANES;
                        let to = &mut partial[at..][..LANES];
                        // SAFETY: `to` holds sixteen values.
                        unsafe {
                            let sum = V::load(to.as_ptr()).add(sums[q][b][n]);
                            sum.store(to.as_mut_ptr());
                        }
                    }
                }
            }
        }
    }
}

/// Sixteen filters of the weight gradient, from the sums of all chunks.
struct Filters<'a> {
    taps: usize,
    inputs: usize,
    outputs: usize,
    /// The first of the sixteen.
    first: usize,
    sum: &'a [f32],
    /// (16, input channels, taps, taps).
    filters: &'a mut [f32],
}

impl Task for Filters<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.taps {
            3 => self.transform::<V, 3>(),
            _ => self.transform::<V, 5>(),
        }
    }
}

impl Filters<'_> {
    #[inline(always)]
    fn transform<V: Vector, const R: usize>(self) {
        let plane = self.inputs * self.outputs;
        assert!(self.sum.len() == PRODUCTS * plane && self.first + LANES <= self.outputs);
        for i in 0..self.inputs {
            let mut w = [[0.0; LANES]; 25];
            // SAFETY: `sum` has 36 planes of (input channels, output channels), and `w` room for
            // the taps.
            unsafe {
                let from = self.sum.as_ptr().add(i * self.outputs + self.first);
                let to = (w.as_mut_ptr().cast(), Square::whole([R * LANES, LANES]));
                weight_plane_adjoint::<V, R>((from, planes(plane)), to);
            }
            for (tap, lanes) in w[..R * R].iter().enumerate() {
                for (lane, value) in lanes.iter().enumerate() {
                    self.filters[(lane * self.inputs + i) * R * R + tap] = *value;
                }
            }
        }
    }
}
