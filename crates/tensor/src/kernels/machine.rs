//! What this machine can do at most, measured: the denominators of every "share of the peak".

use std::array::from_fn;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use super::simd::{self, LANES, Task, Vector};
use super::{InstructionSet, KernelChoice};

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
    let set = match KernelChoice::current() {
        KernelChoice::Scalar => InstructionSet::Baseline,
        _ => InstructionSet::current(),
    };
    let seconds = seconds(threads, 5, |_| {
        black_box(simd::run(set, Chains(black_box(0.5))));
    });
    let (rows, columns) = simd::register_tile(set);
    (2 * LANES * rows * columns * STEPS * threads) as f64 / seconds / 1e9
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
        let peak = fma_peak_gflops(1);
        assert!((0.1..10_000.0).contains(&peak), "{peak} GFLOP/s");
        let bandwidth = memory_bandwidth_gbs(1);
        assert!((0.1..10_000.0).contains(&bandwidth), "{bandwidth} GB/s");
    }
}
