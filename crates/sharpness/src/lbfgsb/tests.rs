//! Feasibility, KKT conditions, precision, threads. The comparison with SciPy is in `tests/`.

use std::ops::ControlFlow;

use super::*;
use crate::FnObjective;
use crate::Objective;

/// sum_i h_i (x_i - c_i)^2 / 2: in a box the minimum is the projection of c.
fn quadratic<R: Real>(n: usize) -> impl Differentiable<Real = R, Scratch = ()> {
    let h = |i: usize| 1.0 + (i * 37 % 101) as f64;
    let c = |i: usize| ((i * 53 % 17) as f64 - 8.0) / 4.0;
    let value = move |x: &[R]| -> f64 {
        x.iter().enumerate().map(|(i, x)| 0.5 * h(i) * (x.as_f64() - c(i)).powi(2)).sum()
    };
    FnObjective::new(n, value).with_gradient(move |x: &[R], g: &mut [R]| {
        g.iter_mut()
            .zip(x)
            .enumerate()
            .for_each(|(i, (g, x))| *g = R::from_f64(h(i) * (x.as_f64() - c(i))));
        value(x)
    })
}

#[test]
fn the_projection_is_found_from_outside_and_in_both_precisions() {
    fn check<R: Real>(accuracy: f64) {
        for n in [1, 2, 7, 60, 20_000] {
            let f = quadratic::<R>(n);
            let (lower, upper) = (vec![R::from_f64(-1.0); n], vec![R::from_f64(0.9); n]);
            let mut x = vec![R::from_f64(5.0); n];
            let bounds = Bounds::new(&lower, &upper).unwrap();
            let report = Lbfgsb::default()
                .value_tolerance(0.0)
                .unwrap()
                .minimize(&f, bounds, &mut x)
                .unwrap();
            for (i, x) in x.iter().enumerate() {
                let c = ((i * 53 % 17) as f64 - 8.0) / 4.0;
                assert!(
                    (x.as_f64() - c.clamp(-1.0, R::from_f64(0.9).as_f64())).abs() < accuracy,
                    "{n} {i} {report}"
                );
            }
            let met = x.iter().filter(|x| **x == lower[0] || **x == upper[0]).count();
            assert_eq!(report.share_at_bound, met as f64 / n as f64, "{report}");
        }
    }
    check::<f64>(1e-5);
    check::<f32>(1e-4);
}

/// Every point handed to the objective is inside, for boxes of Keskar's size and start points
/// outside.
#[test]
fn every_evaluation_is_inside() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let n = 50;
    let centre: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin() * 30.0).collect();
    let lower: Vec<f64> = centre.iter().map(|c| c - 1e-3 * (c.abs() + 1.0)).collect();
    let upper: Vec<f64> = centre.iter().map(|c| c + 1e-3 * (c.abs() + 1.0)).collect();
    let outside = AtomicUsize::new(0);
    let value = |x: &[f64]| {
        let inside = (0..n).all(|i| lower[i] <= x[i] && x[i] <= upper[i]);
        outside.fetch_add(usize::from(!inside), Ordering::Relaxed);
        x.windows(2).map(|p| (p[0] * p[1]).sin() - 0.01 * p[0] * p[0]).sum::<f64>()
    };
    let f = FnObjective::new(n, value).with_gradient(|x, g| {
        g.fill(0.0);
        for i in 0..n - 1 {
            let slope = (x[i] * x[i + 1]).cos();
            g[i] += slope * x[i + 1] - 0.02 * x[i];
            g[i + 1] += slope * x[i];
        }
        value(x)
    });
    let mut x = vec![0.0; n];
    let bounds = Bounds::new(&lower, &upper).unwrap();
    let report = Lbfgsb::default().minimize(&f, bounds, &mut x).unwrap();
    assert_eq!(outside.load(Ordering::Relaxed), 0);
    assert!(report.share_at_bound > 0.3, "{report}");
    assert!(report.value <= f.value(&centre, &mut ()));
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let n = 20_000;
    let f = quadratic::<f64>(n);
    let (lower, upper) = (vec![-1.0; n], vec![0.9; n]);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut x = vec![0.0; n];
            let bounds = Bounds::new(&lower, &upper).unwrap();
            let report = Lbfgsb::default().minimize(&f, bounds, &mut x).unwrap();
            (report, x)
        })
    };
    let expected = on(1);
    assert_eq!(expected, on(2));
    assert_eq!(expected, on(7));
}

