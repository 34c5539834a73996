use std::collections::HashMap;

use super::*;
use crate::Sgd;
use crate::rivals::{self, Quadratic};

fn descent<R: Real>() -> Descent<Sgd<R>> {
    Descent::new(Sgd::new())
}

/// Algorithm 1 in its own words, without noise: two updates of one weight.
#[test]
fn two_updates_are_algorithm_1() {
    let (h, steps, rate, gamma, growth, alpha) = (2.0, 5, 0.05, 0.3, 0.5, 0.4);
    let mut optimizer = EntropySgd::new(descent(), 1)
        .langevin_steps(steps)
        .and_then(|optimizer| optimizer.langevin_rate(rate)?.gamma(gamma, growth))
        .and_then(|optimizer| optimizer.noise(0.0)?.alpha(alpha))
        .unwrap();
    let mut oracle = Quadratic::new(vec![h], vec![0.7]);
    let (mut x, mut expected) = ([1.0_f64], 1.0);
    for k in 0..2 {
        let scope = gamma * (1.0 + growth).powi(k);
        let (mut walker, mut mean) = (expected, expected);
        for _ in 0..steps {
            assert!((x[0] - expected).abs() < 1e-14);
            optimizer.step(&mut x, &mut oracle, &mut [()], 0.1 * scope).unwrap();
            walker -= rate * (h * walker + 0.7 - scope * (expected - walker));
            mean = (1.0 - alpha) * mean + alpha * walker;
        }
        expected -= 0.1 * scope * (expected - mean);
        assert!((x[0] - expected).abs() < 1e-14, "{k}");
    }
    assert_eq!((optimizer.steps(), optimizer.descent().steps()), (10, 2));
}

/// For `f = h x^2 / 2` Langevin steps settle around gamma x / (h + gamma) with the variance
/// eta' epsilon^2 / (1 - r^2), r = 1 - eta' (h + gamma): so the update's gradient is that of
/// the local entropy, gamma h x / (h + gamma). 40,000 independent weights.
#[test]
fn the_gradient_is_the_local_entropys() {
    let (m, h, gamma, rate, epsilon, x0) = (40_000, 1.5, 0.5, 0.1, 0.8, 2.0);
    let mut optimizer = EntropySgd::new(descent(), 1)
        .langevin_steps(200)
        .and_then(|optimizer| optimizer.langevin_rate(rate)?.gamma(gamma, 0.0))
        .and_then(|optimizer| optimizer.noise(epsilon))
        .unwrap();
    let mut oracle = Quadratic::new(vec![h; m], vec![0.0]);
    let mut x = vec![x0; m];
    for _ in 0..200 {
        optimizer.step(&mut x, &mut oracle, &mut [()], gamma).unwrap();
    }
    let r: f64 = 1.0 - rate * (h + gamma);
    let variance = rate * epsilon * epsilon / (1.0 - r * r);
    let mean = gamma * x0 / (h + gamma);
    let walker = optimizer.memory()[1].1.to_vec();
    let found = walker.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / m as f64;
    assert!((found / variance - 1.0).abs() < 5.0 * (2.0 / m as f64).sqrt(), "{found}");
    // The learning rate is eta gamma with eta = 1: x moved by the gradient.
    let gradient = x.iter().map(|x| x0 - x).sum::<f64>() / m as f64;
    let error = gamma * (variance / m as f64).sqrt();
    assert!((gradient - gamma * h * x0 / (h + gamma)).abs() < 5.0 * error, "{gradient}");
}

