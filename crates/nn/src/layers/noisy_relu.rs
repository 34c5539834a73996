//! Noisy ReLU: `y = max(0, s x)` with a slope `s ~ U(1 - noise, 1 + noise)` drawn per element.
//!
//! # Source
//! The authors' public code, `noisy_relu.py` (wenwei202/smoothout).
//!
//! # Differences
//! Theirs draws slopes in evaluation too; here evaluation is an ordinary ReLU.

use smoothout_tensor::{Real, StreamKey, zip_uniform};

use super::relu;

/// values: in x, out y.
pub(crate) fn forward<R: Real>(noise: f64, key: StreamKey, values: &mut [R]) {
    scale(noise, key, values);
    relu::forward(values);
}

/// gradient: in dy, out dx = dy s [y > 0]. Keeps y; s is drawn again.
pub(crate) fn backward<R: Real>(noise: f64, key: StreamKey, output: &[R], gradient: &mut [R]) {
    scale(noise, key, gradient);
    relu::backward(output, gradient);
}

/// Times the slopes.
fn scale<R: Real>(noise: f64, key: StreamKey, values: &mut [R]) {
    let noise = R::from_f64(noise);
    zip_uniform(
        key,
        values,
        #[inline(always)]
        |values, u| {
            // A copy, as in dropout.
            let (one, noise) = (R::one(), noise);
            for (value, &u) in values.iter_mut().zip(u) {
                *value = (one + noise * u) * *value;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};
    use crate::layers::relu;
    use smoothout_tensor::Purpose;

    const KEY: fn() -> StreamKey = || StreamKey::new(3, Purpose::Dropout);

    fn run(noise: f64, x: &[f64]) -> Vec<f64> {
        let mut y = x.to_vec();
        forward(noise, KEY(), &mut y);
        y
    }

    #[test]
    fn gradient_matches_differences() {
        for (len, noise) in [(5, 0.1), (40, 0.5)] {
            let (x, g) = (wave(len, 0.7), wave(len, 1.1));
            let y = run(noise, &x);
            let slopes = y.iter().zip(&x).map(|(y, x)| y / x);
            assert!(slopes.filter(|&s| s != 0.0).all(|s| (s - 1.0).abs() < noise));
            let mut dx = g.clone();
            backward(noise, KEY(), &y, &mut dx);
            check("noisy relu", &x, &dx, |x| dot(&run(noise, x), &g));
        }
    }

    #[test]
    fn without_noise_it_is_a_relu() {
        let x = wave(100, 0.3);
        let mut plain = x.clone();
        relu::forward(&mut plain);
        assert_eq!(run(0.0, &x), plain);
    }
}
