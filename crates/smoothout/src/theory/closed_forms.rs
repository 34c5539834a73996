//! The rise Cbar - C of functions with a closed form, and the second order (a^2/6) tr H that all
//! share.
//!
//! At 0, each with curvature 1: w^2/2 rises by a^2/6, 1 - cos w by 1 - sin(a)/a, cosh w - 1 by
//! sinh(a)/a - 1.

use smoothout_sharpness::{FnObjective, Quadrature};

use super::Demonstration;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    type Form = fn(f64) -> f64;
    let forms: [(&str, Form, Form); 3] = [
        ("w^2/2", |w| w * w / 2.0, |a| a * a / 6.0),
        ("1 - cos w", |w| 1.0 - w.cos(), |a| 1.0 - a.sin() / a),
        ("cosh w - 1", |w| w.cosh() - 1.0, |a| a.sinh() / a - 1.0),
    ];
    let radii = || (1..=40).map(|i| f64::from(i) * 0.1);
    let (mut curves, mut error) = (Vec::new(), 0.0_f64);
    for (name, value, closed) in forms {
        let f = FnObjective::new(1, move |w: &[f64]| value(w[0]));
        let mut measured = Vec::new();
        for a in radii() {
            let rise = Quadrature::new(a, 24)?.expected_loss(&f, &[0.0])?;
            error = error.max((rise - closed(a)).abs());
            measured.push((a, rise));
        }
        curves.push(Curve::dots(&format!("{name}, measured"), measured));
        curves.push(Curve::line(&format!("{name}, closed form"), radii().map(|a| (a, closed(a)))));
    }
    Ok(Demonstration {
        name: "closed_forms",
        statement: "The rise of quadratics, waves and exponentials",
        expected: "a^2/6, 1 - sin(a)/a, sinh(a)/a - 1".to_owned(),
        measured: format!("largest difference {error:.1e}"),
        holds: error < 1e-12,
        figure: CurveChart::new(
            "Rise of the expected loss at a minimum of curvature 1",
            AxisSpec::new("radius a", AxisScale::Linear),
            AxisSpec::new("Cbar - C", AxisScale::Linear),
            curves,
        ),
    })
}
