//! The direct correlation: a band of target rows of a few images, from the padded copy of its
//! source, a register tile of pixels and channels at a time.
//!
//! A task loads its source into a padded buffer of this thread (through a [`Load`]), multiplies
//! tile by tile, and stores each tile of sums. In the padded copy the taps of a
//! kernel row and their channels are one run of `taps C` neighbouring values, so a tile is
//! `sums[pixel] += sum over kernel rows, over the run: x[pixel][j] w[j]`, see
//! [`multiply`].

use std::ops::Range;

use rayon::prelude::*;

use super::correlation::{Axis, Correlation};
use super::padded::{Load, Window};
use super::store::store;
use super::unit;
use crate::kernels::ahead::Ahead;
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::tile::{multiply, zeros};
use crate::kernels::{Arithmetic, Scratch, scratch};

/// Tasks that a call is cut into at least, if the shape allows, however many threads there are.
const TASKS: usize = 16;
/// Pixels to a task that make loading its weights worth while.
const PIXELS: usize = 256;

/// Runs a correlation over a whole batch, in parallel.
pub(in crate::kernels::conv) fn correlate<L: Load>(
    with: Arithmetic,
    correlation: Correlation,
    source: &[f32],
    weight: &[f32],
    target: &mut [f32],
    scratch: &mut Scratch<f32>,
    load: L,
) {
    if target.is_empty() {
        return;
    }
    let (source_len, target_len) =
        (source.len() / correlation.batch(), target.len() / correlation.batch());
    let buffer = scratch.take(prepared_len(with, &correlation));
    let packed = prepare(with, &correlation, weight, buffer);
    let (images, rows) = correlation.cut();
    let row_len = target_len / correlation.images().1[0];
    target.par_chunks_mut(images * target_len).enumerate().for_each(|(group, target)| {
        let source = &source[group * images * source_len..];
        let source = &source[..target.len() / target_len * source_len];
        // One image may be cut into bands of rows, several are not.
        let band_len = if images == 1 { rows * row_len } else { target.len() };
        target.par_chunks_mut(band_len).enumerate().for_each(|(band, target)| {
            let first = band * rows;
            let rows = if images == 1 { target.len() / row_len } else { rows };
            let rows = first..first + rows;
            let ahead = Ahead::new(&[]);
            let ahead = if rows.len() * row_len == target_len {
                ahead.and_behind(source).and_behind(target)
            } else {
                ahead
            };
            Band { correlation, source, packed, rows, load, target, ahead }.compute(with);
        });
    });
}

/// Values of the buffer that [`prepare`] takes.
pub(super) fn prepared_len(with: Arithmetic, correlation: &Correlation) -> usize {
    if unit::serves(with, correlation) {
        return unit::prepared_len(with, correlation);
    }
    correlation.packed_len()
}

/// The weights as a [`Band`] wants them.
pub(super) fn prepare<'b>(
    with: Arithmetic,
    correlation: &Correlation,
    weight: &[f32],
    buffer: &'b mut [f32],
) -> &'b [f32] {
    if unit::serves(with, correlation) {
        return unit::prepare(with, correlation, weight, buffer);
    }
    correlation.pack(weight, simd::columns(with.set), buffer);
    buffer
}

impl Correlation {
    /// How many images and how many rows of each a task takes.
    fn cut(&self) -> (usize, usize) {
        let [height, width] = self.images().1;
        let pixels = height * width;
        // Each pair of phases has weights of its own.
        let of_phases = (pixels / (self.phases(0) * self.phases(1))).max(1);
        let images = PIXELS.div_ceil(of_phases).min(self.batch().div_ceil(TASKS));
        if images > 1 || pixels < PIXELS {
            return (images, height);
        }
        let bands = TASKS.div_ceil(self.batch()).min(pixels / PIXELS);
        (1, height.div_ceil(bands))
    }

    /// Whether there are target pixels that no tap reaches.
    pub(super) fn has_untouched_pixels(&self) -> bool {
        self.phase_pairs().any(|(y, x)| self.depth(&y, &x) == 0)
    }

