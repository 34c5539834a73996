//! Closed forms of both balls, and of m-sharpness.

use smoothout_tensor::BlockKind;

use super::*;
use crate::FnObjective;

fn quadratic(h: [f64; 4]) -> impl Differentiable<Real = f64> {
    let value = move |w: &[f64]| w.iter().zip(h).map(|(w, h)| 0.5 * h * w * w).sum::<f64>();
    FnObjective::new(4, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
        g.iter_mut().zip(w).zip(h).for_each(|((g, w), h)| *g = h * w);
        value(w)
    })
}

fn layout() -> ParameterLayout {
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[2, 2], BlockKind::Weight).unwrap();
    layout
}

/// l2 at a minimum: rho^2 lambda_max / 2; l-infinity: rho^2 tr H / 2.
#[test]
fn closed_forms_at_a_minimum() {
    let f = quadratic([1.0, 7.0, 3.0, 2.0]);
    for (ball, expected) in [(Ball::L2, 0.01 * 7.0 / 2.0), (Ball::LInfinity, 0.01 * 13.0 / 2.0)] {
        let settings = WorstCase::new(ball, 0.1).unwrap().steps(100, 2).unwrap();
        let report = settings.measure(&f, &layout(), &[0.0; 4]).unwrap();
        assert!((report.rise / expected - 1.0).abs() < 1e-9, "{report}");
        assert!(report.misalignment < 1e-6, "{report}");
    }
}

/// A linear function: the first step is exact, rho ‖T g‖ in l2 and rho |T g|_1 in l-infinity.
#[test]
fn closed_forms_of_a_slope() {
    let slope = [3.0, -1.0, 0.5, 0.0];
    let value = move |w: &[f64]| w.iter().zip(slope).map(|(w, s)| w * s).sum::<f64>();
    let f = FnObjective::new(4, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
        g.copy_from_slice(&slope);
        value(w)
    });
    let w = [3.0, 4.0, -1.0, 0.0];
    let elementwise = [3.01, 4.01, 1.01, 0.01];
    for (scaling, t) in [
        (Scaling::Plain, [1.0; 4]),
        (Scaling::Elementwise, elementwise),
        (Scaling::Filter, [5.01, 5.01, 1.01, 1.01]),
    ] {
        let product = [0, 1, 2, 3].map(|i| t[i] * slope[i]);
        for (ball, length) in
            [(Ball::L2, norm(&product)), (Ball::LInfinity, product.iter().map(|p| p.abs()).sum())]
        {
            for radius in [0.2, 2.0] {
                let settings = WorstCase::new(ball, radius).unwrap().scaling(scaling);
                let report = settings.measure(&f, &layout(), &w).unwrap();
                assert!((report.first_step_rise - radius * length).abs() < 1e-12, "{report}");
                assert!((report.rise - radius * length).abs() < 1e-12, "{report}");
            }
        }
    }
}

/// Batches with curvatures h_b: the mean of rho^2 h_b / 2, not the worst case of the mean.
#[test]
fn m_sharpness_averages_worst_cases() {
    let batches = [quadratic([2.0, 0.0, 0.0, 0.0]), quadratic([0.0, 4.0, 0.0, 0.0])];
    let settings = WorstCase::new(Ball::L2, 0.1).unwrap().steps(100, 2).unwrap();
    let found = settings.measure_batches(&batches, &layout(), &[0.0; 4]).unwrap();
    assert!((found.rise.value - 0.01 * 3.0 / 2.0).abs() < 1e-9);
    assert_eq!(found.batches.len(), 2);
    assert!(settings.measure_batches(&batches[..0], &layout(), &[0.0; 4]).is_err());
}

/// Only the selected blocks move; each start costs one evaluation more than its steps.
#[test]
fn only_the_selected_blocks_move() {
    let f = quadratic([1.0, 7.0, 30.0, 20.0]);
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[1, 2], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[2], BlockKind::Bias).unwrap();
    for (ball, expected) in [(Ball::L2, 0.01 * 7.0 / 2.0), (Ball::LInfinity, 0.01 * 8.0 / 2.0)] {
        let settings = WorstCase::new(ball, 0.1).unwrap().steps(100, 3).unwrap().seed(5);
        let report =
            settings.selection(Selection::weights()).measure(&f, &layout, &[0.0; 4]).unwrap();
        assert!((report.rise / expected - 1.0).abs() < 1e-9, "{report}");
        assert_eq!((report.evaluations, report.seed), (3 * 101, 5));
    }
    let settings = || WorstCase::new(Ball::L2, 0.1).unwrap();
    assert!(settings().steps(0, 1).is_err() && settings().steps(1, 0).is_err());
    assert!(WorstCase::new(Ball::L2, 0.0).is_err() && WorstCase::new(Ball::L2, f64::NAN).is_err());
}

