//! A band of target rows of a few images, four tiles of pixels and sixteen channels at a time.
//!
//! A tile of the unit is sixteen pixels in the planes of [`Lines`], and a step of its terms sixteen lanes
//! from each of them on. Where many pixels lie between those of the target, tiles begin with each line of
//! its own; else they go on over the ends of lines.
//!
//! The source is split as it is needed: some of it while the unit multiplies a step. And the unit writes
//! something where its sums will be as soon as it begins them, so that the memory is there when it has
//! them.

use super::super::direct::Band;
use super::super::padded::Load;
use super::Grid;
use super::grid::Place;
use super::lines::Lines;
use super::weights::steps;
use crate::kernels::conv::fused::{load, store};
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::unit::{PARTS, Patches, TILE, Unit};
use crate::kernels::{InstructionSet, scratch};

/// Computes a band with the matrix unit.
pub(in crate::kernels::conv) fn band<L: Load>(set: InstructionSet, band: Band<'_, L>) {
    let grid = Grid::new(&band.correlation, &band.rows, band.images());
    let (sources, targets) = band.correlation.channels();
    assert_eq!(band.target.len(), grid.target_pixels() * targets, "the band of each image");
    scratch::with_thread_buffer(Lines::<L>::planes_len(&grid, sources), |planes| {
        scratch::with_thread_buffer(grid.line_len(), |line| {
            let lines = Lines::new(&grid, sources, band.source, band.load, line, planes);
            simd::run(set, Split { band, lines });
        });
    });
}

struct Split<'a, L> {
    band: Band<'a, L>,
    lines: Lines<'a, L>,
}

impl<L: Load> Task for Split<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { mut band, mut lines } = self;
        let [rows, steps] = steps(&band.correlation);
        // SAFETY: this thread has no other unit until this one is dropped.
        let mut unit = unsafe { Unit::take() };
        let panels = band.packed.chunks_exact(rows * steps * PARTS * TILE);
        for (panel, weights) in panels.enumerate() {
            let work = Panel { rows, steps, weights, first: panel * LANES };
            work.run::<V, L>(&mut unit, &mut lines, &mut band);
        }
    }
}

/// Sixteen target channels.
struct Panel<'a> {
    /// Kernel rows, and steps of each.
    rows: usize,
    steps: usize,
    weights: &'a [f32],
    /// The first of the channels.
    first: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn run<V: Vector, L: Load>(
        &self,
        unit: &mut Unit,
        lines: &mut Lines<'_, L>,
        band: &mut Band<'_, L>,
    ) {
        let Self { rows, steps, .. } = self;
        let grid = lines.grid;
        let patches @ Patches { pixel, .. } = lines.patches;
        let row = grid.pitch * pixel;
        let (_, targets) = band.correlation.channels();
        let tiles = Tiles::new(grid);
        let mut next = Some(Place::default());
        let mut sums = Sums([0.0; 4 * TILE]);
        while let Some(first) = next {
            let (mut places, mut count) = ([first; 4], 0);
            for k in 0..4 {
                // Beyond the last tile it is multiplied again.
                if let Some(place) = next {
                    (places[k], count) = (place, k + 1);
                    next = tiles.after(place);
                } else {
                    places[k] = places[k - 1];
                }
            }
            let lanes = [0, 1, 2, 3].map(|k| grid.number(&places[k]) * pixel);
            let last = lanes[3] + (LANES - 1) * pixel + (rows - 1) * row + steps * LANES;
            lines.until::<V>(last);
            // Whole tiles are written where they belong, the last one several times; others are sorted.
            let whole = targets - self.first >= LANES && places.iter().all(|at| tiles.fills(at));
            let buffer = sums.0.as_mut_ptr();
            let (all, stride) =
                if whole { (band.target.as_mut_ptr(), targets) } else { (buffer, LANES) };
            let mut to = [all; 4];
            for k in 0..4 {
                let first = if whole { self.target(grid, band, &places[k]) } else { k * TILE };
                to[k] = all.wrapping_add(first);
            }
            unit.begin();
            for (k, weights) in self.weights.chunks_exact(PARTS * TILE).enumerate() {
                let at = k / steps * row + k % steps * LANES;
                let from = lanes.map(|lane| lines.planes[lane + at..].as_ptr());
                let ahead = if k < 4 { (to[k], stride) } else { (buffer, LANES) };
                // SAFETY: the planes hold these steps of these pixels, as above, and there are as many
                // of the weights. A whole tile is sixteen pixels of the target with sixteen channels
                // each; others are in the buffer.
                unsafe { unit.add_patches(from, &patches, weights.as_ptr(), ahead) };
                // While the unit multiplies.
                lines.some::<V>();
            }
            // SAFETY: as above.
            unsafe { unit.finish(to, stride) };
            if !whole {
                for (place, sums) in places[..count].iter().zip(sums.0.chunks_exact(TILE)) {
                    self.store::<V, L>(&tiles, band, *place, sums);
                }
            }
        }
    }

    /// Where the channels of a pixel of the target begin.
    fn target<L: Load>(&self, grid: &Grid, band: &Band<'_, L>, place: &Place) -> usize {
        let (_, targets) = band.correlation.channels();
        let Place { image, line, column } = *place;
        let [lines, columns] = grid.target;
        let at = ((image * lines + line) * columns + column) * targets + self.first;
        assert!(at < band.target.len() && line < lines && column < columns, "inside of the target");
        at
    }

    /// Writes those of a tile's pixels that are pixels of the target.
    #[inline(always)]
    fn store<V: Vector, L: Load>(
        &self,
        tiles: &Tiles<'_>,
        band: &mut Band<'_, L>,
        mut at: Place,
        mut sums: &[f32],
    ) {
        let (_, targets) = band.correlation.channels();
        let [lines, columns] = tiles.grid.target;
        let channels = LANES.min(targets - self.first);
        while !sums.is_empty() && at.image < tiles.grid.images {
            let (here, rest) = sums.split_at(sums.len().min((tiles.pitch - at.column) * LANES));
            if at.line < lines && at.column < columns {
                let first = self.target(tiles.grid, band, &at);
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
