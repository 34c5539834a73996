//! Closed forms, the path of radii, and what is counted.

use smoothout_tensor::Geometry;

use super::*;
use crate::FnObjective;

fn absolute(radius: f64) -> Perturbation {
    Perturbation::new(Geometry::Absolute, radius).unwrap()
}

/// m a^2 / 6 = rise, from guesses far too small and far too large; 50 seeds, the sure bracket
/// holds the answer in all but a few.
#[test]
fn the_bracket_holds_the_answer() {
    let f = FnObjective::new(10, |w: &[f64]| w.iter().map(|w| 0.5 * w * w).sum());
    let truth = (6.0 * 0.02 / 10.0_f64).sqrt();
    let mut held = 0;
    for seed in 0..50 {
        let guess = if seed % 2 == 0 { 1e-4 } else { 1e3 };
        let settings = NoiseTolerance::new(absolute(guess), 0.02).unwrap().seed(seed);
        let report = settings.measure(&f, &ParameterLayout::flat(10), &[0.0; 10]).unwrap();
        assert_eq!(report.ending, Ending::Done);
        assert!((report.radius / truth - 1.0).abs() < 0.05, "{report}");
        assert!(report.high / report.low < 1.3, "{report}");
        held += usize::from(report.low <= truth && truth <= report.high);
    }
    assert!(held >= 46, "{held} of 50");
}

