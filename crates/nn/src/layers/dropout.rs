//! Dropout: `y = m x`, m = 1 / (1 - p) with probability 1 - p and 0 otherwise, drawn per element.
//!
//! # Source
//! Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR
//! 2014; scaled at training time as in PyTorch, so that evaluation is the identity.

use smoothout_tensor::{Real, StreamKey, fill_uniform};

use crate::parallel;

/// values: in x, out y; mask: out m, kept for the backward pass.
pub(crate) fn forward<R: Real>(p: f64, key: StreamKey, values: &mut [R], mask: &mut [R]) {
    fill_uniform(key, mask);
    // u is uniform in (-1, 1): it lies below 2p - 1 with probability p.
    let (threshold, scale) = (R::from_f64(2.0 * p - 1.0), R::from_f64(1.0 / (1.0 - p)));
    parallel::map(mask, |u| if u < threshold { R::zero() } else { scale });
    parallel::map_with(values, mask, |x, m| x * m);
}

/// gradient: in dy, out dx = m dy. Keeps m.
pub(crate) fn backward<R: Real>(mask: &[R], gradient: &mut [R]) {
    parallel::map_with(gradient, mask, |dy, m| dy * m);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};
    use smoothout_tensor::Purpose;

    fn run(p: f64, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut y, mut mask) = (x.to_vec(), vec![0.0; x.len()]);
        forward(p, StreamKey::new(5, Purpose::Dropout), &mut y, &mut mask);
        (y, mask)
    }

    #[test]
    fn gradient_matches_differences() {
        for (len, p) in [(6, 0.5), (40, 0.3)] {
            let (x, g) = (wave(len, 0.7), wave(len, 1.1));
            let mut dx = g.clone();
            backward(&run(p, &x).1, &mut dx);
            check("dropout", &x, &dx, |x| dot(&run(p, x).0, &g));
        }
    }

    /// The mean of 100 000 kept-and-scaled ones is 1 within five standard errors.
    #[test]
    fn the_mean_stays() {
        for p in [0.0, 0.3, 0.5] {
            let (y, _) = run(p, &vec![1.0; 100_000]);
            let mean = y.iter().sum::<f64>() / 1e5;
            let error = (p / (1.0 - p) / 1e5).sqrt();
            assert!((mean - 1.0).abs() <= 5.0 * error + 1e-12, "{p}: {mean}");
        }
    }
}
