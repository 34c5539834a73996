//! Closed forms, coverage, and the same bits on any number of threads.

use std::ops::ControlFlow;

use smoothout_tensor::{BlockKind, Distribution, Geometry, Selection};

use super::*;
use crate::{FnObjective, Progress};

fn absolute(radius: f64) -> Perturbation {
    Perturbation::new(Geometry::Absolute, radius).unwrap()
}

const SAMPLINGS: [Sampling; 3] =
    [Sampling::Plain, Sampling::Antithetic, Sampling::QuasiRandom { points: 31 }];

/// Within 4.5 standard errors of the truth (one test in 150 000 fails by chance; seeds are fixed).
fn assert_near(estimate: &Estimate, truth: f64) {
    let off = (estimate.value - truth).abs();
    let rounding = 1e-13 * truth.abs().max(1e-3);
    assert!(off <= 4.5 * estimate.standard_error + rounding, "{estimate} is not {truth}");
}

#[test]
fn closed_forms_of_the_uniform_box() {
    let w = [0.4, -0.9, 0.0];
    let (a, k) = (0.7_f64, 3.0_f64);
    let sum = |f: fn(f64) -> f64| w.iter().map(|&w| f(w)).sum::<f64>();
    type Case = (fn(f64) -> f64, f64);
    let cases: [Case; 3] = [
        (|x| 0.5 * x * x + 2.0 * x, sum(|x| 0.5 * x * x + 2.0 * x) + 3.0 * a * a / 6.0),
        (|x| (3.0 * x).cos(), sum(|x| (3.0 * x).cos()) * (k * a).sin() / (k * a)),
        (f64::exp, sum(f64::exp) * a.sinh() / a),
    ];
    for (f, truth) in cases {
        let objective = FnObjective::new(3, |w: &[f64]| w.iter().map(|&w| f(w)).sum());
        for sampling in SAMPLINGS {
            let report = ExpectedLoss::new(absolute(a))
                .sampling(sampling)
                .seed(5)
                .measure(&objective, &ParameterLayout::flat(3), &w)
                .unwrap();
            assert_near(&report.expected, truth);
            assert_near(&report.rise, truth - report.loss);
        }
    }
}

/// E|t| = a/2; for a Gaussian of standard deviation a, a sqrt(2/pi).
#[test]
fn closed_forms_of_the_absolute_value() {
    let f = FnObjective::new(1, |w: &[f32]| f64::from(w[0].abs()));
    let gaussian = (2.0 / std::f64::consts::PI).sqrt();
    for (law, factor) in [(Distribution::Uniform, 0.5), (Distribution::Gaussian, gaussian)] {
        for sampling in SAMPLINGS {
            let report = ExpectedLoss::new(absolute(0.3).distribution(law))
                .sampling(sampling)
                .measure(&f, &ParameterLayout::flat(1), &[0.0])
                .unwrap();
            assert_near(&report.rise, 0.3 * factor);
        }
    }
}

/// A quadratic in the relative geometries: elementwise E rise = a^2/6 sum h w^2, filter
/// a^2/2 ‖w_f‖^2 mean(h) for a filter with equal curvatures.
#[test]
fn closed_forms_of_the_relative_geometries() {
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[2, 3], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[2], BlockKind::Bias).unwrap();
    let w = [1.0, 2.0, 2.0, 0.0, 3.0, 4.0, 1.0, -2.0];
    let f = FnObjective::new(8, |w: &[f64]| 0.5 * w.iter().map(|w| w * w).sum::<f64>());
    let (squares, biases) = (9.0 + 25.0, 5.0);
    let cases = [
        (Geometry::Elementwise, Selection::all(), 0.01 / 6.0 * (squares + biases)),
        (Geometry::Filter, Selection::all(), 0.01 / 2.0 * (squares + biases)),
        (Geometry::Filter, Selection::weights(), 0.01 / 2.0 * squares),
        (Geometry::Layer, Selection::all().named("fc.bias"), 0.01 / 2.0 * biases),
    ];
    for (geometry, selection, truth) in cases {
        for sampling in SAMPLINGS {
            let perturbation =
                Perturbation::new(geometry, 0.1).unwrap().selection(selection.clone());
            let report = ExpectedLoss::new(perturbation)
                .sampling(sampling)
                .measure(&f, &layout, &w)
                .unwrap();
            assert_near(&report.rise, truth);
        }
    }
}

