//! A slab of a weight gradient: a few images of the input and of the gradient, split.
//!
//! A pair of terms is a pixel and the one that is half of the slab's lines away, so that all taps find pairs
//! that are split once. The input x has planes of (pixels of the grid, 16 lanes): for each part, each field
//! of the grid, each source pixel of a pixel, and each sixteen channels. The gradient g is cut into tiles of
//! sixteen channels (the rows) by the pairs of sixteen neighbouring pixels (the lanes): (sixteens of
//! channels, steps, parts). Both are split as they are read: two lines of the input, sixteen pairs of the
//! gradient at a time.

use super::super::Conv2dShape;
use super::super::correlation::{Correlation, Direction};
use super::super::padded::Load;
use super::grid::{Grid, Place};
use super::weight_gradient::Images;
use crate::kernels::ahead::Ahead;
use crate::kernels::simd::{LANES, Vector, load, prefetch_at};
use crate::kernels::unit::{TILE, store_parts};

/// Values of the gradient between what is split and what is asked for.
const DISTANCE: usize = 2048;

/// What a slab consists of. Lengths are in lanes.
pub(super) struct Slab<const P: usize> {
    pub(super) grid: Grid,
    channels: usize,
    /// Sixteens of input channels, and of the group's output channels.
    pub(super) sixteens: [usize; 2],
    /// Steps of sixteen pairs.
    pub(super) steps: usize,
    /// Lines from one pixel of a pair to the other.
    half: usize,
    /// Lines of a plane.
    lines: usize,
}

impl<const P: usize> Slab<P> {
    /// One of so many images, for so many output channels.
    pub(super) fn new(shape: &Conv2dShape, outputs: usize, images: usize) -> Self {
        let correlation = Correlation::new(*shape, Direction::Forward);
        let grid = Grid::new(&correlation, &(0..shape.output_image()[0]), images);
        let ([height, width], channels) = (shape.kernel, shape.in_channels);
        let half = grid.target_lines().div_ceil(2);
        let steps = ((half - 1) * grid.pitch + grid.target[1]).div_ceil(LANES);
        // The last step's last pair has all taps.
        let last = [(height - 1) / grid.stride[0], (width - 1) / grid.stride[1]];
        let lines = (steps * LANES + last[1]).div_ceil(grid.pitch) + last[0];
        let sixteens = [channels, outputs].map(|channels| channels.div_ceil(LANES));
        Self { grid, channels, sixteens, steps, half, lines }
    }

    /// Of a plane.
    fn plane_len(&self) -> usize {
        self.lines * self.grid.pitch * LANES
    }

    /// Of two lines of the padded input, each with room for a vector that begins at its last value.
    fn lines_len(&self) -> usize {
        2 * (self.grid.line_len() + LANES).next_multiple_of(LANES)
    }

    /// Of what is read before it is split: two lines of the input, sixteen pairs of the gradient.
    pub(super) fn values_len(&self) -> usize {
        self.lines_len().max(2 * LANES * self.sixteens[1] * LANES)
    }

    /// Of a part of the input.
    pub(super) fn part_len(&self) -> usize {
        self.grid.stride[0] * self.grid.stride[1] * self.sixteens[0] * self.plane_len()
    }

    /// Of the input's planes.
    pub(super) fn input_len(&self) -> usize {
        P * self.part_len()
    }

    /// Where the tap (u, v) of the first target pixel and sixteen of its channels are in a part.
    pub(super) fn tap(&self, u: usize, v: usize, sixteen: usize) -> usize {
        let Self { grid: Grid { stride, pitch, .. }, sixteens, .. } = self;
        let number = u / stride[0] * pitch + v / stride[1];
        let pixel = u % stride[0] * stride[1] + v % stride[1];
        (pixel * sixteens[0] + sixteen) * self.plane_len() + number * LANES
    }

    /// Of the gradient's tiles.
    pub(super) fn gradient_len(&self) -> usize {
        self.sixteens[1] * self.steps * P * TILE
    }

    /// How many pairs of lines, and steps of the gradient, are split.
    pub(super) fn reads(&self) -> usize {
        self.lines * self.grid.stride[0] + self.steps
    }

