//! The gradient of the weight for a chunk of the batch: `dw[o, i, u, v] = sum_n g[n, o] x[n + (u, v), i]`
//! over the numbers n of a [`Grid`], with g = 0 between the target pixels.
//!
//! The terms of the sums are pixels. The gradient g is cut into tiles: sixteen channels are the rows, and
//! sixteen pairs of neighbouring pixels the lanes. The input x has a plane for each part: (sixteens of
//! channels, pixels, 16 lanes), where a lane is the pair of a pixel and the next. Every second pixel from
//! n + (u, v) on is a row of a tile. So a tile of g meets four tiles of x at a time, those of other taps or
//! other channels, and sixteen by sixteen sums of each stay in the unit while a slab of pixels passes by.

use super::super::Conv2dShape;
use super::super::correlation::{Correlation, Direction};
use super::super::padded::Load;
use super::Grid;
use super::grid::Place;
use crate::kernels::conv::fused::load;
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::unit::{PARTS, Patches, TERMS, TILE, Unit};
use crate::kernels::{InstructionSet, scratch};

/// About as many lanes as a slab takes: half of a second-level cache.
const SLAB: usize = 1 << 18;

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

/// Where the working memory of a slab is. Lengths are in lanes.
struct Layout {
    grid: Grid,
    taps: [usize; 2],
    channels: usize,
    /// Sixteens of input channels, and of the group's output channels.
    sixteens: [usize; 2],
    /// Steps of 32 pixels.
    steps: usize,
    /// Of a plane: one part and sixteen channels of the input.
    plane: usize,
}

impl Layout {
    fn new(shape: &Conv2dShape, outputs: usize, images: usize) -> Self {
        let correlation = Correlation::new(*shape, Direction::Forward);
        let grid = Grid::new(&correlation, &(0..shape.output_image()[0]), images);
        let (taps, channels) = (shape.kernel, shape.in_channels);
        let steps = grid.targets().div_ceil(TERMS);
        // The last step's last pixel has all taps, and a neighbour.
        let pixels = steps * TERMS + (taps[0] - 1) * grid.pitch + taps[1];
        let plane = pixels.max(grid.pixels()) * LANES;
        let sixteens = [channels, outputs].map(|channels| channels.div_ceil(LANES));
        Self { grid, taps, channels, sixteens, steps, plane }
    }

    /// Sums: for each sixteen output channels, each tap, and each sixteen input channels, a tile; and some
    /// more for the last four.
    fn sums(&self) -> usize {
        self.sixteens[1] * self.tiles().next_multiple_of(4) * TILE
    }

    /// Tiles of the input that a tile of the gradient meets.
    fn tiles(&self) -> usize {
        self.taps[0] * self.taps[1] * self.sixteens[0]
    }

    /// The padded input.
    fn values(&self) -> usize {
        (self.plane / LANES * self.channels).next_multiple_of(LANES)
    }

    fn input(&self) -> usize {
        PARTS * self.sixteens[0] * self.plane
    }

    fn gradient(&self) -> usize {
        self.sixteens[1] * self.steps * PARTS * TILE
    }
}

/// Adds up a chunk.
pub(in crate::kernels::conv) fn chunk<L: Load>(set: InstructionSet, chunk: Chunk<'_, L>) {
    let shape = chunk.shape;
    let outputs = chunk.partial.len() / (shape.weight_len() / shape.out_channels);
    let one = Layout::new(shape, outputs, 1);
    let images = (SLAB / (one.input() + one.gradient())).clamp(1, chunk.images());
    let layout = Layout::new(shape, outputs, images);
    let len = layout.sums() + layout.values() + layout.input() + layout.gradient();
    scratch::with_thread_buffer(len, |buffer| {
        simd::run(set, Slabs { chunk, layout, images, buffer });
    });
}

