//! The volume ratio of theorem 2: the sharp basin's share (eps'/a)^m of the box vanishes, and Cbar
//! tends to the height of its rim.
//!
//! C = min(1, max_i |w_i| / eps'): Cbar(w_s) = 1 - (eps'/a)^m / (m + 1) >= 1 - (eps'/a)^m.

use smoothout_sharpness::{ExpectedLoss, FnObjective, Sampling};
use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};

use super::Demonstration;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    const RATIO: f64 = 0.99;
    let (a, dimensions) = (1.0, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000]);
    let closed = |m: f64| 1.0 - RATIO.powf(m) / (m + 1.0);
    let (mut measured, mut furthest, mut last) = (Vec::new(), 0.0_f64, 0.0);
    for m in dimensions {
        let f = FnObjective::new(m, |w: &[f64]| {
            (w.iter().fold(0.0_f64, |most, w| most.max(w.abs())) / RATIO).min(1.0)
        });
        let report = ExpectedLoss::new(Perturbation::new(Geometry::Absolute, a)?)
            .sampling(Sampling::Plain)
            .draws(1000)?
            .measure(&f, &ParameterLayout::flat(m), &vec![0.0; m])?;
        let (found, expected) = (report.expected.value, closed(m as f64));
        furthest = furthest.max((found - expected).abs() / (report.expected.standard_error + 1e-4));
        measured.push((m as f64, found));
        last = found;
    }
    let smooth = || (0..=200).map(|i| 10_f64.powf(f64::from(i) * 0.02));
    Ok(Demonstration {
        name: "dimension",
        statement: "(eps'/a)^m -> 0: min Cbar tends to the rim of the sharp basin",
        expected: "1 - (eps'/a)^m / (m + 1), 1 at m = 10^4".to_owned(),
        measured: format!("within {furthest:.1} standard errors; {last:.6} at m = 10^4"),
        holds: furthest < 6.0 && last > 0.999,
        figure: CurveChart::new(
            "Expected loss at a sharp minimum (eps'/a = 0.99) against the dimension",
            AxisSpec::new("dimension m", AxisScale::Logarithmic),
            AxisSpec::new("Cbar(w_s) / rim", AxisScale::Linear),
            vec![
                Curve::dots("measured", measured),
                Curve::line("1 - (eps'/a)^m / (m + 1)", smooth().map(|m| (m, closed(m)))),
                Curve::line("bound 1 - (eps'/a)^m", smooth().map(|m| (m, 1.0 - RATIO.powf(m)))),
            ],
        ),
    })
}