/// A top inside the ball, at 0.03 of 0.1: steps that go too far are halved.
#[test]
fn steps_that_do_not_rise_are_halved() {
    let value = |w: &[f64]| 1.0 - (w[0] - 0.03).powi(2);
    let f = FnObjective::new(1, value).with_gradient(|w, g| {
        g[0] = -2.0 * (w[0] - 0.03);
        value(w)
    });
    for ball in [Ball::L2, Ball::LInfinity] {
        let settings = WorstCase::new(ball, 0.1).unwrap().steps(20, 1).unwrap();
        let report = settings.measure(&f, &ParameterLayout::flat(1), &[0.0]).unwrap();
        assert!((report.rise - 9e-4).abs() < 1e-10, "{report}");
        assert!((report.first_step_rise - (9e-4 - 4.9e-3)).abs() < 1e-12, "{report}");
    }
}

/// Where nothing rises the certificate stays at its worst.
#[test]
fn a_flat_function_has_no_worst_case() {
    let f = FnObjective::new(2, |_: &[f64]| 0.5).with_gradient(|_, g| {
        g.fill(0.0);
        0.5
    });
    for ball in [Ball::L2, Ball::LInfinity] {
        let settings = WorstCase::new(ball, 0.1).unwrap();
        let report = settings.measure(&f, &ParameterLayout::flat(2), &[0.3, 0.4]).unwrap();
        assert_eq!((report.rise, report.maximum, report.misalignment), (0.0, 0.5, 1.0), "{report}");
    }
}

/// l2: 1 - cos of the angle between u and the gradient, 1 where either is nothing. L-infinity: the
/// share of coordinates with a slope that are not at the corner it points to.
#[test]
fn misalignment_is_its_definition() {
    let l2 = |u: [f64; 2], g: [f64; 2]| Ball::L2.misalignment(0.1, 2, &u, &g);
    assert!((l2([0.06, 0.08], [5.0, 0.0]) - 0.4).abs() < 1e-15);
    assert_eq!((l2([0.1, 0.0], [2.0, 0.0]), l2([0.1, 0.0], [-2.0, 0.0])), (0.0, 2.0));
    assert_eq!((l2([0.1, 0.0], [0.0; 2]), l2([0.0; 2], [1.0, 0.0])), (1.0, 1.0));
    let u = [0.1, -0.1, 0.1, 0.05, 0.02];
    let corners = |g: [f64; 5]| Ball::LInfinity.misalignment(0.1, 5, &u, &g);
    assert_eq!(corners([2.0, -3.0, 0.5, 0.0, 0.0]), 0.0);
    assert_eq!(corners([-2.0, -3.0, 0.5, 0.0, 1.0]), 0.4);
    // Of two that may move one is not at its corner.
    assert_eq!(Ball::LInfinity.misalignment(0.1, 2, &u, &[-2.0, -3.0, 0.0, 0.0, 0.0]), 0.5);
}

/// In the box each coordinate goes where its slope points, as far as the side; without a slope it
/// stays.
#[test]
fn an_ascent_in_the_box_is_its_definition() {
    let mut to = [f64::NAN; 4];
    Ball::LInfinity.ascend(0.5, 0.25, &[0.1, -0.4, -0.45, 0.2], &[3.0, 2.0, -1.0, 0.0], &mut to);
    assert_eq!(to, [0.225, -0.275, -0.5, 0.2]);
}

/// An observer sees the batches' evaluations add up.
#[test]
fn the_observer_of_m_sharpness_counts_evaluations() {
    let batches = [quadratic([2.0, 0.0, 0.0, 0.0]), quadratic([0.0, 4.0, 0.0, 0.0])];
    let settings = WorstCase::new(Ball::L2, 0.1).unwrap().steps(3, 1).unwrap();
    let mut seen = Vec::new();
    let mut observer = |progress: Progress| {
        seen.push(progress.evaluations);
        std::ops::ControlFlow::Continue(())
    };
    let report = settings.measure_batches_observed(&batches, &layout(), &[0.0; 4], &mut observer);
    let counts: Vec<_> = report.unwrap().batches.iter().map(|batch| batch.evaluations).collect();
    assert_eq!(seen, [counts[0], counts[0] + counts[1]]);
}