/// How many intervals hold the truth, their lengths times `share`.
fn covering(estimates: &[Estimate], truth: f64, share: f64) -> usize {
    let holds = |estimate: &&Estimate| {
        (estimate.value - truth).abs() <= share * (estimate.interval().1 - estimate.value)
    };
    estimates.iter().filter(holds).count()
}

/// The interval holds the truth in at least 93 % of 1000 runs, with a fixed number of draws and
/// with a stop at a wished standard error: a stop rule that looks too early undercovers.
#[test]
fn intervals_cover() {
    let f = FnObjective::new(4, |w: &[f64]| w.iter().map(|w| w.exp()).sum());
    let truth = 4.0 * 0.5_f64.sinh() / 0.5;
    let fixed = ExpectedLoss::new(absolute(0.5)).draws(60).unwrap();
    let settings = [
        fixed.clone().sampling(Sampling::Plain),
        fixed.clone().sampling(Sampling::Antithetic),
        fixed.clone().sampling(Sampling::QuasiRandom { points: 13 }).draws(10).unwrap(),
        fixed.sampling(Sampling::Plain).draws(100_000).unwrap().until(0.04).unwrap(),
    ];
    for setting in settings {
        let estimates: Vec<Estimate> = (0..1000)
            .map(|seed| {
                let report =
                    setting.clone().seed(seed).measure(&f, &ParameterLayout::flat(4), &[0.0; 4]);
                report.unwrap().expected
            })
            .collect();
        let covered = covering(&estimates, truth, 1.0);
        assert!(covered >= 930, "{:?} covers {covered} of 1000", setting.sampling);
        // The count tells: intervals a fifth shorter are too short.
        let covered = covering(&estimates, truth, 0.8);
        assert!(covered < 930, "{:?} covers {covered} of 1000", setting.sampling);
    }
}

