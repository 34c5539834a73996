//! Closed forms, the wrong sign, subspaces, threads.

use std::ops::ControlFlow;

use smoothout_tensor::{BlockKind, Purpose, StreamKey};

use super::*;
use crate::{Ending, FnObjective, Objective, Status};

const H: [f64; 5] = [1.0, 4.0, 0.5, 10.0, 2.0];
const W: [f64; 5] = [1.0, -2.0, 0.0, 0.3, 5.0];

fn quadratic<R: Real>(sign: f64) -> impl Differentiable<Real = R> {
    let value =
        |w: &[R]| -> f64 { w.iter().zip(H).map(|(w, h)| 0.5 * h * w.as_f64().powi(2)).sum() };
    FnObjective::new(5, value).with_gradient(move |w: &[R], g: &mut [R]| {
        g.iter_mut().zip(w).zip(H).for_each(|((g, w), h)| *g = R::from_f64(sign * h * w.as_f64()));
        value(w)
    })
}

/// On a separable quadratic the maximum is at the vertex farthest from 0 in every coordinate.
fn closed_form(epsilon: f64, moves: impl Fn(usize) -> bool) -> f64 {
    let term = |i: usize, z: f64| 0.5 * H[i] * (W[i].abs() + z).powi(2);
    let loss: f64 = (0..5).map(|i| term(i, 0.0)).sum();
    let size = |i: usize| if moves(i) { epsilon * (W[i].abs() + 1.0) } else { 0.0 };
    let maximum: f64 = (0..5).map(|i| term(i, size(i))).sum();
    100.0 * (maximum - loss) / (1.0 + loss)
}

#[test]
fn the_closed_form_of_a_separable_quadratic() {
    for epsilon in [1e-3, 5e-4, 0.1] {
        let report = Keskar::new(epsilon)
            .unwrap()
            .measure(&quadratic::<f64>(1.0), &ParameterLayout::flat(5), &W)
            .unwrap();
        let expected = closed_form(epsilon, |_| true);
        assert!((report.sharpness / expected - 1.0).abs() < 1e-9, "{report}: {expected}");
        assert_eq!(report.best().unwrap().share_at_bound, 1.0);
        assert_eq!(report.searches.len(), 5);
    }
    let narrow = W.map(|w| w as f32);
    let report = Keskar::new(1e-3)
        .unwrap()
        .measure(&quadratic::<f32>(1.0), &ParameterLayout::flat(5), &narrow)
        .unwrap();
    assert!((report.sharpness / closed_form(1e-3, |_| true) - 1.0).abs() < 1e-3, "{report}");
}

#[test]
fn only_the_selected_blocks_move() {
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[1, 3], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[2], BlockKind::Bias).unwrap();
    let report = Keskar::new(1e-2)
        .unwrap()
        .selection(Selection::weights())
        .measure(&quadratic::<f64>(1.0), &layout, &W)
        .unwrap();
    let expected = closed_form(1e-2, |i| i < 3);
    assert!((report.sharpness / expected - 1.0).abs() < 1e-9, "{report}: {expected}");
}

/// The trap of the authors' script: the gradient of the wrong sign is an error, not a zero.
#[test]
fn a_flipped_gradient_is_refused() {
    let layout = ParameterLayout::flat(5);
    let error = Keskar::new(1e-3).unwrap().measure(&quadratic::<f64>(-1.0), &layout, &W);
    assert!(matches!(error, Err(SharpnessError::WrongGradient { .. })), "{error:?}");
}

/// At an exact minimum the start at w ends at once with nothing; random starts leave it.
#[test]
fn the_start_at_a_minimum_alone_says_nothing() {
    let layout = ParameterLayout::flat(5);
    let settings = Keskar::new(1e-2).unwrap().effort(Effort::Converged);
    let alone = settings.clone().starts(&[Start::Centre]).unwrap();
    let report = alone.measure(&quadratic::<f64>(1.0), &layout, &[0.0; 5]).unwrap();
    assert_eq!(report.sharpness, 0.0);
    assert_eq!(report.best().unwrap().status, Status::ProjectedGradient);
    let report = settings.measure(&quadratic::<f64>(1.0), &layout, &[0.0; 5]).unwrap();
    let expected = 100.0 * 0.5 * 1e-4 * H.iter().sum::<f64>();
    assert!((report.sharpness / expected - 1.0).abs() < 1e-6, "{report}: {expected}");
    assert!(report.best().unwrap().projected_gradient < 1e-9);
}