    /// Of all of them.
    pub(super) fn len(&self) -> usize {
        self.values_len() + self.input_len() + self.gradient_len()
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
        let grid = &self.grid;
        let (one, other) = values[..self.lines_len()].split_at_mut(self.lines_len() / 2);
        // Behind the last channel whole vectors hold what belongs to others, and sums that nobody reads come of it.
        one[grid.line_len()..].fill(0.0);
        other[grid.line_len()..].fill(0.0);
        for line in 0..self.lines {
            for field in 0..grid.stride[0] {
                for (line, values) in [(line, &mut *one), (line + self.half, &mut *other)] {
                    let values = &mut values[..grid.line_len()];
                    grid.load_field_line::<V>(images.input, [field, line], images.load, values);
                }
                ahead.step();
                self.split_lines::<V>(images.input, [field, line], [&*one, &*other], planes);
            }
        }
    }

    /// Splits two lines of a field, and asks for the next.
    #[inline(always)]
    fn split_lines<V: Vector>(
        &self,
        input: &[f32],
        [field, line]: [usize; 2],
        [one, other]: [&[f32]; 2],
        planes: &mut [f32],
    ) {
        let Self { ref grid, channels, .. } = *self;
        let next = [line + 1, line + 1 + self.half].map(|line| grid.source_at([field, line]));
        for v in 0..grid.stride[1] {
            for sixteen in 0..self.sixteens[0] {
                // The tap (u, v) below the stride is in the field u, and is source pixel v.
                let first = self.tap(field, v, sixteen) + line * grid.pitch * LANES;
                let lanes = &mut planes[first..];
                for column in 0..grid.pitch {
                    let at = (column * grid.stride[1] + v) * channels + sixteen * LANES;
                    for next in next {
                        prefetch_at(input, next + at);
                    }
                    let (one, other): (V, V) = (load(one, at, LANES), load(other, at, LANES));
                    let lanes = &mut lanes[column * LANES..];
                    store_parts::<V, P>(one, other, lanes, self.part_len());
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
        let Self { ref grid, sixteens, steps, .. } = *self;
        let (channels, width) = (images.shape.out_channels, sixteens[1] * LANES);
        let (one, other) = values[..2 * LANES * width].split_at_mut(LANES * width);
        let mut places = [0, self.half].map(|line| grid.field_line(line));
        for step in 0..steps {
            let next =
                places.map(|place| grid.pixels_before(&place) * channels + images.first + DISTANCE);
            let pairs = LANES.min(self.half * grid.pitch - step * LANES);
            for (place, rows) in places.iter_mut().zip([&mut *one, &mut *other]) {
                let (pixels, beyond) = rows.split_at_mut(pairs * width);
                *place = self.take(images, *place, pixels);
                beyond.fill(0.0);
            }
            ahead.step();
            for sixteen in 0..sixteens[1] {
                let mut halves = [[V::splat(0.0); LANES]; 2];
                for pair in 0..LANES {
                    for next in next {
                        prefetch_at(images.gradient, next + pair * channels + sixteen * LANES);
                    }
                    let at = pair * width + sixteen * LANES;
                    halves[0][pair] = load(one, at, LANES);
                    halves[1][pair] = load(other, at, LANES);
                }
                let (one, other) = (V::transpose(halves[0]), V::transpose(halves[1]));
                let tile = &mut tiles[(sixteen * steps + step) * P * TILE..][..P * TILE];
                for row in 0..LANES {
                    store_parts::<V, P>(one[row], other[row], &mut tile[row * LANES..], TILE);
                }
            }
        }
    }

    /// Copies the group's channels of the gradient of some pixels, from `place` on; what lies between the target
    /// pixels has none. Returned is the place after them.
    #[inline(always)]
    fn take(&self, images: &Images<'_, impl Load>, place: Place, mut rows: &mut [f32]) -> Place {
        let (grid, width) = (&self.grid, self.sixteens[1] * LANES);
        let channels = images.shape.out_channels;
        let taken = width.min(channels - images.first);
        let mut place = place;
        while !rows.is_empty() {
            // Up to the end of the line's target pixels, or of the line.
            let (pixel, len) = grid.run(&place);
            let here = rows.split_off_mut(..(len * width).min(rows.len())).expect("some of them");
            let len = here.len() / width;
            place = grid.after(&place, len);
            let Some(pixel) = pixel else {
                here.fill(0.0);
                continue;
            };
            let from = pixel * channels..(pixel + len) * channels;
            let from = &images.gradient[from];
            if width == channels {
                here.copy_from_slice(from);
                continue;
            }
            for (from, to) in from.chunks_exact(channels).zip(here.chunks_exact_mut(width)) {
                to[..taken].copy_from_slice(&from[images.first..][..taken]);
                to[taken..].fill(0.0);
            }
        }
        place
    }
}
