//! Whether all numbers are finite.

use rayon::prelude::*;

use crate::Real;

/// Elements in a parallel piece.
const PIECE: usize = 1 << 16;

/// Whether no number is infinite or NaN.
///
/// ```
/// use smoothout_tensor::all_finite;
/// assert!(all_finite(&[0.0, -3.0e38_f32]));
/// assert!(!all_finite(&[0.0, f32::NAN]));
/// ```
pub fn all_finite<R: Real>(values: &[R]) -> bool {
    // Without a way out of the loop, so that it vectorises.
    let piece = |values: &[R]| values.iter().fold(true, |all, value| all & value.is_finite());
    if values.len() <= PIECE { piece(values) } else { values.par_chunks(PIECE).all(piece) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_enough_wherever_it_lies() {
        for len in [1, 15, 16, 17, PIECE, PIECE + 1, 3 * PIECE + 5] {
            assert!(all_finite(&vec![f32::MAX; len]));
            for place in [0, len / 2, len - 1] {
                for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    let mut values = vec![1.0; len];
                    values[place] = bad;
                    assert!(!all_finite(&values), "{bad} at {place} of {len}");
                }
            }
        }
        assert!(all_finite::<f32>(&[]));
    }
}
