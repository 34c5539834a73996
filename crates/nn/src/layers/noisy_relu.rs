//! Noisy ReLU: `y = max(0, s x)` with a slope `s ~ U(1 - noise, 1 + noise)` drawn per element.
//!
//! # Source
//! The authors' public code, `noisy_relu.py` (wenwei202/smoothout).
//!
//! # Differences
//! Theirs draws slopes in evaluation too; here evaluation is an ordinary ReLU.

use smoothout_tensor::{Real, StreamKey, fill_uniform};

use crate::parallel;

/// values: in x, out y; slopes: out s, kept for the backward pass.
pub(crate) fn forward<R: Real>(noise: f64, key: StreamKey, values: &mut [R], slopes: &mut [R]) {
    fill_uniform(key, slopes);
    let noise = R::from_f64(noise);
    parallel::map(slopes, |u| R::one() + noise * u);
    parallel::map_with(values, slopes, |x, s| {
        let y = s * x;
        if y <= R::zero() { R::zero() } else { y }
    });
}

/// gradient: in dy, out dx = dy s [y > 0]. Keeps y and s.
pub(crate) fn backward<R: Real>(output: &[R], slopes: &[R], gradient: &mut [R]) {
    parallel::map_with(gradient, slopes, |dy, s| dy * s);
    parallel::map_with(gradient, output, |dx, y| if y > R::zero() { dx } else { R::zero() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};
    use crate::layers::relu;
    use smoothout_tensor::Purpose;

    const KEY: fn() -> StreamKey = || StreamKey::new(3, Purpose::Dropout);

    fn run(noise: f64, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut y, mut slopes) = (x.to_vec(), vec![0.0; x.len()]);
        forward(noise, KEY(), &mut y, &mut slopes);
        (y, slopes)
    }

    #[test]
    fn gradient_matches_differences() {
        for (len, noise) in [(5, 0.1), (40, 0.5)] {
            let (x, g) = (wave(len, 0.7), wave(len, 1.1));
            let (y, slopes) = run(noise, &x);
            assert!(slopes.iter().all(|s| (s - 1.0).abs() < noise));
            let mut dx = g.clone();
            backward(&y, &slopes, &mut dx);
            check("noisy relu", &x, &dx, |x| dot(&run(noise, x).0, &g));
        }
    }

    #[test]
    fn without_noise_it_is_a_relu() {
        let x = wave(100, 0.3);
        let mut plain = x.clone();
        relu::forward(&mut plain);
        assert_eq!(run(0.0, &x).0, plain);
    }
}
