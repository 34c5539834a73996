//! The matrix unit of some CPUs (Intel's AMX), which multiplies `bf16`, numbers of eight bits, and adds
//! in `f32`; here it multiplies `f32`.
//!
//! An `f32` has 24 bits, so it is the sum of three such numbers, `x = x1 + x2 + x3`: each is what those
//! before it leave over, rounded. A product of two of them is exact in `f32`. Of the nine products of
//! parts six are taken, the largest last:
//!
//! `a b = a3 b1 + a2 b1 + a2 b2 + a1 b2 + a1 b3 + a1 b1 + (a2 b3 + a3 b2 + a3 b3)`.
//!
//! The rest is below 2^-24 |a b|, one rounding of the product. The unit adds up sixteen products from
//! zero before it adds to a sum: sums of many terms are rounded less often than by fused
//! multiply-adds, and their errors are half as large (a test compares them). The unit does sixteen
//! times the operations of AVX-512, so that six products take three eighths of its time.
//!
//! All this holds between 1e-30 and 3.39e38. The unit takes numbers below 1.2e-38 for 0, and so the
//! third part of one below 1e-33, and products that are as small; beyond the largest `bf16` there is
//! NaN.
//!
//! Sums of convolutions are filled up with terms of weight zero. There a value that is not finite makes NaN
//! of a sum that does not reach it, maybe that of the next image.
//!
//! A tile is 16 x 16 lanes of 32 bits: of sums, or of pairs of `bf16`. In tiles of a, a row is a row of
//! a and its lanes are pairs of terms; in tiles of b it is the other way round.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
mod amx;
pub(super) mod plain;

use super::simd::{LANES, Vector};

/// `bf16` numbers that a value is split into.
pub(super) const PARTS: usize = 3;
/// Lanes of a tile.
pub(super) const TILE: usize = LANES * LANES;
/// Terms of a step: a pair to a lane of a row.
pub(super) const TERMS: usize = 2 * LANES;
/// Lines of a strip: rows of a, or columns of b.
pub(super) const LINES: usize = 2 * LANES;
/// Lanes of a step of a strip: 32 terms of 32 lines. For each part it has a tile of the first sixteen
/// lines and one of the others.
pub(super) const STEP: usize = PARTS * 2 * TILE;

/// Writes sixteen lanes of each part, `stride` lanes apart.
#[inline(always)]
pub(super) fn store_parts<V: Vector>(parts: [V; PARTS], lanes: &mut [f32], stride: usize) {
    for part in 0..PARTS {
        let lanes = &mut lanes[part * stride..][..LANES];
        // SAFETY: there are sixteen.
        unsafe { parts[part].store(lanes.as_mut_ptr()) };
    }
}

/// Sixteen lanes of each part at a time. From a part to the next there are `part` lanes.
#[inline(always)]
pub(super) fn lanes_of_parts(
    planes: &mut [f32],
    part: usize,
) -> impl Iterator<Item = [&mut [f32]; PARTS]> {
    let (first, rest) = planes.split_at_mut(part);
    let (second, third) = rest.split_at_mut(part);
    let [first, second, third] = [first, second, third].map(|lanes| lanes.chunks_exact_mut(LANES));
    first.zip(second).zip(third).map(|((first, second), third)| [first, second, third])
}

/// Whether this CPU has the unit, and the system lends it to this process.
pub(super) fn is_available() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    return amx::is_available();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
    return false;
}

/// What multiplies tiles: the matrix unit, or plain sums one by one.
pub(super) enum Unit {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    Amx(amx::Amx),
    /// With its four tiles of sums.
    Plain(Box<[f32; 4 * TILE]>),
}

