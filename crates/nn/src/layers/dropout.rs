//! Dropout: `y = m x`, m = 1 / (1 - p) with probability 1 - p and 0 otherwise, drawn per element.
//!
//! # Source
//! Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR
//! 2014; scaled at training time as in PyTorch, so that evaluation is the identity.

use smoothout_tensor::{Real, StreamKey, zip_uniform};

/// values: in x, out y = m x, or the gradients dy and dx: m is drawn again, not kept.
pub(crate) fn apply<R: Real>(p: f64, key: StreamKey, values: &mut [R]) {
    // u is uniform in (-1, 1): it lies below 2p - 1 with probability p.
    let (threshold, scale) = (R::from_f64(2.0 * p - 1.0), R::from_f64(1.0 / (1.0 - p)));
    zip_uniform(
        key,
        values,
        #[inline(always)]
        |values, u| {
            // Copies: what a closure borrows may change with each value, as far as a compiler knows.
            let (threshold, scale) = (threshold, scale);
            for (value, &u) in values.iter_mut().zip(u) {
                *value *= if u < threshold { R::zero() } else { scale };
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};
    use smoothout_tensor::Purpose;

    fn run(p: f64, x: &[f64]) -> Vec<f64> {
        let mut y = x.to_vec();
        apply(p, StreamKey::new(5, Purpose::Dropout), &mut y);
        y
    }

    #[test]
    fn gradient_matches_differences() {
        for (len, p) in [(6, 0.5), (40, 0.3)] {
            let (x, g) = (wave(len, 0.7), wave(len, 1.1));
            let scale = 1.0 / (1.0 - p);
            let masks = run(p, &x).into_iter().zip(&x).map(|(y, x)| y / x);
            let (mut kept, mut dropped) = (0, 0);
            for mask in masks {
                assert!(mask == 0.0 || (mask - scale).abs() < 1e-12, "{mask}");
                if mask == 0.0 { dropped += 1 } else { kept += 1 }
            }
            assert!(kept > 0 && dropped > 0, "{kept} of {len}");
            check("dropout", &x, &run(p, &g), |x| dot(&run(p, x), &g));
        }
    }

    /// The mean of 100 000 kept-and-scaled ones is 1 within five standard errors.
    #[test]
    fn the_mean_stays() {
        for p in [0.0, 0.3, 0.5] {
            let y = run(p, &vec![1.0; 100_000]);
            let mean = y.iter().sum::<f64>() / 1e5;
            let error = (p / (1.0 - p) / 1e5).sqrt();
            assert!((mean - 1.0).abs() <= 5.0 * error + 1e-12, "{p}: {mean}");
        }
    }
}
