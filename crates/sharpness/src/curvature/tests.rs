//! Closed forms, coverage, blocks, finite differences, batch sizes.

use std::ops::ControlFlow;

use smoothout_tensor::{
    BlockKind, ParameterLayout, Purpose, Real, Selection, StreamKey, fill_gaussian,
};

use super::*;
use crate::{Ending, Estimate, FiniteDifferenceHvp, FnObjective, Progress, TwiceDifferentiable};

/// H = diag(d) + u u' of size n, with one eigenvalue that stands out.
fn hessian<R: Real>(n: usize) -> (Vec<f64>, Vec<f64>, impl TwiceDifferentiable<Real = R>) {
    hessian_with(n, 1.0)
}

/// The same with u times `outlier`.
fn hessian_with<R: Real>(
    n: usize,
    outlier: f64,
) -> (Vec<f64>, Vec<f64>, impl TwiceDifferentiable<Real = R>) {
    let d: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin() + 0.5).collect();
    let u: Vec<f64> = (0..n).map(|i| outlier * ((i * i) as f64 * 0.11).cos()).collect();
    let (diagonal, vector) = (d.clone(), u.clone());
    let f = FnObjective::new(n, |_: &[R]| 0.0).with_hessian(move |_w, v: &[R], out: &mut [R]| {
        let along: f64 = vector.iter().zip(v).map(|(u, v)| u * v.as_f64()).sum();
        for i in 0..v.len() {
            out[i] = R::from_f64(diagonal[i] * v[i].as_f64() + vector[i] * along);
        }
    });
    (d, u, f)
}

fn dense(d: &[f64], u: &[f64]) -> Vec<f64> {
    let n = d.len();
    let at = |i: usize, j: usize| u[i] * u[j] + if i == j { d[i] } else { 0.0 };
    (0..n * n).map(|k| at(k / n, k % n)).collect()
}

#[test]
fn eigenvalues_of_a_dense_matrix() {
    let (d, u, f) = hessian::<f64>(60);
    let (exact, _) = crate::dense::symmetric_eigen(&dense(&d, &u), 60);
    let settings = Eigenvalues::new(3, 2).unwrap().tolerance(1e-9).unwrap();
    let report = settings.measure(&f, &ParameterLayout::flat(60), &[0.0; 60]).unwrap();
    assert_eq!(report.ending, Ending::Done);
    for (rank, ritz) in report.largest.iter().enumerate() {
        assert!((ritz.value - exact[59 - rank]).abs() < 1e-9 + ritz.residual, "{report}");
    }
    for (rank, ritz) in report.smallest.iter().enumerate() {
        assert!((ritz.value - exact[rank]).abs() < 1e-9 + ritz.residual, "{report}");
    }
    let (_, _, narrow) = hessian::<f32>(60);
    let report = Eigenvalues::new(1, 1)
        .unwrap()
        .tolerance(1e-5)
        .unwrap()
        .measure(&narrow, &ParameterLayout::flat(60), &[0.0; 60])
        .unwrap();
    assert!((report.largest[0].value - exact[59]).abs() < 1e-4 * exact[59], "{report}");
}