#[test]
fn budgets_and_observers_end_it() {
    let f = quadratic::<f64>(60);
    let (lower, upper) = (vec![f64::NEG_INFINITY; 60], vec![f64::INFINITY; 60]);
    let bounds = Bounds::new(&lower, &upper).unwrap();
    let start = vec![9.0; 60];
    let few = Lbfgsb::default().iterations(3).minimize(&f, bounds, &mut start.clone()).unwrap();
    assert_eq!((few.status, few.iterations), (Status::Iterations, 3));
    let few = Lbfgsb::default().evaluations(4).minimize(&f, bounds, &mut start.clone()).unwrap();
    assert_eq!(few.status, Status::Evaluations);
    let stopped = Lbfgsb::default()
        .minimize_observed(&f, bounds, &mut start.clone(), &mut |_| ControlFlow::Break(()))
        .unwrap();
    assert_eq!((stopped.status, stopped.iterations), (Status::Stopped, 1));
}

/// The authors' script: the value of -f with the gradient of f. No descent, and it says so.
#[test]
fn a_gradient_of_the_wrong_sign_ends_without_descent() {
    let f = FnObjective::new(3, |x: &[f64]| x.iter().map(|x| x * x).sum()).with_gradient(|x, g| {
        g.iter_mut().zip(x).for_each(|(g, x)| *g = -2.0 * x);
        x.iter().map(|x| x * x).sum()
    });
    let mut x = [1.0, 2.0, 3.0];
    let bounds = Bounds::new(&[-5.0; 3], &[5.0; 3]).unwrap();
    let report = Lbfgsb::default().minimize(&f, bounds, &mut x).unwrap();
    assert_eq!(report.status, Status::NoDescent);
    assert_eq!(x, [1.0, 2.0, 3.0]);
}

#[test]
fn values_that_are_not_finite_shorten_the_step() {
    // -log(x) + x has a pole at 0 and its minimum at 1.
    let value = |x: &[f64]| if x[0] > 0.0 { x[0] - x[0].ln() } else { f64::NAN };
    let f = FnObjective::new(1, value).with_gradient(|x, g| {
        g[0] = 1.0 - 1.0 / x[0];
        value(x)
    });
    let mut x = [30.0];
    let bounds = Bounds::new(&[-1e3], &[1e3]).unwrap();
    let report = Lbfgsb::default().minimize(&f, bounds, &mut x).unwrap();
    assert!((x[0] - 1.0).abs() < 1e-4, "{report}");
    assert!(Lbfgsb::default().minimize(&f, bounds, &mut [-1.0]).is_err());
}

/// After a value that is not finite: a tenth of that step, then at most half of it.
#[test]
fn the_step_after_a_value_that_is_not_finite() {
    use std::sync::Mutex;
    let evaluated = Mutex::new(Vec::new());
    let value = |x: &[f64]| if x[0] < 0.55 { -0.1 * x[0] } else { f64::INFINITY };
    let f = FnObjective::new(1, value).with_gradient(|x: &[f64], g: &mut [f64]| {
        evaluated.lock().unwrap().push(x[0]);
        g[0] = -0.1;
        value(x)
    });
    let bounds = Bounds::new(&[f64::NEG_INFINITY], &[f64::INFINITY]).unwrap();
    let report = Lbfgsb::default().iterations(1).minimize(&f, bounds, &mut [0.0]).unwrap();
    let expected = [0.0, 1.0, 0.1, 0.5];
    let evaluated = evaluated.into_inner().unwrap();
    assert_eq!(evaluated.len(), expected.len(), "{evaluated:?} {report}");
    for (found, expected) in evaluated.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{evaluated:?} {report}");
    }
}

