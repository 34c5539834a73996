//! Products in `f32` by the matrix unit of some CPUs (Intel's AMX), which multiplies `bf16`, numbers
//! of eight bits, and adds in `f32`.
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
//! A *strip* is 32 lines of a factor (rows of a, columns of b) in steps of 32 terms. A step holds
//! tiles of 16 x 16 lanes: for each part, one of the first sixteen lines and one of the others. A
//! lane is a pair of `bf16`, of the terms j (its lower half) and j + 16 of the step. In tiles of a, a
//! row is a line and its lanes are pairs of terms; in tiles of b it is the other way round.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
mod amx;
mod block;
mod driver;
mod plain;
mod strips;
#[cfg(test)]
mod tests;

pub(super) use driver::{product, product_rows};

use crate::kernels::simd::LANES;

/// Lines of a strip, and terms of a step.
pub(super) const LINES: usize = 2 * LANES;
/// `bf16` numbers that a value is split into.
const PARTS: usize = 3;
/// Lanes of a tile.
const TILE: usize = LANES * LANES;
/// Lanes of a step of a strip.
const STEP: usize = PARTS * 2 * TILE;

/// Whether this CPU has the unit, and the system lends it to this process.
pub(in crate::kernels) fn is_available() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    return amx::is_available();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
    return false;
}

/// What multiplies strips: the matrix unit, or plain sums one by one.
enum Unit {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    Amx(amx::Amx),
    Plain,
}

impl Unit {
    /// The best of this CPU, for this thread.
    ///
    /// # Safety
    /// A thread has one of these at a time.
    unsafe fn take() -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
        // SAFETY: as the caller vouches.
        if let Some(amx) = unsafe { amx::Amx::take() } {
            return Self::Amx(amx);
        }
        Self::Plain
    }

    /// `sums[i][j] = start[i][j] + sum_k a[i][k] b[k][j]` for a strip of a and one of b. A stride is
    /// from a row to the next, 0 if all are the same.
    ///
    /// # Safety
    /// Both strips are valid for reading `steps` steps; each of 32 rows of 32 values is valid for
    /// reading in `start`, and for writing in `sums`.
    #[inline(always)]
    unsafe fn multiply(
        &self,
        factors: [*const f32; 2],
        steps: usize,
        start: (*const f32, usize),
        sums: (*mut f32, usize),
    ) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
            // SAFETY: as the caller vouches.
            Self::Amx(amx) => unsafe { amx::multiply(amx, factors, steps, start, sums) },
            // SAFETY: as the caller vouches.
            Self::Plain => unsafe { plain::multiply(factors, steps, start, sums) },
        }
    }
}
