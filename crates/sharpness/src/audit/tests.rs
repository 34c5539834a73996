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
    let w = [1.1_f64, 1.0];
    let factors = [("fc1.weight", 0.1), ("fc2.weight", 10.0)];
    let rescaled = rescale_blocks(&layout, &w, &factors).unwrap();
    assert!((rescaled[0] - 0.11).abs() < 1e-15 && rescaled[1] == 10.0, "{rescaled:?}");
    let report = Audit::new(0.02, 1e-3).unwrap().measure(&f, &layout, &w, &rescaled).unwrap();
    let moved = |measure| report.rows.iter().find(|row| row.measure == measure).unwrap().moved();
    assert!(
        moved(Audited::AbsoluteRise) && moved(Audited::Keskar) && moved(Audited::Sam),
        "{report}"
    );
    assert!(!moved(Audited::ElementwiseRise) && !moved(Audited::FilterRise), "{report}");
    let mut mirrored = report.clone();
    for row in &mut mirrored.rows {
        row.before = Estimate { value: 1.0, standard_error: 0.0, ..row.before };
        row.after = Estimate { value: -3.0, ..row.before };
        row.difference = Estimate { value: -4.0, ..row.before };
    }
    assert_eq!(mirrored.largest_move(), 3.0);
    let other = Audit::new(0.02, 1e-3).unwrap().measure(&f, &layout, &w, &[1.0, 2.0]);
    assert!(matches!(other, Err(SharpnessError::OtherFunction { .. })), "{other:?}");
    assert!(rescale_blocks(&layout, &w, &[("fc3.weight", 2.0)]).is_err());
}

/// The settings arrive where they count, and the report has the evaluations of all its rows.
#[test]
fn settings_are_taken_over() {
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[1, 1], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[1], BlockKind::Bias).unwrap();
    let f =
        FnObjective::new(2, |w: &[f64]| w[0] * w[0] + 3.0 * w[1] * w[1]).with_gradient(|w, g| {
            g.copy_from_slice(&[2.0 * w[0], 6.0 * w[1]]);
            w[0] * w[0] + 3.0 * w[1] * w[1]
        });
    let w = [0.5, 0.5];
    let selection = Selection::weights();
    let audit = || Audit::new(0.1, 1e-3).unwrap().selection(selection.clone());
    let settled = audit().draws(2).unwrap().seed(3);
    let report = settled.measure(&f, &layout, &w, &w).unwrap();
    assert_eq!((report.seed, &report.selection), (3, &selection));
    let row = |audit: &Audit, k: usize| audit.measure(&f, &layout, &w, &w).unwrap().rows[k].before;
    let absolute = row(&settled, 0);
    assert_eq!(absolute.samples, 2);
    // An antithetic pair of theta in [-0.1, 0.1] on the weight alone: a rise of theta^2.
    assert!(absolute.value < 0.01, "{absolute}");
    assert_ne!(absolute.value, row(&audit().draws(2).unwrap().seed(4), 0).value);
    let of_rows = MEASURES.map(|k| settled.row(k, &f, &layout, [&w, &w]).unwrap().1);
    assert_eq!(report.evaluations, of_rows.iter().sum::<usize>());
    let error = audit().draws(1).unwrap_err();
    assert!(error.to_string().contains("at least 2"), "{error}");
}

/// 0.1 sum w_i^2 at w and at 1.1 w, elementwise: each pair rises by 1.21 times as much. The errors of
/// both are too large to tell; that of the pairs is not.
#[test]
fn differences_are_those_of_the_same_draws() {
    let value = |w: &[f64]| 0.1 * w.iter().map(|w| w * w).sum::<f64>();
    let f = FnObjective::new(2, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
        g.iter_mut().zip(w).for_each(|(g, w)| *g = 0.2 * w);
        value(w)
    });
    let (layout, w, scaled) = (ParameterLayout::flat(2), [1.0, 0.01], [1.1, 0.011]);
    let audit = Audit::new(0.1, 1e-3).unwrap().draws(20).unwrap();
    let (row, evaluations) =
        audit.row(Audited::ElementwiseRise, &f, &layout, [&w, &scaled]).unwrap();
    let (before, after) = (row.before, row.after);
    assert!((row.ratio() - 1.21).abs() < 1e-9 && evaluations == 80, "{before} {after}");
    assert!((row.difference.value - (after.value - before.value)).abs() < 1e-15);
    let of_pairs = after.standard_error - before.standard_error;
    assert!((row.difference.standard_error / of_pairs - 1.0).abs() < 1e-9, "{}", row.difference);
    assert!(row.moved());
    let apart = Perturbation::new(Geometry::Elementwise, 0.1).unwrap();
    let apart = ExpectedLoss::new(apart).draws(20).unwrap();
    assert_eq!(before, apart.measure(&f, &layout, &w).unwrap().rise);
    assert_eq!(after, apart.measure(&f, &layout, &scaled).unwrap().rise);
}

/// Five percent and three standard errors are not enough, a little more of both is.
#[test]
fn a_measure_moves_by_more_than_five_percent_and_three_errors() {
    let row = |before: [f64; 2], after: [f64; 2]| {
        let estimate =
            |[value, standard_error]: [f64; 2]| Estimate { value, standard_error, samples: 9 };
        let error = before[1].hypot(after[1]);
        let [before, after, difference] =
            [before, after, [after[0] - before[0], error]].map(estimate);
        AuditRow { measure: Audited::Sam, before, after, difference }
    };
    assert!(!row([19.0, 0.0], [20.0, 0.0]).moved() && row([18.9, 0.0], [20.0, 0.0]).moved());
    assert!(!row([20.0, 0.0], [19.0, 0.0]).moved() && row([20.0, 0.0], [18.9, 0.0]).moved());
    // Errors of 3 and 4 are 5 together.
    assert!(!row([100.0, 3.0], [115.0, 4.0]).moved() && row([100.0, 3.0], [115.5, 4.0]).moved());
    assert!(!row([100.0, 0.1], [101.0, 0.1]).moved());
    let f = FnObjective::new(1, |w: &[f64]| w[0] * w[0]).with_gradient(|w, g| {
        g[0] = 2.0 * w[0];
        w[0] * w[0]
    });
    let audit = Audit::new(0.1, 1e-3).unwrap().draws(2).unwrap();
    // Small differences are kept; large ones in the noise are not shown to move.
    let mut report = audit.measure(&f, &ParameterLayout::flat(1), &[1.0], &[1.0]).unwrap();
    for (after, verdict) in [([101.0, 0.1], "kept"), ([115.0, 9.0], "not shown to move")] {
        report.rows = vec![row([100.0, 0.1], after)];
        assert!(report.to_string().ends_with(verdict), "{report}");
    }
    assert_eq!(row([4.0, 0.0], [1.0, 0.0]).ratio(), 0.25);

    report.rows.clear();
    assert_eq!(report.largest_move(), 1.0);
    report.rows =
        vec![row([4.0, 0.0], [1.0, 0.0]), row([1.0, 0.0], [3.0, 0.0]), row([1.0, 9.0], [8.0, 9.0])];
    assert_eq!(report.largest_move(), 4.0);
    report.rows.remove(0);
    assert_eq!(report.largest_move(), 3.0);
}
