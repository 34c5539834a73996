//! The gradient of the weight for a chunk of the batch: `dw[o, i, u, v] = sum_n g[n, o] x[n + (u, v), i]`
//! over the numbers n of a [`Grid`], with g = 0 between the target pixels.
//!
//! The terms of the sums are pixels, whose pairs a [`Slab`] holds. Each pair of x from n + (u, v) on is a
//! row of a tile. So a tile of g meets four or five tiles of x at a time, those of other taps or other
//! channels, and sixteen by sixteen sums of each stay in the unit while a slab passes by.

use super::super::Conv2dShape;
use super::super::padded::Load;
use super::slab::Slab;
use crate::kernels::conv::fused::{load, store};
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::unit::{PARTS, TILE, Taps, Unit};
use crate::kernels::{Arithmetic, InstructionSet, scratch};

/// About as many lanes as a slab of several images takes: half of a second-level cache. Tests, whose
/// images are small, have several slabs as well.
const SLAB: usize = if cfg!(test) { 1 << 14 } else { 1 << 18 };

/// A chunk of images, for a group of output channels.
pub(in crate::kernels::conv) struct Chunk<'a, L> {
    pub(in crate::kernels::conv) shape: &'a Conv2dShape,
    pub(in crate::kernels::conv) input: &'a [f32],
    pub(in crate::kernels::conv) gradient: &'a [f32],
    /// The first output channel of the group.
    pub(in crate::kernels::conv) first: usize,
    /// Panels of (kernel rows, kernel columns, input channels) rows of a few vectors of the group's
    /// channels.
    pub(in crate::kernels::conv) partial: &'a mut [f32],
    pub(in crate::kernels::conv) load: L,
}

impl<L: Load> Chunk<'_, L> {
    fn images(&self) -> usize {
        self.input.len() / (self.shape.input_len() / self.shape.batch)
    }

    /// Output channels of the group, rounded up to whole vectors.
    fn outputs(&self) -> usize {
        self.partial.len() / (self.shape.weight_len() / self.shape.out_channels)
    }

    /// Tiles of the input that a tile of the gradient meets: (taps, sixteens of input channels).
    fn tiles(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1] * self.shape.in_channels.div_ceil(LANES)
    }

    /// Lanes of the sums of sixteen output channels: a tile for each tile of the input, and some more for
    /// the last four.
    fn sums(&self) -> usize {
        self.tiles().next_multiple_of(4) * TILE
    }
}

/// Adds up a chunk.
pub(in crate::kernels::conv) fn chunk<L: Load>(with: Arithmetic, chunk: Chunk<'_, L>) {
    match with.parts() {
        Some(1) => in_parts::<L, 1>(with.set, chunk),
        _ => in_parts::<L, PARTS>(with.set, chunk),
    }
}

/// The same with the input and the gradient in P parts.
fn in_parts<L: Load, const P: usize>(set: InstructionSet, chunk: Chunk<'_, L>) {
    let one = Slab::<P>::new(chunk.shape, chunk.outputs(), 1);
    let images = (SLAB / one.len()).clamp(1, chunk.images());
    let slab = Slab::<P>::new(chunk.shape, chunk.outputs(), images);
    let sums = chunk.outputs() / LANES * chunk.sums();
    scratch::with_thread_buffer(sums + slab.len(), |buffer| {
        let (sums, buffer) = buffer.split_at_mut(sums);
        simd::run(set, Slabs { set, chunk, slab, sums, buffer });
    });
}

/// A chunk, slab by slab.
struct Slabs<'a, L, const P: usize> {
    set: InstructionSet,
    chunk: Chunk<'a, L>,
    slab: Slab<P>,
    sums: &'a mut [f32],
    buffer: &'a mut [f32],
}