    /// The source rectangle that a band of target rows meets.
    pub(super) fn window(&self, rows: &Range<usize>) -> Window {
        let (image, [_, width]) = self.images();
        Window {
            image,
            channels: self.channels().0,
            rows: self.reach(0, rows),
            columns: self.reach(1, &(0..width)),
        }
    }
}

/// A band of target rows of a few images: the unit of work of one thread.
pub(super) struct Band<'a, L> {
    pub(super) correlation: Correlation,
    /// The images' whole source.
    pub(super) source: &'a [f32],
    pub(super) packed: &'a [f32],
    /// The band's rows, the same in each image.
    pub(super) rows: Range<usize>,
    pub(super) load: L,
    /// The band of each image, one after the other.
    pub(super) target: &'a mut [f32],
    /// What is read or written next: the matrix unit asks for it.
    pub(super) ahead: Ahead,
}

impl<L: Load> Band<'_, L> {
    /// Computes it, with the matrix unit if that serves.
    pub(super) fn compute(self, with: Arithmetic) {
        if unit::serves(with, &self.correlation) {
            return unit::band(with, self);
        }
        let len = self.correlation.window(&self.rows).len() * self.images();
        scratch::with_thread_buffer(len, |padded| {
            simd::run(with.set, Padded { band: self, padded });
        });
    }

    /// How many images it has.
    pub(super) fn images(&self) -> usize {
        let ([height, width], _) = self.correlation.images();
        self.source.len() / (height * width * self.correlation.channels().0)
    }
}

/// A band, and working memory for its padded source.
struct Padded<'a, L> {
    band: Band<'a, L>,
    padded: &'a mut [f32],
}

impl<L: Load> Task for Padded<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let band = &mut self.band;
        let correlation = band.correlation;
        let window = correlation.window(&band.rows);
        window.load::<V>(band.source, self.padded, band.load);
        let targets = correlation.channels().1;
        if correlation.has_untouched_pixels() {
            band.target.fill(0.0);
        }
        let mut packed = band.packed;
        for (y, x) in correlation.phase_pairs() {
            let depth = correlation.depth(&y, &x);
            let (pair, rest) = packed.split_at(depth * correlation.padded_channels());
            packed = rest;
            if depth == 0 {
                continue;
            }
            for first in (0..targets).step_by(V::COLUMNS * LANES) {
                let width = (V::COLUMNS * LANES).min(correlation.padded_channels() - first);
                let weights = &pair[first * depth..][..width * depth];
                match (V::ROWS, width / LANES) {
                    (8, 2) => self.panel::<V, 8, 2>(&window, &y, &x, first, weights),
                    (8, _) => self.panel::<V, 8, 1>(&window, &y, &x, first, weights),
                    (6, _) => self.panel::<V, 6, 1>(&window, &y, &x, first, weights),
                    _ => self.panel::<V, 2, 1>(&window, &y, &x, first, weights),
                }
            }
        }
    }
}

