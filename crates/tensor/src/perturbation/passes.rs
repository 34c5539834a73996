//! The passes over a block that turn random numbers u into w + theta.
//!
//! They are compiled for each instruction set, to the same bits: nothing is fused or reordered, and
//! a block is cut into pieces whatever the number of threads.

use rayon::prelude::*;

use crate::Real;
use crate::kernels::InstructionSet;
use crate::kernels::simd::{self, Task, Vector};
use crate::norm::sum_of_squares;

/// `out = f(w, u)` element by element, u being what `out` held.
struct Each<'a, R, F> {
    w: &'a [R],
    out: &'a mut [R],
    f: F,
}

impl<R: Real, F: Fn(R, R) -> R> Task for Each<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (out, &w) in self.out.iter_mut().zip(self.w) {
            *out = (self.f)(w, *out);
        }
    }
}

pub(super) fn each<R: Real>(w: &[R], out: &mut [R], f: impl Fn(R, R) -> R + Copy + Send + Sync) {
    const PIECE: usize = 1 << 15;
    let set = InstructionSet::current();
    let pieces = out.par_chunks_mut(PIECE).zip(w.par_chunks(PIECE));
    pieces.for_each(|(out, w)| simd::run(set, Each { w, out, f }));
}

/// `out = w + a u ‖w‖ / ‖u‖` direction by direction (`len` elements each), u being what `out` held.
struct EachDirection<'a, R> {
    a: f64,
    len: usize,
    w: &'a [R],
    out: &'a mut [R],
}

impl<R: Real> Task for EachDirection<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (out, w) in self.out.chunks_mut(self.len).zip(self.w.chunks(self.len)) {
            let u_norm = sum_of_squares(out).sqrt();
            let factor =
                if u_norm > 0.0 { self.a * sum_of_squares(w).sqrt() / u_norm } else { 0.0 };
            let factor = R::from_f64(factor);
            out.iter_mut().zip(w).for_each(|(out, &w)| *out = w + factor * *out);
        }
    }
}

pub(super) fn each_direction<R: Real>(a: f64, len: usize, w: &[R], out: &mut [R]) {
    let set = InstructionSet::current();
    let piece = len * ((1 << 13) / len).max(1);
    let pieces = out.par_chunks_mut(piece).zip(w.par_chunks(piece));
    pieces.for_each(|(out, w)| simd::run(set, EachDirection { a, len, w, out }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Element by element and direction by direction, in one piece and in several.
    #[test]
    fn passes_are_their_definition() {
        for (directions, len) in [(1, 3), (4, 5), (40_000, 3), (7, 20_000)] {
            let wave = |k: f64| (0..directions * len).map(move |i| (k * i as f64).sin());
            let (w, u): (Vec<f64>, Vec<f64>) = (wave(0.3).collect(), wave(0.7).collect());
            let mut out = u.clone();
            each(&w, &mut out, |w, u| w + 0.5 * u);
            assert!(out.iter().zip(w.iter().zip(&u)).all(|(out, (w, u))| *out == w + 0.5 * u));
            let mut out = u.clone();
            each_direction(0.5, len, &w, &mut out);
            for ((out, w), u) in out.chunks(len).zip(w.chunks(len)).zip(u.chunks(len)) {
                let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
                let factor = 0.5 * length(w) / length(u);
                for ((out, w), u) in out.iter().zip(w).zip(u) {
                    assert!((out - (w + factor * u)).abs() < 1e-12, "{directions} x {len}");
                }
            }
        }
    }
}
