//! Theorem 1: if C(w_f + t) = C(w_f - t) in the box D(w_f, a), then grad Cbar(w_f) = 0.
//!
//! By the face difference, dCbar/dw_i = (2a)^-m INT ( C at w_i + a  -  C at w_i - a ), t -> -t maps
//! one face onto the other; or, grad C(w_f + t) = -grad C(w_f - t) and the average is zero. The
//! theorem speaks of a flat minimum; what the proof uses is this point symmetry, and nothing else.
//!
//! Antithetic pairs and quadrature make it exact up to rounding; plain sampling is compared by
//! Hoeffding's bound, coordinate by coordinate (at most 60 x 64 comparisons; the counter-example
//! adds 40 x 8). A minimum without the symmetry has a gradient.

use ndarray::{Axis, concatenate};
use proptest::prelude::*;
use smoothout_sharpness::{
    Differentiable, ExpectedLoss, FnObjective, Objective, Quadrature, Sampling,
    expected_gradient_at,
};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, PerturbationKey};

use crate::cases::{dot, for_each_case, largest, numbers};
use crate::confidence::half_width;
use crate::functions::symmetric;
use crate::network::{Hidden, NetworkLoss, images, two_layers};

#[test]
fn antithetic_pairs_cancel_to_rounding() {
    for_each_case(200, symmetric(1..=64), |f| {
        let found = expected_gradient_at(&f, &f.center, f.radius, 16).unwrap();
        prop_assert!(found.holds(), "{found:?}");
        Ok(())
    });
}

/// The same through the measurement that users run, whose pairs are other ones.
#[test]
fn the_measured_gradient_is_zero_to_rounding() {
    for_each_case(60, symmetric(1..=32), |f| {
        let (m, mut gradient) = (f.dimension(), vec![f64::NAN; f.dimension()]);
        let report = ExpectedLoss::new(Perturbation::new(Geometry::Absolute, f.radius).unwrap())
            .draws(64)
            .unwrap()
            .seed(f.seed)
            .gradient(&f, &ParameterLayout::flat(m), &f.center, &mut gradient)
            .unwrap();
        // The rounding of one gradient, times what a mirror image is off by.
        let bound = 512.0 * report.rounding.max(largest(&f.steepest()) * 1e-16) * 11.0;
        prop_assert!(largest(&gradient) <= bound, "{} > {bound:e}", largest(&gradient));
        Ok(())
    });
}

/// Gauss-Legendre nodes are symmetric, so opposite faces cancel up to the rounding of C / a.
#[test]
fn face_differences_cancel_to_rounding() {
    for_each_case(100, symmetric(1..=3), |f| {
        let gradient = Quadrature::new(f.radius, 10).unwrap().gradient(&f, &f.center).unwrap();
        // |C| over the box is at most |C(f)| + steepest slopes x radius.
        let rise: f64 = f.steepest().iter().sum::<f64>() * f.radius;
        let size = f.value(&f.center, &mut ()).abs() + rise;
        let bound = 512.0 * f64::EPSILON * 11.0 * size / f.radius;
        prop_assert!(largest(&gradient) <= bound, "{gradient:?} > {bound:e}");
        Ok(())
    });
}

#[test]
fn plain_samples_average_to_zero() {
    for_each_case(60, symmetric(1..=64), |f| {
        let (m, draws) = (f.dimension(), 500);
        let mut gradient = vec![f64::NAN; m];
        ExpectedLoss::new(Perturbation::new(Geometry::Absolute, f.radius).unwrap())
            .sampling(Sampling::Plain)
            .draws(draws)
            .unwrap()
            .seed(f.seed)
            .gradient(&f, &ParameterLayout::flat(m), &f.center, &mut gradient)
            .unwrap();
        for (g, steepest) in gradient.iter().zip(f.steepest()) {
            prop_assert!(g.abs() <= half_width(steepest, draws), "{g:e} of {steepest:e}");
        }
        Ok(())
    });
}

/// Every image x with both labels, and -x as well: w -> -w changes the sign of the logits of a
/// two-layer ReLU network and swaps x with -x, so C(w) = C(-w), and w = 0 is a minimum (ln 2) with
/// a floor of all w of which one layer is zero.
#[test]
fn a_network_is_stationary_at_its_symmetric_point() {
    for_each_case(40, (any::<u64>(), -3.0..1.0_f64), |(seed, exponent)| {
        let x = images(seed, 6, 4);
        let mirrored = -&x;
        let views = [x.view(), mirrored.view(), x.view(), mirrored.view()];
        let f = NetworkLoss {
            network: two_layers(4, 8, 2, Hidden::Relu),
            images: concatenate(Axis(0), &views).unwrap(),
            labels: (0..24).map(|example| example / 12).collect(),
            buffers: None,
        };
        let (radius, zero) = (10_f64.powf(exponent), vec![0.0; f.dimension()]);
        let (low, high) = (f.value(&zero, &mut f.scratch()), {
            let mut w = zero.clone();
            let box_ = Perturbation::new(Geometry::Absolute, radius).unwrap();
            let key = PerturbationKey::measurement(seed);
            box_.apply(f.network.parameters(), key, &zero, &mut w);
            f.value(&w, &mut f.scratch())
        });
        prop_assert!((low - std::f64::consts::LN_2).abs() < 1e-14 && high >= low - 1e-14);
        let found = expected_gradient_at(&f, &zero, radius, 16).unwrap();
        // The two labels of an image cancel within each gradient, so rounding is that of the terms:
        // at most 1/2 x 4 x 2 radii.
        let bound = found.rounding.max(64.0 * f64::EPSILON * 4.0 * radius);
        prop_assert!(found.gradient <= bound && found.largest > 1e3 * bound, "{found:?} {bound:e}");
        Ok(())
    });
}

