//! The gradient of the weight, directly:
//! `dw[o,i,u,v] = sum_{n,y,x} g[n,y,x,o] input[n, y s + u - p, x s + v - p, i]`.
//!
//! As a matrix, dw has the rows (u, v, i) and the columns o, and each pixel adds the outer product
//! of its patch of the input with its gradient. A register tile of rows x 16 N columns stays in
//! accumulators while a slab of pixels, small enough for the caches, passes by; no patch is ever
//! copied. In the padded copy of the input the patch's kernel rows are runs of neighbouring values,
//! so rows of the matrix that are neighbours share a pointer.
//!
//! The batch is cut into chunks, and wide weights into groups of columns, by shape only. Every slab
//! starts from zero and is added to the partial sum of its chunk; the chunks are added in order.

use rayon::prelude::*;

use super::Conv2dShape;
use super::by_images::ByImages;
use super::chunks::add_up;
use super::correlation::{Correlation, Direction};
use super::padded::{Load, Window};
use super::unit;
use crate::kernels::simd::{self, LANES, Task, Vector, load, store};
use crate::kernels::tile::{Sums, multiply, zeros};
use crate::kernels::{Arithmetic, InstructionSet, Scratch, scratch};

/// The fewest and the most chunks of the batch, if it has as many images.
const CHUNKS: [usize; 2] = [16, 64];
/// Pixels of a chunk of large images.
const PIXELS: usize = 2048;
/// The most elements that all partial sums together may have, unless one alone has more; not counting what fills up
/// the unit's tiles.
const PARTIAL: usize = 1 << 21;
/// Weights with more elements than this are cut into groups of columns.
const WIDE: usize = 1 << 17;
/// Weights with at most so many elements have as many chunks as there are images for, up to the fewest.
pub(super) const OF_MANY_CHUNKS: usize = PARTIAL / CHUNKS[0];
/// Columns of a group of a wide weight.
const GROUP: usize = 64;

/// The weight gradient by definition, in parallel.
pub(in crate::kernels) fn direct<L: Load>(
    with: Arithmetic,
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
    let cut = Cut::new(shape);
    let folded = unit::folded(with, shape);
    // The shape that the unit takes.
    let taken = folded.or_else(|| unit::serves_weight_gradient(with, shape).then_some(*shape));
    let columns_len = |columns: usize| match &taken {
        Some(taken) => columns / LANES * unit::sums_len(taken),
        None => columns * cut.depth,
    };
    let (partial_len, group_len) = (columns_len(cut.columns), columns_len(cut.group));
    let buffer_len = shape.slab_len() + cut.copied_len(with.set, shape);
    let partials = scratch.take(cut.chunks(shape) * partial_len);
    let image_len = input.len() / shape.batch;
    partials.par_chunks_mut(partial_len).enumerate().for_each(|(c, partial)| {
        let images = c * cut.images..((c + 1) * cut.images).min(shape.batch);
        let input = &input[images.start * image_len..images.end * image_len];
        output_gradient.images(images, |gradient| {
            partial.par_chunks_mut(group_len).enumerate().for_each(|(g, partial)| {
                let first = g * cut.group;
                if taken.is_some() {
                    let chunk = unit::Chunk { shape, input, gradient, first, sums: partial, load };
                    return match &folded {
                        Some(folded) => unit::folded_chunk(with, folded, chunk),
                        None => unit::chunk(with, chunk),
                    };
                }
                scratch::with_thread_buffer(buffer_len, |buffer| {
                    let chunk = Chunk { shape, input, gradient, first, partial, load, buffer };
                    simd::run(with.set, chunk);
                });
            });
        });
    });
    let sum = add_up(partials, partial_len);
    match &taken {
        Some(taken) => unit::sort(taken, shape, sum, weight_gradient),
        None => cut.sort(with.set, shape, sum, weight_gradient),
    }
}

/// How a batch and a weight are cut.
pub(super) struct Cut {
    /// Rows of the weight as a matrix.
    depth: usize,
    /// Columns, whole vectors.
    columns: usize,
    /// Columns of a group.
    group: usize,
    /// Images of a chunk.
    pub(super) images: usize,
}

impl Cut {
    pub(super) fn new(shape: &Conv2dShape) -> Self {
        let depth = shape.weight_len() / shape.out_channels;
        let columns = shape.out_channels.next_multiple_of(LANES);
        let [height, width] = shape.output_image();
        let [fewest, most] = CHUNKS;
        let chunks = (shape.batch * height * width / PIXELS).clamp(fewest, most);
        let chunks = chunks.min(PARTIAL / (depth * columns)).clamp(1, shape.batch);
        let images = shape.batch.div_ceil(chunks);
        let group = if depth * columns > WIDE { GROUP } else { columns };
        Self { depth, columns, group, images }
    }

    /// How many chunks there are.
    fn chunks(&self, shape: &Conv2dShape) -> usize {
        shape.batch.div_ceil(self.images)
    }

