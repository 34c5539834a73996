//! A band of target rows of a few images, four tiles of pixels and sixteen channels at a time.
//!
//! A tile of the unit is sixteen pixels in the planes of [`Lines`], and a step of its terms sixteen lanes
//! from each of them on. Where many pixels lie between those of the target, tiles begin with each line of
//! its own; else they go on over the ends of lines.
//!
//! The source is split as it is needed: some of it while the unit multiplies a step. And the unit writes
//! something where its sums will be as soon as it begins them, so that the memory is there when it has
//! them.
//!
//! The phases of an input gradient are taken one after the other.

use super::super::correlation::Axis;
use super::super::direct::Band;
use super::super::padded::Load;
use super::Grid;
use super::fold::{folded_band, folded_forward};
use super::grid::Place;
use super::lines::Lines;
use super::weights::{panel_len, steps};
use crate::kernels::ahead::Ahead;
use crate::kernels::simd::{self, LANES, Task, Vector, load, store};
use crate::kernels::unit::{PARTS, Patches, Sums, TILE, Unit};
use crate::kernels::{Arithmetic, InstructionSet, scratch};

/// Computes a band with the matrix unit, or what does its work.
pub(in crate::kernels::conv) fn band<L: Load>(with: Arithmetic, band: Band<'_, L>) {
    match folded_forward(with, &band.correlation) {
        Some(folded) => folded_band(with, folded, band),
        None => unfolded_band(with, band),
    }
}

/// The same of a source that is taken as it is.
pub(super) fn unfolded_band<L: Load>(with: Arithmetic, band: Band<'_, L>) {
    if with.rounds() {
        in_parts::<L, 1>(with.set, band)
    } else {
        in_parts::<L, PARTS>(with.set, band)
    }
}

/// The same with the source and the weights in P parts.
fn in_parts<L: Load, const P: usize>(set: InstructionSet, band: Band<'_, L>) {
    let grid = Grid::new(&band.correlation, &band.rows, band.images());
    let (sources, targets) = band.correlation.channels();
    let (_, [_, width]) = band.correlation.images();
    let pixels = band.images() * band.rows.len() * width;
    assert_eq!(band.target.len(), pixels * targets, "the band of each image");
    scratch::with_thread_buffer(Lines::<L, P>::planes_len(&grid, sources), |planes| {
        scratch::with_thread_buffer(grid.line_len(), |line| {
            let lines = Lines::<L, P>::new(&grid, sources, band.source, band.load, line, planes);
            simd::run(set, Split { set, band, lines });
        });
    });
}

struct Split<'a, L, const P: usize> {
    set: InstructionSet,
    band: Band<'a, L>,
    lines: Lines<'a, L, P>,
}

impl<L: Load, const P: usize> Task for Split<'_, L, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { set, mut band, mut lines } = self;
        // SAFETY: this thread has no other unit until this one is dropped.
        let mut unit = unsafe { Unit::<P>::take(set) };
        let correlation = band.correlation;
        let mut packed = band.packed;
        let panels = correlation.padded_channels() / LANES;
        let mut ahead = {
            let tiles = lines.grid.targets().div_ceil(4 * LANES);
            let steps = correlation.phase_pairs().map(|(y, x)| steps(&correlation, &y, &x));
            let steps: usize = steps.map(|[rows, steps]| rows * steps).sum();
            band.ahead.within(tiles * steps * panels)
        };
        for (y, x) in correlation.phase_pairs() {
            let steps = steps(&correlation, &y, &x);
            let panel_len = panel_len(steps, P);
            let weights;
            (weights, packed) = packed.split_at(panels * panel_len);
            if y.numbers_in(&band.rows).is_empty() || x.count == 0 {
                continue;
            }
            let phase = Phase::new(lines.grid, &band, &y, &x);
            for (panel, weights) in weights.chunks_exact(panel_len).enumerate() {
                let work = Panel { phase: &phase, steps, weights, channel: panel * LANES };
                work.run::<V, L, P>(&mut unit, &mut lines, &mut band, &mut ahead);
            }
        }
    }
}

/// The target pixels of a pair of phases, all of them if there are no others.
struct Phase {
    /// Rows and columns.
    target: [usize; 2],
    /// The number of the first source pixel of the first of them.
    from: usize,
    /// Where the first of them is in the band, and what is added to go to the next column, to the next row
    /// and to the next image.
    to: usize,
    strides: [usize; 3],
}

impl Phase {
    fn new<L: Load>(grid: &Grid, band: &Band<'_, L>, y: &Axis, x: &Axis) -> Self {
        let rows = y.numbers_in(&band.rows);
        let (_, [_, width]) = band.correlation.images();
        let (_, targets) = band.correlation.channels();
        let row = width * targets;
        let first = y.to_first + y.to_step * rows.start - band.rows.start;
        Self {
            target: [rows.len(), x.count],
            from: grid.first(y, x, &band.rows),
            to: first * row + x.to_first * targets,
            strides: [x.to_step * targets, y.to_step * row, band.rows.len() * row],
        }
    }

    /// Where a pixel's channels begin in the band.
    fn to(&self, place: &Place) -> usize {
        let Place { image, line, column } = *place;
        let [lines, columns] = self.target;
        assert!(line < lines && column < columns, "inside of the target");
        let [along, down, next] = self.strides;
        self.to + image * next + line * down + column * along
    }
}

