//! What the expected loss does to training.
//!
//! - On a function with a sharp and a flat basin, gradient descent started in the sharp one stays;
//!   SmoothOut, which descends Cbar without a minimum there (theorem 2), leaves it.
//! - Without de-noising, the step is perturbed gradient descent: w~ = w + theta, w <- w~ - lr g(w~).
//! - Anti-PGD (Orvieto et al. 2022, arXiv:2202.02831), z <- z - lr g(z) + theta_{t+1} - theta_t, is
//!   Stochastic SmoothOut seen at z = w + theta: w_{t+1} + theta_{t+1} = w_t - lr g(z_t) + theta_{t+1}.
//!   Weight decay acts on w in one and on z in the other, so with it they part.
//!
//! One comparison.

use proptest::prelude::*;
use smoothout_optim::{
    FnOracle, PerturbationSource, SeededPerturbation, Sgd, SmoothOut, Smoothing,
};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use crate::cases::{for_each_case, largest, numbers, suite_seed};
use crate::confidence::share_interval;

/// The sharp well's place, width and depth.
const PLACE: f64 = 4.0;
const WIDTH: f64 = 0.1;
const DEPTH: f64 = 1.0;

/// C = x^2 / 2 - h exp(-(x - d)^2 / 2 s^2) in each coordinate.
fn two_basins(w: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, &x) in gradient.iter_mut().zip(w) {
        let well = DEPTH * (-(x - PLACE).powi(2) / (2.0 * WIDTH * WIDTH)).exp();
        *g = x + (x - PLACE) / (WIDTH * WIDTH) * well;
        value += x * x / 2.0 - well;
    }
    value
}

fn source(m: usize, a: f64, seed: u64) -> SeededPerturbation {
    let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
    SeededPerturbation::new(ParameterLayout::flat(m), box_, seed)
}

/// Where `steps` steps from `start` end.
fn train(start: &[f64], smoothing: Option<Smoothing<f64>>, steps: usize) -> Vec<f64> {
    let mut optimizer = SmoothOut::new(Sgd::new());
    if let Some(smoothing) = smoothing {
        optimizer = optimizer.smoothing(smoothing);
    }
    let (mut w, mut oracle) = (start.to_vec(), FnOracle::new(two_basins));
    for _ in 0..steps {
        optimizer.step(&mut w, &mut oracle, &mut [()], 0.005).unwrap();
    }
    w
}

/// Starts within one width of the sharp minimum, in every coordinate of two.
#[test]
fn gradient_descent_stays_in_the_sharp_basin_and_smoothout_leaves_it() {
    let (mut stayed, mut left, trials) = (0, 0, 100);
    for trial in 0..trials {
        let seed = suite_seed().wrapping_add(trial);
        let offset = numbers(seed, 0, 2);
        let start: Vec<f64> =
            offset.iter().map(|x| PLACE - 0.2 * WIDTH + 0.5 * WIDTH * x).collect();
        let plain = train(&start, None, 3000);
        stayed += usize::from(plain.iter().all(|x| (x - PLACE).abs() < WIDTH));
        let smoothed = train(&start, Some(Smoothing::new(source(2, 1.0, seed))), 3000);
        left += usize::from(largest(&smoothed) < 1.0);
    }
    let trials = trials as usize;
    // Without noise every start stays; the interval of those that leave excludes one half.
    assert_eq!(stayed, trials);
    let (low, _) = share_interval(left, trials);
    assert!(low > 0.5, "{left} of {trials} left the sharp basin: share at least {low}");
}

/// Bit for bit, copy after copy: each perturbation starts from the one before.
#[test]
fn without_denoising_it_is_perturbed_gradient_descent() {
    let cases = (1..=8_usize, 0.01..1.0_f64, 1..=3_usize, any::<u64>());
    for_each_case(30, cases, |(m, a, copies, seed)| {
        let rate = 0.005;
        let smoothing = Smoothing::new(source(m, a, seed)).denoise(false).copies(copies).unwrap();
        let mut optimizer = SmoothOut::new(Sgd::new()).smoothing(smoothing);
        let mut w: Vec<f64> = numbers(seed, 0, m).iter().map(|x| 5.0 * x).collect();
        let (mut by_hand, mut moved, mut g) = (w.clone(), vec![0.0; m], vec![0.0; m]);
        for step in 0..200 {
            optimizer.step(&mut w, &mut FnOracle::new(two_basins), &mut [()], rate).unwrap();
            let mut mean = vec![0.0; m];
            for copy in 0..copies {
                source(m, a, seed).perturb(1.0, step, copy as u64, &by_hand, &mut moved);
                by_hand.copy_from_slice(&moved);
                two_basins(&by_hand, &mut g);
                mean.iter_mut().zip(&g).for_each(|(mean, g)| *mean += 1.0 / copies as f64 * g);
            }
            by_hand.iter_mut().zip(&mean).for_each(|(w, g)| *w -= rate * g);
            prop_assert_eq!(&w, &by_hand);
        }
        Ok(())
    });
}

/// The largest distance between z of Anti-PGD and w + theta of SmoothOut over 300 steps.
fn anti_pgd_distance(m: usize, a: f64, momentum: f64, decay: f64, seed: u64) -> f64 {
    let rule = || Sgd::new().momentum(momentum).unwrap().weight_decay(decay).unwrap();
    let mut smoothout = SmoothOut::new(rule()).smoothing(Smoothing::new(source(m, a, seed)));
    let mut plain = SmoothOut::new(rule());
    let mut w: Vec<f64> = numbers(seed, 0, m).iter().map(|x| 5.0 * x).collect();
    let theta = |step: u64| {
        let mut theta = vec![0.0; m];
        source(m, a, seed).perturb(1.0, step, 0, &vec![0.0; m], &mut theta);
        theta
    };
    let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
        // Smooth, so that rounding does not grow: sum of 1 - cos x.
        gradient.iter_mut().zip(w).for_each(|(g, w)| *g = w.sin());
        w.iter().map(|w| 1.0 - w.cos()).sum()
    });
    let mut z: Vec<f64> = w.iter().zip(theta(0)).map(|(w, theta)| w + theta).collect();
    let mut distance = 0.0_f64;
    for step in 0..300 {
        smoothout.step(&mut w, &mut oracle, &mut [()], 0.05).unwrap();
        plain.step(&mut z, &mut oracle, &mut [()], 0.05).unwrap();
        let (new, old) = (theta(step + 1), theta(step));
        z.iter_mut().zip(&new).zip(&old).for_each(|((z, new), old)| *z += new - old);
        let apart: Vec<f64> = (0..m).map(|i| z[i] - (w[i] + new[i])).collect();
        distance = distance.max(largest(&apart));
    }
    distance
}

#[test]
fn anti_pgd_is_smoothout_after_a_change_of_variable() {
    let cases = (1..=8_usize, 0.01..1.0_f64, 0.0..0.9_f64, any::<u64>());
    for_each_case(30, cases, |(m, a, momentum, seed)| {
        let distance = anti_pgd_distance(m, a, momentum, 0.0, seed);
        prop_assert!(distance <= 1e-11, "step for step: {distance:e}");
        let decayed = anti_pgd_distance(m, a, momentum, 0.1, seed);
        prop_assert!(decayed >= 1e-5 * a, "weight decay should part them: {decayed:e}");
        Ok(())
    });
}