    /// Values of the gradient of a slab in panels, if it is copied to them: if its channels are not whole
    /// vectors, or so many that those of one panel would share few sets of the cache, and read often.
    fn copied_len(&self, set: InstructionSet, shape: &Conv2dShape) -> usize {
        let near = self.columns <= 4 * simd::columns(set) * LANES || self.depth < 64;
        let (images, band) = shape.slab();
        let pixels = images * band * shape.output_image()[1];
        if near && self.columns == shape.out_channels { 0 } else { pixels * self.group }
    }

    /// Whether all columns are one group, of a weight that is not wide.
    pub(super) fn is_whole(&self) -> bool {
        self.depth * self.columns <= WIDE
    }

    /// Sorts panels of sums as weights are.
    fn sort(
        &self,
        set: InstructionSet,
        shape: &Conv2dShape,
        sum: &[f32],
        weight_gradient: &mut [f32],
    ) {
        let Self { depth, columns, group, .. } = *self;
        let panel = simd::columns(set) * LANES;
        let taps = shape.kernel[0] * shape.kernel[1];
        weight_gradient.par_chunks_mut(depth).enumerate().for_each(|(o, filter)| {
            // Panels are as wide as the register tile, but for the last of a group.
            let first = o / group * group;
            let panel_first = first + (o - first) / panel * panel;
            let width = panel.min((first + group).min(columns) - panel_first);
            let sum = &sum[panel_first * depth..][..width * depth];
            for (i, values) in filter.chunks_exact_mut(taps).enumerate() {
                for (tap, value) in values.iter_mut().enumerate() {
                    *value = sum[(tap * shape.in_channels + i) * width + o - panel_first];
                }
            }
        });
    }
}

/// A chunk of images, for a group of output channels.
struct Chunk<'a, L> {
    shape: &'a Conv2dShape,
    input: &'a [f32],
    gradient: &'a [f32],
    /// The first output channel of the group.
    first: usize,
    /// Panels of (depth, 16 N).
    partial: &'a mut [f32],
    load: L,
    /// Working memory for a slab: its padded input, and its gradient if that is copied.
    buffer: &'a mut [f32],
}

/// Some rows of a few images.
struct Slab<'a> {
    window: &'a Window,
    padded: &'a [f32],
    /// The output gradient of the rows.
    gradient: &'a [f32],
    /// Whether the gradient is a copy in panels.
    in_panels: bool,
    rows: usize,
    images: usize,
}

impl Conv2dShape {
    /// How many images, and how many output rows of each, make a slab.
    fn slab(&self) -> (usize, usize) {
        let [height, width] = self.output_image();
        let channels = self.in_channels * self.stride[0] * self.stride[1] + self.out_channels;
        let pixels = (6144 / channels).max(128);
        ((pixels / (height * width)).max(1), pixels.div_ceil(width).min(height))
    }

    /// Values of the padded input of a slab.
    fn slab_len(&self) -> usize {
        let (images, band) = self.slab();
        images * Correlation::new(*self, Direction::Forward).window(&(0..band)).len()
    }
}

impl<L: Load> Task for Chunk<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let shape = self.shape;
        let correlation = Correlation::new(*shape, Direction::Forward);
        let [height, width] = shape.output_image();
        let outputs = shape.out_channels;
        let image_len = shape.image[0] * shape.image[1] * shape.in_channels;
        let gradient_len = height * width * outputs;
        let batch = self.input.len() / image_len;
        let (images, band) = shape.slab();
        let (padded, copy) = std::mem::take(&mut self.buffer).split_at_mut(shape.slab_len());
        self.partial.fill(0.0);
        for first in (0..batch).step_by(images) {
            let images = images.min(batch - first);
            for row in (0..height).step_by(band) {
                let rows = row..(row + band).min(height);
                let window = correlation.window(&rows);
                let source = &self.input[first * image_len..][..images * image_len];
                window.load::<V>(source, padded, self.load);
                // Several images to a slab come with all their rows.
                let pixels = images * rows.len() * width;
                let start = first * gradient_len + row * width * outputs;
                let mut gradient = &self.gradient[start..][..pixels * outputs];
                let in_panels = !copy.is_empty();
                if in_panels {
                    self.copy_panels::<V>(gradient, copy);
                    gradient = copy;
                }
                let (padded, rows) = (&*padded, rows.len());
                let slab = Slab { window: &window, padded, gradient, in_panels, rows, images };
                self.add::<V>(&slab);
            }
        }
    }
}

