//! Lanes as an array: plain loops for the baseline instruction set of the target.

use std::array::from_fn;

use super::{LANES, Simd, Vector};

/// An array of lanes.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const N: usize>([f32; N]);

impl Vector for Portable<LANES> {
    type Register = Portable<4>;

    // NEON has 32 registers of 4 lanes, SSE2 has 16.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };
    const COLUMNS: usize = 1;
}

impl<const N: usize> Simd for Portable<N> {
    const WIDTH: usize = N;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; N])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for N readable values; arrays of `f32` have the
        // alignment of `f32`.
        Self(unsafe { from.cast::<[f32; N]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for N writable values.
        unsafe { to.cast::<[f32; N]>().write(self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(from_fn(|lane| {
            let (a, b, c) = (self.0[lane], factor.0[lane], term.0[lane]);
            // Without the instruction, a fused multiply-add would be a library call.
            if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                a.mul_add(b, c)
            } else {
                a * b + c
            }
        }))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] - other.0[lane]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] * other.0[lane]))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        Self(self.0.map(|x| if x <= 0.0 { 0.0 } else { x }))
    }

    #[inline(always)]
    fn where_positive(self, gate: Self) -> Self {
        Self(from_fn(|lane| if gate.0[lane] > 0.0 { self.0[lane] } else { 0.0 }))
    }
    #[inline(always)]
    fn larger(self, best: Self, [own, other]: [Self; 2]) -> (Self, Self) {
        let wins = |lane: usize| (self.0[lane] > best.0[lane]) | self.0[lane].is_nan();
        let select =
            |a: &[f32; N], b: &[f32; N]| from_fn(|lane| if wins(lane) { a[lane] } else { b[lane] });
        (Self(select(&self.0, &best.0)), Self(select(&own.0, &other.0)))
    }
}
