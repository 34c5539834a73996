//! Weights in the order in which the matrix unit reads them.
//!
//! For each pair of phases and each sixteen target channels: the steps of all kernel rows, each with a tile
//! for each part. Row j of a tile is the terms 2 j and 2 j + 1 of the step, its lanes are the channels.

use rayon::prelude::*;

use super::super::correlation::{Axis, Correlation};
use crate::kernels::Arithmetic;
use crate::kernels::simd::{self, LANES, Task, Vector, load};
use crate::kernels::unit::{PARTS, TERMS, TILE, store_parts};

/// Kernel rows of a pair of phases, and steps of each.
pub(super) fn steps(correlation: &Correlation, y: &Axis, x: &Axis) -> [usize; 2] {
    [y.taps, (x.taps * correlation.channels().0).div_ceil(TERMS)]
}

/// Lanes of sixteen target channels, in so many parts.
pub(super) fn panel_len([rows, steps]: [usize; 2], parts: usize) -> usize {
    rows * steps * parts * TILE
}

/// Panels of sixteen target channels.
fn panels(correlation: &Correlation) -> usize {
    correlation.padded_channels() / LANES
}

/// Lanes of the buffer that [`prepare`] takes.
pub(in crate::kernels::conv) fn prepared_len(with: Arithmetic, correlation: &Correlation) -> usize {
    let parts = with.parts();
    let lens = correlation.phase_pairs().map(|(y, x)| panel_len(steps(correlation, &y, &x), parts));
    correlation.packed_len() + panels(correlation) * lens.sum::<usize>()
}

/// Weights (O, I, KH, KW), packed and split.
pub(in crate::kernels::conv) fn prepare<'b>(
    with: Arithmetic,
    correlation: &Correlation,
    weight: &[f32],
    buffer: &'b mut [f32],
) -> &'b [f32] {
    let (panels, parts) = (panels(correlation), with.parts());
    let (packed, tiles) = buffer.split_at_mut(correlation.packed_len());
    correlation.pack(weight, 1, packed);
    let (mut packed, mut rest) = (&*packed, &mut *tiles);
    for (y, x) in correlation.phase_pairs() {
        let steps = steps(correlation, &y, &x);
        let (panel_len, depth) = (panel_len(steps, parts), correlation.depth(&y, &x) * LANES);
        let (tiles, packed_pair);
        (tiles, rest) = rest.split_at_mut(panels * panel_len);
        (packed_pair, packed) = packed.split_at(panels * depth);
        let pairs = tiles.par_chunks_mut(panel_len).zip(packed_pair.par_chunks(depth));
        pairs.for_each(|(tiles, packed)| match parts {
            1 => simd::run(with.set, Split::<1> { steps, packed, tiles }),
            _ => simd::run(with.set, Split::<PARTS> { steps, packed, tiles }),
        });
    }
    tiles
}

/// Splits a panel of (kernel rows, kernel columns, source channels) rows of sixteen target channels.
struct Split<'a, const P: usize> {
    steps: [usize; 2],
    packed: &'a [f32],
    tiles: &'a mut [f32],
}

impl<const P: usize> Task for Split<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { steps: [rows, steps], packed, tiles } = self;
        let run = packed.len() / rows;
        let tiles = tiles.chunks_exact_mut(steps * P * TILE).zip(packed.chunks_exact(run));
        for (tiles, packed) in tiles {
            for (step, tiles) in tiles.chunks_exact_mut(P * TILE).enumerate() {
                for row in 0..LANES {
                    let mut pair = [V::splat(0.0); 2];
                    for half in 0..2 {
                        let term = step * TERMS + 2 * row + half;
                        if term * LANES < run {
                            pair[half] = load(packed, term * LANES, LANES);
                        }
                    }
                    store_parts::<V, P>(pair[0], pair[1], &mut tiles[row * LANES..], TILE);
                }
            }
        }
    }
}
