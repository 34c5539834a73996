//! Where finished tiles of sums go.

use crate::kernels::simd::{LANES, Vector};
use crate::kernels::tile::Sums;

/// Writes the sums of `to.len()` pixels, at most Q, for 16 N channels, or for `channels` where that
/// is less. `to` points at the first channel of each pixel.
///
/// # Safety
/// Each pointer is valid for writing `min(16 N, channels)` values.
#[inline(always)]
pub(super) unsafe fn store<V: Vector, const Q: usize, const N: usize>(
    sums: &Sums<V, Q, 1, N>,
    to: &[*mut f32],
    channels: usize,
) {
    for q in 0..Q {
        if q == to.len() {
            break;
        }
        // SAFETY: as the caller vouches.
        unsafe { write(&sums[q][0], to[q], channels) };
    }
}

/// Writes the first `len` values of N vectors, or all of them.
///
/// # Safety
/// `to` is valid for writing `min(16 N, len)` values.
#[inline(always)]
unsafe fn write<V: Vector, const N: usize>(values: &[V; N], to: *mut f32, len: usize) {
    for n in 0..N {
        let filled = len.saturating_sub(n * LANES).min(LANES);
        let mut lanes = [0.0; LANES];
        // SAFETY: the caller vouches for `min(16 N, len)` values; `lanes` holds sixteen.
        unsafe {
            if filled == LANES {
                values[n].store(to.add(n * LANES));
            } else {
                values[n].store(lanes.as_mut_ptr());
                to.wrapping_add(n * LANES).copy_from_nonoverlapping(lanes.as_ptr(), filled);
            }
        }
    }
}
