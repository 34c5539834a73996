//! The stochastic gradient is unbiased: its mean tends to grad Cbar, and n copies or antithetic
//! pairs have less variance.
//!
//! C = 1 - cos(2 w) at w = 1/2, a = 1: dCbar/dw = 2 sin(1) sin(2)/2 = sin(1) sin(2).

use smoothout_sharpness::{ExpectedLoss, FnObjective, Sampling};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use super::Demonstration;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    let f = FnObjective::new(1, |w: &[f64]| 1.0 - (2.0 * w[0]).cos()).with_gradient(|w, g| {
        g[0] = 2.0 * (2.0 * w[0]).sin();
        1.0 - (2.0 * w[0]).cos()
    });
    let (expected, s) = (1_f64.sin() * 2_f64.sin(), |x: f64| x.sin() / x);
    // Variances of a copy, and of a pair, in closed form.
    let one = 4.0 * (0.5 * (1.0 - 2_f64.cos() * s(4.0)) - (1_f64.sin() * s(2.0)).powi(2));
    let pair = 4.0 * 1_f64.sin().powi(2) * (0.5 * (1.0 + s(4.0)) - s(2.0).powi(2));
    let (mut curves, mut furthest) = (Vec::new(), 0.0_f64);
    for (label, sampling, variance, cost) in
        [("one copy", Sampling::Plain, one, 1), ("antithetic pairs", Sampling::Antithetic, pair, 2)]
    {
        let mut errors = Vec::new();
        for power in 2..=12 {
            let draws = 1 << power;
            let mut squares = 0.0;
            for seed in 0..200 {
                let mut gradient = [0.0];
                ExpectedLoss::new(Perturbation::new(Geometry::Absolute, 1.0)?)
                    .sampling(sampling)
                    .draws(draws)?
                    .seed(seed)
                    .gradient(&f, &ParameterLayout::flat(1), &[0.5], &mut gradient)?;
                squares += (gradient[0] - expected).powi(2) / 200.0;
            }
            let root = squares.sqrt();
            furthest = furthest.max((root / (variance / draws as f64).sqrt() - 1.0).abs());
            errors.push(((draws * cost) as f64, root));
        }
        let line = errors.iter().map(|&(n, _)| (n, (variance * f64::from(cost as u32) / n).sqrt()));
        let line: Vec<_> = line.collect();
        curves.push(Curve::dots(&format!("{label}, measured"), errors));
        curves.push(Curve::line(&format!("{label}, closed form"), line));
    }
    Ok(Demonstration {
        name: "unbiased",
        statement: "The mean stochastic gradient tends to grad Cbar as 1/sqrt(n)",
        expected: "error sqrt(Var/n), Var in closed form".to_owned(),
        measured: format!("within {:.0} % of it, 4 to 8192 gradients", 100.0 * furthest),
        holds: furthest < 0.3,
        figure: CurveChart::new(
            "Root mean square error of the stochastic gradient",
            AxisSpec::new("gradients", AxisScale::Logarithmic),
            AxisSpec::new("error against grad Cbar", AxisScale::Logarithmic),
            curves,
        ),
    })
}
