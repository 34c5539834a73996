//! A network of two ReLU weights, rescaled.

use smoothout_tensor::BlockKind;

use super::*;
use crate::FnObjective;

/// f = (relu(a x) b - 1)^2 over x = 1, 2: the absolute measures move, the relative ones do not.
#[test]
fn relative_measures_stay() {
    let mut layout = ParameterLayout::new();
    layout.push("fc1.weight", &[1, 1], BlockKind::Weight).unwrap();
    layout.push("fc2.weight", &[1, 1], BlockKind::Weight).unwrap();
    let value = |w: &[f64]| {
        let loss = |x: f64| 0.5 * ((w[0] * x).max(0.0) * w[1] - x).powi(2);
        loss(1.0) + loss(2.0)
    };
    let f = FnObjective::new(2, value).with_gradient(|w, g| {
        g.fill(0.0);
        for x in [1.0, 2.0] {
            let hidden = (w[0] * x).max(0.0);
            let off = hidden * w[1] - x;
            g[0] += off * w[1] * if hidden > 0.0 { x } else { 0.0 };
            g[1] += off * hidden;
        }
        value(w)
    });
    let w = [1.1, 1.0];
    let factors = [("fc1.weight", 0.1), ("fc2.weight", 10.0)];
    let rescaled = rescale_blocks(&layout, &w, &factors).unwrap();
    let report = Audit::new(0.02, 1e-3).unwrap().measure(&f, &layout, &w, &rescaled).unwrap();
    let moved = |measure| report.rows.iter().find(|row| row.measure == measure).unwrap().moved();
    assert!(
        moved(Audited::AbsoluteRise) && moved(Audited::Keskar) && moved(Audited::Sam),
        "{report}"
    );
    assert!(!moved(Audited::ElementwiseRise) && !moved(Audited::FilterRise), "{report}");
    let other = Audit::new(0.02, 1e-3).unwrap().measure(&f, &layout, &w, &[1.0, 2.0]);
    assert!(matches!(other, Err(SharpnessError::OtherFunction { .. })), "{other:?}");
    assert!(rescale_blocks(&layout, &w, &[("fc3.weight", 2.0)]).is_err());
}
