//! The gradient of the weight for a chunk of the batch: `dw[o, i, u, v] = sum_n g[n, o] x[n + (u, v), i]`
//! over the numbers n of a [`Grid`], with g = 0 between the target pixels.
//!
//! The terms of the sums are pixels, whose pairs a [`Slab`] holds. Each pair of x from n + (u, v) on is a
//! row of a tile. So a tile of g meets four or five tiles of x at a time, those of other taps or other
//! channels, and sixteen by sixteen sums of each stay in the unit while a slab passes by.

use super::super::Conv2dShape;
use super::super::chunks::{self, ChunkSums};
use super::super::padded::Load;
use super::super::weight_gradient::Cut;
use super::slab::Slab;
use crate::kernels::ahead::Ahead;
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

/// Adds up a chunk.
pub(in crate::kernels::conv) fn chunk<L: Load>(with: Arithmetic, chunk: Chunk<'_, L>) {
    if with.rounds() {
        in_parts::<L, 1>(with.set, chunk)
    } else {
        in_parts::<L, PARTS>(with.set, chunk)
    }
}

/// The same with the input and the gradient in P parts.
fn in_parts<L: Load, const P: usize>(set: InstructionSet, chunk: Chunk<'_, L>) {
    let Chunk { shape, input, gradient, first, partial, load } = chunk;
    let ahead = Ahead::new(&[]);
    Tiles::<P>::sum(set, shape, first, partial, |sums| sums.add(input, gradient, load, ahead));
}

/// How the batch is cut for tensors in P parts.
pub(in crate::kernels::conv) struct Chunks<'a, const P: usize> {
    set: InstructionSet,
    shape: &'a Conv2dShape,
    cut: Cut,
    group: usize,
}

impl<'a, const P: usize> Chunks<'a, P> {
    /// In groups of so many images.
    ///
    /// # Panics
    /// If the weight is wide.
    pub(in crate::kernels::conv) fn new(
        set: InstructionSet,
        shape: &'a Conv2dShape,
        group: usize,
    ) -> Self {
        let mut cut = Cut::new(shape);
        assert!(cut.is_whole(), "one group of columns");
        cut.images = cut.images.next_multiple_of(group);
        Self { set, shape, cut, group }
    }
}

impl<const P: usize> chunks::Chunks for Chunks<'_, P> {
    type Sums<'a> = Tiles<'a, P>;

    fn group(&self) -> usize {
        self.group
    }

    fn images(&self) -> usize {
        self.cut.images
    }

    /// Panels of (KH, KW, input channels) rows of a few vectors of output channels.
    fn partial_len(&self) -> usize {
        self.cut.partial_len
    }

    fn sum(&self, partial: &mut [f32], add_all: impl FnOnce(&mut Tiles<'_, P>)) {
        Tiles::sum(self.set, self.shape, 0, partial, add_all);
    }

    fn merge(&self, partials: &mut [f32], weight_gradient: &mut [f32]) {
        self.cut.merge(self.set, self.shape, partials, weight_gradient);
    }
}

/// The sums of a chunk so far, for a group of output channels: for each sixteen of these a tile for each tile of
/// the input, and some more for the last four.
pub(in crate::kernels::conv) struct Tiles<'a, const P: usize> {
    set: InstructionSet,
    shape: &'a Conv2dShape,
    /// The first output channel of the group.
    first: usize,
    sums: &'a mut [f32],
}

impl<const P: usize> Tiles<'_, P> {
    /// The sums of what `add_all` adds, in panels.
    fn sum(
        set: InstructionSet,
        shape: &Conv2dShape,
        first: usize,
        partial: &mut [f32],
        add_all: impl FnOnce(&mut Tiles<'_, P>),
    ) {
        let sixteens = partial.len() / (shape.weight_len() / shape.out_channels) / LANES;
        scratch::with_thread_buffer(sixteens * sums_len(shape), |sums| {
            sums.fill(0.0);
            add_all(&mut Tiles { set, shape, first, sums });
            simd::run(set, Write { shape, sums, partial });
        });
    }

    /// Output channels of the group, rounded up to whole vectors.
    fn outputs(&self) -> usize {
        self.sums.len() / sums_len(self.shape) * LANES
    }
}

