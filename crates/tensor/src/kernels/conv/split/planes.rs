//! The source of a correlation, split into parts.
//!
//! For each part a plane: (images, lines, pitch, channels) of `bf16`, a pair to a lane. Neighbouring
//! lines share the zeros at their ends, as far as there are as many on either side, and neighbouring
//! images likewise: pixels of a plane that are no pixels of the target are multiplied for nothing.

use std::ops::Range;

use super::super::correlation::{Axis, Correlation};
use super::super::padded::Window;
use super::Runs;
use crate::kernels::conv::fused::load;
use crate::kernels::simd::{LANES, Task, Vector};
use crate::kernels::unit::{PARTS, Patches, TERMS};

/// How the planes of a band of a few images are laid out. Lengths are in lanes.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    runs: Runs,
    /// The source rectangle that the padded copy holds.
    pub(super) window: Window,
    pub(super) images: usize,
    /// Lines from an image to the next.
    pub(super) lines: usize,
    /// Pixels from a line to the next.
    pub(super) pitch: usize,
    /// From a pixel to the next.
    pixel: usize,
    /// Kernel rows that stand next to each other, and rows of the padded copy from a line to the next.
    stack: [usize; 2],
    /// From a part to the next.
    pub(super) part: usize,
}

impl Planes {
    /// Those of the target rows `rows` of `images` images.
    pub(super) fn new(correlation: &Correlation, rows: &Range<usize>, images: usize) -> Self {
        let (window, runs) = (correlation.window(rows), Runs::of(correlation));
        let shared = |range: &Range<isize>, extent: usize| {
            let before = range.start.saturating_neg().max(0);
            let after = (range.end - extent as isize).max(0);
            (before.min(after) as usize).min(range.len().saturating_sub(1))
        };
        let pitch = window.columns.len() - shared(&window.columns, window.image[1]);
        let y = correlation.axis(0, 0);
        let (stack, lines) = match runs {
            Runs::Rows => ([1, 1], window.rows.len() - shared(&window.rows, window.image[0])),
            Runs::Whole => ([y.taps, y.from_step], y.numbers_in(rows).len()),
        };
        let pixel = stack[0] * window.channels / 2;
        // A tile may begin with the last pixel, and a step with the last term.
        let beyond = LANES * pixel * correlation.axis(1, 0).from_step + LANES;
        let all = (images * lines * pitch + window.columns.len()) * pixel;
        let all = all + window.rows.len() * pitch * pixel;
        Self {
            runs,
            window,
            images,
            lines,
            pitch,
            pixel,
            stack,
            part: (all + beyond).next_multiple_of(LANES),
        }
    }

    /// Lanes of all planes.
    pub(super) fn len(&self) -> usize {
        PARTS * self.part
    }

    /// Where the terms of pixels are that are `step` pixels apart.
    pub(super) fn patches(&self, step: usize, [rows, steps]: [usize; 2]) -> Patches {
        let Self { pitch, pixel, part, .. } = *self;
        Patches { pixel: step * pixel, row: pitch * pixel, part, rows, steps }
    }

    /// Whether lines of the target are further apart than those of the planes.
    pub(super) fn steps_over_lines(&self, y: &Axis) -> bool {
        self.runs == Runs::Rows && y.from_step > 1
    }

    /// The first lane of the first pixel of a pair of phases, and lanes from its lines to the next.
    pub(super) fn first(&self, y: &Axis, x: &Axis, number: usize) -> [usize; 2] {
        let column = x.from_first - self.window.columns.start;
        let (row, step) = match self.runs {
            Runs::Rows => {
                let row = y.from_first + (y.from_step * number) as isize - self.window.rows.start;
                (row as usize, y.from_step)
            }
            Runs::Whole => (0, 1),
        };
        let line = self.pitch * self.pixel;
        [row * line + column as usize * self.pixel, step * line]
    }
}

/// Splits the padded copy of a band.
pub(super) struct Fill<'a> {
    pub(super) planes: &'a Planes,
    pub(super) padded: &'a [f32],
    pub(super) lanes: &'a mut [f32],
}

impl Task for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { planes, padded, lanes } = self;
        let Planes { window, lines, pitch, pixel, stack: [taps, step], .. } = planes;
        let (row_len, line) = (window.row_len(), pitch * pixel);
        let mut end = 0;
        for (image, padded) in padded.chunks_exact(window.len()).enumerate() {
            let first = image * lines * line;
            // The zeros at the end of a line are those at the beginning of the next, and it is the next
            // that is written last.
            if *taps == 1 {
                for (row, values) in padded.chunks_exact(row_len).enumerate() {
                    split::<V>(values, &mut lanes[first + row * line..], planes.part);
                }
                end = first + (window.rows.len() - 1) * line + row_len / 2;
            } else {
                for row in 0..*lines {
                    let lanes = &mut lanes[first + row * line..];
                    stack::<V>(&padded[row * step * row_len..], row_len, *taps, lanes, planes.part);
                }
                end = first + (lines - 1) * line + row_len / 2 * taps;
            }
        }
        for part in lanes.chunks_exact_mut(planes.part) {
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
        split_pair::<V>(load(rest, 0, width), load(rest, width, next), &mut lanes[at / 2..], part);
    }
}

/// The same for the rows of the taps of a line, the sixteen channels of a column one after the other.
#[inline(always)]
fn stack<V: Vector>(rows: &[f32], row_len: usize, taps: usize, lanes: &mut [f32], part: usize) {
    let count = row_len / LANES * taps;
    let (mut tap, mut column) = (0, 0);
    for at in (0..count).step_by(2) {
        let mut pair = [V::splat(0.0); 2];
        for half in 0..2 {
            if at + half < count {
                pair[half] = load(rows, tap * row_len + column, LANES);
            }
            tap += 1;
            if tap == taps {
                (tap, column) = (0, column + LANES);
            }
        }
        split_pair::<V>(pair[0], pair[1], &mut lanes[at * LANES / 2..], part);
    }
}

/// Writes the parts of 32 values, in their order.
#[inline(always)]
fn split_pair<V: Vector>(values: V, next: V, lanes: &mut [f32], part: usize) {
    let [even, odd] = values.alternate(next);
    let parts = even.split(odd);
    for k in 0..PARTS {
        let lanes = &mut lanes[k * part..][..LANES];
        // SAFETY: there are sixteen.
        unsafe { parts[k].store(lanes.as_mut_ptr()) };
    }
}