/// Tied weights: an autoencoder r(x) = W' tanh(W x) with C = 1/2 mean |r(x) - x|^2. tanh is odd, so
/// W -> -W leaves r, and C, as they are: C is symmetric about W = 0, for any data.
#[test]
fn a_tied_network_is_stationary_at_its_symmetric_point() {
    let cases = (1..=8_usize, 1..=8_usize, -3.0..3.0_f64, any::<u64>());
    for_each_case(40, cases, |(inputs, hidden, exponent, seed)| {
        let examples: Vec<_> = (0..5).map(|i| numbers(seed, i, inputs)).collect();
        let autoencoder = |w: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            let mut value = 0.0;
            for x in &examples {
                let h: Vec<f64> = w.chunks(inputs).map(|row| dot(row, x).tanh()).collect();
                let mut error: Vec<f64> = x.iter().map(|x| -x).collect();
                for (row, h) in w.chunks(inputs).zip(&h) {
                    error.iter_mut().zip(row).for_each(|(e, w)| *e += w * h);
                }
                value += dot(&error, &error) / 10.0;
                let rows = w.chunks(inputs).zip(gradient.chunks_mut(inputs)).zip(&h);
                for ((row, g), h) in rows {
                    let slope = dot(row, &error) * (1.0 - h * h) / 5.0;
                    for ((g, x), e) in g.iter_mut().zip(x).zip(&error) {
                        *g += slope * x + h * e / 5.0;
                    }
                }
            }
            value
        };
        let m = inputs * hidden;
        let f = FnObjective::new(m, |w: &[f64]| autoencoder(w, &mut vec![0.0; m]))
            .with_gradient(autoencoder);
        let found = expected_gradient_at(&f, &vec![0.0; m], 10_f64.powf(exponent), 16).unwrap();
        prop_assert!(found.holds() && found.largest > 0.0, "{found:?}");
        // Elsewhere it is not symmetric, and not stationary.
        let away: Vec<f64> = numbers(seed, 9, m);
        let found = expected_gradient_at(&f, &away, 0.1, 16).unwrap();
        prop_assert!(!found.holds(), "{found:?}");
        Ok(())
    });
}

/// C = sum_i s_i ( exp(t_i) - 1 - t_i ), a minimum at 0 that is steeper on one side:
/// dCbar/dw_i = s_i ( sinh(a)/a - 1 ), which is not zero.
#[test]
fn an_asymmetric_minimum_has_a_gradient() {
    for_each_case(40, (1..=8_usize, 0.1..4.0_f64, any::<u64>()), |(m, a, seed)| {
        let s: Vec<f64> = numbers(seed, 0, m).iter().map(|x| 2.0 + x).collect();
        let value = |w: &[f64]| s.iter().zip(w).map(|(s, w)| s * (w.exp_m1() - w)).sum();
        let f = FnObjective::new(m, value).with_gradient(|w: &[f64], gradient| {
            gradient.iter_mut().zip(&s).zip(w).for_each(|((g, s), w)| *g = s * w.exp_m1());
            value(w)
        });
        let (origin, slope) = (vec![0.0; m], a.sinh() / a - 1.0);
        let found = expected_gradient_at(&f, &origin, a, 16).unwrap();
        prop_assert!(!found.holds(), "a symmetric result for an asymmetric minimum: {found:?}");

        let (pairs, mut gradient) = (2000, vec![f64::NAN; m]);
        let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
        let measure = ExpectedLoss::new(box_).draws(pairs).unwrap().seed(seed);
        measure.gradient(&f, &ParameterLayout::flat(m), &origin, &mut gradient).unwrap();
        for (g, s) in gradient.iter().zip(&s) {
            // A pair gives s (cosh t - 1), between 0 and s (cosh a - 1).
            let bound = half_width(s * (a.cosh() - 1.0) / 2.0, pairs);
            prop_assert!((g - s * slope).abs() <= bound, "{g} instead of {}", s * slope);
            prop_assert!(*g > 0.0);
        }
        if m <= 3 {
            for (g, s) in
                Quadrature::new(a, 20).unwrap().gradient(&f, &origin).unwrap().iter().zip(&s)
            {
                prop_assert!((g - s * slope).abs() <= 1e-12 * (1.0 + s * a.cosh() / a), "{g}");
            }
        }
        Ok(())
    });
}

/// A gradient of zero at a maximum or a saddle is none of the theorem's business either way: the
/// symmetric function upside down is as stationary.
#[test]
fn symmetry_is_enough_without_a_minimum() {
    for_each_case(40, symmetric(1..=16), |f| {
        let upside_down = FnObjective::new(f.dimension(), |w: &[f64]| -f.value(w, &mut ()))
            .with_gradient(|w: &[f64], gradient| {
                let value = f.value_and_gradient(w, gradient, &mut ());
                gradient.iter_mut().for_each(|g| *g = -*g);
                -value
            });
        let found = expected_gradient_at(&upside_down, &f.center, f.radius, 16).unwrap();
        prop_assert!(found.holds(), "{found:?}");
        Ok(())
    });
}