#[test]
fn a_wish_is_met_or_the_budget_named() {
    let f = FnObjective::new(1, |w: &[f64]| w[0].exp());
    let layout = ParameterLayout::flat(1);
    let plain = ExpectedLoss::new(absolute(1.0)).sampling(Sampling::Plain).draws(100_000).unwrap();
    let met = plain.clone().until(5e-3).unwrap().measure(&f, &layout, &[0.0]).unwrap();
    assert_eq!(met.ending, Ending::Done);
    assert!(met.expected.standard_error <= 5e-3 && met.evaluations < 100_000);
    let unmet = plain.clone().until(1e-9).unwrap().draws(500).unwrap();
    assert_eq!(unmet.measure(&f, &layout, &[0.0]).unwrap().ending, Ending::Budget);
    let mut looks = 0;
    let stopped = plain
        .measure_observed(&f, &layout, &[0.0], &mut |progress| {
            looks += 1;
            assert_eq!(progress.evaluations, 64 * looks);
            if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((stopped.ending, stopped.evaluations), (Ending::Stopped, 192));
}

#[test]
fn variance_falls_as_it_should() {
    let f = FnObjective::new(6, |w: &[f64]| w.iter().map(|w| w.exp()).sum());
    let error = |sampling, draws| {
        ExpectedLoss::new(absolute(0.5))
            .sampling(sampling)
            .draws(draws)
            .unwrap()
            .measure(&f, &ParameterLayout::flat(6), &[0.0; 6])
            .unwrap()
            .expected
            .standard_error
    };
    let plain = error(Sampling::Plain, 1240);
    // The same number of evaluations each time.
    assert!(error(Sampling::Antithetic, 620) < plain / 4.0);
    assert!(error(Sampling::QuasiRandom { points: 31 }, 40) < plain / 10.0);
}

/// Common random numbers: the difference of two far correlated losses is known far better than
/// either loss.
#[test]
fn a_comparison_cancels_what_is_common() {
    let f = FnObjective::new(3, |w: &[f64]| w.iter().map(|w| w.exp()).sum::<f64>());
    let report = ExpectedLoss::new(absolute(0.5))
        .sampling(Sampling::Plain)
        .compare(&f, &ParameterLayout::flat(3), &[0.01; 3], &[0.0; 3])
        .unwrap();
    let truth = 3.0 * (0.01_f64.exp() - 1.0) * 0.5_f64.sinh() / 0.5;
    assert_near(&report.difference, truth);
    assert!(report.difference.standard_error < report.first.standard_error / 50.0);
    let clean = 3.0 * (0.01_f64.exp() - 1.0);
    assert_near(&report.rise_difference, truth - clean);
    assert!((report.difference.value - report.rise_difference.value - clean).abs() < 1e-12);
}

/// What a report says of its draws, from the gradients that were seen; points of a draw: 1, 2, 31.
#[test]
fn reports_are_those_of_their_draws() {
    use std::sync::Mutex;
    let (w, draws) = ([0.3, -1.0], crate::sampling::BATCH + 5);
    let value = |w: &[f64]| w[0].exp() + w[0] * w[1];
    for (sampling, points) in SAMPLINGS.into_iter().zip([1, 2, 31]) {
        let seen = Mutex::new(Vec::new());
        let f = FnObjective::new(2, value).with_gradient(|x, g: &mut [f64]| {
            g.copy_from_slice(&[x[0].exp() + x[1], x[0]]);
            if *x != w {
                seen.lock().unwrap().push((value(x), [g[0], g[1]]));
            }
            value(x)
        });
        let settings = ExpectedLoss::new(absolute(0.8)).sampling(sampling).draws(draws).unwrap();
        let layout = ParameterLayout::flat(2);
        let mut gradient = [0.0; 2];
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let mut last = 0;
        let mut observer = |progress: Progress| {
            last = progress.evaluations;
            ControlFlow::Continue(())
        };
        let report = one
            .install(|| settings.gradient_observed(&f, &layout, &w, &mut gradient, &mut observer))
            .unwrap();
        assert_eq!(last, report.evaluations);
        assert_eq!(report.evaluations, draws * points);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen.len(), report.evaluations);
        let of_draw = |draw: &[(f64, [f64; 2])]| {
            let mean = |part: fn(&(f64, [f64; 2])) -> f64| {
                draw.iter().map(part).sum::<f64>() / points as f64
            };
            (mean(|one| one.0), [mean(|one| one.1[0]), mean(|one| one.1[1])])
        };
        let of_draws: Vec<_> = seen.chunks(points).map(of_draw).collect();
        let expected = Estimate::of(&of_draws.iter().map(|draw| draw.0).collect::<Vec<_>>());
        assert!((report.expected.value - expected.value).abs() < 1e-12);
        let partial =
            [0, 1].map(|i| Estimate::of(&of_draws.iter().map(|d| d.1[i]).collect::<Vec<_>>()));
        assert!((0..2).all(|i| (gradient[i] - partial[i].value).abs() < 1e-12));
        assert!((report.norm - partial[0].value.hypot(partial[1].value)).abs() < 1e-12);
        let error = partial[0].standard_error.hypot(partial[1].standard_error);
        assert!((report.standard_error / error - 1.0).abs() < 1e-6, "{report}, not {error}");
        let largest = of_draws.iter().map(|d| d.1[0].hypot(d.1[1])).fold(0.0, f64::max);
        assert!((report.rounding / (f64::EPSILON * largest) - 1.0).abs() < 1e-12);

        let measured = settings.measure(&f, &layout, &w).unwrap();
        assert_eq!(measured.evaluations, draws * points);
        let mut last = 0;
        let compared = settings.compare_observed(&f, &layout, &w, &[0.0; 2], &mut |progress| {
            last = progress.evaluations;
            ControlFlow::Continue(())
        });
        assert_eq!((compared.unwrap().evaluations, last), (2 * draws * points, 2 * draws * points));
    }
}

/// The average of gradients of exp is exp sinh(a)/a; the face difference says the same.
#[test]
fn gradients_of_the_expected_loss() {
    let f = FnObjective::new(2, |w: &[f64]| w[0].exp() + w[0] * w[1]).with_gradient(
        |w, g: &mut [f64]| {
            g.copy_from_slice(&[w[0].exp() + w[1], w[0]]);
            w[0].exp() + w[0] * w[1]
        },
    );
    let (w, mut gradient) = ([0.3, -1.0], [0.0; 2]);
    let truth = [0.3_f64.exp() * 0.8_f64.sinh() / 0.8 - 1.0, 0.3];
    for sampling in SAMPLINGS {
        let report = ExpectedLoss::new(absolute(0.8))
            .sampling(sampling)
            .gradient(&f, &ParameterLayout::flat(2), &w, &mut gradient)
            .unwrap();
        let off = (gradient[0] - truth[0]).hypot(gradient[1] - truth[1]);
        assert!(off < 4.0 * report.standard_error + 1e-12, "{sampling:?}: {off} {report:?}");
        assert!(!report.frozen_geometry);
    }
    let faces = Quadrature::new(0.8, 12).unwrap().gradient(&f, &w).unwrap();
    assert!((faces[0] - truth[0]).abs() < 1e-12 && (faces[1] - truth[1]).abs() < 1e-12);
    let filter = Perturbation::new(Geometry::Filter, 0.1).unwrap();
    let report =
        ExpectedLoss::new(filter).gradient(&f, &ParameterLayout::flat(2), &w, &mut gradient);
    assert!(report.unwrap().frozen_geometry);
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let f = FnObjective::new(5, |w: &[f32]| w.iter().map(|w| f64::from(w.sin())).sum())
        .with_gradient(|w: &[f32], g: &mut [f32]| {
            g.iter_mut().zip(w).for_each(|(g, w)| *g = w.cos());
            w.iter().map(|w| f64::from(w.sin())).sum()
        });
    let layout = ParameterLayout::flat(5);
    for sampling in SAMPLINGS {
        let settings = ExpectedLoss::new(absolute(0.4)).sampling(sampling).draws(70).unwrap();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut gradient = [0.0; 5];
                let report = settings.measure(&f, &layout, &[0.1; 5]).unwrap();
                let vector = settings.gradient(&f, &layout, &[0.1; 5], &mut gradient).unwrap();
                (report, vector, gradient)
            })
        };
        let expected = on(1);
        assert_eq!(expected, on(2));
        assert_eq!(expected, on(7));
    }
}

