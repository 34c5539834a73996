//! Blocks of sixteen channels of a (rows, channels) matrix; the last block may be narrower.

use crate::kernels::simd::{LANES, Vector};

/// Rows that are summed in `f32` before the sum is added in `f64`: a rounding error of a few 1e-7.
pub(super) const BLOCK: usize = 64;

/// `width` values from `at` on, at most sixteen; zeros in the lanes after them.
#[inline(always)]
pub(in crate::kernels) fn load<V: Vector>(values: &[f32], at: usize, width: usize) -> V {
    let values = &values[at..at + width];
    if width == LANES {
        // SAFETY: `values` holds sixteen.
        return unsafe { V::load(values.as_ptr()) };
    }
    let mut lanes = [0.0; LANES];
    lanes[..width].copy_from_slice(values);
    // SAFETY: as above.
    unsafe { V::load(lanes.as_ptr()) }
}

/// Writes the first `width` lanes.
#[inline(always)]
pub(in crate::kernels) fn store<V: Vector>(vector: V, values: &mut [f32], at: usize, width: usize) {
    let values = &mut values[at..at + width];
    if width == LANES {
        // SAFETY: `values` holds sixteen.
        return unsafe { vector.store(values.as_mut_ptr()) };
    }
    values.copy_from_slice(&lanes(vector)[..width]);
}

/// The lanes one by one.
#[inline(always)]
pub(in crate::kernels) fn lanes<V: Vector>(vector: V) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: `lanes` holds sixteen.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes
}

/// `sums[c] += vector[c]`, in `f64`.
#[inline(always)]
pub(super) fn accumulate<V: Vector>(vector: V, sums: &mut [f64]) {
    for (sum, lane) in sums.iter_mut().zip(lanes(vector)) {
        *sum += f64::from(lane);
    }
}
