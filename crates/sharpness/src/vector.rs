//! Sums over long vectors that do not depend on the number of threads.
//!
//! A range is cut into fixed chunks of [`CHUNK`] indices; each chunk is summed in order, in f64,
//! and the chunks are added as a balanced tree whose shape follows from the length alone. What happens
//! in a chunk is called through a pointer, so that Rayon's machinery is compiled once for all of them.

use std::ops::Range;

use rayon::prelude::*;
use smoothout_tensor::Real;

/// How many elements one thread takes at least.
pub(crate) const CHUNK: usize = 1 << 13;

/// The distance from 1 to the next number of the precision.
pub(crate) fn epsilon<R: Real>() -> f64 {
    R::epsilon().as_f64()
}

/// A vector of zeros.
pub(crate) fn zeros<R: Real>(len: usize) -> Vec<R> {
    vec![R::zero(); len]
}

/// Combines `piece` over the chunks of `range`, in a tree fixed by the length.
pub(crate) fn reduce<T: Send>(
    range: Range<usize>,
    piece: &(dyn Fn(Range<usize>) -> T + Sync),
    combine: &(dyn Fn(T, T) -> T + Sync),
) -> T {
    if range.len() <= CHUNK {
        return piece(range);
    }
    let middle = range.start + (range.len() / CHUNK).div_ceil(2) * CHUNK;
    let (left, right) = rayon::join(
        || reduce(range.start..middle, piece, combine),
        || reduce(middle..range.end, piece, combine),
    );
    combine(left, right)
}

/// The sum of `piece` over the chunks of `0..len`.
pub(crate) fn sum(len: usize, piece: impl Fn(Range<usize>) -> f64 + Sync) -> f64 {
    reduce(0..len, &piece, &|a, b| a + b)
}

/// a'b.
pub(crate) fn dot<R: Real>(a: &[R], b: &[R]) -> f64 {
    assert_eq!(a.len(), b.len(), "the factors of an inner product");
    sum(a.len(), |range| dot_piece(&a[range.clone()], &b[range]))
}

/// Eight partial sums, so that a compiler can use vector instructions.
fn dot_piece<R: Real>(a: &[R], b: &[R]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_groups, b_groups) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_groups.remainder().iter().zip(b_groups.remainder());
    let tail: f64 = rest.map(|(a, b)| a.as_f64() * b.as_f64()).sum();
    for (a, b) in a_groups.zip(b_groups) {
        for lane in 0..8 {
            sums[lane] += a[lane].as_f64() * b[lane].as_f64();
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// The Euclidean norm of `a`.
pub(crate) fn norm<R: Real>(a: &[R]) -> f64 {
    dot(a, a).sqrt()
}

/// The largest |a_i|; NaN if there is one.
pub(crate) fn norm_inf<R: Real>(a: &[R]) -> f64 {
    largest(a.len(), |i| a[i].as_f64())
}

/// The largest |`value`| of the indices `0..len`; NaN if there is one.
pub(crate) fn largest(len: usize, value: impl Fn(usize) -> f64 + Sync) -> f64 {
    let largest = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    let piece = |range: Range<usize>| range.fold(0.0, |most, i| largest(value(i).abs(), most));
    reduce(0..len, &piece, &largest)
}

/// Writes `out_i = f(i, out_i)` for each index, in parallel.
pub(crate) fn update<R: Real>(out: &mut [R], f: impl Fn(usize, R) -> R + Sync) {
    for_each_chunk(out, &|start, out| {
        out.iter_mut().enumerate().for_each(|(i, value)| *value = f(start + i, *value));
    });
}

/// Calls `work` with the first index of each chunk and the chunk, in parallel.
pub(crate) fn for_each_chunk<T: Send>(out: &mut [T], work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    let chunks = out.par_chunks_mut(CHUNK).enumerate();
    chunks.for_each(|(chunk, out)| work(chunk * CHUNK, out));
}

/// y += factor x.
pub(crate) fn add_scaled<R: Real>(y: &mut [R], factor: f64, x: &[R]) {
    let factor = R::from_f64(factor);
    update(y, |i, y| y + factor * x[i]);
}

/// y -= q (q'y) for each unit vector q of `basis`, one after the other.
pub(crate) fn project_out<R: Real>(basis: &[Vec<R>], y: &mut [R]) {
    for q in basis {
        let along = dot(q, y);
        add_scaled(y, -along, q);
    }
}

/// y *= factor.
pub(crate) fn scale<R: Real>(y: &mut [R], factor: f64) {
    let factor = R::from_f64(factor);
    update(y, |_, y| factor * y);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_the_same_bits_on_any_number_of_threads() {
        let a: Vec<f32> = (0..100_003).map(|i| ((i * 7919) % 1000) as f32 * 1e-3).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (dot(&a, &a).to_bits(), norm_inf(&a).to_bits()))
        };
        let expected = on(1);
        assert_eq!(expected, on(2));
        assert_eq!(expected, on(7));
        let plain: f64 = a.iter().map(|&a| f64::from(a) * f64::from(a)).sum();
        assert!((dot(&a, &a) / plain - 1.0).abs() < 1e-13);
    }

    /// Vectors of several chunks: each element is met with its own index.
    #[test]
    fn updates_know_the_index_in_every_chunk() {
        let mut y = vec![0.0_f64; 3 * CHUNK + 5];
        update(&mut y, |i, y| y + i as f64);
        let x = y.clone();
        add_scaled(&mut y, 2.0, &x);
        scale(&mut y, 0.5);
        assert!(y.iter().enumerate().all(|(i, &y)| y == 1.5 * i as f64));
    }

    #[test]
    fn the_largest_element_of_nan_is_nan() {
        assert!(norm_inf(&[1.0, f64::NAN, 2.0]).is_nan());
        assert_eq!(norm_inf(&[1.0, -3.0, 2.0]), 3.0);
    }
}