/// Sixteen target channels of a phase.
struct Panel<'a> {
    phase: &'a Phase,
    /// Kernel rows, and steps of each.
    steps: [usize; 2],
    weights: &'a [f32],
    /// The first of the channels.
    channel: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn run<V: Vector, L: Load, const P: usize>(
        &self,
        unit: &mut Unit<P>,
        lines: &mut Lines<'_, L, P>,
        band: &mut Band<'_, L>,
        ahead: &mut Ahead,
    ) {
        let Self { phase, steps: [rows, steps], channel, .. } = *self;
        let grid = lines.grid;
        let patches @ Patches { pixel, .. } = lines.patches;
        let (fields, field, row) = (grid.stride[0], lines.field, grid.pitch * pixel);
        let (_, targets) = band.correlation.channels();
        let (channels, stride) = (LANES.min(targets - channel), phase.strides[0]);
        let tiles = Tiles::new(grid, phase.target);
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
            let lanes = [0, 1, 2, 3].map(|k| (phase.from + grid.number(&places[k])) * pixel);
            let last = lanes[3] + (LANES - 1) * pixel + (rows - 1) / fields * row + steps * LANES;
            lines.until::<V>(last);
            // Whole tiles are written where they belong, the last one several times; others are sorted.
            let whole = channels == LANES && places.iter().all(|at| tiles.fills(at));
            let buffer = sums.0.as_mut_ptr();
            let (all, stride) =
                if whole { (band.target.as_mut_ptr(), stride) } else { (buffer, LANES) };
            let mut to = [all; 4];
            for k in 0..4 {
                let first = if whole { channel + phase.to(&places[k]) } else { k * TILE };
                to[k] = all.wrapping_add(first);
            }
            unit.begin();
            for (k, weights) in self.weights.chunks_exact(P * TILE).enumerate() {
                let (u, step) = (k / steps, k % steps);
                let at = u % fields * field + u / fields * row + step * LANES;
                let from = lanes.map(|lane| lines.planes[lane + at..].as_ptr());
                let early = if k < 4 { (to[k], stride) } else { (buffer, LANES) };
                // SAFETY: the planes hold these steps of these pixels, as above, and there are as many
                // of the weights. A whole tile is sixteen pixels of the target with sixteen channels
                // each; others are in the buffer.
                unsafe { unit.add_patches(from, &patches, weights.as_ptr(), early) };
                // While the unit multiplies.
                lines.some::<V>();
                ahead.step();
            }
            // SAFETY: as above.
            unsafe { unit.finish(to, stride) };
            if !whole {
                for (place, sums) in places[..count].iter().zip(sums.0.chunks_exact(TILE)) {
                    self.store::<V>(&tiles, band.target, channels, *place, sums);
                }
            }
        }
    }

    /// Writes those of a tile's pixels that are pixels of the target.
    #[inline(always)]
    fn store<V: Vector>(
        &self,
        tiles: &Tiles<'_>,
        target: &mut [f32],
        channels: usize,
        mut at: Place,
        mut sums: &[f32],
    ) {
        let [lines, columns] = tiles.target;
        while !sums.is_empty() && at.image < tiles.grid.images {
            let (here, rest) = sums.split_at(sums.len().min((tiles.pitch - at.column) * LANES));
            if at.line < lines && at.column < columns {
                let first = self.channel + self.phase.to(&at);
                let here = here.chunks_exact(LANES).take(columns - at.column);
                for (k, sums) in here.enumerate() {
                    let to = first + k * self.phase.strides[0];
                    store::<V>(load(sums, 0, LANES), target, to, channels);
                }
            }
            (sums, at) = (rest, tiles.line_after(at));
        }
    }
}

/// How a grid is cut into tiles of sixteen neighbouring pixels.
struct Tiles<'a> {
    grid: &'a Grid,
    /// Rows and columns of the phase's target.
    target: [usize; 2],
    /// Lines of an image, and pixels of a line, that are in tiles.
    lines: usize,
    pitch: usize,
}

impl<'a> Tiles<'a> {
    fn new(grid: &'a Grid, target: [usize; 2]) -> Self {
        let [lines, columns] = target;
        let alone = columns.next_multiple_of(LANES);
        if lines * alone <= grid.lines * grid.pitch {
            Self { grid, target, lines, pitch: alone }
        } else {
            Self { grid, target, lines: grid.lines, pitch: grid.pitch }
        }
    }

    /// Whether all pixels of the tile there are pixels of the target.
    fn fills(&self, at: &Place) -> bool {
        let [lines, columns] = self.target;
        at.line < lines && at.column + LANES <= columns
    }

    fn line_after(&self, at: Place) -> Place {
        let (image, line) = (at.image, at.line + 1);
        let (image, line) = if line == self.lines { (image + 1, 0) } else { (image, line) };
        Place { image, line, column: 0 }
    }

    /// The next tile, if it has a pixel of the target.
    fn after(&self, at: Place) -> Option<Place> {
        let [lines, columns] = self.target;
        let mut next = Place { column: at.column + LANES, ..at };
        while next.column >= self.pitch {
            next = Place { column: next.column - self.pitch, ..self.line_after(next) };
        }
        let last_line = next.line + 1 == lines && next.column >= columns;
        let is_behind = next.image + 1 == self.grid.images && (next.line >= lines || last_line);
        (next.image < self.grid.images && !is_behind).then_some(next)
    }
}
