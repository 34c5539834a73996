//! A slab of a weight gradient: a few images of the input and of the gradient, split.
//!
//! A pair of terms is a pixel and the one that is half of the slab away, so that all taps find pairs that
//! are split once. The input x has a plane for each part and each sixteen channels: (pixels of the grid, 16
//! lanes). The gradient g is cut into tiles of sixteen channels (the rows) by the pairs of sixteen
//! neighbouring pixels (the lanes): (sixteens of channels, steps, parts).

use super::super::Conv2dShape;
use super::super::correlation::{Correlation, Direction};
use super::super::padded::Load;
use super::grid::{Grid, Place};
use super::weight_gradient::Chunk;
use crate::kernels::conv::fused::load;
use crate::kernels::simd::{LANES, Vector};
use crate::kernels::unit::{PARTS, TERMS, TILE, store_parts};

/// What a slab consists of. Lengths are in lanes.
pub(super) struct Slab {
    pub(super) grid: Grid,
    channels: usize,
    /// Sixteens of input channels, and of the group's output channels.
    pub(super) sixteens: [usize; 2],
    /// Steps of sixteen pairs.
    pub(super) steps: usize,
    /// Of a plane: one part and sixteen channels of the input.
    pub(super) plane: usize,
}

impl Slab {
    /// One of so many images, for so many output channels.
    pub(super) fn new(shape: &Conv2dShape, outputs: usize, images: usize) -> Self {
        let correlation = Correlation::new(*shape, Direction::Forward);
        let grid = Grid::new(&correlation, &(0..shape.output_image()[0]), images);
        let ([height, width], channels) = (shape.kernel, shape.in_channels);
        let steps = grid.targets().div_ceil(TERMS);
        // The last step's last pair has all taps.
        let plane = (steps * LANES + (height - 1) * grid.pitch + width - 1) * LANES;
        let sixteens = [channels, outputs].map(|channels| channels.div_ceil(LANES));
        Self { grid, channels, sixteens, steps, plane }
    }

    /// Pixels from one of a pair to the other.
    fn half(&self) -> usize {
        self.steps * LANES
    }

    /// Of the padded input, before it is split.
    pub(super) fn values(&self) -> usize {
        let pixels = self.grid.pixels().max(self.half() + self.plane / LANES);
        (pixels * self.channels).next_multiple_of(LANES)
    }

    /// Of the input's planes.
    pub(super) fn input(&self) -> usize {
        PARTS * self.sixteens[0] * self.plane
    }

    /// Of the gradient's tiles.
    pub(super) fn gradient(&self) -> usize {
        self.sixteens[1] * self.steps * PARTS * TILE
    }

    /// Of all of them.
    pub(super) fn len(&self) -> usize {
        self.values() + self.input() + self.gradient()
    }

    /// Splits the input of the images from `first` on.
    #[inline(always)]
    pub(super) fn split_input<V: Vector>(
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
            for (pixel, lanes) in
                (0..plane / LANES).map(|pixel| (pixel, sixteen * plane + pixel * LANES))
            {
                let pair = [pixel, pixel + self.half()];
                let [one, other] =
                    pair.map(|pixel| load::<V>(values, pixel * channels + channel, width));
                store_parts(one.split(other), &mut planes[lanes..], part);
            }
        }
    }

    /// Splits their gradient.
    #[inline(always)]
    pub(super) fn split_gradient<V: Vector>(
        &self,
        chunk: &Chunk<'_, impl Load>,
        first: usize,
        tiles: &mut [f32],
    ) {
        let channels = chunk.shape.out_channels;
        let [lines, columns] = self.grid.target;
        let source = &chunk.gradient[first * lines * columns * channels..];
        let mut halves = [Place::default(), self.grid.place(self.half())];
        for step in 0..self.steps {
            // Where the gradients of the step's pixels are; what lies between them has none.
            let mut from = [[None; LANES]; 2];
            for pair in 0..LANES {
                for (half, at) in halves.iter_mut().enumerate() {
                    let Place { image, line, column } = *at;
                    if image < self.grid.images && line < lines && column < columns {
                        let pixel = (image * lines + line) * columns + column;
                        from[half][pair] = Some(pixel * channels);
                    }
                    *at = self.grid.after(*at);
                }
            }
            for sixteen in 0..self.sixteens[1] {
                let channel = chunk.first + sixteen * LANES;
                let width = LANES.min(channels - channel);
                let mut rows = [[V::splat(0.0); LANES]; 2];
                for half in 0..2 {
                    for pair in 0..LANES {
                        if let Some(at) = from[half][pair] {
                            rows[half][pair] = load(source, at + channel, width);
                        }
                    }
                }
                let (one, other) = (V::transpose(rows[0]), V::transpose(rows[1]));
                let tiles = &mut tiles[(sixteen * self.steps + step) * PARTS * TILE..];
                for row in 0..LANES {
                    store_parts(one[row].split(other[row]), &mut tiles[row * LANES..], TILE);
                }
            }
        }
    }
}
