//! Rectified linear unit: `y = max(0, x)`, elementwise and in place.
//!
//! # Source
//! Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

use smoothout_tensor::Real;

use crate::parallel;

/// values: in x, out y. NaN stays NaN, as in PyTorch.
pub(crate) fn forward<R: Real>(values: &mut [R]) {
    parallel::map(values, |x| if x <= R::zero() { R::zero() } else { x });
}

/// gradient: in dy, out dx = dy [y > 0]. Keeps y only.
pub(crate) fn backward<R: Real>(output: &[R], gradient: &mut [R]) {
    parallel::map_with(gradient, output, |dy, y| if y > R::zero() { dy } else { R::zero() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    #[test]
    fn gradient_matches_differences() {
        for len in [1, 7, 40] {
            let (x, g) = (wave(len, 0.7), wave(len, 1.1));
            let run = |x: &[f64]| {
                let mut y = x.to_vec();
                forward(&mut y);
                y
            };
            let mut dx = g.clone();
            backward(&run(&x), &mut dx);
            check("relu", &x, &dx, |x| dot(&run(x), &g));
        }
    }

    #[test]
    fn nan_is_not_hidden() {
        let mut values = [f32::NAN, -1.0, 2.0];
        forward(&mut values);
        assert!(values[0].is_nan());
        assert_eq!(values[1..], [0.0, 2.0]);
    }
}
