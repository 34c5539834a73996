//! Closed forms of Cbar and grad Cbar over the box of radius a, for any a:
//!
//! | C | Cbar | grad Cbar |
//! |---|---|---|
//! | 1/2 w'Hw + b'w + c | C + (a^2/6) tr H | grad C |
//! | cos(k.w - y) | cos(k.w - y) prod_i sinc(k_i a) | -k sin(k.w - y) prod_i sinc(k_i a) |
//! | exp(x) | exp(x) sinh(a)/a | the same |
//! | \|x\| | \|x\|, or (x^2 + a^2)/(2a) within a of 0 | sign(x), or x/a |
//! | any smooth C | C + (a^2/6) tr H + O(a^4) | |
//!
//! sinc x = sin(x)/x. Quadrature is compared to rounding, sampling by Hoeffding's bound (at most
//! 60 + 60 x 9 + 80 comparisons).

use proptest::prelude::*;
use smoothout_sharpness::{
    Differentiable, ExpectedLoss, FnObjective, Objective, Quadrature, Sampling,
};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use crate::cases::{dot, for_each_case, largest, numbers};
use crate::confidence::half_width;

fn absolute(radius: f64) -> ExpectedLoss {
    ExpectedLoss::new(Perturbation::new(Geometry::Absolute, radius).unwrap())
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

/// H = sum_j l_j v_j v_j' with random v_j (not diagonal), l_j of either sign.
struct Quadratic {
    vectors: Vec<Vec<f64>>,
    eigen: Vec<f64>,
    b: Vec<f64>,
}

impl Quadratic {
    fn new(m: usize, seed: u64) -> Self {
        let vectors = (0..m).map(|j| numbers(seed, 10 + j as u64, m)).collect();
        Self { vectors, eigen: numbers(seed, 1, m), b: numbers(seed, 2, m) }
    }

    fn trace(&self) -> f64 {
        self.vectors.iter().zip(&self.eigen).map(|(v, l)| l * dot(v, v)).sum()
    }

    fn value_and_gradient(&self, w: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.copy_from_slice(&self.b);
        let mut value = dot(&self.b, w) + 0.7;
        for (v, l) in self.vectors.iter().zip(&self.eigen) {
            let x = dot(v, w);
            value += 0.5 * l * x * x;
            gradient.iter_mut().zip(v).for_each(|(g, v)| *g += l * x * v);
        }
        value
    }
}

#[test]
fn quadratics_rise_by_the_trace_and_keep_their_gradient() {
    for_each_case(60, (1..=32_usize, -3.0..3.0_f64, any::<u64>()), |(m, exponent, seed)| {
        let (a, q) = (10_f64.powf(exponent), Quadratic::new(m, seed));
        let w: Vec<f64> = numbers(seed, 3, m).iter().map(|x| 3.0 * a * x).collect();
        let value = |w: &[f64]| q.value_and_gradient(w, &mut vec![0.0; m]);
        let f = FnObjective::new(m, value).with_gradient(|w, g| q.value_and_gradient(w, g));
        let mut expected = vec![0.0; m];
        let cbar = f.value_and_gradient(&w, &mut expected, &mut ()) + a * a / 6.0 * q.trace();

        let (layout, mut found, pairs) = (ParameterLayout::flat(m), vec![0.0; m], 500);
        let report =
            absolute(a).draws(pairs).unwrap().seed(seed).gradient(&f, &layout, &w, &mut found);
        // A gradient is a sum of m terms of at most l m a m: rounding only.
        let size = (m * m) as f64 * 4.0 * a * (m as f64) + 1.0;
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!(
                (found - expected).abs() <= 64.0 * f64::EPSILON * size,
                "{found} {expected}"
            );
        }
        // A pair gives C(w) + 1/2 t'Ht, and |v.t| <= a |v|_1.
        let reach = |(v, l): (&Vec<f64>, &f64)| {
            0.5 * l.abs() * (a * v.iter().map(|v| v.abs()).sum::<f64>()).powi(2)
        };
        let half_range: f64 = q.vectors.iter().zip(&q.eigen).map(reach).sum();
        let estimate = report.unwrap().expected.value;
        prop_assert!((estimate - cbar).abs() <= half_width(half_range, pairs) + 1e-12 * cbar.abs());

        if m <= 3 {
            let quadrature = Quadrature::new(a, 3).unwrap();
            let size = value(&w).abs() + half_range + 6.0 * a * largest(&expected) + 1.0;
            let found = quadrature.expected_loss(&f, &w).unwrap();
            prop_assert!((found - cbar).abs() <= 256.0 * f64::EPSILON * size, "{found} {cbar}");
            for (found, expected) in quadrature.gradient(&f, &w).unwrap().iter().zip(&expected) {
                let bound = 256.0 * f64::EPSILON * size / a;
                prop_assert!((found - expected).abs() <= bound, "{found} {expected}");
            }
        }
        Ok(())
    });
}

