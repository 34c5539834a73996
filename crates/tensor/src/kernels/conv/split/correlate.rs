//! A band of target rows of a few images, four tiles of pixels and sixteen channels at a time.
//!
//! For each part of the source there is a plane: (pixels of the grid, channels) of `bf16`, a pair to a
//! lane. A tile of the unit is sixteen pixels there, and a step of its terms sixteen lanes from each of
//! them on. Where many pixels lie between those of the target, tiles begin with each line of its own;
//! else they go on over the ends of lines.

use super::super::direct::Band;
use super::super::padded::Load;
use super::Grid;
use super::grid::Place;
use super::weights::steps;
use crate::kernels::conv::fused::{load, store};
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::unit::{PARTS, Patches, TERMS, TILE, Unit, store_parts};
use crate::kernels::{InstructionSet, scratch};

/// Computes a band with the matrix unit.
pub(in crate::kernels::conv) fn band<L: Load>(set: InstructionSet, band: Band<'_, L>) {
    let grid = Grid::new(&band.correlation, &band.rows, band.images());
    let [rows, steps] = steps(&band.correlation);
    let pixel = band.correlation.channels().0 / 2;
    // The last pixel may be the first of a tile, and its last term the first of a step.
    let part = ((grid.pixels() + LANES) * pixel + LANES).next_multiple_of(LANES);
    let patches = Patches { pixel, row: grid.pitch * pixel, part, rows, steps };
    scratch::with_thread_buffer(PARTS * part, |planes| {
        scratch::with_thread_buffer(grid.line_len(), |line| {
            simd::run(set, Split { band, grid: &grid, patches, line, planes });
        });
    });
}

struct Split<'a, L> {
    band: Band<'a, L>,
    grid: &'a Grid,
    patches: Patches,
    line: &'a mut [f32],
    planes: &'a mut [f32],
}

impl<L: Load> Task for Split<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { mut band, grid, patches, line, planes } = self;
        let Patches { pixel, part, rows, steps, .. } = patches;
        let mut end = 0;
        for image in 0..grid.images {
            for number in 0..grid.all_lines() {
                grid.load_line::<V>(band.source, image, number, band.load, line);
                let first = grid.number(&Place { image, line: number, column: 0 }) * pixel;
                split::<V>(line, &mut planes[first..], part);
                end = first + line.len() / 2;
            }
        }
        for plane in planes.chunks_exact_mut(part) {
            plane[end..].fill(0.0);
        }
        // SAFETY: this thread has no other unit until this one is dropped.
        let unit = unsafe { Unit::take() };
        let panels = band.packed.chunks_exact(rows * steps * PARTS * TILE);
        for (panel, weights) in panels.enumerate() {
            let work = Panel { grid, patches: &patches, planes, weights, first: panel * LANES };
            work.run::<V, L>(&unit, &mut band);
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
        store_parts(even.split(odd), &mut lanes[at / 2..], part);
    }
}

