//! The variance of the stochastic gradient: of one perturbed copy, of n copies, of antithetic
//! pairs.
//!
//! For C = 1 - cos(k w - y), phi = k w - y and s(x) = sin(x)/x, a copy g = k sin(phi + k theta) has
//!
//! Var g = k^2 ( 1/2 (1 - cos(2 phi) s(2ka)) - sin^2(phi) s^2(ka) );
//!
//! n copies have Var g / n, and the mean of a pair (theta, -theta), k sin(phi) cos(k theta), has
//! k^2 sin^2(phi) ( 1/2 (1 + s(2ka)) - s^2(ka) ): nothing at a point of symmetry (sin phi = 0).
//! Second moments about the known mean are compared, each at most (2k)^2: 20 x 3 comparisons.

use proptest::prelude::*;
use smoothout_optim::{
    FnOracle, PerturbationSource, SeededPerturbation, Sgd, SmoothOut, Smoothing,
};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use crate::cases::for_each_case;
use crate::confidence::half_width;

/// Copies 2i and 2i + 1 are theta_i and its mirror image.
struct Antithetic(SeededPerturbation);

impl PerturbationSource<f64> for Antithetic {
    fn perturb(&self, c: f64, step: u64, copy: u64, w: &[f64], out: &mut [f64]) {
        self.0.perturb(c, step, copy / 2, w, out);
        if copy % 2 == 1 {
            out.iter_mut().zip(w).for_each(|(out, w)| *out = w - (*out - w));
        }
    }
}

const STEPS: usize = 20_000;

/// E (g - mean)^2 of the optimiser's gradient with this smoothing.
fn second_moment(smoothing: Smoothing<f64>, (k, y, w): (f64, f64, f64), mean: f64) -> f64 {
    let mut optimizer = SmoothOut::new(Sgd::new()).smoothing(smoothing);
    let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
        gradient[0] = k * (k * w[0] - y).sin();
        1.0 - (k * w[0] - y).cos()
    });
    let mut sum = 0.0;
    for _ in 0..STEPS {
        let mut moved = [w];
        optimizer.step(&mut moved, &mut oracle, &mut [()], 1.0).unwrap();
        sum += (w - moved[0] - mean).powi(2);
    }
    sum / STEPS as f64
}

#[test]
fn copies_divide_it_and_pairs_remove_the_odd_part() {
    let cases = (0.5..3.0_f64, -3.0..3.0_f64, 0.2..1.5_f64, 2..=6_usize, any::<u64>());
    for_each_case(20, cases, |(k, phi, a, n, seed)| {
        let (y, s) = (0.5 * k - phi, |x: f64| x.sin() / x);
        let at = (k, y, 0.5);
        let (sin2, mean) = (phi.sin().powi(2), k * phi.sin() * s(k * a));
        let one =
            k * k * (0.5 * (1.0 - (2.0 * phi).cos() * s(2.0 * k * a)) - sin2 * s(k * a).powi(2));
        let pair = k * k * sin2 * (0.5 * (1.0 + s(2.0 * k * a)) - s(k * a).powi(2));

        let source = || {
            let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
            SeededPerturbation::new(ParameterLayout::flat(1), box_, seed)
        };
        let copies = |n| Smoothing::new(source()).copies(n).unwrap();
        let pairs = Smoothing::new(Antithetic(source())).copies(2).unwrap();
        for (found, expected) in [
            (second_moment(copies(1), at, mean), one),
            (second_moment(copies(n), at, mean), one / n as f64),
            (second_moment(pairs, at, mean), pair),
        ] {
            // A square lies between 0 and (2k)^2.
            let bound = half_width(2.0 * k * k, STEPS);
            prop_assert!((found - expected).abs() <= bound, "{found} instead of {expected}");
        }
        Ok(())
    });
}

#[test]
fn pairs_have_no_variance_at_a_point_of_symmetry() {
    let box_ = Perturbation::new(Geometry::Absolute, 0.8).unwrap();
    let source = SeededPerturbation::new(ParameterLayout::flat(1), box_, 3);
    let pairs = Smoothing::new(Antithetic(source)).copies(2).unwrap();
    let found = second_moment(pairs, (2.0, 1.0, 0.5), 0.0);
    assert!(found < 1e-30, "{found:e}");
}