/// A chunk, slab by slab of so many images.
struct Slabs<'a, L> {
    chunk: Chunk<'a, L>,
    layout: Layout,
    images: usize,
    buffer: &'a mut [f32],
}

impl<L: Load> Task for Slabs<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { chunk, mut layout, images, buffer } = self;
        let shape = chunk.shape;
        let outputs = layout.sixteens[1];
        let (sums, buffer) = buffer.split_at_mut(layout.sums());
        sums.fill(0.0);
        for first in (0..chunk.images()).step_by(images) {
            let images = images.min(chunk.images() - first);
            if images < layout.grid.images {
                layout = Layout::new(shape, outputs * LANES, images);
            }
            let (values, buffer) = buffer.split_at_mut(layout.values());
            let (input, buffer) = buffer.split_at_mut(layout.input());
            let gradient = &mut buffer[..layout.gradient()];
            layout.split_input::<V>(&chunk, first, values, input);
            layout.split_gradient::<V>(&chunk, first, gradient);
            layout.multiply(input, gradient, sums);
        }
        layout.add_to_panels::<V>(sums, chunk.partial);
    }
}

impl<L: Load> Chunk<'_, L> {
    fn images(&self) -> usize {
        self.input.len() / (self.shape.input_len() / self.shape.batch)
    }
}

impl Layout {
    #[inline(always)]
    fn split_input<V: Vector>(
        &self,
        chunk: &Chunk<'_, impl Load>,
        first: usize,
        values: &mut [f32],
        planes: &mut [f32],
    ) {
        let Self { grid, channels, plane, .. } = self;
        let image_len = chunk.shape.input_len() / chunk.shape.batch;
        let source = &chunk.input[first * image_len..];
        let mut end = 0;
        for image in 0..grid.images {
            for line in 0..grid.all_lines() {
                let at = grid.number(&Place { image, line, column: 0 }) * channels;
                end = at + grid.line_len();
                grid.load_line::<V>(source, image, line, chunk.load, &mut values[at..end]);
            }
        }
        values[end..].fill(0.0);
        let part = self.sixteens[0] * plane;
        for (sixteen, channel) in (0..*channels).step_by(LANES).enumerate() {
            let width = LANES.min(channels - channel);
            let mut value: V = load(values, channel, width);
            for pixel in 0..plane / LANES {
                let mut next = V::splat(0.0);
                if (pixel + 1) * LANES < *plane {
                    next = load(values, (pixel + 1) * channels + channel, width);
                }
                let parts = value.split(next);
                for k in 0..PARTS {
                    let at = k * part + sixteen * plane + pixel * LANES;
                    // SAFETY: there are sixteen.
                    unsafe { parts[k].store(planes[at..][..LANES].as_mut_ptr()) };
                }
                value = next;
            }
        }
    }

    #[inline(always)]
    fn split_gradient<V: Vector>(
        &self,
        chunk: &Chunk<'_, impl Load>,
        first: usize,
        tiles: &mut [f32],
    ) {
        let channels = chunk.shape.out_channels;
        let [lines, columns] = self.grid.target;
        let source = &chunk.gradient[first * lines * columns * channels..];
        let mut at = Place::default();
        for step in 0..self.steps {
            // Where the gradients of the step's pixels are; those that are none have none.
            let mut from = [None; TERMS];
            for from in &mut from {
                let Place { image, line, column } = at;
                if image < self.grid.images && line < lines && column < columns {
                    *from = Some(((image * lines + line) * columns + column) * channels);
                }
                at = self.grid.after(at);
            }
            for sixteen in 0..self.sixteens[1] {
                let channel = chunk.first + sixteen * LANES;
                let width = LANES.min(channels - channel);
                let (mut even, mut odd) = ([V::splat(0.0); LANES], [V::splat(0.0); LANES]);
                for pair in 0..LANES {
                    if let Some(at) = from[2 * pair] {
                        even[pair] = load(source, at + channel, width);
                    }
                    if let Some(at) = from[2 * pair + 1] {
                        odd[pair] = load(source, at + channel, width);
                    }
                }
                let (even, odd) = (V::transpose(even), V::transpose(odd));
                let tiles = &mut tiles[(sixteen * self.steps + step) * PARTS * TILE..];
                for row in 0..LANES {
                    let parts = even[row].split(odd[row]);
                    for k in 0..PARTS {
                        let lanes = &mut tiles[k * TILE + row * LANES..][..LANES];
                        // SAFETY: there are sixteen.
                        unsafe { parts[k].store(lanes.as_mut_ptr()) };
                    }
                }
            }
        }
    }

