//! Transformed blocks: what some tiles become, plane by plane.
//!
//! A block holds 36 planes, one for each product, of (tiles, channels). The planes lie one cache
//! line further apart than they are long, so that a tile's 36 values do not fall into the same few
//! cache sets.

use super::transform::{POINTS, PRODUCTS, input_plane, output_plane_adjoint};
use crate::kernels::simd::{LANES, Vector};

/// Values from one plane of a block to the next.
pub(super) fn plane_len(tiles: usize, channels: usize) -> usize {
    tiles * channels + LANES
}

/// Values of a block.
pub(super) fn block_len(tiles: usize, channels: usize) -> usize {
    PRODUCTS * plane_len(tiles, channels)
}

/// `B^T d B` of one tile, sixteen channels at a time.
///
/// # Safety
/// `patch` points at 6 x 6 pixels of `channels` values, rows `row_len` apart; `to` at room for
/// `channels` values in each of 36 planes, `plane` apart. `channels` is a multiple of 16.
#[inline(always)]
pub(super) unsafe fn transform_input<V: Vector>(
    patch: *const f32,
    row_len: usize,
    channels: usize,
    to: *mut f32,
    plane: usize,
) {
    for channel in (0..channels).step_by(LANES) {
        let mut d = [[V::splat(0.0); POINTS]; POINTS];
        for y in 0..POINTS {
            for x in 0..POINTS {
                // SAFETY: pixel (y, x) of the patch, as the caller vouches.
                d[y][x] = unsafe { V::load(patch.add(y * row_len + x * channels + channel)) };
            }
        }
        // SAFETY: a vector of each plane, as the caller vouches.
        unsafe { store_planes(&input_plane(d), to.add(channel), plane) };
    }
}

/// `A g A^T` of one tile of which `valid` rows and columns lie inside the image, sixteen channels
/// at a time.
///
/// # Safety
/// `gradient` points at the valid pixels of `channels` values, rows `row_len` apart; `to` and
/// `channels` are as for [`transform_input`].
#[inline(always)]
pub(super) unsafe fn transform_gradient<V: Vector, const M: usize>(
    gradient: *const f32,
    row_len: usize,
    valid: [usize; 2],
    channels: usize,
    to: *mut f32,
    plane: usize,
) {
    for channel in (0..channels).step_by(LANES) {
        let mut g = [[V::splat(0.0); M]; M];
        for y in 0..M {
            for x in 0..M {
                if y < valid[0] && x < valid[1] {
                    // SAFETY: pixel (y, x) of the tile is valid.
                    g[y][x] =
                        unsafe { V::load(gradient.add(y * row_len + x * channels + channel)) };
                }
            }
        }
        // SAFETY: a vector of each plane, as the caller vouches.
        unsafe { store_planes(&output_plane_adjoint(g), to.add(channel), plane) };
    }
}

/// # Safety
/// `to` is valid for writing a vector in each of 36 planes, `plane` apart.
#[inline(always)]
pub(super) unsafe fn store_planes<V: Vector>(
    values: &[[V; POINTS]; POINTS],
    to: *mut f32,
    plane: usize,
) {
    for y in 0..POINTS {
        for x in 0..POINTS {
            // SAFETY: as the caller vouches.
            unsafe { values[y][x].store(to.add((y * POINTS + x) * plane)) };
        }
    }
}

/// # Safety
/// `from` is valid for reading a vector in each of 36 planes, `plane` apart.
#[inline(always)]
pub(super) unsafe fn load_planes<V: Vector>(
    from: *const f32,
    plane: usize,
) -> [[V; POINTS]; POINTS] {
    let mut values = [[V::splat(0.0); POINTS]; POINTS];
    for y in 0..POINTS {
        for x in 0..POINTS {
            // SAFETY: as the caller vouches.
            values[y][x] = unsafe { V::load(from.add((y * POINTS + x) * plane)) };
        }
    }
    values
}
