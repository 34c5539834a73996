//! Passes over flat vectors, in parallel pieces of a fixed length: the same bits for any number of
//! threads.

use rayon::prelude::*;
use smoothout_tensor::Real;
use smoothout_tensor::kernels::vectorised;

/// Elements in a piece.
pub(crate) const PIECE: usize = 1 << 14;

/// The memory of a rule: zeros before its first update.
///
/// # Panics
/// If it was of another length.
pub(crate) fn remember<R: Real>(memory: &mut Vec<R>, len: usize) {
    assert!(
        memory.is_empty() || memory.len() == len,
        "w has {len} elements, before {}",
        memory.len()
    );
    memory.resize(len, R::zero());
}

/// `target = share source`, or `target += share source` for a later copy.
pub(crate) fn accumulate<R: Real>(target: &mut [R], source: &[R], share: f64, first: bool) {
    let share = R::from_f64(share);
    let pieces = target.par_chunks_mut(PIECE).zip(source.par_chunks(PIECE));
    pieces.for_each(|(target, source)| {
        vectorised(|| {
            for (target, &source) in target.iter_mut().zip(source) {
                *target = if first { share * source } else { *target + share * source };
            }
        });
    });
}

/// `out = f(out, a, b)` element by element.
pub(crate) fn combine<R: Real>(out: &mut [R], a: &[R], b: &[R], f: impl Fn(R, R, R) -> R + Sync) {
    assert_eq!((out.len(), a.len()), (b.len(), b.len()), "lengths of the vectors");
    let pieces = out.par_chunks_mut(PIECE).zip(a.par_chunks(PIECE)).zip(b.par_chunks(PIECE));
    pieces.for_each(|((out, a), b)| {
        vectorised(|| {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = f(*out, a, b);
            }
        });
    });
}

/// Calls `f(w, gradient, state)` on matching pieces.
pub(crate) fn update_pieces<R: Real>(
    w: &mut [R],
    gradient: &[R],
    state: &mut [R],
    f: impl Fn(&mut [R], &[R], &mut [R]) + Sync + Send,
) {
    assert_eq!((w.len(), state.len()), (gradient.len(), gradient.len()), "lengths of the vectors");
    let pieces = w.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
    let pieces = pieces.zip(state.par_chunks_mut(PIECE));
    pieces.for_each(|((w, gradient), state)| vectorised(|| f(w, gradient, state)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Element by element, in one piece and in several.
    #[test]
    fn passes_are_their_definition() {
        for len in [0, 5, PIECE, 2 * PIECE + 5] {
            let wave = |k: f64| (0..len).map(|i| (k * i as f64).sin()).collect::<Vec<f64>>();
            let (a, b, c) = (wave(0.3), wave(0.7), wave(1.1));
            let expect = |f: &dyn Fn(usize) -> f64| (0..len).map(f).collect::<Vec<f64>>();
            let mut target = a.clone();
            accumulate(&mut target, &b, 0.25, false);
            assert_eq!(target, expect(&|i| a[i] + 0.25 * b[i]));
            accumulate(&mut target, &b, 0.25, true);
            assert_eq!(target, expect(&|i| 0.25 * b[i]));
            let mut out = a.clone();
            combine(&mut out, &b, &c, |out, b, c| out * b - c);
            assert_eq!(out, expect(&|i| a[i] * b[i] - c[i]));
            let (mut w, mut state) = (a.clone(), c.clone());
            update_pieces(&mut w, &b, &mut state, |w, gradient, state| {
                for ((w, &g), state) in w.iter_mut().zip(gradient).zip(state) {
                    (*w, *state) = (*w - g, *w * *state);
                }
            });
            assert_eq!(w, expect(&|i| a[i] - b[i]));
            assert_eq!(state, expect(&|i| a[i] * c[i]));
        }
    }
}