/// Sixteen target channels.
struct Panel<'a> {
    grid: &'a Grid,
    patches: &'a Patches,
    planes: &'a [f32],
    weights: &'a [f32],
    /// The first of the channels.
    first: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn run<V: Vector, L: Load>(&self, unit: &Unit, band: &mut Band<'_, L>) {
        let Self { grid, patches, planes, weights, .. } = self;
        let (_, targets) = band.correlation.channels();
        let tiles = Tiles::new(grid);
        let mut next = Some(Place::default());
        let mut sums = Sums([0.0; 4 * TILE]);
        while let Some(first) = next {
            let (mut places, mut count) = ([first; 4], 0);
            let mut from = [planes.as_ptr(); 4];
            for k in 0..4 {
                // Beyond the last tile it is multiplied again.
                if let Some(place) = next {
                    (places[k], count) = (place, k + 1);
                    next = tiles.after(place);
                } else {
                    places[k] = places[k - 1];
                }
                let lane = grid.number(&places[k]) * patches.pixel;
                let last = lane + (LANES - 1) * patches.pixel + (patches.rows - 1) * patches.row;
                assert!(last + patches.steps * LANES <= patches.part, "inside of a plane");
                from[k] = planes[lane..].as_ptr();
            }
            // Whole tiles are written where they belong, the last one several times; others are sorted.
            let whole = targets - self.first >= LANES && places.iter().all(|at| tiles.fills(at));
            let (all, stride) = if whole {
                (band.target.as_mut_ptr(), targets)
            } else {
                (sums.0.as_mut_ptr(), LANES)
            };
            let mut to = [all; 4];
            for k in 0..4 {
                let first = if whole { self.target(band, &places[k]) } else { k * TILE };
                to[k] = all.wrapping_add(first);
            }
            // SAFETY: the planes hold the steps of these pixels, as above, and the weights are as many
            // steps. A whole tile is sixteen pixels of the target with sixteen channels each.
            unsafe { unit.multiply_patches(from, patches, weights.as_ptr(), (to, stride)) };
            if !whole {
                for (place, sums) in places[..count].iter().zip(sums.0.chunks_exact(TILE)) {
                    self.store::<V, L>(band, &tiles, *place, sums);
                }
            }
        }
    }

    /// Where the channels of a pixel of the target begin.
    fn target<L: Load>(&self, band: &Band<'_, L>, place: &Place) -> usize {
        let (_, targets) = band.correlation.channels();
        let Place { image, line, column } = *place;
        let [lines, columns] = self.grid.target;
        let at = ((image * lines + line) * columns + column) * targets + self.first;
        assert!(at < band.target.len() && line < lines && column < columns, "inside of the target");
        at
    }

    /// Writes those of a tile's pixels that are pixels of the target.
    #[inline(always)]
    fn store<V: Vector, L: Load>(
        &self,
        band: &mut Band<'_, L>,
        tiles: &Tiles<'_>,
        mut at: Place,
        mut sums: &[f32],
    ) {
        let (_, targets) = band.correlation.channels();
        let [lines, columns] = self.grid.target;
        let channels = LANES.min(targets - self.first);
        while !sums.is_empty() && at.image < self.grid.images {
            let (here, rest) = sums.split_at(sums.len().min((tiles.pitch - at.column) * LANES));
            if at.line < lines && at.column < columns {
                let first = self.target(band, &at);
                let here = here.chunks_exact(LANES).take(columns - at.column);
                for (k, sums) in here.enumerate() {
                    let to = first + k * targets;
                    store::<V>(load(sums, 0, LANES), band.target, to, channels);
                }
            }
            (sums, at) = (rest, tiles.line_after(at));
        }
    }
}

/// How a grid is cut into tiles of sixteen neighbouring pixels.
struct Tiles<'a> {
    grid: &'a Grid,
    /// Lines of an image, and pixels of a line, that are in tiles.
    lines: usize,
    pitch: usize,
}

impl<'a> Tiles<'a> {
    fn new(grid: &'a Grid) -> Self {
        let [lines, columns] = grid.target;
        let alone = columns.next_multiple_of(LANES);
        if lines * alone <= grid.lines * grid.pitch {
            Self { grid, lines, pitch: alone }
        } else {
            Self { grid, lines: grid.lines, pitch: grid.pitch }
        }
    }

    /// Whether all pixels of the tile there are pixels of the target.
    fn fills(&self, at: &Place) -> bool {
        let [lines, columns] = self.grid.target;
        at.line < lines && at.column + LANES <= columns
    }

    fn line_after(&self, at: Place) -> Place {
        let (image, line) = (at.image, at.line + 1);
        let (image, line) = if line == self.lines { (image + 1, 0) } else { (image, line) };
        Place { image, line, column: 0 }
    }

    /// The next tile, if it has a pixel of the target.
    fn after(&self, at: Place) -> Option<Place> {
        let [lines, columns] = self.grid.target;
        let mut next = Place { column: at.column + LANES, ..at };
        while next.column >= self.pitch {
            next = Place { column: next.column - self.pitch, ..self.line_after(next) };
        }
        let last_line = next.line + 1 == lines && next.column >= columns;
        let is_behind = next.image + 1 == self.grid.images && (next.line >= lines || last_line);
        (next.image < self.grid.images && !is_behind).then_some(next)
    }
}

/// Four tiles of sums, whose rows begin a cache line.
#[repr(align(64))]
struct Sums([f32; 4 * TILE]);