#[test]
fn theorem_1_holds_in_both_precisions_and_can_fail() {
    use smoothout_tensor::Real;
    fn cosine<R: Real>(w: &[R], shift: [f64; 2]) -> Stationarity {
        // -cos((x - s0) (1 + y - s1)) - cos(y - s1) is not symmetric; the second alone is.
        let f = FnObjective::new(2, |w: &[R]| {
            -(w[0].as_f64() - shift[0]).cos() * (w[1].as_f64() - shift[1]).cos()
        })
        .with_gradient(|w: &[R], g: &mut [R]| {
            let (x, y) = (w[0].as_f64() - shift[0], w[1].as_f64() - shift[1]);
            g[0] = R::from_f64(x.sin() * y.cos());
            g[1] = R::from_f64(x.cos() * y.sin());
            -x.cos() * y.cos()
        });
        expected_gradient_at(&f, w, 0.7, 16).unwrap()
    }
    for shift in [[0.0, 0.0], [2.0, -0.75]] {
        assert!(cosine(&shift, shift).holds());
        assert!(cosine(&shift.map(|s| s as f32), shift).holds());
        assert!(!cosine(&shift.map(|s| s + 0.01), shift).holds());
    }
}

/// A constant gradient (3, -4) is its own average; the rounding that is allowed grows with |w| / a.
#[test]
fn a_constant_gradient_is_not_stationary() {
    let f = FnObjective::new(2, |w: &[f64]| 3.0 * w[0] - 4.0 * w[1]).with_gradient(|w, g| {
        g.copy_from_slice(&[3.0, -4.0]);
        3.0 * w[0] - 4.0 * w[1]
    });
    let found = expected_gradient_at(&f, &[1.0, -2.0], 0.5, 3).unwrap();
    assert_eq!((found.gradient, found.largest), (4.0, 4.0));
    assert_eq!(found.rounding, 512.0 * f64::EPSILON * 5.0 * 4.0);
    for radius in [0.0, -1.0, f64::INFINITY] {
        let error = expected_gradient_at(&f, &[1.0, -2.0], radius, 3).unwrap_err();
        assert!(error.to_string().starts_with("the radius is"), "{error}");
    }
    let error = expected_gradient_at(&f, &[1.0, -2.0], 0.5, 0).unwrap_err();
    assert!(error.to_string().contains("at least 1"), "{error}");
    // Where rounding could explain any gradient, nothing would be tested.
    let error = expected_gradient_at(&f, &[1.0, -2.0], 1e-13, 3).unwrap_err();
    assert!(error.to_string().contains("rounding"), "{error}");
    let nothing = FnObjective::new(0, |_: &[f64]| 0.0).with_gradient(|_, _| 0.0);
    assert!(expected_gradient_at(&nothing, &[], 0.5, 3).is_err());
    let refused =
        std::panic::catch_unwind(|| assert_stationary_expected_loss(&f, &[1.0, -2.0], 0.5));
    assert!(refused.is_err());
}

