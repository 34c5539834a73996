//! Sixteen values of a slice as a vector, or the fewer that are left.

use super::{LANES, Vector};

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