/// A stored and an implicit A are the same A; with p = n the space is all of R^n, and the maximum
/// in it is at least what any point of the box gives.
#[test]
fn subspaces_stored_and_implicit_agree() {
    let (f, layout) = (quadratic::<f64>(1.0), ParameterLayout::flat(5));
    let settings = Keskar::new(1e-2).unwrap().effort(Effort::Converged).seed(4);
    for dimension in [1, 3, 5] {
        let stored = settings.clone().space(Space::Subspace { dimension }).unwrap();
        let implicit = settings.clone().space(Space::ImplicitSubspace { dimension }).unwrap();
        let (a, b) =
            (stored.measure(&f, &layout, &W).unwrap(), implicit.measure(&f, &layout, &W).unwrap());
        assert_eq!(a.sharpness.to_bits(), b.sharpness.to_bits());
        assert!(a.sharpness > 0.0 && a.best().unwrap().share_at_bound == 1.0, "{a}");
    }
    let wide = settings.space(Space::Subspace { dimension: 6 }).unwrap();
    let error = wide.measure(&f, &layout, &W).unwrap_err();
    assert!(matches!(error, SharpnessError::DependentDirections { .. }), "{error}");
}

/// In one dimension A = a, A^+ w = a'w / a'a: the box of y, and the maximum at one of its two ends.
#[test]
fn the_closed_form_of_a_line() {
    use smoothout_tensor::fill_gaussian;
    let (f, layout) = (quadratic::<f64>(1.0), ParameterLayout::flat(5));
    let mut a = [0.0; 5];
    fill_gaussian(StreamKey::new(9, Purpose::Measurement).step(3).copy(0), &mut a);
    let product = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(u, v)| u * v).sum::<f64>();
    let size = 1e-2 * ((product(&a, &W) / product(&a, &a)).abs() + 1.0);
    let at = |y: f64| f.value(&[0, 1, 2, 3, 4].map(|i| W[i] + y * a[i]), &mut f.scratch());
    let expected = 100.0 * (at(size).max(at(-size)) - at(0.0)) / (1.0 + at(0.0));
    let space = Space::Subspace { dimension: 1 };
    let report =
        Keskar::new(1e-2).unwrap().seed(9).space(space).unwrap().measure(&f, &layout, &W).unwrap();
    assert!((report.sharpness / expected - 1.0).abs() < 1e-9, "{report}: {expected}");
}

