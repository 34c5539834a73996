//! Theorem 2: the sharp minimum is smoothed out, the flat one stays.
//!
//! C(w) = w^2/4 - 3/2 exp(-(w - 4)^2 / 2 s^2), s = 0.1: a sharp well on the slope of a flat parabola.
//! It adds at most 3/(4a) to |dCbar/dw|, with a = 1 less than the parabola's slope beyond w = 2: no
//! minimum is left there.

use smoothout_sharpness::{FnObjective, Quadrature};

use super::Demonstration;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

const PLACE: f64 = 4.0;
const WIDTH: f64 = 0.1;
const DEPTH: f64 = 1.5;

/// C and its slope.
pub(super) fn two_basins(w: f64) -> (f64, f64) {
    let well = DEPTH * (-(w - PLACE).powi(2) / (2.0 * WIDTH * WIDTH)).exp();
    (w * w / 4.0 - well, w / 2.0 + (w - PLACE) / (WIDTH * WIDTH) * well)
}

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    let f = FnObjective::new(1, |w: &[f64]| two_basins(w[0]).0);
    let grid = || (0..=650).map(|i| f64::from(i) * 0.01 - 1.5);
    let mut curves = vec![Curve::line("C", grid().map(|w| (w, two_basins(w).0)))];
    for a in [0.1, 0.3, 1.0] {
        let quadrature = Quadrature::new(a, 48)?;
        let values: Result<Vec<_>, _> = grid()
            .map(|w| Ok::<_, anyhow::Error>((w, quadrature.expected_loss(&f, &[w])?)))
            .collect();
        curves.push(Curve::line(&format!("Cbar, a = {a}"), values?));
    }
    let quadrature = Quadrature::new(1.0, 1)?;
    let slope = |w: f64| Ok::<_, anyhow::Error>(quadrature.gradient(&f, &[w])?[0]);
    let near_sharp = (200..=600).map(|i| f64::from(i) * 0.01);
    let least =
        near_sharp.map(slope).try_fold(f64::INFINITY, |least, s| s.map(|s| least.min(s)))?;
    let kept = slope(-0.1)? < 0.0 && slope(0.1)? > 0.0;
    Ok(Demonstration {
        name: "sharp_constraint",
        statement: "Theorem 2: no minimum of Cbar near w_s, one at w_f (a = 1)",
        expected: "dCbar/dw >= 1/4 on [2, 6]; a sign change at 0".to_owned(),
        measured: format!(
            "least {least:.3}; {}",
            if kept { "changes sign" } else { "keeps its sign" }
        ),
        holds: least >= 0.25 - 1e-12 && kept && two_basins(3.9).1 < 0.0 && two_basins(4.1).1 > 0.0,
        figure: CurveChart::new(
            "The sharp minimum is smoothed out, the flat one stays",
            AxisSpec::new("w", AxisScale::Linear),
            AxisSpec::new("loss", AxisScale::Linear),
            curves,
        ),
    })
}
