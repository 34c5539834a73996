//! Lanes as an array: plain loops for the baseline instruction set of the target.

use std::array::from_fn;

use super::{LANES, Simd, Vector};
use crate::kernels::simd::lanes;

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
    fn where_same(self, a: Self, b: Self) -> Self {
        let same = |lane: usize| a.0[lane].to_bits() == b.0[lane].to_bits();
        Self(from_fn(|lane| if same(lane) { self.0[lane] } else { 0.0 }))
    }
    #[inline(always)]
    fn larger(self, best: Self, [own, other]: [Self; 2]) -> (Self, Self) {
        let wins = |lane: usize| (self.0[lane] > best.0[lane]) | self.0[lane].is_nan();
        let select =
            |a: &[f32; N], b: &[f32; N]| from_fn(|lane| if wins(lane) { a[lane] } else { b[lane] });
        (Self(select(&self.0, &best.0)), Self(select(&own.0, &other.0)))
    }
}

/// [`Vector::split`] by its definition.
#[inline(always)]
pub(super) fn split<V: Vector>(lower: V, upper: V) -> [V; 3] {
    let (mut lower, mut upper) = (lanes(lower), lanes(upper));
    let mut parts = [lower; 3];
    for (part, pairs) in parts.iter_mut().enumerate() {
        for lane in 0..LANES {
            let half = if part < 2 { 0x8000 } else { 0 };
            let (low, high) = (bf16(lower[lane], half), bf16(upper[lane], half));
            pairs[lane] = f32::from_bits((low.to_bits() >> 16) | high.to_bits());
            (lower[lane], upper[lane]) = (lower[lane] - low, upper[lane] - high);
        }
    }
    let mut vectors = [V::splat(0.0); 3];
    for (vector, pairs) in vectors.iter_mut().zip(&parts) {
        // SAFETY: each part has sixteen lanes.
        *vector = unsafe { V::load(pairs.as_ptr()) };
    }
    vectors
}

/// [`Vector::round`] by its definition.
#[inline(always)]
pub(super) fn round<V: Vector>(lower: V, upper: V) -> V {
    let pairs: [f32; LANES] = {
        let (lower, upper) = (lanes(lower), lanes(upper));
        from_fn(|lane| {
            let [low, high] = [lower[lane], upper[lane]].map(|value| {
                let bits = value.to_bits();
                let half = if value.is_nan() { 0 } else { 0x7fff + (bits >> 16 & 1) };
                (bits + half) & 0xffff_0000
            });
            f32::from_bits(low >> 16 | high)
        })
    };
    // SAFETY: there are sixteen lanes.
    unsafe { V::load(pairs.as_ptr()) }
}

/// The first eight bits of a value whose bits have become larger by `half`.
#[inline(always)]
fn bf16(value: f32, half: u32) -> f32 {
    f32::from_bits(value.to_bits().wrapping_add(half) & 0xffff_0000)
}
