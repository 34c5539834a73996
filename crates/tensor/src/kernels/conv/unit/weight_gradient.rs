//! The gradient of the weight for a chunk of the batch: `dw[o, i, u, v] = sum_n g[n, o] x[n + (u, v), i]`
//! over the numbers n of a [`Grid`], with g = 0 between the target pixels.
//!
//! The terms of the sums are pixels, whose pairs a [`Slab`] holds. Each pair of x from n + (u, v) on is a
//! row of a tile. So a tile of g meets four or five tiles of x at a time, those of other taps or other
//! channels, and sixteen by sixteen sums of each stay in the unit while a slab passes by.

use rayon::prelude::*;

use super::super::Conv2dShape;
use super::super::chunks::{self, ChunkSums, add_up};
use super::super::padded::Load;
use super::super::weight_gradient::Cut;
use super::slab::Slab;
use crate::kernels::ahead::Ahead;
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
    /// What becomes the [sums](sums_len) of each sixteen of its channels.
    pub(in crate::kernels::conv) sums: &'a mut [f32],
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
    let Chunk { shape, input, gradient, first, sums, load } = chunk;
    sums.fill(0.0);
    Tiles::<P> { set, shape, first, sums }.add(input, gradient, load, Ahead::new(&[]));
}

/// How the batch is cut for tensors in P parts.
pub(in crate::kernels::conv) struct Chunks<'a, const P: usize> {
    set: InstructionSet,
    shape: &'a Conv2dShape,
    group: usize,
    images: usize,
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
        let cut = Cut::new(shape);
        assert!(cut.is_whole(), "one group of columns");
        Self { set, shape, group, images: cut.images.next_multiple_of(group) }
    }
}

impl<const P: usize> chunks::Chunks for Chunks<'_, P> {
    type Sums<'a> = Tiles<'a, P>;

    fn group(&self) -> usize {
        self.group
    }

    fn images(&self) -> usize {
        self.images
    }

    fn partial_len(&self) -> usize {
        self.shape.out_channels.div_ceil(LANES) * sums_len(self.shape)
    }

    fn sum(&self, partial: &mut [f32], add_all: impl FnOnce(&mut Tiles<'_, P>)) {
        partial.fill(0.0);
        add_all(&mut Tiles { set: self.set, shape: self.shape, first: 0, sums: partial });
    }

    fn merge(&self, partials: &mut [f32], weight_gradient: &mut [f32]) {
        sort(self.shape, self.shape, add_up(partials, self.partial_len()), weight_gradient);
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
    /// Output channels of the group, rounded up to whole vectors.
    fn outputs(&self) -> usize {
        self.sums.len() / sums_len(self.shape) * LANES
    }
}

/// How many tiles of the input a tile of the gradient meets.
fn tiles(shape: &Conv2dShape) -> usize {
    shape.kernel[0] * shape.kernel[1] * shape.in_channels.div_ceil(LANES)
}

/// The taps (u, v) and the sixteens of input channels that these are, those of a plane one after the other:
/// what tiles have in common comes from the first-level cache then.
fn taps(shape: &Conv2dShape) -> impl Iterator<Item = (usize, usize, usize)> + Clone {
    let Conv2dShape { kernel: [height, width], stride: [down, along], .. } = *shape;
    let planes = (0..down).flat_map(move |row| (0..along).map(move |column| (row, column)));
    let taps = planes.flat_map(move |(row, column)| {
        let rows = (row..height).step_by(down);
        rows.flat_map(move |u| (column..width).step_by(along).map(move |v| (u, v)))
    });
    let sixteens = 0..shape.in_channels.div_ceil(LANES);
    sixteens.flat_map(move |sixteen| taps.clone().map(move |(u, v)| (u, v, sixteen)))
}

/// Lanes of the sums of sixteen output channels: for each tile of the input (16 output channels, 16 input
/// channels).
pub(in crate::kernels::conv) fn sums_len(shape: &Conv2dShape) -> usize {
    tiles(shape).next_multiple_of(4) * TILE
}

/// Sorts the sums of all output channels as weights (O, I, KH, KW) are. Those of a folded shape, as `taken` may be,
/// have neighbouring kernel columns as channels.
pub(in crate::kernels::conv) fn sort(
    taken: &Conv2dShape,
    shape: &Conv2dShape,
    sums: &[f32],
    weight_gradient: &mut [f32],
) {
    let ([height, width], channels) = (shape.kernel, shape.in_channels);
    let depth = height * width * channels;
    let filters = weight_gradient.par_chunks_mut(LANES * depth);
    // Sixteen filters at a time, so that the sums are read in order.
    filters.zip(sums.par_chunks(sums_len(taken))).for_each(|(filters, sums)| {
        for (tile, (u, v, sixteen)) in sums.chunks_exact(TILE).zip(taps(taken)) {
            let first = sixteen * LANES;
            let inputs = LANES.min(taken.in_channels - first);
            for (filter, sums) in filters.chunks_exact_mut(depth).zip(tile.chunks_exact(LANES)) {
                let (mut v, mut i) = (v + first / channels, first % channels);
                for sum in &sums[..inputs] {
                    filter[(i * height + u) * width + v] = *sum;
                    i += 1;
                    if i == channels {
                        (i, v) = (0, v + 1);
                    }
                }
            }
        }
    });
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
        let mut ahead = ahead.within(slab.reads());
        let (values, buffer) = buffer.split_at_mut(slab.values_len());
        let (input, buffer) = buffer.split_at_mut(slab.input_len());
        let gradient = &mut buffer[..slab.gradient_len()];
        slab.split_input::<V>(&images, &mut ahead, values, input);
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
    let (steps, tiles) = (slab.steps, tiles(shape));
    let part = slab.part_len();
    let pairs = Taps { row: LANES, part, steps };
    // SAFETY: this thread has no other unit until this one is dropped.
    let mut unit = unsafe { Unit::<P>::take(set) };
    let of_gradient = gradient.chunks_exact(steps * P * TILE);
    let sums = sums.chunks_exact_mut(sums_len(shape));
    for (gradient, sums) in of_gradient.zip(sums) {
        let mut planes = taps(shape).map(|(u, v, sixteen)| &input[slab.tap(u, v, sixteen)..]);
        let mut t = 0;
        while t < tiles {
            // Four at a time, or five as long as that leaves fours; beyond the last one it is multiplied again.
            let left = tiles - t;
            let count = if left % 4 > 0 && left >= left % 4 * 5 { 5 } else { 4 };
            let mut from = [input; 5];
            for k in 0..count {
                from[k] = planes.next().unwrap_or(from[k.saturating_sub(1)]);
            }
            let last = (P - 1) * part + steps * TILE;
            assert!(from[..count].iter().all(|from| from.len() >= last), "steps");
            let from = from.map(<[f32]>::as_ptr);
            let sums = sums[t * TILE..][..count * TILE].as_mut_ptr();
            // SAFETY: there are all steps of the input, as above, and of the gradient, and as many
            // tiles of sums.
            unsafe { unit.multiply_taps(gradient.as_ptr(), &from[..count], &pairs, sums) };
            t += count;
        }
    }
}
