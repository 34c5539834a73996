//! The matrix unit of some CPUs (Intel's AMX), which multiplies `bf16`, numbers of eight bits, and adds
//! in `f32`; here it multiplies `f32`. With factors rounded to one `bf16` it multiplies these as they are, and
//! so do the dot products of AVX-512 BF16 where there is no such unit.
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
#[cfg(target_arch = "x86_64")]
mod dot_products;
pub(super) mod plain;

use super::InstructionSet;
use super::simd::{LANES, Vector};

/// `bf16` numbers that a value is split into, to lose nothing.
pub(super) const PARTS: usize = 3;
/// Lanes of a tile.
pub(super) const TILE: usize = LANES * LANES;
/// Terms of a step: a pair to a lane of a row.
pub(super) const TERMS: usize = 2 * LANES;
/// Lines of a strip: rows of a, or columns of b.
pub(super) const LINES: usize = 2 * LANES;

/// Lanes of a step of a strip: 32 terms of 32 lines. For each of so many parts it has a tile of the first
/// sixteen lines and one of the others.
pub(super) const fn step_len(parts: usize) -> usize {
    parts * 2 * TILE
}

/// Writes sixteen pairs of values, `lower` in the lower halves of the lanes, in P parts that are `stride` lanes
/// apart: all that they are made of, or rounded if it is one.
#[inline(always)]
pub(super) fn store_parts<V: Vector, const P: usize>(
    lower: V,
    upper: V,
    lanes: &mut [f32],
    stride: usize,
) {
    let parts = if P == 1 { [lower.round(upper); PARTS] } else { lower.split(upper) };
    for part in 0..P {
        let lanes = &mut lanes[part * stride..][..LANES];
        // SAFETY: there are sixteen.
        unsafe { parts[part].store(lanes.as_mut_ptr()) };
    }
}

/// Whether this CPU has the dot products of AVX-512 BF16.
pub(super) fn has_dot_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Whether this CPU has the unit, and the system lends it to this process.
pub(super) fn is_available() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    return amx::is_available();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
    return false;
}

/// Four tiles of sums, whose rows begin a cache line.
#[repr(align(64))]
pub(super) struct Sums(pub(super) [f32; 4 * TILE]);

/// What multiplies tiles of factors in P parts: the matrix unit, dot products if it is one part, or plain sums one
/// by one.
pub(super) enum Unit<const P: usize> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    Amx(amx::Amx),
    #[cfg(target_arch = "x86_64")]
    DotProducts(Sums),
    Plain(Sums),
}

impl<const P: usize> Unit<P> {
    /// That of an instruction set, for this thread.
    ///
    /// # Safety
    /// A thread has one of these at a time.
    pub(super) unsafe fn take(set: InstructionSet) -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
        if set == InstructionSet::Amx {
            // SAFETY: as the caller vouches.
            if let Some(amx) = unsafe { amx::Amx::take() } {
                return Self::Amx(amx);
            }
        }
        #[cfg(target_arch = "x86_64")]
        if set == InstructionSet::Avx512 && P == 1 && has_dot_products() {
            return Self::DotProducts(Sums([0.0; 4 * TILE]));
        }
        let _ = set;
        Self::plain()
    }

    /// What multiplies on every CPU.
    pub(super) fn plain() -> Self {
        Self::Plain(Sums([0.0; 4 * TILE]))
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
            Self::Amx(amx) => unsafe {
                if P == 1 {
                    amx.multiply_rounded(factors, steps, start, sums);
                } else {
                    amx.multiply(factors, steps, start, sums);
                }
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as the caller vouches; the CPU has the instructions.
            Self::DotProducts(_) => unsafe { dot_products::multiply(factors, steps, start, sums) },
            // SAFETY: as the caller vouches.
            Self::Plain(_) => unsafe { plain::multiply::<P>(factors, steps, start, sums) },
        }
    }

    /// Four tiles of sums begin at zero, for [`Unit::add_patches`] and then [`Unit::finish`]. Other products
    /// in between lose them.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            Self::Amx(amx) => amx.begin(),
            #[cfg(target_arch = "x86_64")]
            Self::DotProducts(sums) => sums.0.fill(0.0),
            Self::Plain(sums) => sums.0.fill(0.0),
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
            Self::Amx(amx) => unsafe {
                if P == 1 {
                    amx.add_rounded_patches(tiles, patches, weights, ahead);
                } else {
                    amx.add_patches(tiles, patches, weights, ahead);
                }
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as the caller vouches; the CPU has the instructions.
            Self::DotProducts(sums) => unsafe {
                dot_products::add_patches(&mut sums.0, tiles, patches, weights);
            },
            // SAFETY: as the caller vouches.
            Self::Plain(sums) => unsafe {
                plain::add_patches::<P>(&mut sums.0, tiles, patches, weights);
            },
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
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as the caller vouches.
            Self::DotProducts(from) => unsafe { from.write(sums, stride) },
            // SAFETY: as the caller vouches.
            Self::Plain(from) => unsafe { from.write(sums, stride) },
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
                    [a, b, c, d] if P == 1 => {
                        amx.multiply_rounded_taps(gradient, [a, b, c, d], taps, sums);
                    }
                    [a, b, c, d] => amx.multiply_taps(gradient, [a, b, c, d], taps, sums),
                    [a, b, c, d, e] if P == 1 => {
                        amx.multiply_five_rounded_taps(gradient, [a, b, c, d, e], taps, sums);
                    }
                    [a, b, c, d, e] => {
                        amx.multiply_five_taps(gradient, [a, b, c, d, e], taps, sums);
                    }
                    _ => unreachable!("asserted above"),
                }
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as the caller vouches; the CPU has the instructions.
            Self::DotProducts(_) => unsafe {
                dot_products::multiply_taps(gradient, tiles, taps, sums);
            },
            // SAFETY: as the caller vouches.
            Self::Plain(_) => unsafe { plain::multiply_taps::<P>(gradient, tiles, taps, sums) },
        }
    }
}

impl Sums {
    /// # Safety
    /// As in [`Unit::finish`].
    unsafe fn write(&self, to: [*mut f32; 4], stride: usize) {
        for (to, from) in to.into_iter().zip(self.0.chunks_exact(TILE)) {
            for (row, from) in from.chunks_exact(LANES).enumerate() {
                // SAFETY: as the caller vouches.
                unsafe { to.add(row * stride).copy_from(from.as_ptr(), LANES) };
            }
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