/// Repeated eigenvalues and a space smaller than the wish.
#[test]
fn multiplicities_are_found() {
    let f = FnObjective::new(5, |_: &[f64]| 0.0).with_hessian(|_w, v, out: &mut [f64]| {
        for i in 0..5 {
            out[i] = if i < 3 { 2.0 * v[i] } else { v[i] };
        }
    });
    let settings = Eigenvalues::new(5, 1).unwrap();
    let report = settings.measure(&f, &ParameterLayout::flat(5), &[0.0; 5]).unwrap();
    let values: Vec<f64> = report.largest.iter().map(|ritz| ritz.value).collect();
    let exact = [2.0, 2.0, 2.0, 1.0, 1.0];
    assert!(values.iter().zip(exact).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
}

#[test]
fn a_budget_that_is_too_small_is_named_and_the_residual_is_honest() {
    let (d, u, f) = hessian::<f64>(60);
    let (exact, _) = crate::dense::symmetric_eigen(&dense(&d, &u), 60);
    let settings = Eigenvalues::new(1, 1).unwrap().tolerance(1e-14).unwrap().steps(8).unwrap();
    let report = settings.measure(&f, &ParameterLayout::flat(60), &[0.0; 60]).unwrap();
    assert_eq!(report.ending, Ending::Budget);
    let near = |ritz: &Ritz| exact.iter().any(|e| (e - ritz.value).abs() <= ritz.residual + 1e-12);
    assert!(report.largest.iter().chain(&report.smallest).all(near), "{report}");
}

/// The 95 % interval of the trace holds it in at least 93 % of 1000 runs, also with a stop rule.
#[test]
fn intervals_of_the_trace_cover() {
    let (d, u, f) = hessian_with::<f64>(24, 0.4);
    let truth: f64 = d.iter().zip(&u).map(|(d, u)| d + u * u).sum();
    let layout = ParameterLayout::flat(24);
    let hutch = TraceEstimator::HutchPlusPlus { sketch: 4 };
    for setting in [
        Trace::new(),
        Trace::new().estimator(hutch),
        Trace::new().probes(10_000).unwrap().until(0.22).unwrap(),
    ] {
        let measure =
            |seed| setting.clone().seed(seed).measure(&f, &layout, &[0.0; 24]).unwrap().trace;
        let estimates: Vec<Estimate> = (0..1000).map(measure).collect();
        let covered = |share: f64| {
            let half = |estimate: &Estimate| share * (estimate.interval().1 - estimate.value);
            estimates.iter().filter(|e| (e.value - truth).abs() <= half(e)).count()
        };
        assert!(covered(1.0) >= 930, "{setting:?} covers {} of 1000", covered(1.0));
        // The count tells: intervals a fifth shorter are too short.
        assert!(covered(0.8) < 930, "{setting:?} covers {} of 1000", covered(0.8));
    }
}

/// The rank-one part is what Hutch++ takes exactly.
#[test]
fn hutch_plus_plus_is_surer() {
    let (_, _, f) = hessian::<f64>(60);
    let layout = ParameterLayout::flat(60);
    let plain = Trace::new().probes(90).unwrap().measure(&f, &layout, &[0.0; 60]).unwrap();
    let estimator = TraceEstimator::HutchPlusPlus { sketch: 30 };
    let better = Trace::new().probes(30).unwrap().estimator(estimator);
    let better = better.measure(&f, &layout, &[0.0; 60]).unwrap();
    assert_eq!((plain.evaluations, better.evaluations), (90, 90));
    assert!(better.trace.standard_error < plain.trace.standard_error / 2.0, "{plain} {better}");
}

/// Of a Hessian of rank one every column of the sketch but the first is rounding, and the first has
/// all of the trace, however small it is.
#[test]
fn a_sketch_keeps_what_is_not_rounding() {
    for size in [1e-20, 1.0, 1e20] {
        let u: Vec<f64> = (0..40).map(|i| (i as f64).sin()).collect();
        let f = FnObjective::new(40, |_: &[f64]| 0.0).with_hessian(|_w, v: &[f64], out| {
            let along: f64 = u.iter().zip(v).map(|(u, v)| size * u * v).sum();
            out.iter_mut().zip(&u).for_each(|(out, u)| *out = u * along);
        });
        let estimator = TraceEstimator::HutchPlusPlus { sketch: 3 };
        let settings = Trace::new().probes(20).unwrap().estimator(estimator);
        let report = settings.measure(&f, &ParameterLayout::flat(40), &[0.0; 40]).unwrap();
        let truth: f64 = u.iter().map(|u| size * u * u).sum();
        assert!((report.trace.value / truth - 1.0).abs() < 1e-12, "{report} {truth}");
        assert!(report.trace.standard_error < 1e-12 * truth, "{report}");
    }
}

#[test]
fn blocks_have_their_own_hessian() {
    let mut layout = ParameterLayout::new();
    layout.push("a.weight", &[10, 2], BlockKind::Weight).unwrap();
    layout.push("b.weight", &[2, 20], BlockKind::Weight).unwrap();
    let (d, u, f) = hessian::<f64>(60);
    let blocks =
        Trace::new().probes(3000).unwrap().measure_blocks(&f, &layout, &[0.0; 60]).unwrap();
    assert_eq!(blocks.len(), 2);
    for ((name, report), range) in blocks.iter().zip([0..20, 20..60]) {
        let truth: f64 = range.map(|i| d[i] + u[i] * u[i]).sum();
        let off = (report.trace.value - truth).abs();
        assert!(off < 4.5 * report.trace.standard_error, "{name}: {report} {truth}");
    }
    let sub: Vec<f64> = (0..400).map(|k| dense(&d, &u)[k / 20 * 60 + k % 20]).collect();
    let (exact, _) = crate::dense::symmetric_eigen(&sub, 20);
    let settings = Eigenvalues::new(1, 1).unwrap().selection(Selection::all().named("a.*"));
    let report = settings.measure(&f, &layout, &[0.0; 60]).unwrap();
    assert!((report.largest[0].value - exact[19]).abs() < 1e-6, "{report}");
    assert_eq!(report.parameters, 20);
}

/// The observer counts the products of all blocks, and a stop leaves the blocks behind it out.
#[test]
fn blocks_are_observed() {
    let mut layout = ParameterLayout::new();
    for name in ["a.weight", "b.weight", "c.weight"] {
        layout.push(name, &[10, 2], BlockKind::Weight).unwrap();
    }
    let (_, _, f) = hessian::<f64>(60);
    let measure = |most: usize| {
        let mut seen = Vec::new();
        let mut observer = |progress: Progress| {
            seen.push(progress.evaluations);
            if progress.evaluations < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let blocks = Trace::new().measure_blocks_observed(&f, &layout, &[0.0; 60], &mut observer);
        (blocks.unwrap(), seen)
    };
    // 100 probes a block, looked at after 64 and 100.
    let (blocks, seen) = measure(usize::MAX);
    assert_eq!(seen, [64, 100, 164, 200, 264, 300]);
    assert!(blocks.iter().all(|(_, report)| report.ending == Ending::Done));
    let (stopped, _) = measure(150);
    assert_eq!(stopped.len(), 2);
    assert_eq!(stopped[0], blocks[0]);
    let (name, last) = &stopped[1];
    assert_eq!((name.as_str(), last.ending, last.evaluations), ("b.weight", Ending::Stopped, 64));
}

/// Moments of the density: tr H / n and tr H^2 / n within the stated errors; each probe's weights
/// sum to 1.
#[test]
fn densities_have_the_right_moments() {
    let (d, u, f) = hessian::<f64>(60);
    let matrix = dense(&d, &u);
    let report =
        Spectrum::new(60, 20).unwrap().measure(&f, &ParameterLayout::flat(60), &[0.0; 60]).unwrap();
    let first = (0..60).map(|i| matrix[i * 61]).sum::<f64>() / 60.0;
    let second = matrix.iter().map(|h| h * h).sum::<f64>() / 60.0;
    for (estimate, truth) in [(report.mean_of(|x| x), first), (report.mean_of(|x| x * x), second)] {
        assert!((estimate.value - truth).abs() < 4.5 * estimate.standard_error, "{report} {truth}");
    }
    let sums = report.probes.iter().map(|nodes| nodes.iter().map(|n| n.weight).sum::<f64>());
    assert!(sums.into_iter().all(|sum| (sum - 1.0).abs() < 1e-12));
    let mass: f64 = (-100..200).map(|k| 0.5 * report.density(0.5 * f64::from(k), 0.5).value).sum();
    assert!((mass - 1.0).abs() < 1e-3, "{mass}");
}

/// The trap: curvature that scales with the number of batches. The mean over 12 examples, taken in
/// batches of 1, 5 (with a remainder) and 12, has one Hessian, also by finite differences.
#[test]
fn batch_sizes_do_not_matter() {
    let data: Vec<[f64; 3]> =
        (0..12).map(|i| [1.0, f64::from(i).sin(), f64::from(i).cos()]).collect();
    let of = |size: usize| {
        let data = &data;
        let loss = move |w: &[f64], g: &mut [f64]| {
            g.fill(0.0);
            let mut value = 0.0;
            for batch in data.chunks(size) {
                let share = batch.len() as f64 / data.len() as f64;
                for x in batch {
                    let along = (0..3).map(|i| x[i] * w[i]).sum::<f64>();
                    let scale = share / batch.len() as f64;
                    value += scale * along.cosh();
                    (0..3).for_each(|i| g[i] += scale * along.sinh() * x[i]);
                }
            }
            value
        };
        let f = FnObjective::new(3, move |w: &[f64]| loss(w, &mut [0.0; 3])).with_gradient(loss);
        let report = Eigenvalues::new(1, 1).unwrap().measure(
            &FiniteDifferenceHvp::new(f),
            &ParameterLayout::flat(3),
            &[0.1, -0.2, 0.3],
        );
        report.unwrap().largest[0].value
    };
    let whole = of(12);
    assert!((of(1) / whole - 1.0).abs() < 1e-8 && (of(5) / whole - 1.0).abs() < 1e-8);
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let (_, _, f) = hessian::<f32>(60);
    let layout = ParameterLayout::flat(60);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let eigen = Eigenvalues::new(2, 1).unwrap().measure(&f, &layout, &[0.0; 60]).unwrap();
            let trace = Trace::new().measure(&f, &layout, &[0.0; 60]).unwrap();
            (eigen, trace)
        })
    };
    let expected = on(1);
    assert_eq!(expected, on(2));
    assert_eq!(expected, on(7));
}