/// f = sum (1000 w + w^2 / 2) in f32: the gradients 1000 + w spread by a / sqrt 3 in each coordinate, far
/// less than their mean.
#[test]
fn the_error_of_a_large_gradient_is_that_of_its_spread() {
    for n in [1, 10] {
        let value = |w: &[f32]| w.iter().map(|&w| 1e3 * w + w * w / 2.0).sum::<f32>().into();
        let f = FnObjective::new(n, value).with_gradient(|w, g| {
            g.iter_mut().zip(w).for_each(|(g, w)| *g = 1e3 + w);
            value(w)
        });
        let settings =
            ExpectedLoss::new(absolute(0.1)).sampling(Sampling::Plain).draws(1000).unwrap();
        let (w, mut gradient) = (vec![0.0; n], vec![0.0; n]);
        let found = settings.gradient(&f, &ParameterLayout::flat(n), &w, &mut gradient).unwrap();
        let expected = 0.1 * (n as f64 / 3.0 / 1000.0).sqrt();
        assert!((found.standard_error / expected - 1.0).abs() < 0.1, "{found}, {expected}");
    }
}

/// A report says when its budget was used before its goal was met.
#[test]
fn a_budget_that_was_used_is_said() {
    let f = FnObjective::new(1, |w: &[f64]| w[0].powi(2));
    let until = |error| {
        let settings = ExpectedLoss::new(absolute(0.5)).draws(20).unwrap().until(error).unwrap();
        settings.measure(&f, &ParameterLayout::flat(1), &[0.0]).unwrap().to_string()
    };
    assert!(until(1e-9).ends_with("; the budget was used before the goal was met"));
    assert!(until(1.0).ends_with("seed 0"));
}