/// Stopped in the middle of an update, gone on from what `memory` names: the same bits.
#[test]
fn a_resumed_run_has_the_same_bits() {
    let new = || {
        let rule = Sgd::<f32>::new().momentum(0.9).unwrap();
        EntropySgd::new(Descent::new(rule), 7).langevin_steps(3).unwrap()
    };
    let mut oracle = Quadratic::new(vec![1.0, 2.0], vec![0.1, 0.2]);
    let mut run = |optimizer: &mut EntropySgd<f32, _>, x: &mut [f32], steps| {
        for _ in 0..steps {
            optimizer.step(x, &mut oracle, &mut [()], 0.1).unwrap();
        }
    };
    let (mut whole, mut expected) = (new(), [1.0, -1.0]);
    run(&mut whole, &mut expected, 14);
    let (mut first, mut x) = (new(), [1.0, -1.0]);
    run(&mut first, &mut x, 7);
    let mut kept: HashMap<_, _> =
        first.memory().into_iter().map(|(name, vector)| (name, vector.to_vec())).collect();
    let mut second = new();
    second.restore(first.steps(), |name| kept.remove(name)).unwrap();
    run(&mut second, &mut x, 7);
    assert_eq!((x, second.descent().steps()), (expected, 4));
    assert_eq!(new().restore(7, |_| None), Err("langevin_weights"));
}

/// x' and mu are empty before the first step alone.
#[test]
fn an_empty_walker_is_refused_after_a_step() {
    let mut optimizer = EntropySgd::<f64, _>::new(descent(), 1);
    let empty = |_: &str| Some(Vec::new());
    assert_eq!(optimizer.restore(0, empty), Ok(()));
    assert_eq!(optimizer.restore(1, empty), Err("langevin_weights"));
    // All have one length: x', mu and what the rule remembers.
    let but =
        |odd: &'static str| move |name: &str| Some(vec![1.0; if name == odd { 2 } else { 3 }]);
    for odd in ["langevin_mean", "momentum_buffer"] {
        assert_eq!(optimizer.restore(1, but(odd)), Err(odd));
    }
}

/// Where the gradient is 0, the walker's first step is sqrt(eta') epsilon times the stream's numbers.
#[test]
fn noise_is_the_streams() {
    let mut optimizer = EntropySgd::new(descent(), 3)
        .langevin_rate(0.25)
        .and_then(|optimizer| optimizer.noise(0.6))
        .unwrap();
    let (mut x, mut oracle) = ([0.0; 4], Quadratic::new(vec![1.0; 4], vec![0.0]));
    optimizer.step(&mut x, &mut oracle, &mut [()], 0.1).unwrap();
    let mut normal = [0.0_f64; 4];
    fill_gaussian(StreamKey::new(3, Purpose::Perturbation).step(0), &mut normal);
    for (walker, normal) in optimizer.memory()[1].1.iter().zip(normal) {
        assert!((walker - 0.3 * normal).abs() < 1e-14, "{walker}, of {normal}");
    }
}

/// A loss that is NaN leaves x and the count alone.
#[test]
fn a_step_that_diverges_leaves_the_weights_alone() {
    let mut optimizer = EntropySgd::new(descent(), 1).langevin_steps(1).unwrap();
    let (mut x, mut oracle) = ([1.0_f64], Quadratic::new(vec![f64::NAN], vec![0.0]));
    assert!(optimizer.step(&mut x, &mut oracle, &mut [()], 0.1).is_err());
    assert_eq!((x, optimizer.steps()), ([1.0], 0));
}

#[test]
fn scratches_and_threads_do_not_matter() {
    rivals::same_bits(|| {
        let mut optimizer = EntropySgd::<f32, _>::new(descent(), 3)
            .langevin_steps(2)
            .and_then(|optimizer| optimizer.noise(0.1))
            .unwrap();
        move |w, oracle, scratch| optimizer.step(w, oracle, scratch, 0.5).unwrap().loss
    });
}

#[test]
fn settings_are_checked() {
    let new = || EntropySgd::<f32, _>::new(descent(), 1);
    for (name, result) in [
        ("langevin_steps", new().langevin_steps(0)),
        ("langevin_rate", new().langevin_rate(0.0)),
        ("gamma", new().gamma(0.0, 0.0)),
        ("gamma", new().gamma(f64::NAN, 0.0)),
        ("gamma_growth", new().gamma(1.0, -0.1)),
        ("noise", new().noise(-1.0)),
        ("noise", new().noise(f64::INFINITY)),
        ("alpha", new().alpha(0.0)),
        ("alpha", new().alpha(1.5)),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name} is")), "{error}");
    }
}
