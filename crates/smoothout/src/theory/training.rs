//! Training on two basins: gradient descent stays in the sharp one, SmoothOut leaves it.
//!
//! The function of [`two_basins`](super::sharp_constraint::two_basins), radius 1, learning rate
//! 0.005.

use smoothout_optim::{FnOracle, SeededPerturbation, Sgd, SmoothOut, Smoothing};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use super::Demonstration;
use super::sharp_constraint::two_basins;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

const STEPS: usize = 2500;
const TRIALS: usize = 100;

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    let (plain, _) = train(None)?;
    let (smoothed, _) = train(Some(0))?;
    let (mut stayed, mut left) = (0, 0);
    for seed in 0..TRIALS {
        stayed += usize::from((train(None)?.1 - 4.0).abs() < 0.1);
        left += usize::from(train(Some(seed as u64))?.1.abs() < 1.0);
    }
    let (low, high) = wilson(left, TRIALS);
    Ok(Demonstration {
        name: "training",
        statement: "From the sharp basin, SGD stays and SmoothOut leaves",
        expected: "all stay; all leave".to_owned(),
        measured: format!(
            "{stayed} of {TRIALS} stay; {left} of {TRIALS} leave (95 % interval {low:.3} to {high:.3})"
        ),
        holds: stayed == TRIALS && low > 0.9,
        figure: CurveChart::new(
            "Training from inside the sharp basin at w = 4",
            AxisSpec::new("step", AxisScale::Linear),
            AxisSpec::new("w", AxisScale::Linear),
            vec![Curve::line("SGD", plain), Curve::line("SmoothOut, a = 1", smoothed)],
        ),
    })
}

/// The path, and where it ends.
fn train(seed: Option<u64>) -> anyhow::Result<(Vec<(f64, f64)>, f64)> {
    let mut optimizer = SmoothOut::new(Sgd::new());
    if let Some(seed) = seed {
        let perturbation = Perturbation::new(Geometry::Absolute, 1.0)?;
        let source = SeededPerturbation::new(ParameterLayout::flat(1), perturbation, seed);
        optimizer = optimizer.smoothing(Smoothing::new(source));
    }
    let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
        let (value, slope) = two_basins(w[0]);
        gradient[0] = slope;
        value
    });
    let (mut w, mut path) = ([3.98], Vec::with_capacity(STEPS));
    for step in 0..STEPS {
        path.push((step as f64, w[0]));
        optimizer.step(&mut w, &mut oracle, &mut [()], 0.005)?;
    }
    Ok((path, w[0]))
}

/// Wilson's 95 % interval of a share.
fn wilson(successes: usize, trials: usize) -> (f64, f64) {
    let (n, z) = (trials as f64, 1.959_964);
    let p = successes as f64 / n;
    let (center, half) =
        (p + z * z / (2.0 * n), z * (p * (1.0 - p) / n + (z / (2.0 * n)).powi(2)).sqrt());
    ((center - half) / (1.0 + z * z / n), ((center + half) / (1.0 + z * z / n)).min(1.0))
}
