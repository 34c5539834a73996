//! Sum of two branches: `y = a + b`, the end of a residual block. Both gradients are dy.
//!
//! # Source
//! He et al., "Deep residual learning for image recognition", arXiv:1512.03385, equation 1.

use smoothout_tensor::Real;

use crate::parallel;

/// values: in a, out a + b. Keeps nothing. Also accumulates gradients of a value used twice.
pub(crate) fn forward<R: Real>(values: &mut [R], other: &[R]) {
    parallel::map_with(values, other, |a, b| a + b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    #[test]
    fn the_gradient_of_each_branch_is_that_of_the_sum() {
        let (a, b, g) = (wave(9, 0.3), wave(9, 0.4), wave(9, 0.5));
        let run = |a: &[f64], b: &[f64]| {
            let mut sum = a.to_vec();
            forward(&mut sum, b);
            dot(&sum, &g)
        };
        check("a", &a, &g, |a| run(a, &b));
        check("b", &b, &g, |b| run(&a, b));
    }
}
