//! Sixteen `f32` lanes: the unit that every fast kernel is written in, once, for every instruction
//! set.
//!
//! A [`Vector`] is one AVX-512 register, two AVX2 registers, or an array that the compiler turns
//! into whatever the baseline has (NEON on aarch64, SSE2 on x86-64); [`Vector::Register`] is one
//! such register. A kernel is a [`Task`] with a
//! body generic over the vector; [`run`] compiles the body once per instruction set, inside a
//! function with that set's `#[target_feature]`, and calls the one that was asked for. Everything
//! between the two must be `#[inline(always)]`, and vectors must not pass through closures: only
//! code that is inlined into that function inherits its features.

mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use lanes::{lanes, load, store};
pub(super) use portable::Portable;

use super::InstructionSet;

/// Lanes of a [`Vector`].
pub(crate) const LANES: usize = 16;

/// `f32` lanes side by side. Values exist only inside a [`Task`] that runs on a CPU that has them.
pub(crate) trait Simd: Copy {
    /// How many lanes.
    const WIDTH: usize;

    /// `value` in each lane.
    fn splat(value: f32) -> Self;

    /// # Safety
    /// `from` is valid for reading `WIDTH` values.
    unsafe fn load(from: *const f32) -> Self;

    /// # Safety
    /// `to` is valid for writing `WIDTH` values.
    unsafe fn store(self, to: *mut f32);

    /// `self * factor + term`, rounded once where the set has a fused multiply-add.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// `self + other`.
    fn add(self, other: Self) -> Self;

    /// `self - other`.
    fn sub(self, other: Self) -> Self;

    /// `self * other`.
    fn mul(self, other: Self) -> Self;

    /// `max(0, self)`; NaN stays NaN.
    fn relu(self) -> Self;

    /// `self` in the lanes where `gate > 0`, else 0.
    fn where_positive(self, gate: Self) -> Self;

    /// `self` in the lanes where `a` and `b` have the same bits, else 0.
    fn where_same(self, a: Self, b: Self) -> Self;

    /// The larger of `self` and `best`, and which of two it is: (`self`, the first) in the lanes
    /// where `self > best` or `self` is NaN, else (`best`, the second).
    fn larger(self, best: Self, which: [Self; 2]) -> (Self, Self);
}

/// Sixteen lanes, in one register or in several.
pub(crate) trait Vector: Simd {
    /// One register, for code that needs many values at once. Its width divides sixteen.
    type Register: Simd;

    /// Rows of the register tile: with [`Vector::COLUMNS`] vectors to a row, the accumulators, a
    /// row of weights and a broadcast value together just fit the registers.
    const ROWS: usize;
    /// The most vectors to a row of the register tile, 1 or 2.
    const COLUMNS: usize;

    /// The three `bf16` parts of two values a lane, those of `self` in the lower half of a lane, those
    /// of `upper` in the upper half. Each part is what those before it leave over, rounded to eight
    /// bits, or cut after them if it is the third: it has no more, unless it is smaller than any
    /// normal number. A value that is not finite leaves NaN over.
    #[inline(always)]
    fn split(self, upper: Self) -> [Self; 3] {
        portable::split(self, upper)
    }

    /// Two values a lane as `bf16`, as [`split`](Self::split) has them: rounded to eight bits, to an even one
    /// if they are in the middle of two. What is not finite stays so.
    #[inline(always)]
    fn round(self, upper: Self) -> Self {
        portable::round(self, upper)
    }

    /// The lanes of both, one after the other, that have even numbers, and those that have odd ones.
    #[inline(always)]
    fn alternate(self, next: Self) -> [Self; 2] {
        let mut lanes = [0.0; 2 * LANES];
        let mut halves = [[0.0; LANES]; 2];
        // SAFETY: the arrays hold as many values.
        unsafe {
            self.store(lanes.as_mut_ptr());
            next.store(lanes.as_mut_ptr().add(LANES));
            for (lane, value) in lanes.into_iter().enumerate() {
                halves[lane % 2][lane / 2] = value;
            }
            [Self::load(halves[0].as_ptr()), Self::load(halves[1].as_ptr())]
        }
    }

    /// The transpose of a 16 x 16 block: rows become lanes.
    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut lanes = [[0.0; LANES]; LANES];
        for (row, lanes) in rows.into_iter().zip(&mut lanes) {
            // SAFETY: a row holds sixteen values.
            unsafe { row.store(lanes.as_mut_ptr()) };
        }
        let mut transposed = rows;
        for (lane, row) in transposed.iter_mut().enumerate() {
            let values = lanes.map(|lanes| lanes[lane]);
            // SAFETY: as above.
            *row = unsafe { Self::load(values.as_ptr()) };
        }
        transposed
    }
}

/// A piece of work whose body is compiled once per instruction set.
pub(crate) trait Task {
    /// What the work returns.
    type Output;

    /// The body; implementations are `#[inline(always)]`.
    fn run<V: Vector>(self) -> Self::Output;
}

/// Asks for the cache lines of `values` ahead of their use: reads and writes beyond the caches set
/// the pace of the cheaper kernels otherwise.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    for at in (0..values.len()).step_by(LANES) {
        prefetch_at(values, at);
    }
}

/// Asks for the cache line of `values[at]`, which need not exist.
#[inline(always)]
pub(crate) fn prefetch_at(values: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 CPU has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// Asks for the cache lines of `len` values, which need not exist and are not needed soon: into the second
/// level of the cache, as the first has no room for them.
#[inline(always)]
pub(crate) fn prefetch_far(start: *const f32, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..len).step_by(LANES) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: as in `prefetch_at`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}

/// Runs `task` with the vectors of `set`.
///
/// # Panics
/// If this CPU does not have `set`.
pub(crate) fn run<T: Task>(set: InstructionSet, task: T) -> T::Output {
    assert!(set.is_available(), "this CPU does not have {set:?}");
    match set {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions, as just checked.
        InstructionSet::Amx | InstructionSet::Avx512 => unsafe { x86::run_avx512(task) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionSet::Avx2 => unsafe { x86::run_avx2(task) },
        _ => task.run::<Portable<LANES>>(),
    }
}

/// [`Vector::ROWS`] and [`Vector::COLUMNS`] of the vectors of `set`.
pub(crate) fn register_tile(set: InstructionSet) -> (usize, usize) {
    struct RegisterTile;
    impl Task for RegisterTile {
        type Output = (usize, usize);
        fn run<V: Vector>(self) -> (usize, usize) {
            (V::ROWS, V::COLUMNS)
        }
    }
    run(set, RegisterTile)
}

/// [`Vector::COLUMNS`] of the vectors of `set`.
pub(crate) fn columns(set: InstructionSet) -> usize {
    register_tile(set).1
}
