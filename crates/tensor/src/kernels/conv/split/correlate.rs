//! A band of target rows of a few images, four tiles of pixels and sixteen channels at a time.

use super::super::correlation::Axis;
use super::super::direct::Band;
use super::super::padded::Load;
use super::planes::Planes;
use super::steps;
use crate::kernels::conv::fused::{load, store};
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::unit::{PARTS, TILE, Unit};
use crate::kernels::{InstructionSet, scratch};

/// Computes a band with the matrix unit.
pub(in crate::kernels::conv) fn band<L: Load>(set: InstructionSet, band: Band<'_, L>) {
    let planes = Planes::new(&band.correlation, &band.rows, band.images());
    scratch::with_thread_buffer(planes.len(), |lanes| {
        scratch::with_thread_buffer(planes.row_len(), |row| {
            simd::run(set, Split { band, planes: &planes, row, lanes });
        });
    });
}

struct Split<'a, L> {
    band: Band<'a, L>,
    planes: &'a Planes,
    row: &'a mut [f32],
    lanes: &'a mut [f32],
}

impl<L: Load> Task for Split<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { mut band, planes, row, lanes } = self;
        let correlation = band.correlation;
        planes.fill::<V>(band.source, band.load, row, lanes);
        if correlation.has_untouched_pixels() {
            band.target.fill(0.0);
        }
        // SAFETY: this thread has no other unit until this one is dropped.
        let unit = unsafe { Unit::take() };
        let mut weights = band.packed;
        for (y, x) in correlation.phase_pairs() {
            let steps = steps(&correlation, &y, &x);
            let len = steps[0] * steps[1] * PARTS * TILE;
            for first in (0..correlation.padded_channels()).step_by(LANES) {
                let (panel, rest) = weights.split_at(len);
                weights = rest;
                if len > 0 {
                    let work = Panel { planes, lanes, y: &y, x: &x, first, weights: panel };
                    work.run::<V, L>(&unit, &mut band);
                }
            }
        }
    }
}

/// Sixteen target channels of a pair of phases.
struct Panel<'a> {
    planes: &'a Planes,
    lanes: &'a [f32],
    y: &'a Axis,
    x: &'a Axis,
    first: usize,
    weights: &'a [f32],
}

