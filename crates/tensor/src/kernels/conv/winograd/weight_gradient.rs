//! The weight gradient: `dw = G^T [sum over tiles (B^T d B) * (A g A^T)] G`.
//!
//! In each of the 36 planes, the sum over tiles is a product of matrices, (source channels, tiles)
//! by (tiles, target channels). The batch is cut into chunks by shape only. The planes of a chunk's
//! sums stay with its thread, which adds a group of images after the other, each block of tiles from zero;
//! then they are transformed to taps, of which there are fewer, and the chunks are added in order.

use rayon::prelude::*;

use super::blocks::{block_len, plane_len, planes, transform_gradient, transform_input};
use super::tiles::Tiles;
use super::transform::{PRODUCTS, Square, weight_plane_adjoint};
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::Conv2dShape;
use crate::kernels::conv::by_images::ByImages;
use crate::kernels::conv::chunks::{self, ChunkSums, Chunks as _, add_up};
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::padded::{Load, Window};
use crate::kernels::simd::{self, LANES, Simd, Task, Vector};
use crate::kernels::tile::{Sums, multiply_short, zeros};
use crate::kernels::{InstructionSet, Scratch, scratch};

/// Chunks of the batch, if it has as many images.
const CHUNKS: usize = 32;
/// The most elements that all partial sums together may have, unless four chunks have more.
const PARTIAL: usize = 1 << 21;
/// Tiles to a block.
const BLOCK: usize = 32;

/// The weight gradient, in parallel.
pub(in crate::kernels::conv) fn weight_gradient<L: Load>(
    set: InstructionSet,
    shape: &Conv2dShape,
    input: &[f32],
    output_gradient: &impl ByImages,
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
    load: L,
) {
    if shape.output_len() == 0 {
        weight_gradient.fill(0.0);
        return;
    }
    let chunks = Chunks::new(set, shape, 1);
    let input_len = input.len() / shape.batch;
    let count = shape.batch.div_ceil(chunks.images);
    let partials = scratch.take(count * chunks.partial_len());
    let inputs = input.par_chunks(chunks.images * input_len);
    let parts = partials.par_chunks_mut(chunks.partial_len());
    parts.zip(inputs).enumerate().for_each(|(chunk, (partial, input))| {
        chunks.sum(partial, |sums| {
            for (k, input) in input.chunks(chunks.group * input_len).enumerate() {
                let first = chunk * chunks.images + k * chunks.group;
                let images = first..first + input.len() / input_len;
                output_gradient.images(images, |gradient| {
                    let ahead = Ahead::new(&[]).and_behind(input).and_behind(gradient);
                    sums.add(input, gradient, load, ahead);
                });
            }
        });
    });
    chunks.merge(partials, weight_gradient);
}

/// How the batch of a weight gradient is cut.
pub(in crate::kernels::conv) struct Chunks {
    set: InstructionSet,
    correlation: Correlation,
    tiles: Tiles,
    taps: usize,
    /// Of input and output.
    channels: (usize, usize),
    /// Images of a group, a block of tiles at least if there are as many.
    group: usize,
    /// Images of a chunk, whole groups.
    images: usize,
}

impl Chunks {
    /// Groups have at least so many images, as another pass over them may want it.
    pub(in crate::kernels::conv) fn new(
        set: InstructionSet,
        shape: &Conv2dShape,
        least_group: usize,
    ) -> Self {
        let correlation = Correlation::new(*shape, Direction::Forward);
        let tiles = Tiles::new(&correlation);
        let chunks = CHUNKS.min(PARTIAL / shape.weight_len()).max(4);
        let group = BLOCK.div_ceil(tiles.per_image()).max(least_group).min(shape.batch);
        Self {
            set,
            correlation,
            tiles,
            taps: shape.kernel[0],
            channels: (shape.in_channels, shape.out_channels),
            group,
            images: shape.batch.div_ceil(chunks).next_multiple_of(group),
        }
    }

