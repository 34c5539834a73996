//! A slab of a weight gradient: a few images of the input and of the gradient, split.
//!
//! A pair of terms is a pixel and the one that is half of the slab away, so that all taps find pairs that
//! are split once. The input x has planes of (pixels of the grid, 16 lanes): for each part, each field of the
//! grid, each source pixel of a pixel, and each sixteen channels. The gradient g is cut into tiles of
//! sixteen channels (the rows) by the pairs of sixteen neighbouring pixels (the lanes): (sixteens of
//! channels, steps, parts).

use super::super::Conv2dShape;
use super::super::correlation::{Correlation, Direction};
use super::super::padded::Load;
use super::grid::{Grid, Place};
use super::weight_gradient::Images;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::fused::load;
use crate::kernels::simd::{LANES, Vector};
use crate::kernels::unit::{TERMS, TILE, store_parts};

/// What a slab consists of. Lengths are in lanes.
pub(super) struct Slab<const P: usize> {
    pub(super) grid: Grid,
    channels: usize,
    /// Sixteens of input channels, and of the group's output channels.
    pub(super) sixteens: [usize; 2],
    /// Steps of sixteen pairs.
    pub(super) steps: usize,
    /// Of a plane.
    pub(super) plane: usize,
}

impl<const P: usize> Slab<P> {
    /// One of so many images, for so many output channels.
    pub(super) fn new(shape: &Conv2dShape, outputs: usize, images: usize) -> Self {
        let correlation = Correlation::new(*shape, Direction::Forward);
        let grid = Grid::new(&correlation, &(0..shape.output_image()[0]), images);
        let ([height, width], channels) = (shape.kernel, shape.in_channels);
        let steps = grid.targets().div_ceil(TERMS);
        // The last step's last pair has all taps.
        let last = [(height - 1) / grid.stride[0], (width - 1) / grid.stride[1]];
        let plane = (steps * LANES + last[0] * grid.pitch + last[1]) * LANES;
        let sixteens = [channels, outputs].map(|channels| channels.div_ceil(LANES));
        Self { grid, channels, sixteens, steps, plane }
    }

    /// Pixels from one of a pair to the other.
    fn half(&self) -> usize {
        self.steps * LANES
    }

    /// Of a field of the padded input before it is split.
    fn field(&self) -> usize {
        let pixels = self.grid.pixels().max(self.half() + self.plane / LANES);
        pixels * self.grid.stride[1] * self.channels
    }

    /// Of the padded input before it is split, and of the gradient.
    pub(super) fn values(&self) -> usize {
        let gradient = 2 * self.half() * self.sixteens[1] * LANES;
        (self.grid.stride[0] * self.field()).next_multiple_of(LANES).max(gradient)
    }

    /// Of a part of the input.
    pub(super) fn part(&self) -> usize {
        self.grid.stride[0] * self.grid.stride[1] * self.sixteens[0] * self.plane
    }

    /// Of the input's planes.
    pub(super) fn input(&self) -> usize {
        P * self.part()
    }

    /// Where the tap (u, v) of the first target pixel and sixteen of its channels are in a part.
    pub(super) fn tap(&self, u: usize, v: usize, sixteen: usize) -> usize {
        let Self { grid: Grid { stride, pitch, .. }, sixteens, plane, .. } = self;
        let number = u / stride[0] * pitch + v / stride[1];
        let pixel = u % stride[0] * stride[1] + v % stride[1];
        (pixel * sixteens[0] + sixteen) * plane + number * LANES
    }

    /// Of the gradient's tiles.
    pub(super) fn gradient(&self) -> usize {
        self.sixteens[1] * self.steps * P * TILE
    }

    /// Source lines of the input, and tiles of the gradient.
    pub(super) fn lines(&self) -> usize {
        self.grid.images * self.grid.source_lines() + self.sixteens[1] * self.steps
    }

    /// Of all of them.
    pub(super) fn len(&self) -> usize {
        self.values() + self.input() + self.gradient()
    }