impl Panel<'_> {
    #[inline(always)]
    fn run<V: Vector, L: Load>(&self, unit: &Unit, band: &mut Band<'_, L>) {
        let Self { planes, lanes, y, x, weights, .. } = self;
        let numbers = y.numbers_in(&band.rows);
        if numbers.is_empty() || x.count == 0 {
            return;
        }
        let tiles = Tiles::new(planes, y, x, numbers.len());
        let patches = planes.patches(x.from_step, steps(&band.correlation, y, x));
        let first_lane = planes.first(y, x, numbers.start);
        let mut at = Some(Position::default());
        let mut sums = Sums([0.0; 4 * TILE]);
        while let Some(first) = at {
            let (mut positions, mut from) = ([first; 4], [lanes.as_ptr(); 4]);
            let mut count = 0;
            for k in 0..4 {
                // Beyond the last tile it is multiplied again, and not stored.
                if let Some(position) = at {
                    (positions[k], count) = (position, k + 1);
                    at = tiles.next(position);
                } else {
                    positions[k] = positions[k - 1];
                }
                let Position { image, line: number, pixel } = positions[k];
                let line = image * planes.lines + number * y.from_step;
                let lane = first_lane + line * patches.row + pixel * patches.pixel;
                let last = lane + (LANES - 1) * patches.pixel + (patches.rows - 1) * patches.row;
                debug_assert!(last + patches.steps * LANES <= planes.part, "inside of a plane");
                from[k] = lanes[lane..].as_ptr();
            }
            let channels = band.correlation.channels().1 - self.first;
            let stays =
                count < 4 || channels < LANES || !positions.iter().all(|at| tiles.fills(at));
            let to = if stays {
                ([0, 1, 2, 3].map(|k| sums.0[k * TILE..].as_mut_ptr()), LANES)
            } else {
                (positions.map(|at| self.target(band, at).as_mut_ptr()), self.stride(band))
            };
            // SAFETY: the planes hold the steps of these pixels, as above, and the weights have been made
            // for them. Tiles that do not stay are pixels of the target.
            unsafe { unit.multiply_patches(from, &patches, weights.as_ptr(), to) };
            if stays {
                for (position, sums) in positions[..count].iter().zip(sums.0.chunks_exact(TILE)) {
                    self.store::<V, L>(band, &tiles, *position, sums);
                }
            }
        }
    }

    /// The target from a pixel on, which is one.
    fn target<'t, L: Load>(&self, band: &'t mut Band<'_, L>, at: Position) -> &'t mut [f32] {
        let Self { y, x, .. } = self;
        let (_, [_, width]) = band.correlation.images();
        let (_, targets) = band.correlation.channels();
        let row = y.to_first + y.to_step * (y.numbers_in(&band.rows).start + at.line);
        let row = at.image * band.rows.len() + row - band.rows.start;
        let column = x.to_first + x.to_step * at.pixel;
        &mut band.target[(row * width + column) * targets + self.first..]
    }

    /// Values from a target pixel to the next.
    fn stride<L: Load>(&self, band: &Band<'_, L>) -> usize {
        self.x.to_step * band.correlation.channels().1
    }

    /// Writes those of a tile's pixels that are pixels of the target.
    #[inline(always)]
    fn store<V: Vector, L: Load>(
        &self,
        band: &mut Band<'_, L>,
        tiles: &Tiles,
        mut at: Position,
        mut sums: &[f32],
    ) {
        let stride = self.stride(band);
        let channels = LANES.min(band.correlation.channels().1 - self.first);
        while !sums.is_empty() && at.image < tiles.images {
            let here = (sums.len() / LANES).min(tiles.pixels - at.pixel);
            let (these, rest) = sums.split_at(here * LANES);
            let valid = tiles.count[1].saturating_sub(at.pixel).min(here);
            if at.line < tiles.count[0] && valid > 0 {
                let target = self.target(band, at);
                for (k, sums) in these.chunks_exact(LANES).take(valid).enumerate() {
                    store::<V>(load(sums, 0, LANES), target, k * stride, channels);
                }
            }
            (sums, at.pixel, at.line) = (rest, 0, at.line + 1);
            if at.line == tiles.lines {
                (at.line, at.image) = (0, at.image + 1);
            }
        }
    }
}

/// Pixels of the planes that tiles are made of: the target pixels of a pair of phases, line by line,
/// and whatever lies between them.
struct Tiles {
    images: usize,
    /// Lines of an image.
    lines: usize,
    /// Pixels of a line.
    pixels: usize,
    /// Lines of an image and pixels of a line that are in the target.
    count: [usize; 2],
}

/// Where a tile begins.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    image: usize,
    line: usize,
    pixel: usize,
}

impl Tiles {
    fn new(planes: &Planes, y: &Axis, x: &Axis, lines: usize) -> Self {
        let count = [lines, x.count];
        let images = planes.images;
        // A line by itself ends with a tile that is not full. If neighbours are a pixel apart, tiles can
        // go on to the next line, over the zeros between.
        let alone = x.count.next_multiple_of(LANES);
        let apart = [y, x].iter().any(|axis| axis.from_step > 1);
        let shared = lines > planes.lines || x.count > planes.pitch;
        if apart || shared || lines * alone <= planes.lines * planes.pitch {
            Self { images, lines, pixels: alone, count }
        } else {
            Self { images, lines: planes.lines, pixels: planes.pitch, count }
        }
    }

    /// Whether all pixels of the tile there are pixels of the target.
    fn fills(&self, at: &Position) -> bool {
        at.line < self.count[0] && at.pixel + LANES <= self.count[1]
    }

    /// The tile after one, if it has a pixel of the target.
    #[inline(always)]
    fn next(&self, position: Position) -> Option<Position> {
        let Position { mut image, mut line, mut pixel } = position;
        pixel += LANES;
        while pixel >= self.pixels {
            (pixel, line) = (pixel - self.pixels, line + 1);
            if line == self.lines {
                (line, image) = (0, image + 1);
            }
        }
        let last = image + 1 == self.images
            && (line >= self.count[0] || line + 1 == self.count[0] && pixel >= self.count[1]);
        (image < self.images && !last).then_some(Position { image, line, pixel })
    }
}

/// Four tiles of sums, whose rows begin a cache line.
#[repr(align(64))]
struct Sums([f32; 4 * TILE]);