    /// Values from a plane of sums to the next: a cache line further apart than they are long.
    fn plane(&self) -> usize {
        self.channels.0 * self.channels.1 + LANES
    }
}

impl chunks::Chunks for Chunks {
    type Sums<'a> = Planes<'a>;

    fn group(&self) -> usize {
        self.group
    }

    fn images(&self) -> usize {
        self.images
    }

    /// For each sixteen output channels (taps, taps, input channels, 16).
    fn partial_len(&self) -> usize {
        self.taps * self.taps * self.channels.0 * self.channels.1
    }

    fn sum(&self, partial: &mut [f32], add_all: impl FnOnce(&mut Planes<'_>)) {
        let plane = self.plane();
        scratch::with_thread_buffer(PRODUCTS * plane, |sums| {
            add_all(&mut Planes { chunks: self, is_first: true, sums });
            let (taps, inputs) = (self.taps, self.channels.0);
            simd::run(
                self.set,
                TapSums { taps, inputs, from: sums, from_plane: plane, to: partial },
            );
        });
    }

    fn merge(&self, partials: &mut [f32], weight_gradient: &mut [f32]) {
        let ((inputs, _), taps) = (self.channels, self.taps * self.taps);
        let panel_len = taps * inputs * LANES;
        let sums = add_up(partials, self.partial_len());
        let filters = weight_gradient.par_chunks_mut(panel_len);
        filters.zip(sums.par_chunks(panel_len)).for_each(|(filters, sums)| {
            for (at, sums) in sums.chunks_exact(LANES).enumerate() {
                let (tap, i) = (at / inputs, at % inputs);
                for (lane, &sum) in sums.iter().enumerate() {
                    filters[(lane * inputs + i) * taps + tap] = sum;
                }
            }
        });
    }
}

/// The sums of a chunk so far: 36 planes of (input channels, output channels).
pub(in crate::kernels::conv) struct Planes<'a> {
    chunks: &'a Chunks,
    /// Nothing was added yet; what they hold does not count.
    is_first: bool,
    sums: &'a mut [f32],
}

impl ChunkSums for Planes<'_> {
    fn add<L: Load>(&mut self, input: &[f32], gradient: &[f32], load: L, ahead: Ahead) {
        let Chunks { tiles, ref correlation, channels, .. } = *self.chunks;
        let (inputs, outputs) = channels;
        let images = gradient.len() / (tiles.image[0] * tiles.image[1] * outputs);
        let window = tiles.window(correlation, &(0..tiles.image[0]));
        let padded_len = (images * window.len()).next_multiple_of(LANES);
        let len = padded_len + block_len(BLOCK, inputs) + block_len(BLOCK, outputs);
        scratch::with_thread_buffer(len, |buffer| {
            let (padded, blocks) = buffer.split_at_mut(padded_len);
            let (block, gradient_block) = blocks.split_at_mut(block_len(BLOCK, inputs));
            let task = Group {
                tiles,
                channels,
                images,
                window,
                input,
                gradient,
                load,
                ahead,
                padded,
                block,
                gradient_block,
                is_first: self.is_first,
                sums_plane: self.chunks.plane(),
                sums: self.sums,
            };
            simd::run(self.chunks.set, task);
        });
        self.is_first = false;
    }
}

/// A few images, which are padded together.
struct Group<'a, L> {
    tiles: Tiles,
    /// Of input and output.
    channels: (usize, usize),
    images: usize,
    window: Window,
    input: &'a [f32],
    gradient: &'a [f32],
    load: L,
    ahead: Ahead,
    /// Working memory: the padded input, a transformed block of it, and one of the gradient.
    padded: &'a mut [f32],
    block: &'a mut [f32],
    gradient_block: &'a mut [f32],
    /// The first block is not added to the sums but becomes them.
    is_first: bool,
    sums_plane: usize,
    sums: &'a mut [f32],
}

