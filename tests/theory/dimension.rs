//! The volume ratio of theorem 2: a box D(w', a) holds at most the share (eps'/a)^m of a box of
//! radius eps' < a, and that share vanishes as m grows.
//!
//! C^(s)_{eps'} is the least value of C outside D(w_s, eps') (for C strictly increasing in the
//! distance, its value on the boundary). With C >= 0 = C(w_s), for every w' in D(w_s, eps):
//!
//! Cbar(w') >= ( 1 - (eps'/a)^m ) C^(s)_{eps'},
//!
//! and where C does not exceed C^(s)_{eps'}, min Cbar -> C^(s)_{eps'}. For
//! C = h min(1, max_i |w_i| / eps')^p: Cbar(w_s) = h ( 1 - (eps'/a)^m p / (m + p) ) exactly.
//!
//! At most 2 x (12 + 6) x 8 + 6 x 8 comparisons.

use proptest::prelude::*;
use smoothout_sharpness::{ExpectedLoss, FnObjective, Sampling};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, PerturbationKey};

use crate::cases::{for_each_case, largest, numbers};
use crate::confidence::half_width;

/// m from 1 to 10^4.
const DIMENSIONS: [usize; 8] = [1, 3, 10, 30, 100, 1000, 3000, 10_000];

const DRAWS: usize = 400;

/// max_i |theta_i| of each draw, and the share of all coordinates within `inner`.
fn draws(m: usize, a: f64, inner: f64, seed: u64) -> (Vec<f64>, f64) {
    let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
    let (layout, zero, mut theta) = (ParameterLayout::flat(m), vec![0.0; m], vec![0.0; m]);
    let mut inside = 0;
    let mut draw = |copy: usize| {
        box_.apply(&layout, PerturbationKey::new(seed).copy(copy as u64), &zero, &mut theta);
        inside += theta.iter().filter(|theta: &&f64| theta.abs() <= inner).count();
        largest(&theta)
    };
    let lengths = (0..DRAWS).map(&mut draw).collect();
    (lengths, inside as f64 / (DRAWS * m) as f64)
}

/// In logarithms: the coordinates are independent, so ln P = sum_i ln P(|theta_i| <= eps') and the
/// pooled share gives m ln(eps'/a) far below what could be counted (-10^4 and less).
#[test]
fn the_share_of_an_inner_box_falls_exponentially() {
    for_each_case(12, (0.2..0.95_f64, -2.0..2.0_f64, any::<u64>()), |(ratio, exponent, seed)| {
        let a = 10_f64.powf(exponent);
        for m in DIMENSIONS {
            let (lengths, pooled) = draws(m, a, ratio * a, seed);
            let bound = half_width(0.5, DRAWS * m);
            prop_assert!((pooled - ratio).abs() <= bound, "m = {m}: {pooled} {ratio}");
            let (log, share) = (m as f64 * pooled.ln(), ratio.powf(m as f64));
            let slack = m as f64 * bound / (ratio - bound).max(0.01);
            prop_assert!((log - m as f64 * ratio.ln()).abs() <= slack, "m = {m}: {log}");
            let inside = lengths.iter().filter(|&&length| length <= ratio * a).count();
            let found = inside as f64 / DRAWS as f64;
            prop_assert!(
                (found - share).abs() <= half_width(0.5, DRAWS),
                "m = {m}: {found} {share}"
            );
        }
        Ok(())
    });
}

/// P( max_i |theta_i| > a (1 - t/m) ) = 1 - (1 - t/m)^m -> 1 - exp(-t): the shell that holds half
/// the volume has a thickness of about 0.69 a / m.
#[test]
fn the_volume_lies_near_the_faces() {
    for_each_case(6, (0.3..0.9_f64, any::<u64>()), |(t, seed)| {
        for m in DIMENSIONS {
            let (lengths, _) = draws(m, 2.0, 1.0, seed);
            let edge = 2.0 * (1.0 - t / m as f64);
            let found =
                lengths.iter().filter(|&&length| length > edge).count() as f64 / DRAWS as f64;
            let expected = -(m as f64 * (-t / m as f64).ln_1p()).exp_m1();
            prop_assert!((found - expected).abs() <= half_width(0.5, DRAWS), "m = {m}: {found}");
            prop_assert!(m < 1000 || (expected - (1.0 - (-t).exp())).abs() < 1e-3);
        }
        Ok(())
    });
}

/// Cbar(w_s) against its closed form, and points of D(w_s, eps) against the bound.
#[test]
fn the_expected_loss_tends_to_the_height_of_the_rim() {
    for_each_case(6, (0.5..0.95_f64, 0.5..4.0_f64, any::<u64>()), |(ratio, p, seed)| {
        let (a, h) = (1.5, 2.0);
        let (rim, mut heights) = (ratio * a, Vec::new());
        for m in DIMENSIONS {
            let f = FnObjective::new(m, |w: &[f64]| h * (largest(w) / rim).min(1.0).powf(p));
            let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
            let measure = ExpectedLoss::new(box_).sampling(Sampling::Plain);
            let measure = measure.draws(DRAWS).unwrap().seed(seed);
            let at = |w: &[f64]| {
                measure.measure(&f, &ParameterLayout::flat(m), w).unwrap().expected.value
            };
            let share = ratio.powf(m as f64);
            let expected = h * (1.0 - share * p / (m as f64 + p));
            let (found, bound) = (at(&vec![0.0; m]), half_width(h / 2.0, DRAWS));
            prop_assert!((found - expected).abs() <= bound, "m = {m}: {found} {expected}");
            let near: Vec<f64> = numbers(seed, 7, m).iter().map(|x| 0.1 * rim * x).collect();
            let lower = at(&near);
            prop_assert!(
                lower >= h * (1.0 - share) - half_width(h / 2.0, DRAWS),
                "m = {m}: {lower}"
            );
            prop_assert!(lower <= h + 1e-12);
            heights.push(found);
        }
        // Once the share is below 1e-22, every one of the draws lies outside the inner box.
        prop_assert!((heights[heights.len() - 1] - h).abs() < 1e-12, "{heights:?}");
        Ok(())
    });
}
