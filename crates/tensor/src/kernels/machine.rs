//! What this machine can do at most, measured: the denominators of every "share of the peak".

use std::array::from_fn;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use super::simd::{self, LANES, Task, Vector};
use super::tile::{multiply, zeros};
use super::{Aligned, InstructionSet, KernelChoice};
use crate::{Purpose, StreamKey, fill_uniform};

/// The most chains of dependent multiply-adds that run side by side.
const CHAINS: usize = 16;
/// Multiply-adds of each chain in one run.
const STEPS: usize = 1 << 20;

struct Chains(f32);

impl Task for Chains {
    type Output = f32;

    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        let (factor, term) = (V::splat(self.0), V::splat(1.0 - self.0));
        // As many as the register tile: enough to hide their latency, and all in registers.
        let mut values = [V::splat(0.0); CHAINS];
        // Equal registers might be computed once, and what nobody asks for not at all.
        let starts: [[f32; LANES]; CHAINS] =
            black_box(from_fn(|chain| from_fn(|lane| (chain * LANES + lane) as f32)));
        for (start, value) in starts.iter().zip(&mut values) {
            // SAFETY: `start` holds sixteen values.
            *value = unsafe { V::load(start.as_ptr()) };
        }
        for _ in 0..STEPS {
            for value in &mut values[..V::ROWS * V::COLUMNS] {
                *value = value.mul_add(factor, term);
            }
        }
        let mut lanes = [0.0; LANES];
        let sum = values.into_iter().fold(V::splat(0.0), V::add);
        // SAFETY: `lanes` holds sixteen values.
        unsafe { sum.store(lanes.as_mut_ptr()) };
        lanes.into_iter().sum()
    }
}

/// Terms of a product of the register tile: as many as a 3x3 kernel of sixteen channels has.
const TERMS: usize = 144;
/// Products of the register tile in one run.
const PRODUCTS: usize = 1 << 13;

/// The register tile's products of factors that stay in the first-level cache.
struct Products<'a> {
    /// (rows, terms).
    rows: &'a [f32],
    /// (terms, columns).
    columns: &'a [f32],
}

impl Task for Products<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        match (V::ROWS, V::COLUMNS) {
            (8, _) => self.multiply::<V, 8, 2>(),
            (6, _) => self.multiply::<V, 6, 1>(),
            _ => self.multiply::<V, 2, 1>(),
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    fn multiply<V: Vector, const Q: usize, const N: usize>(self) -> f32 {
        let Self { rows, columns } = self;
        assert!(rows.len() == Q * TERMS && columns.len() == TERMS * N * LANES, "a register tile");
        let mut x = [rows.as_ptr(); Q];
        for q in 0..Q {
            x[q] = rows[q * TERMS..].as_ptr();
        }
        let mut total = V::splat(0.0);
        for _ in 0..PRODUCTS {
            let mut sums = zeros::<V, Q, 1, N>();
            // SAFETY: there are Q rows of as many terms, and as many terms of 16 N columns.
            unsafe { multiply(&mut sums, black_box(x), 1, columns.as_ptr(), N * LANES, TERMS) };
            for q in 0..Q {
                for n in 0..N {
                    total = total.add(sums[q][0][n]);
                }
            }
        }
        let mut lanes = [0.0; LANES];
        // SAFETY: `lanes` holds sixteen values.
        unsafe { total.store(lanes.as_mut_ptr()) };
        lanes.into_iter().sum()
    }
}

/// Runs `body` on each of `threads` threads at once, `rounds` times, and returns the seconds of the
/// fastest round.
fn seconds(threads: usize, rounds: usize, body: impl Fn(usize) + Sync) -> f64 {
    let time = || {
        let start = Instant::now();
        thread::scope(|scope| {
            let body = &body;
            (0..threads).for_each(|thread| {
                scope.spawn(move || body(thread));
            });
        });
        start.elapsed().as_secs_f64()
    };
    (0..rounds).map(|_| time()).fold(f64::INFINITY, f64::min)
}

/// Billions of `f32` operations a second that `threads` threads reach together with fused
/// multiply-adds on registers (each counts as two), in the instruction set in force. The matrix unit of
/// [`InstructionSet::Amx`] goes beyond it.
///
/// Takes some hundredths of a second.
pub fn fma_peak_gflops(threads: usize) -> f64 {
    let set = set_in_force();
    let seconds = seconds(threads, 5, |_| {
        black_box(simd::run(set, Chains(black_box(0.5))));
    });
    let (rows, columns) = simd::register_tile(set);
    (2 * LANES * rows * columns * STEPS * threads) as f64 / seconds / 1e9
}

/// Billions of `f32` operations a second that `threads` threads reach together in products whose factors come from
/// the first-level cache, as those of direct convolutions and of matrices do at best: what is left of
/// [`fma_peak_gflops`] when multiply-adds read memory. Factors are random, since zeros would take less power.
///
/// Takes some hundredths of a second.
///
/// ```
/// use smoothout_tensor::kernels::machine::{fma_peak_gflops, register_tile_gflops};
/// println!("{:.2} of the peak", register_tile_gflops(1) / fma_peak_gflops(1));
/// ```
pub fn register_tile_gflops(threads: usize) -> f64 {
    let set = set_in_force();
    let (rows, columns) = simd::register_tile(set);
    let (mut x, mut w) = (Aligned::default(), Aligned::default());
    x.grow(rows * TERMS);
    w.grow(TERMS * columns * LANES);
    // Zeros would take less power, and so be faster on some CPUs.
    fill_uniform(StreamKey::new(1, Purpose::Data), &mut x);
    fill_uniform(StreamKey::new(2, Purpose::Data), &mut w);
    let seconds = seconds(threads, 5, |_| {
        black_box(simd::run(set, Products { rows: &x, columns: &w }));
    });
    (2 * LANES * rows * columns * TERMS * PRODUCTS * threads) as f64 / seconds / 1e9
}

/// That of the kernels in force, but for the matrix unit.
fn set_in_force() -> InstructionSet {
    match KernelChoice::current() {
        KernelChoice::Scalar => InstructionSet::Baseline,
        _ => InstructionSet::current(),
    }
}

/// Billions of bytes a second that `threads` threads move together between memory and the CPU, in
/// `a[i] += b[i]` over arrays larger than any cache (each element counts as three moves).
///
/// Takes some tenths of a second and 256 MiB.
pub fn memory_bandwidth_gbs(threads: usize) -> f64 {
    const LEN: usize = 1 << 25;
    let (mut a, b) = (vec![1.0_f32; LEN], vec![1.0_f32; LEN]);
    let piece = LEN.div_ceil(threads);
    let run = |a: &mut [f32]| {
        let start = Instant::now();
        thread::scope(|scope| {
            for (a, b) in a.chunks_mut(piece).zip(b.chunks(piece)) {
                scope.spawn(move || a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
            }
        });
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..5).map(|_| run(&mut a)).fold(f64::INFINITY, f64::min);
    black_box(a);
    (3 * size_of::<f32>() * LEN) as f64 / seconds / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No CPU that runs this does less than a tenth or more than a thousand operations a cycle.
    #[test]
    fn peaks_are_plausible() {
        for peak in [fma_peak_gflops(1), register_tile_gflops(1)] {
            assert!((0.1..10_000.0).contains(&peak), "{peak} GFLOP/s");
        }
        let bandwidth = memory_bandwidth_gbs(1);
        assert!((0.1..10_000.0).contains(&bandwidth), "{bandwidth} GB/s");
    }
}