/// k a between 1e-3 and 10 in each coordinate, at radii from 1e-3 to 1e3.
#[test]
fn waves_are_damped_by_sinc() {
    for_each_case(60, (1..=8_usize, -3.0..3.0_f64, any::<u64>()), |(m, exponent, seed)| {
        let a = 10_f64.powf(exponent);
        let k: Vec<f64> =
            numbers(seed, 0, m).iter().map(|x| x.abs() * 10.0 / a + 1e-3 / a).collect();
        let w: Vec<f64> = numbers(seed, 1, m).iter().map(|x| a * x).collect();
        let y = 3.0 * numbers(seed, 2, 1)[0];
        let f = FnObjective::new(m, |w: &[f64]| (dot(&k, w) - y).cos()).with_gradient(|w, g| {
            let phase = dot(&k, w) - y;
            g.iter_mut().zip(&k).for_each(|(g, k)| *g = -k * phase.sin());
            phase.cos()
        });
        let damping: f64 = k.iter().map(|k| sinc(k * a)).product();
        let phase = dot(&k, &w) - y;
        let expected: Vec<f64> = k.iter().map(|k| -k * phase.sin() * damping).collect();

        let (layout, mut found, draws) = (ParameterLayout::flat(m), vec![0.0; m], 5000);
        let plain = absolute(a).sampling(Sampling::Plain).draws(draws).unwrap().seed(seed);
        let report = plain.gradient(&f, &layout, &w, &mut found).unwrap();
        let error = (report.expected.value - phase.cos() * damping).abs();
        prop_assert!(error <= half_width(1.0, draws), "{error}");
        for ((found, expected), k) in found.iter().zip(&expected).zip(&k) {
            prop_assert!((found - expected).abs() <= half_width(*k, draws), "{found} {expected}");
        }
        if m <= 2 {
            let quadrature = Quadrature::new(a, 40).unwrap();
            let found = quadrature.expected_loss(&f, &w).unwrap();
            prop_assert!((found - phase.cos() * damping).abs() <= 1e-12, "{found}");
            for (found, expected) in quadrature.gradient(&f, &w).unwrap().iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= 1e-12 / a, "{found} {expected}");
            }
        }
        Ok(())
    });
}

#[test]
fn exponentials_grow_by_sinh() {
    for_each_case(60, (-3.0..1.3_f64, -2.0..2.0_f64), |(exponent, x)| {
        let a = 10_f64.powf(exponent);
        let f = FnObjective::new(1, |w: &[f64]| w[0].exp());
        let quadrature = Quadrature::new(a, 40).unwrap();
        let expected = x.exp() * a.sinh() / a;
        let [value, slope] = [
            quadrature.expected_loss(&f, &[x]).unwrap(),
            quadrature.gradient(&f, &[x]).unwrap()[0],
        ];
        prop_assert!((value / expected - 1.0).abs() <= 1e-12, "{value} {expected}");
        prop_assert!(
            (slope - expected).abs() <= 64.0 * f64::EPSILON * (x + a).exp() * (1.0 + 1.0 / a)
        );
        Ok(())
    });
}

/// E|t| = a/2 at the kink; away from it nothing changes.
#[test]
fn the_absolute_value_becomes_a_parabola() {
    for_each_case(40, (-3.0..3.0_f64, -2.0..2.0_f64, any::<u64>()), |(exponent, ratio, seed)| {
        let (a, draws) = (10_f64.powf(exponent), 4000);
        let f = FnObjective::new(1, |w: &[f64]| w[0].abs());
        let closed = |x: f64| if x.abs() < a { (x * x + a * a) / (2.0 * a) } else { x.abs() };
        for x in [0.0, ratio * a] {
            let measure = absolute(a).sampling(Sampling::Plain).draws(draws).unwrap().seed(seed);
            let found =
                measure.measure(&f, &ParameterLayout::flat(1), &[x]).unwrap().expected.value;
            prop_assert!(
                (found - closed(x)).abs() <= half_width(a, draws),
                "{found} {}",
                closed(x)
            );
            // The face difference needs no integral in one dimension: it is exact.
            let slope = Quadrature::new(a, 1).unwrap().gradient(&f, &[x]).unwrap()[0];
            let expected = (x / a).clamp(-1.0, 1.0);
            prop_assert!((slope - expected).abs() <= 1e-12, "{slope} {expected}");
        }
        Ok(())
    });
}

/// Cbar - C - (a^2/6) tr H = (a^4/120) sum_i d^4C/dw_i^4 + (a^4/36) sum_{i<j} d^4C/dw_i^2 dw_j^2 + ...:
/// the remainder of cos(x) cosh(y) falls sixteenfold when the radius is halved.
#[test]
fn the_second_order_term_is_the_trace() {
    for_each_case(40, (0.2..1.2_f64, 0.2..1.0_f64), |(x, y)| {
        let f = FnObjective::new(2, |w: &[f64]| w[0].cos() * (2.0 * w[1]).cosh());
        let trace = 3.0 * x.cos() * (2.0 * y).cosh(); // (-1 + 4) C
        let remainder = |a: f64| {
            let value = Quadrature::new(a, 20).unwrap().expected_loss(&f, &[x, y]).unwrap();
            value - f.value(&[x, y], &mut ()) - a * a / 6.0 * trace
        };
        let ratio = remainder(0.1) / remainder(0.05);
        prop_assert!((ratio - 16.0).abs() < 0.1, "{ratio}");
        Ok(())
    });
}