/// No step along a line: the pairs are forgotten, and the search goes on while evaluations are left.
#[test]
fn a_line_without_a_step_costs_the_pairs_alone() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let inner = quadratic::<f64>(60);
    let run = |settings: Lbfgsb| {
        let count = AtomicUsize::new(0);
        let f = FnObjective::new(60, |x: &[f64]| inner.value(x, &mut ())).with_gradient(|x, g| {
            let value = inner.value_and_gradient(x, g, &mut ());
            // The twenty trials of the fifth iteration.
            let count = count.fetch_add(1, Ordering::Relaxed);
            if (FAILS..FAILS + 20).contains(&count) { f64::NAN } else { value }
        });
        let bounds = Bounds::new(&[f64::NEG_INFINITY; 60], &[f64::INFINITY; 60]).unwrap();
        settings.minimize(&f, bounds, &mut [9.0; 60]).unwrap()
    };
    const FAILS: usize = 6;
    let report = run(Lbfgsb::default().value_tolerance(0.0).unwrap());
    assert_eq!(report.status, Status::ProjectedGradient, "{report}");
    let report = run(Lbfgsb::default().evaluations(10));
    assert_eq!((report.status, report.evaluations), (Status::Evaluations, FAILS + 20), "{report}");
}

/// Variables that may not move are at no bound; where none may, the share is 0.
#[test]
fn variables_without_room_are_not_counted() {
    let f = quadratic::<f64>(4);
    let share = |lower: [f64; 4], upper: [f64; 4]| {
        let bounds = Bounds::new(&lower, &upper).unwrap();
        Lbfgsb::default().minimize(&f, bounds, &mut [0.0; 4]).unwrap().share_at_bound
    };
    // The minimum is at (-2, -1.5, -1, -0.5).
    assert_eq!(share([-1.0, 0.0, 0.0, -1.0], [1.0, 0.0, 0.0, 1.0]), 0.5);
    assert_eq!(share([0.0; 4], [0.0; 4]), 0.0);
}

/// A slope of 1e-6 at x = 100 in f32, where the next number is 7.6e-6 away: x - g is x, but the
/// gradient is there. It ends at a bound, or where the gradient is not a number.
#[test]
fn small_slopes_at_large_variables_are_seen() {
    let f = |slope: f32| {
        FnObjective::new(1, |_: &[f32]| 0.0).with_gradient(move |_: &[f32], g: &mut [f32]| {
            g[0] = slope;
            0.0
        })
    };
    let minimize = |slope: f32, lower: f32| {
        let (lower, upper) = ([lower], [200.0]);
        let settings = Lbfgsb::default().gradient_tolerance(1e-8).unwrap();
        settings.minimize(&f(slope), Bounds::new(&lower, &upper).unwrap(), &mut [100.0])
    };
    let projected = |slope, lower| minimize(slope, lower).unwrap().projected_gradient;
    assert_eq!(projected(1e-6, 0.0), f64::from(1e-6_f32));
    assert_eq!(projected(-1e-6, 0.0), f64::from(1e-6_f32));
    assert_eq!((projected(1e-6, 100.0), projected(7.0, 98.0)), (0.0, 2.0));
    let error = minimize(f32::NAN, 0.0).unwrap_err();
    assert!(matches!(error, SharpnessError::NotFinite { .. }), "{error}");
}

#[test]
fn bounds_hold_a_finite_value() {
    let inf = f64::INFINITY;
    for (lower, upper) in [(1.0, 0.0), (f64::NAN, 0.0), (0.0, f64::NAN), (inf, inf), (-inf, -inf)] {
        assert!(Bounds::new(&[lower], &[upper]).is_err(), "{lower} {upper}");
    }
    assert!(Bounds::new(&[-inf, 1.0], &[inf, 1.0]).is_ok());
}

