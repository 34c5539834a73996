//! The length of a vector.

use rayon::prelude::*;

use crate::Real;
use crate::kernels::InstructionSet;
use crate::kernels::remaining::Remaining;
use crate::kernels::simd::{self, Task, Vector};

/// Elements in a piece of a vector, unless it has too many pieces then.
const PIECE: usize = 1 << 14;
/// The most pieces.
const PIECES: usize = 256;

/// The square of the l2 norm, summed in f64 and in a fixed order: element i belongs to partial sum
/// i mod 32, and these are added in order. Additions do not wait for each other so.
///
/// On the calling thread, with the vectors of the [instruction set](InstructionSet) in force; the bits
/// do not depend on it.
///
/// ```
/// use smoothout_tensor::squared_norm;
///
/// assert_eq!(squared_norm(&[3.0_f32, -4.0]), 25.0);
/// ```
pub fn squared_norm<R: Real>(values: &[R]) -> f64 {
    simd::run(InstructionSet::current(), Squares(values))
}

/// [`squared_norm`] piece by piece, in parallel. The pieces depend on the length alone and are added in
/// order: the same bits for any number of threads.
///
/// ```
/// use smoothout_tensor::parallel_squared_norm;
///
/// assert_eq!(parallel_squared_norm(&vec![0.5_f32; 1 << 20]), 262_144.0);
/// ```
pub fn parallel_squared_norm<R: Real>(values: &[R]) -> f64 {
    let mut sums = [0.0; PIECES];
    let pieces = values.par_chunks(values.len().div_ceil(PIECES).max(PIECE));
    let count = pieces.len();
    let remaining = Remaining::new(count);
    sums[..count].par_iter_mut().zip(pieces).for_each(|(sum, piece)| {
        remaining.run(|| *sum = squared_norm(piece));
    });
    sums[..count].iter().sum()
}

struct Squares<'a, R>(&'a [R]);

impl<R: Real> Task for Squares<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        sum_of_squares(self.0)
    }
}

/// [`squared_norm`] as part of another task.
#[inline(always)]
pub(crate) fn sum_of_squares<R: Real>(values: &[R]) -> f64 {
    let [mut a, mut b, mut c, mut d] = [[0.0; 8]; 4];
    let (groups, rest) = values.as_chunks::<32>();
    for group in groups {
        let (eights, _) = group.as_chunks::<8>();
        add_squares(&mut a, &eights[0]);
        add_squares(&mut b, &eights[1]);
        add_squares(&mut c, &eights[2]);
        add_squares(&mut d, &eights[3]);
    }
    let mut sums = [a, b, c, d];
    for (sum, value) in sums.as_flattened_mut().iter_mut().zip(rest) {
        *sum += value.as_f64() * value.as_f64();
    }
    sums.as_flattened().iter().sum()
}

/// Eight of the sums: the compiler makes one vector of them, and of more it makes none.
#[inline(always)]
fn add_squares<R: Real>(sums: &mut [f64; 8], values: &[R; 8]) {
    for i in 0..8 {
        sums[i] += values[i].as_f64() * values[i].as_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_has_its_sum() {
        for len in [0, 1, 31, 32, 33, 100, 1000] {
            let values: Vec<f32> = (0..len).map(|i| (i as f32).sin()).collect();
            let mut sums = [0.0; 32];
            for (i, value) in values.iter().enumerate() {
                sums[i % 32] += f64::from(*value) * f64::from(*value);
            }
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let found = simd::run(set, Squares(&values));
                assert_eq!(found, sums.iter().sum::<f64>(), "{len} on {set:?}");
            }
        }
    }

    /// None, one, several pieces, and more than there may be of the shortest.
    #[test]
    fn pieces_add_up() {
        for len in [0, 7, PIECE, PIECE + 1, 3 * PIECE + 5, PIECES * PIECE + 1] {
            let values: Vec<f64> = (0..len).map(|i| (i as f64).sin()).collect();
            let expected: f64 = values.iter().map(|value| value * value).sum();
            let found = parallel_squared_norm(&values);
            assert!((found - expected).abs() <= 1e-12 * (1.0 + expected), "{len}");
        }
    }
}
