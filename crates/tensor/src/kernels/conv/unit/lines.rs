//! The source of a correlation, split line by line.
//!
//! For each part there is a plane: (fields of the [`Grid`], pixels, channels) of `bf16`, a pair to a lane.

use super::super::padded::Load;
use super::Grid;
use crate::kernels::simd::{LANES, Vector, load};
use crate::kernels::unit::{Patches, TERMS, store_parts};

/// Values that are split at a time: about as many as while the unit multiplies a step.
const SOME: usize = 8 * TERMS;

/// Lines of the source on their way to the planes.
pub(super) struct Lines<'a, L, const P: usize> {
    pub(super) grid: &'a Grid,
    /// Where pixels and parts are in the planes.
    pub(super) patches: Patches,
    /// From a field to the next.
    pub(super) field: usize,
    pub(super) planes: &'a mut [f32],
    source: &'a [f32],
    load: L,
    /// The image and the source line that come next, if there are any.
    next: Option<[usize; 2]>,
    /// The line, before it is split.
    line: &'a mut [f32],
    /// Values of it that are split already.
    done: usize,
    /// Lanes of each field up to which all are written.
    end: usize,
}

impl<'a, L: Load, const P: usize> Lines<'a, L, P> {
    /// Lanes of a pixel.
    fn pixel(grid: &Grid, channels: usize) -> usize {
        grid.stride[1] * channels / 2
    }

    /// Lanes of all planes.
    pub(super) fn planes_len(grid: &Grid, channels: usize) -> usize {
        let pixel = Self::pixel(grid, channels);
        // The last pixel may be the first of a tile, and its last term the first of a step.
        let field = ((grid.pixels() + LANES) * pixel + LANES).next_multiple_of(LANES);
        P * grid.stride[0] * field
    }

    pub(super) fn new(
        grid: &'a Grid,
        channels: usize,
        source: &'a [f32],
        load: L,
        line: &'a mut [f32],
        planes: &'a mut [f32],
    ) -> Self {
        let part = planes.len() / P;
        let (patches, field) =
            (Patches { pixel: Self::pixel(grid, channels), part }, part / grid.stride[0]);
        let next = Some([0; 2]);
        Self { grid, patches, field, planes, source, load, next, line, done: 0, end: 0 }
    }

    /// Splits some values of the next line, if there is one.
    #[inline(always)]
    pub(super) fn some<V: Vector>(&mut self) {
        let Self { grid, patches: Patches { pixel, part }, field, .. } = *self;
        let Some([image, line]) = self.next else { return };
        if self.done == 0 {
            grid.load_line::<V>(self.source, image, line, self.load, self.line);
        }
        let len = self.line.len();
        let some = self.done..(self.done + SOME).min(len);
        let (in_field, place) = grid.line(image, line);
        let first = grid.number(&place) * pixel + some.start / 2;
        let behind = first + some.len().next_multiple_of(TERMS) / 2;
        assert!(behind <= field, "inside of a field");
        let lanes = &mut self.planes[in_field * field + first..];
        split::<V, P>(&self.line[some.clone()], lanes, part);
        self.done = some.end;
        // The last field is written last.
        if in_field + 1 == grid.stride[0] {
            self.end = first + some.len() / 2;
        }
        if some.end == len {
            self.done = 0;
            self.next = match line + 1 {
                line if line < grid.source_lines() => Some([image, line]),
                _ => Some([image + 1, 0]).filter(|_| image + 1 < grid.images),
            };
        }
        if self.next.is_none() {
            for field in self.planes.chunks_exact_mut(field) {
                field[self.end..].fill(0.0);
            }
            self.end = field;
        }
    }

    /// Splits lines until all lanes of each field before `lane` are written.
    ///
    /// # Panics
    /// If a field has fewer lanes.
    #[inline(always)]
    pub(super) fn until<V: Vector>(&mut self, lane: usize) {
        assert!(lane <= self.field, "inside of a field");
        while self.end < lane {
            self.some::<V>();
        }
    }
}

/// Writes the parts of neighbouring values, and zeros up to the end of their last vector.
#[inline(always)]
fn split<V: Vector, const P: usize>(values: &[f32], lanes: &mut [f32], part: usize) {
    for (at, values) in values.chunks(TERMS).enumerate() {
        let mut padded = [0.0; TERMS];
        let values = if values.len() == TERMS {
            values
        } else {
            padded[..values.len()].copy_from_slice(values);
            &padded
        };
        let [even, odd] = load::<V>(values, 0, LANES).alternate(load(values, LANES, LANES));
        store_parts::<V, P>(even, odd, &mut lanes[at * LANES..], part);
    }
}
