//! The inner loop of every product and convolution: a register tile of accumulators, to which a
//! broadcast value times a row of vectors is added at each step.
//!
//! `sums[q b][n] += sum_k x[q][k x_step + b] w[k w_step + 16 n ..]`, with Q pointers of B
//! neighbouring values each. B = 1 takes rows that lie anywhere (pixels of an image, rows of a
//! matrix), Q = 1 takes neighbouring ones (channels of a pixel, columns of a transposed matrix).

use super::simd::{LANES, Vector};

/// The accumulators of Q B rows of N vectors.
pub(crate) type Sums<V, const Q: usize, const B: usize, const N: usize> = [[[V; N]; B]; Q];

/// All accumulators zero.
#[inline(always)]
pub(crate) fn zeros<V: Vector, const Q: usize, const B: usize, const N: usize>() -> Sums<V, Q, B, N>
{
    [[[V::splat(0.0); N]; B]; Q]
}

/// [`multiply`], with loops of their own for short sums that are common: a loop that ends after an
/// unknown few steps costs a mispredicted jump each time.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
pub(crate) unsafe fn multiply_short<V: Vector, const Q: usize, const B: usize, const N: usize>(
    sums: &mut Sums<V, Q, B, N>,
    x: [*const f32; Q],
    x_step: usize,
    w: *const f32,
    w_step: usize,
    steps: usize,
) {
    // SAFETY: the caller vouches for `steps` steps.
    unsafe {
        match steps {
            16 => multiply(sums, x, x_step, w, w_step, 16),
            32 => multiply(sums, x, x_step, w, w_step, 32),
            _ => multiply(sums, x, x_step, w, w_step, steps),
        }
    }
}

/// Adds `steps` products to the accumulators.
///
/// # Safety
/// For each k below `steps`: `x[q] + k x_step` is valid for reading B values, and `w + k w_step`
/// for reading 16 N.
#[inline(always)]
pub(crate) unsafe fn multiply<V: Vector, const Q: usize, const B: usize, const N: usize>(
    sums: &mut Sums<V, Q, B, N>,
    x: [*const f32; Q],
    x_step: usize,
    w: *const f32,
    w_step: usize,
    steps: usize,
) {
    let (mut x_at, mut w_at) = (0_usize, 0_usize);
    // Four steps a turn: the loop's own additions take the ports of multiply-adds on some CPUs.
    for _ in 0..steps / 4 {
        for _ in 0..4 {
            // SAFETY: the caller vouches for each step.
            unsafe { step(sums, x, x_at, w, w_at) };
            (x_at, w_at) = (x_at.wrapping_add(x_step), w_at.wrapping_add(w_step));
        }
    }
    for _ in 0..steps % 4 {
        // SAFETY: as above.
        unsafe { step(sums, x, x_at, w, w_at) };
        (x_at, w_at) = (x_at.wrapping_add(x_step), w_at.wrapping_add(w_step));
    }
}

/// Adds the products of one step: values from `x[q] + x_at` on, times the vectors from `w + w_at` on.
///
/// # Safety
/// There are B values, and 16 N.
#[inline(always)]
unsafe fn step<V: Vector, const Q: usize, const B: usize, const N: usize>(
    sums: &mut Sums<V, Q, B, N>,
    x: [*const f32; Q],
    x_at: usize,
    w: *const f32,
    w_at: usize,
) {
    // Wrapping: the caller vouches for the addresses, and a check in this loop would halve its pace.
    let mut row = [V::splat(0.0); N];
    for n in 0..N {
        // SAFETY: the caller vouches for 16 N values.
        row[n] = unsafe { V::load(w.wrapping_add(w_at).wrapping_add(n * LANES)) };
    }
    for q in 0..Q {
        for b in 0..B {
            // SAFETY: the caller vouches for B values.
            let value = V::splat(unsafe { *x[q].wrapping_add(x_at).wrapping_add(b) });
            for n in 0..N {
                sums[q][b][n] = value.mul_add(row[n], sums[q][b][n]);
            }
        }
    }
}