impl<L: Load> Task for Group<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (inputs, outputs) = self.channels;
        let [height, width] = self.tiles.image;
        self.window.load::<V>(self.input, self.padded, self.load);
        let all = self.images * self.tiles.per_image();
        let mut tiles = self.tiles.walk(height);
        let mut ahead = self.ahead.within(all.div_ceil(BLOCK) * PRODUCTS + all);
        for first in (0..all).step_by(BLOCK) {
            let count = BLOCK.min(all - first);
            for number in 0..count {
                ahead.step();
                let tile = tiles.step();
                let from = tile.image * self.window.len()
                    + tile.row * self.window.row_len()
                    + tile.column * inputs;
                let pixel = self.tiles.pixel(tile, height);
                let valid = self.tiles.inside(tile, height);
                assert!(
                    from + self.window.patch_len(6) <= self.padded.len(),
                    "a patch in the window"
                );
                let end = (pixel + (valid[0] - 1) * width + valid[1]) * outputs;
                assert!(end <= self.gradient.len(), "a tile in the gradient");
                // SAFETY: the patch lies inside of the window, the valid pixels inside of the gradient;
                // the blocks have room for `BLOCK` tiles.
                unsafe {
                    let patch = self.padded.as_ptr().add(from);
                    let to = self.block.as_mut_ptr().add(number * inputs);
                    let plane = plane_len(BLOCK, inputs);
                    transform_input::<V>(patch, self.window.row_len(), inputs, to, plane);
                    let from = self.gradient.as_ptr().add(pixel * outputs);
                    let to = self.gradient_block.as_mut_ptr().add(number * outputs);
                    let (row, plane) = (width * outputs, plane_len(BLOCK, outputs));
                    if self.tiles.side == 4 {
                        transform_gradient::<V, 4>(from, row, valid, outputs, to, plane);
                    } else {
                        transform_gradient::<V, 2>(from, row, valid, outputs, to, plane);
                    }
                }
            }
            self.add::<V>(count, &mut ahead);
            self.is_first = false;
        }
    }
}

impl<L: Load> Group<'_, L> {
    /// Adds the products of the first `count` tiles of the blocks to the sums.
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
        let all = &mut self.sums[j * self.sums_plane..][..inputs * outputs];
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
                        let to = &mut all[at..][..LANES];
                        // SAFETY: `to` holds sixteen values.
                        unsafe {
                            let mut sum = sums[q][b][n];
                            if !self.is_first {
                                sum = V::load(to.as_ptr()).add(sum);
                            }
                            sum.store(to.as_mut_ptr());
                        }
                    }
                }
            }
        }
    }
}

/// From the planes of sums to those of taps.
struct TapSums<'a> {
    taps: usize,
    inputs: usize,
    from: &'a [f32],
    from_plane: usize,
    /// For each sixteen output channels (taps, taps, input channels, 16).
    to: &'a mut [f32],
}

impl Task for TapSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.taps {
            3 => self.transform::<V, 3>(),
            _ => self.transform::<V, 5>(),
        }
    }
}

impl TapSums<'_> {
    #[inline(always)]
    fn transform<V: Vector, const R: usize>(self) {
        let plane = self.inputs * LANES;
        let panels = self.to.chunks_exact_mut(R * R * plane);
        let outputs = panels.len() * LANES;
        assert!(self.from.len() >= PRODUCTS * self.from_plane);
        assert!(self.inputs * outputs <= self.from_plane);
        let (from, to) = (planes(self.from_plane), Square::whole([R * plane, plane]));
        for (panel, taps) in panels.enumerate() {
            for at in (0..plane).step_by(V::Register::WIDTH) {
                let source = at / LANES * outputs + panel * LANES + at % LANES;
                // SAFETY: `from` has 36 planes of (input channels, output channels), and `taps` R R of
                // (input channels, 16); a register is within sixteen.
                unsafe {
                    let (sums, taps) = (self.from.as_ptr().add(source), taps.as_mut_ptr().add(at));
                    weight_plane_adjoint::<V::Register, R>((sums, from), (taps, to));
                }
            }
        }
    }
}