/// Eigenvalues 1 to 6 on two blocks: the selected block alone is seen, the share below x adds up the
/// weights of the values there, and another seed draws other probes.
#[test]
fn densities_see_the_selected_block() {
    let f = FnObjective::new(6, |_: &[f64]| 0.0).with_hessian(|_w, v, out: &mut [f64]| {
        for i in 0..6 {
            out[i] = (i + 1) as f64 * v[i];
        }
    });
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[1, 4], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[2], BlockKind::Bias).unwrap();
    let measure = |seed, selection| {
        let settings = Spectrum::new(3, 6).unwrap().seed(seed).selection(selection);
        settings.measure(&f, &layout, &[0.0; 6]).unwrap()
    };
    let (all, weights) = (measure(1, Selection::all()), measure(1, Selection::weights()));
    for (report, parameters) in [(&all, 6), (&weights, 4)] {
        assert_eq!((report.parameters, report.seed), (parameters, 1));
        for nodes in &report.probes {
            assert_eq!(nodes.len(), parameters);
            let off = |(i, node): (usize, &Node)| (node.value - (i + 1) as f64).abs();
            assert!(nodes.iter().enumerate().map(off).all(|off| off < 1e-9), "{report}");
        }
    }
    let lowest = all.probes.iter().map(|nodes| nodes[0].weight + nodes[1].weight).sum::<f64>();
    for (x, share) in [(0.5, 0.0), (2.5, lowest / 3.0), (6.5, 1.0)] {
        assert!((all.share_below(x).value - share).abs() < 1e-12, "{x}: {all}");
    }
    assert_eq!(all, measure(1, Selection::all()));
    assert_ne!(all.probes, measure(2, Selection::all()).probes);
    let settings = Eigenvalues::new(1, 1).unwrap().seed(3).selection(Selection::weights());
    let report = settings.measure(&f, &layout, &[0.0; 6]).unwrap();
    let found = [report.largest[0].value - 4.0, report.smallest[0].value - 1.0];
    assert!(found.iter().all(|off| off.abs() < 1e-9) && report.seed == 3, "{report}");
}