impl Unit {
    /// The best of this CPU, for this thread.
    ///
    /// # Safety
    /// A thread has one of these at a time.
    pub(super) unsafe fn take() -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
        // SAFETY: as the caller vouches.
        if let Some(amx) = unsafe { amx::Amx::take() } {
            return Self::Amx(amx);
        }
        Self::plain()
    }

    /// What multiplies on every CPU.
    pub(super) fn plain() -> Self {
        Self::Plain(Box::new([0.0; 4 * TILE]))
    }

    /// `sums[i][j] = start[i][j] + sum_k a[i][k] b[k][j]` for a strip of a and one of b. A stride is
    /// from a row to the next, 0 if all are the same. `start` and `sums` may be the same.
    ///
    /// # Safety
    /// Both strips are valid for reading `steps` steps; each of 32 rows of 32 values is valid for
    /// reading in `start`, and for writing in `sums`.
    #[inline(always)]
    pub(super) unsafe fn multiply(
        &mut self,
        factors: [*const f32; 2],
        steps: usize,
        start: (*const f32, usize),
        sums: (*mut f32, usize),
    ) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            // SAFETY: as the caller vouches.
            Self::Amx(amx) => unsafe { amx.multiply(factors, steps, start, sums) },
            // SAFETY: as the caller vouches.
            Self::Plain(_) => unsafe { plain::multiply(factors, steps, start, sums) },
        }
    }

    /// Four tiles of sums begin at zero, for [`Unit::add_patches`] and then [`Unit::finish`]. Other products
    /// in between lose them.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            Self::Amx(amx) => amx.begin(),
            Self::Plain(sums) => sums.fill(0.0),
        }
    }

    /// Adds the products of four tiles of pixels and one of channels, a step: `sums[t][i][j]` grows by the
    /// sum of `a[t][i][k] b[k][j]`. `tiles[t]` is the first part of tile t's first pixel, `weights` has a
    /// tile for each part. Something may be written where `ahead` is, as [`Unit::finish`] would do.
    ///
    /// # Safety
    /// All that `patches` says of each tile is valid for reading, and so are the weights; sixteen rows of
    /// sixteen values are valid for writing from `ahead` on.
    #[inline(always)]
    pub(super) unsafe fn add_patches(
        &mut self,
        tiles: [*const f32; 4],
        patches: &Patches,
        weights: *const f32,
        ahead: (*mut f32, usize),
    ) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            // SAFETY: as the caller vouches.
            Self::Amx(amx) => unsafe { amx.add_patches(tiles, patches, weights, ahead) },
            // SAFETY: as the caller vouches.
            Self::Plain(sums) => unsafe { plain::add_patches(sums, tiles, patches, weights) },
        }
    }

    /// Writes the four tiles of sums. A stride is from a pixel to the next.
    ///
    /// # Safety
    /// Each of sixteen rows of sixteen values is valid for writing in each of `sums`.
    #[inline(always)]
    pub(super) unsafe fn finish(&mut self, sums: [*mut f32; 4], stride: usize) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            // SAFETY: as the caller vouches.
            Self::Amx(amx) => unsafe { amx.finish(sums, stride) },
            Self::Plain(from) => {
                for (to, from) in sums.into_iter().zip(from.chunks_exact(TILE)) {
                    for (row, from) in from.chunks_exact(LANES).enumerate() {
                        // SAFETY: as the caller vouches.
                        unsafe { to.add(row * stride).copy_from(from.as_ptr(), LANES) };
                    }
                }
            }
        }
    }

    /// The products of a tile of gradients and four or five of their inputs are added: `sums[t][i][j]` grows
    /// by the sum over the steps of `a[i][k] b[t][k][j]`. `gradient` has a tile for each part of each
    /// step. `tiles[t]` is the first lane of the first part of tile t's first row.
    ///
    /// # Safety
    /// All that `taps` says of each tile is valid for reading, and so is the gradient; as many tiles of
    /// sums are valid for reading and writing.
    ///
    /// # Panics
    /// If there are others than four or five tiles, or no steps.
    #[inline(always)]
    pub(super) unsafe fn multiply_taps(
        &mut self,
        gradient: *const f32,
        tiles: &[*const f32],
        taps: &Taps,
        sums: *mut f32,
    ) {
        assert!(matches!(tiles.len(), 4 | 5) && taps.steps > 0, "four or five tiles, some steps");
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            // SAFETY: as the caller vouches.
            Self::Amx(amx) => unsafe {
                match *tiles {
                    [a, b, c, d] => amx.multiply_taps(gradient, [a, b, c, d], taps, sums),
                    [a, b, c, d, e] => {
                        amx.multiply_five_taps(gradient, [a, b, c, d, e], taps, sums);
                    }
                    _ => unreachable!("asserted above"),
                }
            },
            // SAFETY: as the caller vouches.
            Self::Plain(_) => unsafe { plain::multiply_taps(gradient, tiles, taps, sums) },
        }
    }
}

/// Where the terms of a tile's sixteen pixels are: distances between lanes, each a pair of terms, of which
/// sixteen neighbours are a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patches {
    /// From a pixel of the tile to the next.
    pub(super) pixel: usize,
    /// From a part to the next.
    pub(super) part: usize,
}

/// Where the terms of tiles of the input are: distances between lanes, each a pair of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps {
    /// From a row of a tile to the next. The first row of the next step follows the last.
    pub(super) row: usize,
    /// From a part to the next.
    pub(super) part: usize,
    /// Steps of sixteen rows.
    pub(super) steps: usize,
}