#[test]
fn the_observer_stops_it_and_the_report_says_so() {
    let mut seen = Vec::new();
    let report = Keskar::new(0.5)
        .unwrap()
        .starts(&[Start::Centre, Start::Random])
        .unwrap()
        .measure_observed(&quadratic::<f64>(1.0), &ParameterLayout::flat(5), &W, &mut |progress| {
            seen.push(progress.value);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!((report.ending, report.searches.len(), seen.len()), (Ending::Stopped, 1, 1));
}

/// In f32 a box of 1e-8 around 1 is closed by rounding: an error, not a sharpness of 0. Around 0, and in
/// f64, it is open, and the closed form holds.
#[test]
fn a_box_that_rounding_closes_is_refused() {
    let tiny = Keskar::new(1e-8).unwrap();
    let layout = ParameterLayout::flat(5);
    let error = tiny.measure(&quadratic::<f32>(1.0), &layout, &W.map(|w| w as f32)).unwrap_err();
    assert!(error.to_string().contains("eps is 0.00000001"), "{error}");
    // 1 + 4e-8 is 1, 1 - 4e-8 is not: numbers below 1 lie closer together.
    let one_sided = Keskar::new(2e-8).unwrap().measure(&quadratic::<f32>(1.0), &layout, &[1.0; 5]);
    assert!(one_sided.is_err());
    tiny.measure(&quadratic::<f32>(1.0), &layout, &[0.0; 5]).unwrap();
    let report = tiny.measure(&quadratic::<f64>(1.0), &layout, &W).unwrap();
    let rise = report.sharpness * (1.0 + report.loss) / 100.0;
    // Without the cancellation of the closed form: the gradient times the box.
    let slope: f64 = (0..5).map(|i| H[i] * W[i].abs() * 1e-8 * (W[i].abs() + 1.0)).sum();
    assert!((rise / slope - 1.0).abs() < 1e-6, "{report} {slope}");
}

#[test]
fn wrong_settings_are_errors() {
    assert!(Keskar::new(0.0).is_err() && Keskar::new(f64::NAN).is_err());
    assert!(Keskar::new(1.0).unwrap().starts(&[]).is_err());
    assert!(Keskar::new(1.0).unwrap().space(Space::Subspace { dimension: 0 }).is_err());
    for loss in [-3.0, -1.0] {
        let low = FnObjective::new(1, move |_: &[f64]| loss).with_gradient(move |_, g| {
            g[0] = 0.0;
            loss
        });
        let error = Keskar::new(1.0).unwrap().measure(&low, &ParameterLayout::flat(1), &[0.0]);
        assert!(matches!(error, Err(SharpnessError::Setting { .. })), "{error:?}");
    }
}

/// The report names what was measured; the observer sees evaluations and the highest loss grow from
/// search to search.
#[test]
fn the_report_and_the_observer_are_of_one_mind() {
    let settings = Keskar::new(0.1).unwrap().seed(7).measured_on("512 examples");
    let (f, layout) = (quadratic::<f64>(1.0), ParameterLayout::flat(5));
    let (mut evaluations, mut value) = (0, 0.0);
    let report = settings
        .clone()
        .measure_observed(&f, &layout, &W, &mut |progress| {
            assert!(progress.evaluations > evaluations && progress.value >= value);
            (evaluations, value) = (progress.evaluations, progress.value);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((report.seed, &report.data[..]), (7, "512 examples"));
    let each = report.searches.iter().map(|search| search.evaluations);
    assert_eq!(report.evaluations, each.sum::<usize>());
    assert!(evaluations <= report.evaluations && value > report.loss);
    assert_eq!(value, report.maximum);
    let mut values = Vec::new();
    let single = settings.starts(&[Start::Centre]).unwrap();
    let report = single.measure_observed(&f, &layout, &W, &mut |progress| {
        values.push(progress.value);
        ControlFlow::Continue(())
    });
    assert_eq!(values.last(), Some(&report.unwrap().maximum));
}

/// A gigabyte in f32 is 2^28 numbers.
#[test]
fn a_large_subspace_is_drawn_anew() {
    assert_eq!(Space::random(1 << 8, 1 << 20), Space::Subspace { dimension: 1 << 8 });
    let dimension = (1 << 8) + 1;
    assert_eq!(Space::random(dimension, 1 << 20), Space::ImplicitSubspace { dimension });
    let dimension = usize::MAX;
    assert_eq!(Space::random(dimension, 2), Space::ImplicitSubspace { dimension });
}

/// The standard deviation over the searches has the divisor n - 1; that of one search is 0.
#[test]
fn the_spread_is_that_of_the_searches() {
    let (f, layout) = (quadratic::<f64>(1.0), ParameterLayout::flat(5));
    let settings = Keskar::new(0.1).unwrap().effort(Effort::Iterations(1));
    let mut report = settings.measure(&f, &layout, &W).unwrap();
    report.searches.truncate(3);
    for (search, sharpness) in report.searches.iter_mut().zip([1.0, 2.0, 6.0]) {
        search.sharpness = sharpness;
    }
    assert_eq!(report.spread(), (3.0, 7.0_f64.sqrt()));
    assert_eq!(report.best().unwrap().sharpness, 6.0);
    report.searches.truncate(1);
    assert_eq!(report.spread(), (1.0, 0.0));
}

/// A curved ridge takes more than ten iterations to its top; as many are taken as were asked for.
#[test]
fn the_effort_is_what_was_asked_for() {
    let value = |w: &[f64]| {
        let ridge = |p: &[f64]| (1.0 - p[0]).powi(2) + 20.0 * (p[1] - p[0] * p[0]).powi(2);
        100.0 - w.windows(2).map(ridge).sum::<f64>()
    };
    let f = FnObjective::new(4, value).with_gradient(|w, g| {
        g.fill(0.0);
        for i in 0..3 {
            let off = w[i + 1] - w[i] * w[i];
            g[i] += 2.0 * (1.0 - w[i]) + 80.0 * w[i] * off;
            g[i + 1] -= 40.0 * off;
        }
        value(w)
    });
    let measure = |effort: Option<Effort>| {
        let settings = Keskar::new(2.0).unwrap().starts(&[Start::Centre]).unwrap();
        let settings = effort.map_or(settings.clone(), |effort| settings.effort(effort));
        let report = settings.measure(&f, &ParameterLayout::flat(4), &[-0.5; 4]).unwrap();
        let search = *report.best().unwrap();
        (search.status, search.iterations, report.maximum)
    };
    for (effort, iterations) in [(None, 10), (Some(Effort::Iterations(3)), 3)] {
        let (status, taken, _) = measure(effort);
        assert_eq!((status, taken), (Status::Iterations, iterations));
    }
    let (status, iterations, maximum) = measure(Some(Effort::Converged));
    assert!(iterations > 10 && maximum > 100.0 - 1e-9, "{status}, {iterations}, {maximum}");
    assert_ne!(status, Status::Iterations);
}

/// A top inside a small box: what counts as a small gradient is measured by the box.
#[test]
fn a_top_inside_is_found_to_its_rounding() {
    let top = |i: usize| W[i] + if i.is_multiple_of(2) { 3e-4 } else { -2e-4 };
    let value = |w: &[f64]| {
        let term = |i: usize| 0.5 * H[i] * (w[i] - top(i)).powi(2);
        0.1 - (0..5).map(term).sum::<f64>()
    };
    let f = FnObjective::new(5, value).with_gradient(|w, g| {
        (0..5).for_each(|i| g[i] = -H[i] * (w[i] - top(i)));
        value(w)
    });
    let settings = Keskar::new(1e-3).unwrap().effort(Effort::Converged);
    let report = settings.measure(&f, &ParameterLayout::flat(5), &W).unwrap();
    for search in &report.searches {
        let below = report.sharpness - search.sharpness;
        assert!(search.projected_gradient < 1e-5 && below < 1e-9, "{search:?}");
    }
    assert!((report.maximum - 0.1).abs() < 1e-12, "{report}");
}

/// At w, at the vertex that the gradient points to (the lower bound where it is zero), and anywhere.
#[test]
fn starts_are_where_they_should_be() {
    use smoothout_tensor::fill_uniform;
    let f = quadratic::<f64>(1.0);
    let settings = Keskar::new(0.1).unwrap().seed(6);
    let (lower, upper) = (W.map(|w| w - 0.25), W.map(|w| w + 0.5));
    let place = |start, index| {
        let mut x = [f64::NAN; 5];
        settings.place(&Negated(&f), start, index, (&lower, &upper), &W, &mut x);
        x
    };
    assert_eq!(place(Start::Centre, 0), W);
    // The gradient has the signs of W: 1, -2, 0, 0.3, 5.
    let vertex = [upper[0], lower[1], lower[2], upper[3], upper[4]];
    assert_eq!(place(Start::GradientVertex, 1), vertex);
    let mut u = [0.0; 5];
    fill_uniform(StreamKey::new(6, Purpose::Measurement).step(2).copy(4), &mut u);
    let found = place(Start::Random, 4);
    for i in 0..5 {
        assert!((found[i] - (W[i] + 0.125 + 0.375 * u[i])).abs() < 1e-12, "{found:?} {u:?}");
    }
}

/// -f and f on a plane have the values that come with their gradients.
#[test]
fn values_are_those_beside_the_gradients() {
    let f = quadratic::<f64>(1.0);
    let negated = Negated(&f);
    let value = f.value(&W, &mut f.scratch());
    assert_eq!(negated.value(&W, &mut negated.scratch()), -value);
    let layout = ParameterLayout::flat(5);
    let selected = Selected::new(&Selection::all(), &layout).unwrap();
    let plane = Plane::new(&selected, 5, 2, 3, false).unwrap();
    let inside = InSubspace { objective: &f, plane: &plane, w: &W };
    let (scratch, mut gradient) = (&mut inside.scratch(), [0.0; 2]);
    let y = [0.3, -0.2];
    let beside = inside.value_and_gradient(&y, &mut gradient, scratch);
    assert!(beside != value && inside.value(&y, scratch) == beside);
    for k in 0..2 {
        let [mut ahead, mut behind] = [y; 2];
        (ahead[k], behind[k]) = (y[k] + 1e-4, y[k] - 1e-4);
        let slope = (inside.value(&ahead, scratch) - inside.value(&behind, scratch)) / 2e-4;
        assert!((slope - gradient[k]).abs() < 1e-6, "{slope} {}", gradient[k]);
    }
}
