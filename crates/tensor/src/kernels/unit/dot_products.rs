//! What the matrix unit computes of factors of one part, by the dot products of AVX-512 BF16: a lane of a sum
//! grows by two products at a time.
//!
//! Sixteen rows of a tile of sums are registers; each row of b is loaded once, and meets a pair of each row of a.

use std::arch::x86_64::*;

use super::{LINES, Patches, TILE, Taps, step_len};
use crate::kernels::simd::LANES;

/// `sums[i] += sum_k a[i][k] b[k]` for tiles whose rows begin so many lanes apart.
///
/// # Safety
/// The CPU has AVX-512 F and BF16; all rows of the tiles are valid for reading, and the sums for writing.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn add_product(
    (sums, sums_stride): (*mut f32, usize),
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) {
    // SAFETY: as the caller vouches. A lane of 32 bits holds two `bf16`.
    unsafe {
        let mut rows = [_mm512_setzero_ps(); LANES];
        for i in 0..LANES {
            rows[i] = _mm512_loadu_ps(sums.add(i * sums_stride));
        }
        for k in 0..LANES {
            let b = _mm512_castps_si512(_mm512_loadu_ps(b.add(k * b_stride)));
            for i in 0..LANES {
                let a = _mm512_castps_si512(_mm512_set1_ps(*a.add(i * a_stride + k)));
                let [a, b] = [a, b].map(|pairs| std::mem::transmute::<__m512i, __m512bh>(pairs));
                rows[i] = _mm512_dpbf16_ps(rows[i], a, b);
            }
        }
        for i in 0..LANES {
            _mm512_storeu_ps(sums.add(i * sums_stride), rows[i]);
        }
    }
}

/// [`Unit::multiply`](super::Unit::multiply).
///
/// # Safety
/// As there; the CPU has AVX-512 F and BF16.
pub(super) unsafe fn multiply(
    [a, b]: [*const f32; 2],
    steps: usize,
    (start, start_stride): (*const f32, usize),
    (sums, stride): (*mut f32, usize),
) {
    // SAFETY: the caller vouches for 32 rows of 32 values, and for the steps, in which the tiles of the first
    // sixteen lines and the others follow each other.
    unsafe {
        if start != sums.cast_const() {
            for i in 0..LINES {
                sums.add(i * stride).copy_from(start.add(i * start_stride), LINES);
            }
        }
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let sums = (sums.add(i * LANES * stride + j * LANES), stride);
            for step in 0..steps {
                let tile = |factor: *const f32, half| factor.add(step * step_len(1) + half * TILE);
                add_product(sums, (tile(a, i), LANES), (tile(b, j), LANES));
            }
        }
    }
}

/// [`Unit::add_patches`](super::Unit::add_patches).
///
/// # Safety
/// As there; the CPU has AVX-512 F and BF16.
pub(super) unsafe fn add_patches(
    sums: &mut [f32; 4 * TILE],
    tiles: [*const f32; 4],
    patches: &Patches,
    weights: *const f32,
) {
    for (sums, tile) in sums.chunks_exact_mut(TILE).zip(tiles) {
        // SAFETY: the caller vouches for these tiles.
        unsafe {
            let sums = (sums.as_mut_ptr(), LANES);
            add_product(sums, (tile, patches.pixel), (weights, LANES));
        }
    }
}

/// [`Unit::multiply_taps`](super::Unit::multiply_taps).
///
/// # Safety
/// As there; the CPU has AVX-512 F and BF16.
pub(super) unsafe fn multiply_taps(
    gradient: *const f32,
    tiles: &[*const f32],
    taps: &Taps,
    sums: *mut f32,
) {
    for (t, tile) in tiles.iter().enumerate() {
        for step in 0..taps.steps {
            // SAFETY: the caller vouches for these tiles.
            unsafe {
                let sums = (sums.add(t * TILE), LANES);
                let gradient = (gradient.add(step * TILE), LANES);
                add_product(sums, gradient, (tile.add(step * LANES * taps.row), taps.row));
            }
        }
    }
}