#[test]
fn wrong_settings_are_errors() {
    let f = FnObjective::new(2, |w: &[f64]| w[0]);
    let settings = ExpectedLoss::new(absolute(0.5));
    assert!(settings.clone().draws(1).is_err() && settings.clone().until(0.0).is_err());
    assert!(settings.measure(&f, &ParameterLayout::flat(3), &[0.0; 2]).is_err());
    assert!(settings.measure(&f, &ParameterLayout::flat(2), &[0.0; 3]).is_err());
    let nothing = absolute(0.5).selection(Selection::all().named("conv*"));
    assert!(ExpectedLoss::new(nothing).measure(&f, &ParameterLayout::flat(2), &[0.0; 2]).is_err());
    let pole = FnObjective::new(1, |w: &[f64]| if w[0] > 0.1 { f64::INFINITY } else { 0.0 });
    let error = settings.measure(&pole, &ParameterLayout::flat(1), &[0.0]).unwrap_err();
    assert!(matches!(error, SharpnessError::NotFinite { .. }), "{error}");
}

/// Next to 100 the numbers of f32 are 7.6e-6 apart: a smaller perturbation is rounded away, and the
/// rise would be 0 without an error. Weights that are 0 do not excuse it; one that moves does.
#[test]
fn a_radius_that_rounding_swallows_is_refused() {
    let value = |w: &[f32]| w.iter().map(|w| 1e12 * (f64::from(*w) - 100.0).powi(2)).sum();
    let f = FnObjective::new(3, value).with_gradient(move |w: &[f32], g: &mut [f32]| {
        g.iter_mut().zip(w).for_each(|(g, w)| *g = 2e12 * (w - 100.0));
        value(w)
    });
    let layout = ParameterLayout::flat(3);
    let measure = |radius, w: [f32; 3]| {
        ExpectedLoss::new(absolute(radius)).draws(10).unwrap().measure(&f, &layout, &w)
    };
    for w in [[100.0; 3], [100.0, 0.0, -100.0]] {
        let error = measure(3e-6, w).unwrap_err().to_string();
        assert!(error.contains("the radius") && error.contains("precision of w"), "{error}");
    }
    assert!(measure(6e-6, [100.0; 3]).unwrap().rise.value > 0.0);
    assert!(measure(3e-6, [100.0, 1.0, 100.0]).is_ok() && measure(3e-6, [0.0; 3]).is_ok());
    assert_eq!(measure(0.0, [100.0; 3]).unwrap().rise.value, 0.0);
    let settings = ExpectedLoss::new(absolute(3e-6)).draws(10).unwrap();
    assert!(settings.compare(&f, &layout, &[1.0; 3], &[100.0; 3]).is_err());
    assert!(settings.gradient(&f, &layout, &[100.0; 3], &mut [0.0; 3]).is_err());
    let filter = Perturbation::new(Geometry::Filter, 3e-8).unwrap();
    assert!(ExpectedLoss::new(filter).draws(10).unwrap().measure(&f, &layout, &[100.0; 3]).is_ok());
}

/// A lattice has at least 2 points, and a report says how many it had.
#[test]
fn a_report_says_the_points_of_its_lattices() {
    let f = FnObjective::new(1, |w: &[f64]| w[0] * w[0]);
    let measure = |points| {
        let lattice = Sampling::QuasiRandom { points };
        let settings = ExpectedLoss::new(absolute(0.1)).sampling(lattice).draws(3).unwrap();
        settings.measure(&f, &ParameterLayout::flat(1), &[0.0])
    };
    for points in [0, 1] {
        let error = measure(points).unwrap_err().to_string();
        assert!(error.contains("at least 2"), "{error}");
    }
    for (points, used) in [(2, 2), (30, 29)] {
        let report = measure(points).unwrap();
        assert_eq!(report.sampling, Sampling::QuasiRandom { points: used });
        assert_eq!(report.evaluations, 3 * used);
    }
}