/// The Ritz values are looked at after the wanted ones and four steps more, then whenever a quarter
/// was added, at least four.
#[test]
fn an_observer_stops_the_eigenvalues() {
    let (_, _, f) = hessian::<f64>(60);
    let settings = Eigenvalues::new(1, 1).unwrap().tolerance(1e-14).unwrap();
    let mut seen = Vec::new();
    let (report, vectors) = settings
        .measure_vectors(&f, &ParameterLayout::flat(60), &[0.0; 60], &mut |progress| {
            seen.push(progress.evaluations);
            if seen.len() < 6 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    assert_eq!((report.ending, seen), (Ending::Stopped, vec![6, 10, 14, 18, 22, 27]));
    assert_eq!((report.evaluations, vectors.len()), (27 + 2, 2));
}

/// It ends at the first look whose residuals all meet the tolerance; the observer sees the eigenvalue
/// that is asked for, and the residuals that the vectors then have.
#[test]
fn it_ends_at_the_first_look_that_meets_the_tolerance() {
    let (d, u, f) = hessian_with::<f64>(120, 0.3);
    let (exact, _) = crate::dense::symmetric_eigen(&dense(&d, &u), 120);
    let (size, mut unmet) = (exact[119].max(-exact[0]), 0);
    for (largest, smallest, tolerance) in [(2, 0, 1e-3), (0, 2, 3e-3), (1, 1, 1e-3)] {
        let settings = Eigenvalues::new(largest, smallest).unwrap().tolerance(tolerance).unwrap();
        let mut looks = Vec::new();
        let (report, _) = settings
            .measure_vectors(&f, &ParameterLayout::flat(120), &[0.0; 120], &mut |progress| {
                looks.push(progress);
                ControlFlow::Continue(())
            })
            .unwrap();
        let (last, before) = looks.split_last().unwrap();
        assert_eq!((report.ending, last.evaluations < 100), (Ending::Done, true), "{report}");
        let first = if largest > 0 { report.largest[0] } else { report.smallest[0] };
        assert_eq!(last.value, first.value, "{report}");
        let said = ["largest", "smallest"].map(|side| report.to_string().contains(side));
        assert_eq!(said, [largest > 0, smallest > 0], "{report}");
        let residuals = report.largest.iter().chain(&report.smallest).map(|ritz| ritz.residual);
        let worst = residuals.fold(0.0, f64::max);
        assert!((last.uncertainty / worst - 1.0).abs() < 1e-3, "{last:?} {report}");
        assert!(last.uncertainty <= tolerance * size, "{last:?} {report}");
        unmet += before.len();
        assert!(before.iter().all(|look| look.uncertainty > 0.99 * tolerance * size), "{looks:?}");
    }
    assert!(unmet > 5, "{unmet} looks before the last");
}

/// What is found once may be there twice; the whole space has been seen.
#[test]
fn one_step_is_not_enough_for_a_value_and_all_steps_are() {
    let f = FnObjective::new(3, |_: &[f64]| 0.0).with_hessian(|_w, v, out| out.copy_from_slice(v));
    let ending = |settings: Eigenvalues| {
        settings.measure(&f, &ParameterLayout::flat(3), &[0.0; 3]).unwrap().ending
    };
    assert_eq!(ending(Eigenvalues::new(1, 0).unwrap().steps(1).unwrap()), Ending::Budget);
    assert_eq!(ending(Eigenvalues::new(1, 0).unwrap().steps(2).unwrap()), Ending::Done);
    assert_eq!(ending(Eigenvalues::new(3, 0).unwrap()), Ending::Done);
    assert!(Eigenvalues::new(1, 0).unwrap().steps(0).is_err());
    let tolerance = |tolerance| Eigenvalues::new(1, 0).unwrap().tolerance(tolerance);
    assert!(tolerance(-1e-9).is_err() && tolerance(f64::NAN).is_err() && tolerance(0.0).is_ok());
}

/// One eigenvalue beside zeros, however large or small it is: each fresh start finds rounding alone.
#[test]
fn the_scale_does_not_matter() {
    for scale in [1e-30, 1e-12, 1.0, 1e9] {
        let u: Vec<f64> = (0..9).map(|i| (1.0 + i as f64).sqrt() / 45_f64.sqrt()).collect();
        let f =
            FnObjective::new(9, |_: &[f64]| 0.0).with_hessian(|_w, v: &[f64], out: &mut [f64]| {
                let along: f64 = u.iter().zip(v).map(|(u, v)| u * v).sum();
                out.iter_mut().zip(&u).for_each(|(out, u)| *out = scale * u * along);
            });
        let settings = Eigenvalues::new(9, 0).unwrap();
        let report = settings.measure(&f, &ParameterLayout::flat(9), &[0.0; 9]).unwrap();
        let off = |rank: usize| report.largest[rank].value / scale - f64::from(u8::from(rank == 0));
        assert!((0..9).all(|rank| off(rank).abs() < 1e-12), "{scale}: {report}");
    }
}

/// Least squares with 20 examples and 200 parameters, H = A'A: 180 eigenvalues are 0 and none is
/// negative, though the Ritz values of the zeros have either sign; a small negative one is seen.
#[test]
fn rounded_zeros_are_not_negative() {
    fn check<R: Real>(negative: f64) {
        let mut a = vec![R::zero(); 20 * 200];
        fill_gaussian(StreamKey::new(1, Purpose::Data), &mut a);
        let f = FnObjective::new(201, |_: &[R]| 0.0).with_hessian(|_w, v: &[R], out: &mut [R]| {
            out.fill(R::zero());
            out[200] = R::from_f64(negative) * v[200];
            for row in a.chunks(200) {
                let along = crate::vector::dot(row, &v[..200]);
                out.iter_mut().zip(row).for_each(|(out, &a)| *out += R::from_f64(along) * a);
            }
        });
        let spectrum = Spectrum::new(10, 60).unwrap();
        let report = spectrum.measure(&f, &ParameterLayout::flat(201), &[R::zero(); 201]).unwrap();
        let (share, rounded) = (report.share_negative(), report.share_below(0.0));
        let expected = if negative < 0.0 { 1.0 / 201.0 } else { 0.0 };
        assert!(rounded.value > 0.05, "{report}");
        assert!((share.value - expected).abs() <= 4.0 * share.standard_error, "{report}");
        assert!(report.to_string().contains("below -"), "{report}");
    }
    for negative in [0.0, -2.0] {
        check::<f32>(negative);
        check::<f64>(negative);
    }
}

/// A node at x is not below x; the density is the sum of the Gaussians.
#[test]
fn a_spectrum_is_read_as_it_says() {
    let node = |value, weight| Node { value, weight };
    let report = SpectrumReport {
        probes: vec![
            vec![node(1.0, 0.25), node(2.0, 0.75)],
            vec![node(1.0, 0.75), node(2.0, 0.25)],
        ],
        zero: 1.5,
        evaluations: 4,
        seed: 0,
        selection: Selection::all(),
        parameters: 2,
        ending: Ending::Done,
    };
    assert_eq!([1.0, 1.5, 2.0, 2.5].map(|x| report.share_below(x).value), [0.0, 0.5, 0.5, 1.0]);
    assert_eq!(report.share_negative().value, report.share_below(-1.5).value);
    let gaussian = |z: f64| (-z * z / 2.0).exp() / (0.5 * (2.0 * std::f64::consts::PI).sqrt());
    let expected = 0.5 * (gaussian(0.2 / 0.5) + gaussian(-0.8 / 0.5));
    let density = report.density(1.2, 0.5);
    assert!((density.value - expected).abs() < 1e-14, "{density}");
    assert!(density.standard_error > 0.1, "{density}");
}

/// A step is a product, and no step follows the last of the space.
#[test]
fn products_are_counted() {
    for (n, steps, taken) in [(60, 7, 7), (5, 9, 5)] {
        let (_, _, f) = hessian::<f64>(n);
        let settings = Spectrum::new(3, steps).unwrap();
        let report = settings.measure(&f, &ParameterLayout::flat(n), &vec![0.0; n]).unwrap();
        assert_eq!((report.evaluations, report.probes.len()), (3 * taken, 3));
        assert!(report.probes.iter().all(|nodes| nodes.len() == taken));
    }
}

/// Probes are drawn until the standard error is small; the other settings stay.
#[test]
fn the_trace_until_it_is_sure_enough() {
    let (_, _, f) = hessian_with::<f64>(24, 0.4);
    let measure =
        |settings: Trace| settings.measure(&f, &ParameterLayout::flat(24), &[0.0; 24]).unwrap();
    let most = Trace::new().probes(100_000).unwrap().seed(8);
    let few = measure(most.clone().until(0.1).unwrap());
    assert_eq!((few.ending, few.seed), (Ending::Done, 8));
    assert!(few.trace.standard_error <= 0.1 && few.evaluations < 2000, "{few}");
    let hurried = measure(most.probes(70).unwrap().until(1e-3).unwrap());
    assert_eq!((hurried.ending, hurried.evaluations), (Ending::Budget, 70));
    assert!(Trace::new().until(0.0).is_err());
}