    /// Splits the input of as many images.
    #[inline(always)]
    pub(super) fn split_input<V: Vector>(
        &self,
        images: &Images<'_, impl Load>,
        ahead: &mut Ahead,
        values: &mut [f32],
        planes: &mut [f32],
    ) {
        let Self { ref grid, channels, plane, .. } = *self;
        let (pixel, field) = (grid.stride[1] * channels, self.field());
        let mut end = 0;
        for image in 0..grid.images {
            for line in 0..grid.source_lines() {
                let (in_field, place) = grid.line(image, line);
                let at = grid.number(&place) * pixel;
                end = at + grid.line_len();
                let values = &mut values[in_field * field..][at..end];
                grid.load_line::<V>(images.input, image, line, images.load, values);
                ahead.step();
            }
        }
        let fields = grid.stride[0];
        assert!((self.half() + plane / LANES) * pixel <= field, "both pixels of each pair");
        for (in_field, values) in values.chunks_exact_mut(field).take(fields).enumerate() {
            values[end..].fill(0.0);
            for (v, first) in (0..pixel).step_by(channels).enumerate() {
                for (sixteen, channel) in (0..channels).step_by(LANES).enumerate() {
                    let filled = LANES.min(channels - channel);
                    // Behind the last channel whole vectors hold what belongs to others, and sums that nobody
                    // reads come of it.
                    let width_at = |at: usize| if at + LANES <= field { LANES } else { filled };
                    // The tap (u, v) below the stride is in the field u, and is source pixel v.
                    let lanes = &mut planes[self.tap(in_field, v, sixteen)..];
                    for number in 0..plane / LANES {
                        let at = number * pixel + first + channel;
                        let other = at + self.half() * pixel;
                        let one: V = load(values, at, width_at(at));
                        let other = load(values, other, width_at(other));
                        store_parts::<V, P>(one, other, &mut lanes[number * LANES..], self.part());
                    }
                }
            }
        }
    }

    /// Splits their gradient.
    #[inline(always)]
    pub(super) fn split_gradient<V: Vector>(
        &self,
        images: &Images<'_, impl Load>,
        ahead: &mut Ahead,
        values: &mut [f32],
        tiles: &mut [f32],
    ) {
        // What lies between the target pixels, and beyond the channels, has no gradient.
        let (channels, width) = (images.shape.out_channels, self.sixteens[1] * LANES);
        let taken = width.min(channels - images.first);
        let [lines, columns] = self.grid.target;
        let rows = images.gradient.chunks_exact(columns * channels).take(self.grid.images * lines);
        let mut end = 0;
        for (row, source) in rows.enumerate() {
            let (image, line) = (row / lines, row % lines);
            let at = self.grid.number(&Place { image, line, column: 0 }) * width;
            values[end..at].fill(0.0);
            end = at + columns * width;
            if width == channels {
                values[at..end].copy_from_slice(source);
                continue;
            }
            let pixels = source.chunks_exact(channels).zip(values[at..end].chunks_exact_mut(width));
            for (from, to) in pixels {
                to[..taken].copy_from_slice(&from[images.first..][..taken]);
                to[taken..].fill(0.0);
            }
        }
        values[end..2 * self.half() * width].fill(0.0);
        let values = &values[..2 * self.half() * width];
        for (at, tiles) in tiles.chunks_exact_mut(P * TILE).enumerate() {
            let (sixteen, step) = (at / self.steps, at % self.steps);
            let mut halves = [[V::splat(0.0); LANES]; 2];
            for half in 0..2 {
                let pixels =
                    &values[(half * self.half() + step * LANES) * width..][..LANES * width];
                for pair in 0..LANES {
                    halves[half][pair] = load(pixels, pair * width + sixteen * LANES, LANES);
                }
            }
            let (one, other) = (V::transpose(halves[0]), V::transpose(halves[1]));
            ahead.step();
            for row in 0..LANES {
                store_parts::<V, P>(one[row], other[row], &mut tiles[row * LANES..], TILE);
            }
        }
    }
}