impl<L: Load> Chunk<'_, L> {
    /// Copies a slab's gradient to panels, one after the other, zeros in the channels that there are not.
    #[inline(always)]
    fn copy_panels<V: Vector>(&self, gradient: &[f32], to: &mut [f32]) {
        let outputs = self.shape.out_channels;
        let pixels = gradient.len() / outputs;
        for (first, width) in self.panels::<V>() {
            let to = to[first * pixels..][..width * pixels].chunks_exact_mut(width);
            for (to, from) in to.zip(gradient.chunks_exact(outputs)) {
                for j in (0..width).step_by(LANES) {
                    let column = self.first + first + j;
                    let filled = outputs.saturating_sub(column).min(LANES);
                    store(load::<V>(from, column.min(outputs), filled), to, j, LANES);
                }
            }
        }
    }

    /// First columns and widths of the panels of the group.
    #[inline(always)]
    fn panels<V: Vector>(&self) -> impl Iterator<Item = (usize, usize)> + use<V, L> {
        let group = self.partial.len() / (self.shape.weight_len() / self.shape.out_channels);
        let most = V::COLUMNS * LANES;
        (0..group).step_by(most).map(move |first| (first, most.min(group - first)))
    }

    /// Adds the outer products of a slab to the partial sums.
    #[inline(always)]
    fn add<V: Vector>(&mut self, slab: &Slab<'_>) {
        let run = self.shape.kernel[1] * self.shape.in_channels;
        let depth = self.shape.kernel[0] * run;
        let pixels = slab.images * slab.rows * self.shape.output_image()[1];
        for (first, width) in self.panels::<V>() {
            let (gradient, step) = if slab.in_panels {
                (&slab.gradient[first * pixels..][..width * pixels], width)
            } else {
                (&slab.gradient[self.first + first..], self.shape.out_channels)
            };
            let sums = &mut self.partial[first * depth..][..width * depth];
            let (shape, panel) = (self.shape, Panel { gradient, step, sums });
            // Rows that are neighbours in each patch share a pointer.
            let share = |rows| run.is_multiple_of(rows);
            match (V::ROWS, width / LANES) {
                (8, 2) if share(8) => panel_rows::<V, 1, 8, 2>(shape, slab, panel),
                (8, 2) => panel_rows::<V, 8, 1, 2>(shape, slab, panel),
                (8, _) if share(8) => panel_rows::<V, 2, 8, 1>(shape, slab, panel),
                (8, _) => panel_rows::<V, 8, 1, 1>(shape, slab, panel),
                (6, _) if share(6) => panel_rows::<V, 1, 6, 1>(shape, slab, panel),
                (6, _) if share(2) => panel_rows::<V, 3, 2, 1>(shape, slab, panel),
                (6, _) if share(3) => panel_rows::<V, 2, 3, 1>(shape, slab, panel),
                (6, _) => panel_rows::<V, 6, 1, 1>(shape, slab, panel),
                _ => panel_rows::<V, 2, 1, 1>(shape, slab, panel),
            }
        }
    }
}

/// 16 N columns.
struct Panel<'a> {
    /// Those of the output gradient, from the first of the slab's first pixel on.
    gradient: &'a [f32],
    /// From a pixel to the next.
    step: usize,
    /// (depth, 16 N).
    sums: &'a mut [f32],
}

/// All rows of a panel of 16 N columns, Q blocks of B rows at a time.
#[inline(always)]
fn panel_rows<V: Vector, const Q: usize, const B: usize, const N: usize>(
    shape: &Conv2dShape,
    slab: &Slab<'_>,
    panel: Panel<'_>,
) {
    let Panel { gradient, step, sums: all } = panel;
    let width = shape.output_image()[1];
    let run = shape.kernel[1] * shape.in_channels;
    let row_len = slab.window.row_len();
    let blocks = shape.kernel[0] * run / B;
    let (down, along) = (shape.stride[0] * row_len, shape.stride[1] * shape.in_channels);
    // Of row `row` of the patches, from the first of a patch on.
    let offset = |row: usize| row / run * row_len + row % run;
    let at = |image: usize, y: usize| (image * slab.window.len() + y * down, image * slab.rows + y);
    if let (Some(image), Some(y), Some(column), Some(block)) = (
        slab.images.checked_sub(1),
        slab.rows.checked_sub(1),
        width.checked_sub(1),
        blocks.checked_sub(1),
    ) {
        let (from, line) = at(image, y);
        let end = from + offset(block * B) + column * along + B;
        assert!(run <= row_len && end <= slab.padded.len(), "the window holds the last patch");
        let end = (line * width + column) * step + N * LANES;
        assert!(end <= gradient.len(), "the gradient holds the last pixel");
    }
    for first in (0..blocks).step_by(Q) {
        let mut offsets = [0; Q];
        for q in 0..Q {
            // Beyond the last block the last is multiplied again, and not added.
            offsets[q] = offset((first + q).min(blocks - 1) * B);
        }
        let mut sums: Sums<V, Q, B, N> = zeros();
        for image in 0..slab.images {
            for y in 0..slab.rows {
                let (from, line) = at(image, y);
                // SAFETY: no block of a patch begins after the last block of the last patch, and no
                // pixel's gradient after the last pixel's: both lie inside, as asserted above.
                unsafe {
                    let x = offsets.map(|offset| slab.padded.as_ptr().add(from + offset));
                    let g = gradient.as_ptr().add(line * width * step);
                    multiply(&mut sums, x, along, g, step, width);
                }
            }
        }
        // Constant bounds, here and in every loop over a tile: a variable index would put the
        // accumulators into memory.
        for q in 0..Q {
            if first + q == blocks {
                break;
            }
            for b in 0..B {
                let row = ((first + q) * B + b) * N * LANES;
                for n in 0..N {
                    let to = &mut all[row + n * LANES..][..LANES];
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
