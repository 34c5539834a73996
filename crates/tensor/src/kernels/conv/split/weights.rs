//! Weights in the order in which the matrix unit reads them.
//!
//! For each pair of phases and sixteen target channels: the steps of all kernel rows, each with a tile
//! for each part. Row j of a tile is the terms 2 j and 2 j + 1 of the step, its lanes are the channels.

use rayon::prelude::*;

use super::super::correlation::Correlation;
use super::steps;
use crate::kernels::conv::fused::load;
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::unit::{PARTS, TERMS, TILE};
use crate::kernels::{InstructionSet, Scratch};

/// Weights (O, I, KH, KW), packed and split.
pub(in crate::kernels::conv) fn prepare<'a>(
    set: InstructionSet,
    correlation: &Correlation,
    weight: &[f32],
    scratch: &'a mut Scratch<f32>,
) -> &'a [f32] {
    let panels = correlation.padded_channels() / LANES;
    let panel_len = |[rows, steps]: [usize; 2]| rows * steps * PARTS * TILE;
    let lengths = correlation.phase_pairs().map(|(y, x)| panel_len(steps(correlation, &y, &x)));
    let len = panels * lengths.sum::<usize>();
    let (packed, tiles) =
        scratch.take(correlation.packed_len() + len).split_at_mut(correlation.packed_len());
    correlation.pack(weight, 1, packed);
    let (mut packed, mut rest) = (&*packed, &mut *tiles);
    for (y, x) in correlation.phase_pairs() {
        let (depth, steps) = (correlation.depth(&y, &x), steps(correlation, &y, &x));
        if depth == 0 {
            continue;
        }
        let (of_pair, after) = packed.split_at(depth * panels * LANES);
        let (tiles, tail) = rest.split_at_mut(panels * panel_len(steps));
        (packed, rest) = (after, tail);
        let pairs = tiles.par_chunks_mut(panel_len(steps)).zip(of_pair.par_chunks(depth * LANES));
        pairs.for_each(|(tiles, packed)| simd::run(set, Split { steps, packed, tiles }));
    }
    tiles
}

/// Splits a panel of (kernel rows, kernel columns, source channels) rows of sixteen target channels.
struct Split<'a> {
    steps: [usize; 2],
    packed: &'a [f32],
    tiles: &'a mut [f32],
}

impl Task for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { steps: [rows, steps], packed, tiles } = self;
        let run = packed.len() / LANES / rows;
        for (step, tiles) in tiles.chunks_exact_mut(PARTS * TILE).enumerate() {
            let (kernel_row, first) = (step / steps, step % steps * TERMS);
            for row in 0..LANES {
                let mut pair = [V::splat(0.0); 2];
                for half in 0..2 {
                    let term = first + 2 * row + half;
                    if term < run {
                        pair[half] = load(packed, (kernel_row * run + term) * LANES, LANES);
                    }
                }
                let parts = pair[0].split(pair[1]);
                for part in 0..PARTS {
                    let lanes = &mut tiles[part * TILE + row * LANES..][..LANES];
                    // SAFETY: there are sixteen.
                    unsafe { parts[part].store(lanes.as_mut_ptr()) };
                }
            }
        }
    }
}
