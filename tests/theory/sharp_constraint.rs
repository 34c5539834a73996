//! Theorem 2, the "Sharp Constraint": for a suitable a,
//! min_{D(w_s,eps)} Cbar > max_{D(w_s,eps)} C: the sharp minimum is smoothed out.
//!
//! The family: two Gaussian wells of equal depth, the sharp one of width s at w_s, the flat one of
//! width f at w_f,
//! C = h ( 1 - exp(-|w - w_s|^2 / 2 s^2) - exp(-|w - w_f|^2 / 2 f^2) ).
//! Box averages of a Gaussian are products of error functions, so Cbar is known for every a and m,
//! and both sides of the inequality are bounded without a search over the box:
//! Cbar >= h (1 - S(w_s) - F(corner next to w_f)), C <= h (1 - exp(-m eps^2 / 2 s^2)).
//! As the proof assumes, the sharp well is strictly monotone in eps. Nothing here is statistical
//! but the check of the closed form (40 comparisons).

use proptest::prelude::*;
use smoothout_sharpness::{ExpectedLoss, FnObjective, Quadrature, Sampling};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use crate::cases::for_each_case;
use crate::confidence::half_width;

/// The mean of exp(-x^2 / 2 width^2) over [x - a, x + a].
fn averaged_well(x: f64, width: f64, a: f64) -> f64 {
    let scale = width * std::f64::consts::SQRT_2;
    let area = libm::erf((x + a) / scale) - libm::erf((x - a) / scale);
    scale * std::f64::consts::PI.sqrt() / (4.0 * a) * area
}

/// w_s = 0; w_f lies at `distance` along the first axis.
#[derive(Debug, Clone, Copy)]
struct TwoWells {
    m: usize,
    h: f64,
    sharp: f64,
    flat: f64,
    distance: f64,
}

impl TwoWells {
    fn value(&self, w: &[f64]) -> f64 {
        let rest: f64 = w[1..].iter().map(|w| w * w).sum();
        let well = |x: f64, width: f64| (-(x * x + rest) / (2.0 * width * width)).exp();
        self.h * (1.0 - well(w[0], self.sharp) - well(w[0] - self.distance, self.flat))
    }

    /// Cbar where the first coordinate is x and the others are 0.
    fn expected(&self, x: f64, a: f64) -> f64 {
        let well = |x, width| {
            averaged_well(x, width, a) * averaged_well(0.0, width, a).powi(self.m as i32 - 1)
        };
        self.h * (1.0 - well(x, self.sharp) - well(x - self.distance, self.flat))
    }

    /// At most the least Cbar in D(w_s, eps).
    fn least_expected(&self, eps: f64, a: f64) -> f64 {
        let rest = |width| averaged_well(0.0, width, a).powi(self.m as i32 - 1);
        let sharp = averaged_well(0.0, self.sharp, a) * rest(self.sharp);
        let flat = averaged_well(self.distance - eps, self.flat, a) * rest(self.flat);
        self.h * (1.0 - sharp - flat)
    }

    /// At least the largest C in D(w_s, eps).
    fn largest_value(&self, eps: f64) -> f64 {
        self.h * -(-(self.m as f64) * eps * eps / (2.0 * self.sharp * self.sharp)).exp_m1()
    }
}

fn two_wells() -> impl Strategy<Value = TwoWells> {
    (1..=64_usize, 0.1..10.0_f64, -2.0..2.0_f64, 3.0..10.0_f64).prop_map(
        |(m, h, exponent, ratio)| {
            let sharp = 10_f64.powf(exponent);
            let flat = ratio * sharp;
            TwoWells { m, h, sharp, flat, distance: 30.0 * flat }
        },
    )
}

/// A radius between eps and the distance with which the sharp minimum is smoothed out.
fn find_radius(f: &TwoWells, eps: f64) -> Option<f64> {
    let (low, high) = (eps.ln(), f.distance.ln());
    (0..=200)
        .map(|i| (low + (high - low) * f64::from(i) / 200.0).exp())
        .find(|&a| f.least_expected(eps, a) > f.largest_value(eps))
}

#[test]
fn a_radius_smooths_the_sharp_minimum_out() {
    for_each_case(40, (two_wells(), 0.05..1.5_f64, any::<u64>()), |(f, share, seed)| {
        let eps = share * f.sharp / (f.m as f64).sqrt();
        let found = find_radius(&f, eps);
        prop_assert!(found.is_some(), "no radius for {f:?}, eps = {eps}");
        let a = found.unwrap();
        // The closed form is the expected loss that is measured.
        let (mut w, draws) = (vec![0.0; f.m], 2000);
        w[0] = eps;
        let objective = FnObjective::new(f.m, |w: &[f64]| f.value(w));
        let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
        let measure = ExpectedLoss::new(box_).sampling(Sampling::Plain).draws(draws).unwrap();
        let report =
            measure.seed(seed).measure(&objective, &ParameterLayout::flat(f.m), &w).unwrap();
        let bound = half_width(f.h / 2.0, draws) + 1e-12 * f.h;
        prop_assert!((report.expected.value - f.expected(eps, a)).abs() <= bound, "{report}");
        if f.m <= 2 && a < 8.0 * f.sharp {
            let value = Quadrature::new(a, 64).unwrap().expected_loss(&objective, &w).unwrap();
            prop_assert!((value - f.expected(eps, a)).abs() <= 1e-9 * f.h);
            prop_assert!(value > f.largest_value(eps));
        }
        Ok(())
    });
}