#[test]
fn settings_are_taken_over() {
    let f = quadratic::<f64>(60);
    let bounds = Bounds::new(&[f64::NEG_INFINITY; 60], &[f64::INFINITY; 60]).unwrap();
    let run = |settings: Lbfgsb| settings.minimize(&f, bounds, &mut [9.0; 60]).unwrap();
    let exact = Lbfgsb::default().value_tolerance(0.0).unwrap();
    let (one, ten) = (run(exact.pairs(1).unwrap()), run(exact.pairs(10).unwrap()));
    assert!(one.evaluations > ten.evaluations, "{one}; {ten}");
    assert_eq!(ten, run(exact), "10 pairs are the default");
    let coarse = run(exact.gradient_tolerance(1.0).unwrap());
    assert_eq!(coarse.status, Status::ProjectedGradient);
    assert!(coarse.projected_gradient > 1e-5 && coarse.projected_gradient <= 1.0, "{coarse}");
    for pairs in [0, 21] {
        let error = Lbfgsb::default().pairs(pairs).unwrap_err();
        assert!(error.to_string().contains("from 1 to 20"), "{error}");
    }
    assert!(Lbfgsb::default().pairs(20).is_ok());
    for tolerance in [-1e-9, f64::NAN] {
        let settings = Lbfgsb::default();
        assert!(settings.gradient_tolerance(tolerance).is_err());
        assert!(settings.value_tolerance(tolerance).is_err());
    }
}

/// Point by point where SciPy's L-BFGS-B goes (paths.py), with and without bounds, with few pairs.
#[test]
fn the_points_are_scipys() {
    use std::sync::Mutex;
    let rows: Vec<Vec<f64>> = include_str!("../../tests/scipy/paths.csv")
        .lines()
        .map(|line| line.split(',').map(|number| number.parse().unwrap()).collect())
        .collect();
    for rows in rows.chunk_by(|a, b| a[0] == b[0]) {
        let points: Vec<&[f64]> = rows.iter().map(|row| &row[3..]).collect();
        let (number, c, pairs) = (rows[0][0] as usize, rows[0][1], rows[0][2] as usize);
        let n = points[0].len();
        let value = |x: &[f64]| -> f64 {
            x.windows(2).map(|p| (1.0 - p[0]).powi(2) + c * (p[1] - p[0] * p[0]).powi(2)).sum()
        };
        let evaluated = Mutex::new(Vec::new());
        let f = FnObjective::new(n, value).with_gradient(|x: &[f64], g: &mut [f64]| {
            evaluated.lock().unwrap().push(x.to_vec());
            g.fill(0.0);
            for i in 0..n - 1 {
                let off = x[i + 1] - x[i] * x[i];
                g[i] += -2.0 * (1.0 - x[i]) - 4.0 * c * x[i] * off;
                g[i + 1] += 2.0 * c * off;
            }
            value(x)
        });
        let settings = Lbfgsb::default().pairs(pairs).unwrap();
        let settings = settings.value_tolerance(1e-9).unwrap().gradient_tolerance(1e-7).unwrap();
        let bounds = Bounds::new(points[0], points[1]).unwrap();
        let mut x = points[2].to_vec();
        let report = settings.minimize(&f, bounds, &mut x).unwrap();
        let evaluated = evaluated.into_inner().unwrap();
        // In the fifth the projection descends too little (`subspace`) after 18 points.
        let same = if number == 5 { 18 } else { points.len() - 2 };
        assert!(number == 5 || evaluated.len() == same, "{number}: {report}");
        for (k, (ours, scipys)) in evaluated.iter().zip(&points[2..]).enumerate().take(same) {
            let off = ours.iter().zip(*scipys).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-8, "{number}, evaluation {k}: {ours:?}, not {scipys:?}");
        }
        let (end, scipys_end) = (value(&x), value(points[points.len() - 1]));
        assert!((end - scipys_end).abs() < 1e-8, "{number}: {report}, not {scipys_end}");
    }
}