    /// Adds the products of a slab to the sums.
    fn multiply(&self, input: &[f32], gradient: &[f32], sums: &mut [f32]) {
        let Self { grid, taps, sixteens, steps, plane, .. } = self;
        let (pixel, part) = (2 * LANES, sixteens[0] * plane);
        let taps_of_input = Patches { pixel, row: 0, part, rows: 1, steps: *steps };
        // The first lane of tile t of the input: (taps, sixteens of channels).
        let first = |t: usize| {
            let (tap, sixteen) = (t / sixteens[0], t % sixteens[0]);
            let number = tap / taps[1] * grid.pitch + tap % taps[1];
            sixteen * plane + number * LANES
        };
        // SAFETY: this thread has no other unit until this one is dropped.
        let unit = unsafe { Unit::take() };
        let tiles = self.tiles();
        let of_gradient = gradient.chunks_exact(steps * PARTS * TILE);
        let sums = sums.chunks_exact_mut(tiles.next_multiple_of(4) * TILE);
        for (gradient, sums) in of_gradient.zip(sums) {
            for (t, sums) in (0..tiles).step_by(4).zip(sums.chunks_exact_mut(4 * TILE)) {
                // Beyond the last tile it is multiplied again.
                let from = [t, t + 1, t + 2, t + 3].map(|t| &input[first(t.min(tiles - 1))..]);
                let last = (steps * TERMS - 2) * LANES + LANES;
                assert!(from.iter().all(|from| from.len() >= (PARTS - 1) * part + last), "steps");
                let from = from.map(<[f32]>::as_ptr);
                // SAFETY: there are all steps of the input, as above, and of the gradient, and four
                // tiles of sums.
                unsafe {
                    let (gradient, sums) = (gradient.as_ptr(), sums.as_mut_ptr());
                    unit.multiply_taps(gradient, from, &taps_of_input, sums);
                }
            }
        }
    }

    /// Writes the sums to panels of (taps, input channels) rows of a few sixteens of output channels.
    #[inline(always)]
    fn add_to_panels<V: Vector>(&self, sums: &[f32], panels: &mut [f32]) {
        let Self { channels, sixteens: [inputs, outputs], .. } = *self;
        let depth = self.taps[0] * self.taps[1] * channels;
        let tiles = self.tiles();
        for output in 0..outputs {
            let panel = output / V::COLUMNS * V::COLUMNS;
            let width = V::COLUMNS.min(outputs - panel) * LANES;
            let panel = &mut panels[panel * LANES * depth..][..width * depth];
            let sums = &sums[output * tiles.next_multiple_of(4) * TILE..];
            for (t, sums) in sums.chunks_exact(TILE).take(tiles).enumerate() {
                let (tap, first) = (t / inputs, t % inputs * LANES);
                let mut rows = [V::splat(0.0); LANES];
                for row in 0..LANES {
                    rows[row] = load(sums, row * LANES, LANES);
                }
                let columns = V::transpose(rows);
                for row in 0..LANES.min(channels - first) {
                    let at = (tap * channels + first + row) * width + output % V::COLUMNS * LANES;
                    // SAFETY: there are sixteen.
                    unsafe { columns[row].store(panel[at..][..LANES].as_mut_ptr()) };
                }
            }
        }
    }
}