impl<L: Load, const P: usize> Task for Slabs<'_, L, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { set, mut chunk, mut slab, sums, buffer } = self;
        sums.fill(0.0);
        let most = slab.grid.images;
        for first in (0..chunk.images()).step_by(most) {
            let images = most.min(chunk.images() - first);
            if images < most {
                slab = Slab::new(chunk.shape, chunk.outputs(), images);
            }
            let (values, buffer) = buffer.split_at_mut(slab.values());
            let (input, buffer) = buffer.split_at_mut(slab.input());
            let gradient = &mut buffer[..slab.gradient()];
            slab.split_input::<V>(&chunk, first, &mut *values, input);
            slab.split_gradient::<V>(&chunk, first, values, gradient);
            chunk.multiply(set, &slab, input, gradient, sums);
        }
        chunk.write::<V>(sums);
    }
}

impl<L: Load> Chunk<'_, L> {
    /// Adds the products of a slab to the sums.
    fn multiply<const P: usize>(
        &self,
        set: InstructionSet,
        slab: &Slab<P>,
        input: &[f32],
        gradient: &[f32],
        sums: &mut [f32],
    ) {
        let Slab { sixteens, steps, .. } = slab;
        let (taps, tiles) = (self.shape.kernel, self.tiles());
        let part = slab.part();
        let pairs = Taps { row: LANES, part, steps: *steps };
        // The first lane of tile t of the input: (taps, sixteens of channels).
        let first = |t: usize| {
            let (tap, sixteen) = (t / sixteens[0], t % sixteens[0]);
            slab.tap(tap / taps[1], tap % taps[1], sixteen)
        };
        // SAFETY: this thread has no other unit until this one is dropped.
        let mut unit = unsafe { Unit::<P>::take(set) };
        let of_gradient = gradient.chunks_exact(steps * P * TILE);
        let sums = sums.chunks_exact_mut(self.sums());
        for (gradient, sums) in of_gradient.zip(sums) {
            let mut t = 0;
            while t < tiles {
                // Four at a time, or the last five; beyond the last one it is multiplied again.
                let count = if tiles - t == 5 { 5 } else { 4 };
                let from = [0, 1, 2, 3, 4].map(|k| &input[first((t + k).min(tiles - 1))..]);
                let last = (P - 1) * part + steps * TILE;
                assert!(from.iter().all(|from| from.len() >= last), "steps");
                let from = from.map(<[f32]>::as_ptr);
                let sums = sums[t * TILE..][..count * TILE].as_mut_ptr();
                // SAFETY: there are all steps of the input, as above, and of the gradient, and as many
                // tiles of sums.
                unsafe { unit.multiply_taps(gradient.as_ptr(), &from[..count], &pairs, sums) };
                t += count;
            }
        }
    }

    /// Writes the sums to the panels.
    #[inline(always)]
    fn write<V: Vector>(&mut self, sums: &[f32]) {
        let (channels, tiles) = (self.shape.in_channels, self.tiles());
        let (depth, inputs) = (self.partial.len() / self.outputs(), channels.div_ceil(LANES));
        let mut sums =
            sums.chunks_exact(self.sums()).map(|sums| sums.chunks_exact(TILE).take(tiles));
        let panels = self.partial.chunks_mut(V::COLUMNS * LANES * depth);
        for panel in panels {
            let width = panel.len() / depth;
            for output in (0..width).step_by(LANES) {
                let tiles = sums.next().expect("sums of each sixteen output channels");
                for (t, tile) in tiles.enumerate() {
                    let (tap, first) = (t / inputs, t % inputs * LANES);
                    let mut rows = [V::splat(0.0); LANES];
                    for row in 0..LANES {
                        rows[row] = load(tile, row * LANES, LANES);
                    }
                    let columns = V::transpose(rows);
                    for i in 0..LANES.min(channels - first) {
                        store(
                            columns[i],
                            panel,
                            (tap * channels + first + i) * width + output,
                            LANES,
                        );
                    }
                }
            }
        }
    }
}