/// Called within a radius too, which may take thousands of evaluations; what was known stays.
#[test]
fn an_observer_stops_within_a_radius() {
    let f = FnObjective::new(10, |w: &[f64]| w.iter().map(|w| 0.5 * w * w).sum());
    let (settings, layout) =
        (NoiseTolerance::new(absolute(0.1), 0.02).unwrap(), ParameterLayout::flat(10));
    let whole = settings.measure(&f, &layout, &[0.0; 10]).unwrap();
    let mut calls = 0;
    let stopped = settings
        .measure_observed(&f, &layout, &[0.0; 10], &mut |progress| {
            calls += 1;
            assert_eq!(progress.evaluations, 128 * calls);
            if calls < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    assert_eq!((stopped.ending, stopped.evaluations), (Ending::Stopped, 512));
    assert!(stopped.trials.len() < whole.trials.len());
    assert_eq!(stopped.trials, whole.trials[..stopped.trials.len()]);
}

/// Every call of the objective is counted but for the six checks at w for each radius, where a
/// loss is not finite too.
#[test]
fn evaluations_are_the_calls_of_the_objective() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    // Not finite among the first draws, never, and among the last 36 for some seeds.
    let cases = [(8.0, 0.5), (8.0, f64::INFINITY)].into_iter();
    for (seed, (guess, edge)) in cases.chain([(0.2, 0.199); 20]).enumerate() {
        let calls = AtomicUsize::new(0);
        let f = FnObjective::new(1, |w: &[f64]| {
            calls.fetch_add(1, Ordering::Relaxed);
            if w[0].abs() < edge { w[0].abs() } else { f64::NAN }
        });
        let settings = NoiseTolerance::new(absolute(guess), 0.1).unwrap().draws(100).unwrap();
        let settings = settings.precision(0.5).unwrap().seed(seed as u64);
        let report = settings.measure(&f, &ParameterLayout::flat(1), &[0.0]).unwrap();
        assert_eq!(report.evaluations + 6 * report.trials.len(), calls.into_inner());
        assert_eq!((report.seed, report.target), (seed as u64, 0.1));
    }
    let settings = || NoiseTolerance::new(absolute(1.0), 0.1).unwrap();
    assert!(settings().draws(1).is_err() && settings().draws(2).is_ok());
    assert!(settings().precision(0.0).is_err());
}

/// The largest of 2000 coordinates is the radius itself but for a thousandth: doublings, then
/// geometric middles, until the bracket is as narrow as was asked for; then both ends with all draws.
#[test]
fn radii_are_doubled_then_bisected() {
    let largest = |w: &[f64]| 3.0 + w.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
    let f = FnObjective::new(2000, largest);
    let (middle, infinite) = ((0.2_f64 * 0.4).sqrt(), f64::INFINITY);
    let end = (middle * 0.4).sqrt();
    for (guess, expected) in [
        (0.1, vec![(0.1, infinite), (0.2, infinite), (0.4, infinite), (middle, 0.2)]),
        (0.8, vec![(0.8, infinite), (0.4, 0.8), (0.2, 0.4), (middle, 0.2)]),
    ] {
        let settings = NoiseTolerance::new(absolute(guess), 0.3).unwrap();
        let settings = settings.precision(0.5).unwrap().draws(100).unwrap();
        let mut seen = Vec::new();
        let mut observer = |progress: Progress| {
            seen.push((progress.value, progress.uncertainty));
            ControlFlow::Continue(())
        };
        let (layout, w) = (ParameterLayout::flat(2000), [0.0; 2000]);
        let report = settings.measure_observed(&f, &layout, &w, &mut observer).unwrap();
        assert_eq!((report.ending, report.low, report.high), (Ending::Done, middle, 0.4));
        assert_eq!((report.radius, report.perturbed.radius), (end, end));
        assert_eq!(report.evaluations, 4 * 128 + 2 * 200, "the first look is decisive");
        let ends: Vec<_> = report.trials[4..].iter().map(|trial| trial.radius).collect();
        assert_eq!(ends, [middle, 0.4]);
        assert_eq!(seen.len(), expected.len() + 4, "{seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!((seen.0 - expected.0).abs() < 1e-15, "{seen:?} {expected:?}");
            assert!(seen.1 == expected.1 || (seen.1 - expected.1).abs() < 1e-15, "{seen:?}");
        }
    }
}

/// A first guess that is the answer: its draws are used up, and ends are found beside it.
#[test]
fn a_good_first_guess_is_no_obstacle() {
    let f = FnObjective::new(6, |w: &[f64]| w.iter().map(|w| 0.5 * w * w).sum());
    let settings = NoiseTolerance::new(absolute(0.1), 0.01).unwrap();
    let report = settings.measure(&f, &ParameterLayout::flat(6), &[0.0; 6]).unwrap();
    assert_eq!((report.ending, report.radius), (Ending::Done, 0.1), "{report}");
    assert_eq!((report.low, report.high), (0.05, 0.2), "{report}");
    let verdicts: Vec<_> = report.trials.iter().map(|trial| trial.verdict).collect();
    let (below, above) = (Verdict::Below, Verdict::Above);
    assert_eq!(verdicts, [Verdict::Undecided, below, above, below, above]);
}

/// A rise that is exactly the target everywhere is on neither side, however often it is drawn: what
/// was tried first is named, and that no bracket was found.
#[test]
fn undecided_radii_have_no_bracket() {
    let exact = FnObjective::new(1, |w: &[f64]| if w[0] == 0.0 { 0.5 } else { 1.5 });
    let settings = NoiseTolerance::new(absolute(0.2), 1.0).unwrap().draws(100).unwrap();
    let report = settings.measure(&exact, &ParameterLayout::flat(1), &[0.0]).unwrap();
    assert_eq!((report.ending, report.radius, report.evaluations), (Ending::Budget, 0.2, 6 * 200));
    assert!(!report.is_bracketed() && report.to_string().starts_with("no bracket"), "{report}");
    assert!(report.trials.iter().all(|trial| trial.verdict == Verdict::Undecided));
}

/// Rises that are skewed or rare: no rule that looks often may end the search at lucky draws. Of 40
/// seeds each, the bracket leaves out the answer in a few at most. (Where 10 000 draws are too few to see
/// an upper end of the exponential, there is none.)
#[test]
fn lucky_draws_do_not_end_the_search() {
    let missed =
        |f: &(dyn Fn(&[f64]) -> f64 + Sync), m: usize, rise: f64, guess: f64, truth: f64| {
            let f = FnObjective::new(m, |w: &[f64]| f(w));
            let (layout, w) = (ParameterLayout::flat(m), vec![0.0; m]);
            let misses = |&seed: &u64| {
                let settings = NoiseTolerance::new(absolute(guess), rise).unwrap().seed(seed);
                let report = settings.measure(&f, &layout, &w).unwrap();
                let ending = if report.is_bracketed() { Ending::Done } else { Ending::Budget };
                assert_eq!(report.ending, ending, "{report}");
                !(report.low <= truth && truth <= report.high)
            };
            (0..40).filter(misses).count()
        };
    // (sinh a / a)^20 = 21, (a - 0.9)^2 / 2a = 0.001 and (a - 0.5) / a = 0.02.
    let exponential = |w: &[f64]| w.iter().sum::<f64>().exp();
    assert!(missed(&exponential, 20, 20.0, 0.1, 0.970_174_6) <= 2);
    let ramp = |w: &[f64]| (w[0].abs() - 0.9).max(0.0);
    assert!(missed(&ramp, 1, 0.001, 0.5, 0.943_438) <= 2);
    let step = |w: &[f64]| f64::from(u8::from(w[0].abs() > 0.5));
    assert!(missed(&step, 1, 0.02, 0.4, 0.5 / 0.98) <= 2);
}

#[test]
fn a_pole_counts_as_above_and_a_constant_has_no_bracket() {
    let pole =
        FnObjective::new(1, |w: &[f64]| if w[0].abs() < 0.5 { w[0].abs() } else { f64::NAN });
    let report = NoiseTolerance::new(absolute(8.0), 0.1)
        .unwrap()
        .measure(&pole, &ParameterLayout::flat(1), &[0.0])
        .unwrap();
    assert!((report.radius - 0.2).abs() < 0.01, "{report}");
    assert_eq!(report.trials[0].verdict, Verdict::Above);
    let flat = FnObjective::new(1, |_: &[f64]| 1.0);
    let settings = NoiseTolerance::new(absolute(1.0), 0.1).unwrap().draws(64).unwrap();
    let report = settings.measure(&flat, &ParameterLayout::flat(1), &[0.0]).unwrap();
    assert_eq!((report.ending, report.high), (Ending::Budget, f64::INFINITY));
    assert!(NoiseTolerance::new(absolute(0.0), 0.1).is_err());
}