impl<L: Load> Padded<'_, L> {
    /// A panel of 16 N target channels, at all pixels of a pair of phases.
    #[inline(always)]
    fn panel<V: Vector, const Q: usize, const N: usize>(
        &mut self,
        window: &Window,
        y: &Axis,
        x: &Axis,
        channel: usize,
        weights: &[f32],
    ) {
        let Self { band, padded } = self;
        let (sources, targets) = band.correlation.channels();
        let (row_len, run) = (window.row_len(), x.taps * sources);
        if y.numbers_in(&band.rows).is_empty() || x.count == 0 {
            return;
        }
        let images = band.images();
        let (mut walk, last) = Walk::new(&band.correlation, window, &band.rows, y, x, images);
        let pixels = walk.pixels() * images;
        let (end, behind) = (last[0] + (y.taps - 1) * row_len + run, last[1] + targets);
        assert!(end <= padded.len(), "the padded copy holds what the last pixel meets");
        assert!(behind <= band.target.len(), "the band holds the last pixel");
        let (padded, target) = (padded.as_ptr(), band.target.as_mut_ptr());
        for done in (0..pixels).step_by(Q) {
            let valid = Q.min(pixels - done);
            let (mut from, mut to) = ([padded; Q], [target; Q]);
            for q in 0..Q {
                // SAFETY: no pixel of the walk, and no source of one, begins after the last, which
                // lies inside, as asserted above.
                (from[q], to[q]) =
                    unsafe { (padded.add(walk.from), target.add(walk.to + channel)) };
                if q + 1 < valid {
                    walk.step();
                }
            }
            let mut sums = zeros::<V, Q, 1, N>();
            for t in 0..y.taps {
                // SAFETY: tap row t of each pixel lies inside the padded copy, as above; `weights`
                // holds `run` rows of 16 N values for each of the taps.
                unsafe {
                    let from = from.map(|from| from.add(t * row_len));
                    let weights = weights.as_ptr().add(t * run * N * LANES);
                    multiply(&mut sums, from, 1, weights, N * LANES, run);
                }
            }
            // SAFETY: each `to` is followed by the pixel's channels from `channel` on.
            unsafe { store(&sums, &to[..valid], targets - channel) };
            if valid == Q {
                walk.step();
            }
        }
    }
}

/// The target pixels of a pair of phases within a band, image by image, row by row: where their
/// sources begin in the padded copy and where they stand in the target.
struct Walk {
    from: usize,
    to: usize,
    x: usize,
    y: usize,
    count: [usize; 2],
    /// What a step adds to (from, to): along a row; to the next row; to the next image.
    steps: [[usize; 2]; 3],
}

impl Walk {
    /// At its first pixel, and (from, to) of its last: no pixel of the walk has a larger one, since all of
    /// `along`, `down` and `next` go forth.
    #[inline(always)]
    fn new(
        correlation: &Correlation,
        window: &Window,
        rows: &Range<usize>,
        y: &Axis,
        x: &Axis,
        images: usize,
    ) -> (Self, [usize; 2]) {
        let (_, [_, width]) = correlation.images();
        let (sources, targets) = correlation.channels();
        let numbers = y.numbers_in(rows);
        let count = [numbers.len(), x.count];
        let row = y.from_first + (numbers.start * y.from_step) as isize - window.rows.start;
        let column = x.from_first - window.columns.start;
        let inside = "the window begins before the band's first source";
        let row = usize::try_from(row).expect(inside);
        let column = usize::try_from(column).expect(inside);
        let first_row = y.to_first + y.to_step * numbers.start - rows.start;
        let along = [x.from_step * sources, x.to_step * targets];
        let down = [y.from_step * window.row_len(), y.to_step * width * targets];
        let next = [window.len(), rows.len() * width * targets];
        // From the last pixel of a row (or image) to the first of the next.
        let back = |far: [usize; 2], near: [usize; 2], count: usize| {
            [0, 1].map(|i| far[i].wrapping_sub(near[i].wrapping_mul(count.saturating_sub(1))))
        };
        let end_of_row = back(down, along, count[1]);
        let end_of_image = back(back(next, down, count[0]), along, count[1]);
        let from = row * window.row_len() + column * sources;
        let to = (first_row * width + x.to_first) * targets;
        let last = [0, 1].map(|i| {
            [from, to][i]
                + images.saturating_sub(1) * next[i]
                + count[0].saturating_sub(1) * down[i]
                + count[1].saturating_sub(1) * along[i]
        });
        let steps = [along, end_of_row, end_of_image];
        (Self { from, to, x: 0, y: 0, count, steps }, last)
    }

    /// Pixels of one image.
    fn pixels(&self) -> usize {
        self.count[0] * self.count[1]
    }

    #[inline(always)]
    fn step(&mut self) {
        self.x += 1;
        let mut step = self.steps[0];
        if self.x == self.count[1] {
            (self.x, self.y, step) = (0, self.y + 1, self.steps[1]);
            if self.y == self.count[0] {
                (self.y, step) = (0, self.steps[2]);
            }
        }
        self.from = self.from.wrapping_add(step[0]);
        self.to = self.to.wrapping_add(step[1]);
    }
}
