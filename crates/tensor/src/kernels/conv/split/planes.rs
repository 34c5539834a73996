//! The source of a correlation, split into parts.
//!
//! For each part a plane: (images, lines, pitch, channels) of `bf16`, a pair to a lane. Neighbouring
//! lines share the zeros at their ends, as far as there are as many on either side, and neighbouring
//! images likewise: pixels of a plane that are no pixels of the target are multiplied for nothing.

use std::ops::Range;

use super::super::correlation::{Axis, Correlation};
use super::super::padded::{Load, Window};
use crate::kernels::conv::fused::load;
use crate::kernels::simd::{LANES, Vector};
use crate::kernels::unit::{PARTS, Patches, TERMS};

/// How the planes of a band of a few images are laid out. Lengths are in lanes.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    /// The source rectangle that they hold of each image.
    window: Window,
    pub(super) images: usize,
    /// Lines from an image to the next.
    pub(super) lines: usize,
    /// Pixels from a line to the next.
    pub(super) pitch: usize,
    /// From a pixel to the next.
    pixel: usize,
    /// From a part to the next.
    pub(super) part: usize,
}

impl Planes {
    /// Those of the target rows `rows` of `images` images.
    pub(super) fn new(correlation: &Correlation, rows: &Range<usize>, images: usize) -> Self {
        let window = correlation.window(rows);
        let shared = |range: &Range<isize>, extent: usize| {
            let before = range.start.saturating_neg().max(0);
            let after = (range.end - extent as isize).max(0);
            (before.min(after) as usize).min(range.len().saturating_sub(1))
        };
        let [height, width] = window.image;
        let pitch = window.columns.len() - shared(&window.columns, width);
        let lines = window.rows.len() - shared(&window.rows, height);
        let pixel = window.channels / 2;
        // The last image has all lines of its own. Its last pixel may begin a tile, and its last term a
        // step.
        let all = ((images - 1) * lines + window.rows.len()) * pitch + window.columns.len();
        let beyond = LANES * correlation.axis(1, 0).from_step * pixel + LANES;
        let part = (all * pixel + beyond).next_multiple_of(LANES);
        Self { window, images, lines, pitch, pixel, part }
    }

    /// Lanes of all planes.
    pub(super) fn len(&self) -> usize {
        PARTS * self.part
    }

    /// Values of a row of the source rectangle.
    pub(super) fn row_len(&self) -> usize {
        self.window.row_len()
    }

    /// Where the terms of pixels are that are `step` pixels apart.
    pub(super) fn patches(&self, step: usize, [rows, steps]: [usize; 2]) -> Patches {
        let Self { pitch, pixel, part, .. } = *self;
        Patches { pixel: step * pixel, row: pitch * pixel, part, rows, steps }
    }

    /// The lane where the terms of a pair of phases' target pixel begin, the first of line `number`.
    pub(super) fn first(&self, y: &Axis, x: &Axis, number: usize) -> usize {
        let row = y.from_first + (y.from_step * number) as isize - self.window.rows.start;
        let column = x.from_first - self.window.columns.start;
        (row as usize * self.pitch + column as usize) * self.pixel
    }

    /// Splits the source of the images. `row` is working memory for a row.
    #[inline(always)]
    pub(super) fn fill<V: Vector>(
        &self,
        source: &[f32],
        load: impl Load,
        row: &mut [f32],
        lanes: &mut [f32],
    ) {
        let Self { window, lines, pitch, pixel, part, .. } = self;
        let [height, width] = window.image;
        let mut end = 0;
        for (image, source) in source.chunks_exact(height * width * window.channels).enumerate() {
            // The zeros at the end of a line are those at the beginning of the next, which is written
            // last.
            for (line, y) in window.rows.clone().enumerate() {
                window.load_row::<V>(source, y, row, load);
                let first = (image * lines + line) * pitch * pixel;
                split::<V>(row, &mut lanes[first..], *part);
                end = first + row.len() / 2;
            }
        }
        for part in lanes.chunks_exact_mut(*part) {
            part[end..].fill(0.0);
        }
    }
}

/// Writes the parts of neighbouring values, and some zeros after them.
#[inline(always)]
fn split<V: Vector>(values: &[f32], lanes: &mut [f32], part: usize) {
    for at in (0..values.len()).step_by(TERMS) {
        let rest = &values[at..];
        let width = rest.len().min(LANES);
        let next = (rest.len() - width).min(LANES);
        let [even, odd] = load::<V>(rest, 0, width).alternate(load(rest, width, next));
        let parts = even.split(odd);
        for k in 0..PARTS {
            let lanes = &mut lanes[at / 2 + k * part..][..LANES];
            // SAFETY: there are sixteen.
            unsafe { parts[k].store(lanes.as_mut_ptr()) };
        }
    }
}