/// Tiles of the input that a tile of the gradient meets: (taps, sixteens of input channels).
fn tiles(shape: &Conv2dShape) -> usize {
    shape.kernel[0] * shape.kernel[1] * shape.in_channels.div_ceil(LANES)
}

/// Lanes of the sums of sixteen output channels.
fn sums_len(shape: &Conv2dShape) -> usize {
    tiles(shape).next_multiple_of(4) * TILE
}

impl<const P: usize> ChunkSums for Tiles<'_, P> {
    fn add<L: Load>(&mut self, input: &[f32], gradient: &[f32], load: L, ahead: Ahead) {
        let Self { set, shape, first, .. } = *self;
        let of_image = [shape.input_len(), shape.output_len()].map(|len| len / shape.batch);
        let all = input.len() / of_image[0];
        let most = (SLAB / Slab::<P>::new(shape, self.outputs(), 1).len()).clamp(1, all);
        let slab = Slab::<P>::new(shape, self.outputs(), most);
        scratch::with_thread_buffer(slab.len(), |buffer| {
            let slabs = input.chunks(most * of_image[0]).zip(gradient.chunks(most * of_image[1]));
            for (number, (input, gradient)) in slabs.enumerate() {
                let images = input.len() / of_image[0];
                // Once is enough.
                let ahead = if number == 0 { ahead } else { Ahead::new(&[]) };
                let last;
                let slab = if images == most {
                    &slab
                } else {
                    last = Slab::new(shape, self.outputs(), images);
                    &last
                };
                let images = Images { shape, input, gradient, first, load };
                simd::run(set, Add { set, slab, images, ahead, buffer, sums: self.sums });
            }
        });
    }
}

/// The images of a slab.
pub(super) struct Images<'a, L> {
    pub(super) shape: &'a Conv2dShape,
    pub(super) input: &'a [f32],
    pub(super) gradient: &'a [f32],
    /// The first output channel of the group.
    pub(super) first: usize,
    pub(super) load: L,
}

/// Splits a slab, and adds its products to the sums.
struct Add<'a, L, const P: usize> {
    set: InstructionSet,
    slab: &'a Slab<P>,
    images: Images<'a, L>,
    ahead: Ahead,
    buffer: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<L: Load, const P: usize> Task for Add<'_, L, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { set, slab, images, ahead, buffer, sums } = self;
        let mut ahead = ahead.within(slab.lines());
        let (values, buffer) = buffer.split_at_mut(slab.values());
        let (input, buffer) = buffer.split_at_mut(slab.input());
        let gradient = &mut buffer[..slab.gradient()];
        slab.split_input::<V>(&images, &mut ahead, &mut *values, input);
        slab.split_gradient::<V>(&images, &mut ahead, values, gradient);
        multiply(set, images.shape, slab, input, gradient, sums);
    }
}

/// Adds the products of a slab to the sums.
fn multiply<const P: usize>(
    set: InstructionSet,
    shape: &Conv2dShape,
    slab: &Slab<P>,
    input: &[f32],
    gradient: &[f32],
    sums: &mut [f32],
) {
    let Slab { sixteens, steps, .. } = slab;
    let (taps, tiles) = (shape.kernel, tiles(shape));
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
    let sums = sums.chunks_exact_mut(sums_len(shape));
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
struct Write<'a> {
    shape: &'a Conv2dShape,
    sums: &'a [f32],
    partial: &'a mut [f32],
}

impl Task for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, sums, partial } = self;
        let (channels, tiles) = (shape.in_channels, tiles(shape));
        let inputs = channels.div_ceil(LANES);
        let depth = shape.weight_len() / shape.out_channels;
        let mut sums =
            sums.chunks_exact(sums_len(shape)).map(|sums| sums.chunks_exact(TILE).take(tiles));
        for panel in partial.chunks_mut(V::COLUMNS * LANES * depth) {
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
