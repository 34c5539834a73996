//! The length of a vector.

use crate::Real;
use crate::kernels::InstructionSet;
use crate::kernels::simd::{self, Task, Vector};

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
}
