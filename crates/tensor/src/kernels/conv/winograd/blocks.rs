//! Transformed blocks: what some tiles become, plane by plane.
//!
//! A block holds 36 planes, one for each product, of (tiles, channels). The planes lie one cache
//! line further apart than they are long, so that a tile's 36 values do not fall into the same few
//! cache sets.

use super::transform::{POINTS, PRODUCTS, Square, input_plane, output_plane, output_plane_adjoint};
use crate::kernels::simd::{LANES, Simd, Vector};

/// Values from one plane of a block to the next.
pub(super) fn plane_len(tiles: usize, channels: usize) -> usize {
    tiles * channels + LANES
}

/// Values of a block.
pub(super) fn block_len(tiles: usize, channels: usize) -> usize {
    PRODUCTS * plane_len(tiles, channels)
}

/// The planes of a block, `plane` values apart, as a square.
#[inline(always)]
pub(super) fn planes(plane: usize) -> Square {
    Square::whole([POINTS * plane, plane])
}

/// `B^T d B` of one tile, register by register of its channels.
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
    let pixels = Square::whole([row_len, channels]);
    for channel in (0..channels).step_by(V::Register::WIDTH) {
        // SAFETY: as the caller vouches.
        unsafe {
            let (patch, to) = (patch.add(channel), to.add(channel));
            input_plane::<V::Register>((patch, pixels), (to, planes(plane)));
        }
    }
}

/// `A g A^T` of one tile of which `valid` rows and columns lie inside the image.
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
    let pixels = Square::whole([row_len, channels]);
    for channel in (0..channels).step_by(V::Register::WIDTH) {
        // SAFETY: as the caller vouches.
        unsafe {
            let (from, to) = (gradient.add(channel), (to.add(channel), planes(plane)));
            if valid == [M; 2] {
                output_plane_adjoint::<V::Register, M>((from, pixels), to);
            } else {
                output_plane_adjoint::<V::Register, M>((from, Square { valid, ..pixels }), to);
            }
        }
    }
}

/// `A^T m A` of one tile, of which `valid` rows and columns lie inside the image.
///
/// # Safety
/// `from` points at `channels` values in each of 36 planes, `plane` apart; `to` at room for the
/// valid pixels of `channels` values, rows `row_len` apart. `channels` is a multiple of 16.
#[inline(always)]
pub(super) unsafe fn transform_output<V: Vector, const M: usize>(
    from: *const f32,
    plane: usize,
    to: *mut f32,
    row_len: usize,
    valid: [usize; 2],
    channels: usize,
) {
    let pixels = Square::whole([row_len, channels]);
    for channel in (0..channels).step_by(V::Register::WIDTH) {
        // SAFETY: as the caller vouches.
        unsafe {
            let (from, to) = ((from.add(channel), planes(plane)), to.add(channel));
            if valid == [M; 2] {
                output_plane::<V::Register, M>(from, (to, pixels));
            } else {
                output_plane::<V::Register, M>(from, (to, Square { valid, ..pixels }));
            }
        }
    }
}
