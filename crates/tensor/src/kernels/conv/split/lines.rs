//! The source of a correlation, split line by line.
//!
//! For each part there is a plane: (pixels of the [`Grid`], channels) of `bf16`, a pair to a lane.

use super::super::padded::Load;
use super::Grid;
use super::grid::Place;
use crate::kernels::conv::fused::{load, store};
use crate::kernels::simd::{LANES, Vector};
use crate::kernels::unit::{PARTS, Patches, TERMS, lanes_of_parts};

/// Values that are split at a time: about as many as while the unit multiplies a step.
const SOME: usize = 8 * TERMS;

/// Lines of the source on their way to the planes.
pub(super) struct Lines<'a, L> {
    pub(super) grid: &'a Grid,
    /// Where pixels and parts are in the planes.
    pub(super) patches: Patches,
    pub(super) planes: &'a mut [f32],
    source: &'a [f32],
    load: L,
    /// The next line, if there is one.
    next: Option<Place>,
    /// It, before it is split.
    line: &'a mut [f32],
    /// Values of it that are split already.
    done: usize,
    /// Lanes of each plane up to which all are written.
    end: usize,
}

impl<'a, L: Load> Lines<'a, L> {
    /// Lanes of all planes.
    pub(super) fn planes_len(grid: &Grid, channels: usize) -> usize {
        let pixel = channels / 2;
        // The last pixel may be the first of a tile, and its last term the first of a step.
        PARTS * ((grid.pixels() + LANES) * pixel + LANES).next_multiple_of(LANES)
    }

    pub(super) fn new(
        grid: &'a Grid,
        channels: usize,
        source: &'a [f32],
        load: L,
        line: &'a mut [f32],
        planes: &'a mut [f32],
    ) -> Self {
        let patches = Patches { pixel: channels / 2, part: planes.len() / PARTS };
        let next = Some(Place::default());
        Self { grid, patches, planes, source, load, next, line, done: 0, end: 0 }
    }

    /// Splits some values of the next line, if there is one.
    #[inline(always)]
    pub(super) fn some<V: Vector>(&mut self) {
        let Self { grid, patches: Patches { pixel, part }, .. } = *self;
        let Some(place @ Place { image, line, .. }) = self.next else { return };
        if self.done == 0 {
            grid.load_line::<V>(self.source, image, line, self.load, self.line);
        }
        let len = self.line.len();
        let some = self.done..(self.done + SOME).min(len);
        let first = grid.number(&place) * pixel + some.start / 2;
        assert!(first + some.len().next_multiple_of(TERMS) / 2 <= part, "inside of a plane");
        split::<V>(&self.line[some.clone()], &mut self.planes[first..], part);
        self.end = first + some.len() / 2;
        self.done = some.end;
        if some.end == len {
            (self.done, self.next) = (0, grid.line_after(place));
        }
        if self.next.is_none() {
            for plane in self.planes.chunks_exact_mut(part) {
                plane[self.end..].fill(0.0);
            }
            self.end = part;
        }
    }

    /// Splits lines until all lanes of a plane before `lane` are written.
    ///
    /// # Panics
    /// If a plane has fewer lanes.
    #[inline(always)]
    pub(super) fn until<V: Vector>(&mut self, lane: usize) {
        assert!(lane <= self.patches.part, "inside of a plane");
        while self.end < lane {
            self.some::<V>();
        }
    }
}

/// Writes the parts of neighbouring values, and zeros up to the end of their last vector.
#[inline(always)]
fn split<V: Vector>(values: &[f32], lanes: &mut [f32], part: usize) {
    for (values, lanes) in values.chunks(TERMS).zip(lanes_of_parts(lanes, part)) {
        let mut padded = [0.0; TERMS];
        let values = if values.len() == TERMS {
            values
        } else {
            padded[..values.len()].copy_from_slice(values);
            &padded
        };
        let [even, odd] = load::<V>(values, 0, LANES).alternate(load(values, LANES, LANES));
        let parts = even.split(odd);
        for part in 0..PARTS {
            store(parts[part], lanes[part], 0, LANES);
        }
    }
}
