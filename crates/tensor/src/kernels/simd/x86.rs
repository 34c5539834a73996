//! Sixteen lanes as one AVX-512 register or two AVX2 registers.

use std::arch::x86_64::*;

use super::{Task, Vector};

/// # Safety
/// The CPU has AVX-512 F, DQ, BW and VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run::<Avx512>()
}

/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run::<Avx2>()
}

/// An intrinsic inside a method of one of the vectors below.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: the vectors are private to this file, and the functions above, which alone name
        // them, require a CPU with their instructions; pointers are vouched for by the callers of
        // `load` and `store`, which are themselves unsafe.
        unsafe { $call }
    };
}

/// One `zmm` register.
#[derive(Clone, Copy)]
struct Avx512(__m512);

impl Vector for Avx512 {
    const ROWS: usize = 8;
    const COLUMNS: usize = 2;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(intrinsic!(_mm512_set1_ps(value)))
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(intrinsic!(_mm512_loadu_ps(from)))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        intrinsic!(_mm512_storeu_ps(to, self.0));
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(intrinsic!(_mm512_fmadd_ps(self.0, factor.0, term.0)))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsic!(_mm512_add_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(intrinsic!(_mm512_sub_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(intrinsic!(_mm512_mul_ps(self.0, other.0)))
    }
}

/// Two `ymm` registers.
#[derive(Clone, Copy)]
struct Avx2(__m256, __m256);

impl Vector for Avx2 {
    const ROWS: usize = 6;
    const COLUMNS: usize = 1;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        let value = intrinsic!(_mm256_set1_ps(value));
        Self(value, value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(intrinsic!(_mm256_loadu_ps(from)), intrinsic!(_mm256_loadu_ps(from.add(8))))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        intrinsic!(_mm256_storeu_ps(to, self.0));
        intrinsic!(_mm256_storeu_ps(to.add(8), self.1));
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(
            intrinsic!(_mm256_fmadd_ps(self.0, factor.0, term.0)),
            intrinsic!(_mm256_fmadd_ps(self.1, factor.1, term.1)),
        )
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_add_ps(self.0, other.0)), intrinsic!(_mm256_add_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_sub_ps(self.0, other.0)), intrinsic!(_mm256_sub_ps(self.1, other.1)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_mul_ps(self.0, other.0)), intrinsic!(_mm256_mul_ps(self.1, other.1)))
    }
}
