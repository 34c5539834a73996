//! What happens to a finished tile of sums.

use crate::kernels::simd::{LANES, Vector};
use crate::kernels::tile::Sums;

/// Takes tiles of sums to their place.
pub(in crate::kernels) trait Store: Copy + Send + Sync {
    /// Takes the sums of `to.len()` pixels, at most Q, for the channels from `channel` on: 16 N of
    /// them, or up to `channels` where that is less. `to` points at the first of them.
    ///
    /// # Safety
    /// Each pointer is valid for reading and writing `min(16 N, channels - channel)` values.
    unsafe fn store<V: Vector, const Q: usize, const N: usize>(
        &mut self,
        sums: &Sums<V, Q, 1, N>,
        to: &[*mut f32],
        channel: usize,
        channels: usize,
    );
}

/// The sums replace what was there.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Overwrite;

impl Store for Overwrite {
    #[inline(always)]
    unsafe fn store<V: Vector, const Q: usize, const N: usize>(
        &mut self,
        sums: &Sums<V, Q, 1, N>,
        to: &[*mut f32],
        channel: usize,
        channels: usize,
    ) {
        for q in 0..Q {
            if q == to.len() {
                break;
            }
            // SAFETY: as the caller vouches.
            unsafe { write(&sums[q][0], to[q], channels - channel) };
        }
    }
}

/// Writes the first `len` values of N vectors, or all of them.
///
/// # Safety
/// `to` is valid for writing `min(16 N, len)` values.
#[inline(always)]
pub(in crate::kernels) unsafe fn write<V: Vector, const N: usize>(
    values: &[V; N],
    to: *mut f32,
    len: usize,
) {
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
