//! Theorem 1: a point of symmetry keeps a zero gradient of Cbar at every radius; a minimum that is
//! steeper on one side does not.
//!
//! cosh x - 1 and exp(x) - 1 - x both have a minimum at 0, of the same curvature. By the face
//! difference, dCbar/dw(0) is 0 for the one and sinh(a)/a - 1 for the other.

use smoothout_sharpness::{FnObjective, Quadrature};

use super::Demonstration;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    let even = FnObjective::new(1, |w: &[f64]| w[0].cosh() - 1.0);
    let odd = FnObjective::new(1, |w: &[f64]| w[0].exp() - 1.0 - w[0]);
    let radii = || (1..=60).map(|i| f64::from(i) * 0.05);
    let (mut at_even, mut at_odd, mut error) = (Vec::new(), Vec::new(), 0.0_f64);
    for a in radii() {
        let quadrature = Quadrature::new(a, 8)?;
        at_even.push((a, quadrature.gradient(&even, &[0.0])?[0]));
        let slope = quadrature.gradient(&odd, &[0.0])?[0];
        error = error.max((slope - (a.sinh() / a - 1.0)).abs());
        at_odd.push((a, slope));
    }
    let largest = at_even.iter().fold(0.0_f64, |most, (_, slope)| most.max(slope.abs()));
    Ok(Demonstration {
        name: "flat_minimum",
        statement: "Theorem 1: symmetric about w_f, so grad Cbar(w_f) = 0",
        expected: "0; asymmetric: sinh(a)/a - 1".to_owned(),
        measured: format!("{largest:.1e}; off the asymmetric one's by {error:.1e}"),
        holds: largest < 1e-12 && error < 1e-12,
        figure: CurveChart::new(
            "Gradient of the expected loss at a minimum",
            AxisSpec::new("radius a", AxisScale::Linear),
            AxisSpec::new("dCbar/dw at the minimum", AxisScale::Linear),
            vec![
                Curve::line("cosh w - 1, symmetric", at_even),
                Curve::dots("exp w - 1 - w, asymmetric", at_odd),
                Curve::line("sinh(a)/a - 1", radii().map(|a| (a, a.sinh() / a - 1.0))),
            ],
        ),
    })
}
