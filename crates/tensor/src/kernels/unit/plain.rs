//! What the matrix unit computes, by its definition: its oracle, and what multiplies where there is no
//! unit.

use super::{LINES, Patches, TILE, Taps, step_len};
use crate::kernels::simd::LANES;

/// The parts of a and b that are multiplied, in this order: from one product to the next, one of the
/// two stays in its tiles.
const PRODUCTS: [(usize, usize); 6] = [(2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)];

/// Those of so many parts.
fn products(parts: usize) -> &'static [(usize, usize)] {
    if parts == 1 { &PRODUCTS[5..] } else { &PRODUCTS }
}

/// [`Unit::multiply`](super::Unit::multiply), a sum after the other.
///
/// # Safety
/// As there.
pub(in crate::kernels) unsafe fn multiply<const P: usize>(
    factors: [*const f32; 2],
    steps: usize,
    (start, start_stride): (*const f32, usize),
    (sums, stride): (*mut f32, usize),
) {
    // SAFETY: the caller vouches for these steps.
    let [a, b] =
        factors.map(|strip| unsafe { std::slice::from_raw_parts(strip, steps * step_len(P)) });
    for i in 0..LINES {
        for j in 0..LINES {
            // SAFETY: the caller vouches for 32 rows of 32 values.
            let mut sum = unsafe { *start.add(i * start_stride + j) };
            for (a, b) in a.chunks_exact(step_len(P)).zip(b.chunks_exact(step_len(P))) {
                for &(part_a, part_b) in products(P) {
                    let row = &tile(a, part_a, i / LANES)[i % LANES * LANES..][..LANES];
                    let column = tile(b, part_b, j / LANES)[j % LANES..].iter().step_by(LANES);
                    sum += dot(row, column);
                }
            }
            // SAFETY: as above.
            unsafe { *sums.add(i * stride + j) = sum };
        }
    }
}

/// [`Unit::add_patches`](super::Unit::add_patches), a sum after the other.
///
/// # Safety
/// As there.
pub(in crate::kernels) unsafe fn add_patches<const P: usize>(
    sums: &mut [f32; 4 * TILE],
    tiles: [*const f32; 4],
    patches: &Patches,
    weights: *const f32,
) {
    let &Patches { pixel, part } = patches;
    // SAFETY: the caller vouches for these tiles.
    let weights = unsafe { std::slice::from_raw_parts(weights, P * TILE) };
    for (at, sum) in sums.iter_mut().enumerate() {
        let (tile, i, j) = (tiles[at / TILE], at % TILE / LANES, at % LANES);
        for &(part_a, part_b) in products(P) {
            let tile = tile.wrapping_add(i * pixel + part_a * part);
            // SAFETY: the caller vouches for the terms of this part.
            let terms = unsafe { std::slice::from_raw_parts(tile, LANES) };
            let column = weights[part_b * TILE..][..TILE][j..].iter().step_by(LANES);
            *sum += dot(terms, column);
        }
    }
}

/// [`Unit::multiply_taps`](super::Unit::multiply_taps), a sum after the other.
///
/// # Safety
/// As there.
pub(in crate::kernels) unsafe fn multiply_taps<const P: usize>(
    gradient: *const f32,
    tiles: &[*const f32],
    taps: &Taps,
    sums: *mut f32,
) {
    let &Taps { row, part, steps } = taps;
    // SAFETY: the caller vouches for these tiles.
    let gradient = unsafe { std::slice::from_raw_parts(gradient, steps * P * TILE) };
    for at in 0..tiles.len() * TILE {
        let (t, i, j) = (at / TILE, at % TILE / LANES, at % LANES);
        // SAFETY: the caller vouches for a tile of sums of each.
        let sum = unsafe { &mut *sums.add(at) };
        for (step, gradient) in gradient.chunks_exact(P * TILE).enumerate() {
            // The order of the parts is that of patches, which are the other factor.
            for &(part_b, part_a) in products(P) {
                let lanes = &gradient[part_a * TILE + i * LANES..][..LANES];
                let column: [f32; LANES] = std::array::from_fn(|k| {
                    let lane = part_b * part + (step * LANES + k) * row + j;
                    // SAFETY: the caller vouches for the rows of this part.
                    unsafe { *tiles[t].add(lane) }
                });
                *sum += dot(lanes, column.iter());
            }
        }
    }
}

/// The sum of the products of pairs. Their lower and upper halves have sums of their own, from zero.
fn dot<'a>(row: &[f32], column: impl Iterator<Item = &'a f32>) -> f32 {
    let (mut lower, mut upper) = (0.0, 0.0);
    for (a, b) in row.iter().zip(column) {
        let ([a0, a1], [b0, b1]) = (pair(*a), pair(*b));
        lower += a0 * b0;
        upper += a1 * b1;
    }
    lower + upper
}

/// A tile of a step.
fn tile(step: &[f32], part: usize, half: usize) -> &[f32] {
    &step[(2 * part + half) * TILE..][..TILE]
}

/// The two `bf16` numbers of a lane.
fn pair(lane: f32) -> [f32; 2] {
    let bits = lane.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)]
}