/// Of two minima of equal depth, the flat one has the lower expected loss, at every radius up to
/// the distance between the wells.
#[test]
fn the_flat_minimum_has_the_lower_expected_loss() {
    for_each_case(200, (two_wells(), -2.0..0.9_f64), |(f, exponent)| {
        let a = 10_f64.powf(exponent) * f.sharp;
        let (sharp, flat) = (f.expected(0.0, a), f.expected(f.distance, a));
        // Below 1e-12 of the height both are the height, to rounding.
        let seen = averaged_well(0.0, f.flat, a).powi(f.m as i32) > 1e-12;
        prop_assert!(!seen || flat < sharp, "{flat} {sharp}");
        Ok(())
    });
}

/// Without strict monotonicity: on a floor of radius R, eps + a <= R, both sides are 0; and the rim
/// of a volcano, above all else, is above every average.
#[test]
fn a_floor_or_a_volcano_has_no_such_radius() {
    let floor = FnObjective::new(2, |w: &[f64]| (w[0].abs().max(w[1].abs()) - 1.0).max(0.0));
    for_each_case(40, (0.01..0.5_f64, 0.0..1.0_f64), |(eps, share)| {
        let a = ((1.0 - eps) * share).max(1e-3);
        let least = Quadrature::new(a, 8).unwrap().expected_loss(&floor, &[0.0, 0.0]).unwrap();
        prop_assert!(least == 0.0, "{least}"); // and max C = 0: not strictly larger
        Ok(())
    });
    let slope = |r: f64| if r < 1.0 { r * r } else { 2.0 - r };
    let volcano = FnObjective::new(1, |w: &[f64]| slope(w[0].abs()));
    for i in -30..=30 {
        let a = 10_f64.powf(f64::from(i) / 10.0);
        let least = Quadrature::new(a, 64).unwrap().expected_loss(&volcano, &[0.0]).unwrap();
        assert!(least < slope(1.0), "{a}: {least}"); // max over D(w_s, 1) is 1
    }
}

/// A sharp well of depth h on the slope of a flat parabola, not symmetric in the box:
/// C = kappa/2 x^2 - h exp(-(x - d)^2 / 2 s^2) in each coordinate. The well adds at most h/(2a) to
/// |dCbar/dx|, so with kappa (d - 2a) > h/(2a) no point of [d - 2a, d + 2a] is stationary.
#[test]
fn the_sharp_minimum_disappears_and_the_flat_one_stays() {
    let cases = (1..=2_usize, 0.02..0.1_f64, 1.0..1.5_f64, 0.1..0.9_f64);
    for_each_case(40, cases, |(m, s, h, share)| {
        let (kappa, d, a) = (1.0, 4.0, 1.0);
        let well = |x: f64| h * (-(x - d).powi(2) / (2.0 * s * s)).exp();
        let one = |x: f64| kappa / 2.0 * x * x - well(x);
        let f = FnObjective::new(m, |w: &[f64]| w.iter().map(|&x| one(x)).sum());
        // C has a minimum next to d: its slope changes sign within s.
        let slope = |x: f64| kappa * x + (x - d) / (s * s) * well(x);
        prop_assert!(slope(d - s) < 0.0 && slope(d + s) > 0.0);

        let gradient = |x: f64| Quadrature::new(a, 4).unwrap().gradient(&f, &vec![x; m]).unwrap();
        for i in 0..=80 {
            let x = d - 2.0 * a + 4.0 * a * f64::from(i) / 80.0;
            let least = kappa * x - h / (2.0 * a);
            for g in gradient(x) {
                prop_assert!(
                    g > 0.0 && g >= least - 1e-12,
                    "stationary near the sharp minimum: {x} {g}"
                );
                prop_assert!(g <= kappa * x + h / (2.0 * a) + 1e-12);
            }
        }
        // The flat minimum stays: a sign change at 0.
        let x = share * 0.5;
        prop_assert!(gradient(-x).iter().all(|&g| g < 0.0) && gradient(x).iter().all(|&g| g > 0.0));
        Ok(())
    });
}

/// |x| is as sharp as can be, but symmetric: Cbar = (x^2 + a^2)/(2a) keeps its minimum at 0.
#[test]
fn a_symmetric_kink_keeps_its_minimum() {
    let f = FnObjective::new(1, |w: &[f64]| w[0].abs());
    for_each_case(60, (-3.0..3.0_f64, 0.001..1.0_f64), |(exponent, share)| {
        let a = 10_f64.powf(exponent);
        let slope = |x: f64| Quadrature::new(a, 1).unwrap().gradient(&f, &[x]).unwrap()[0];
        prop_assert!(slope(0.0) == 0.0 && slope(share * a) > 0.0 && slope(-share * a) < 0.0);
        Ok(())
    });
}
