//! Memory: nothing is allocated per evaluation, and a million variables take some 25 vectors.
//!
//! Everything runs on a pool of one thread, whose allocations are counted: more draws, steps or points
//! must not allocate more often.

use allocation_counter::{AllocationInfo, measure};
use smoothout_sharpness::{
    Axis, Ball, Chart, ExpectedLoss, FiniteDifferenceHvp, FnObjective, Geometry, Grid, Keskar,
    NoiseTolerance, ParameterLayout, Perturbation, Sampling, Start, Trace, TwiceDifferentiable,
    WorstCase,
};

/// What `f` allocates on the one thread it runs on.
fn allocations(f: impl FnOnce() + Send) -> AllocationInfo {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| measure(f))
}

/// Asserts that a long run allocates as often, and as much, as a short one.
fn assert_free_of_charge(what: &str, run: impl Fn(usize) + Sync) {
    let [few, many] = [20, 200].map(|count| allocations(|| run(count)));
    assert!(few.count_total > 0, "{what}: the counter counts");
    assert_eq!(
        (few.count_total, few.bytes_total),
        (many.count_total, many.bytes_total),
        "{what}: 20 and 200 evaluations"
    );
}

fn quadratic(
    n: usize,
) -> impl TwiceDifferentiable<Real = f64> + smoothout_sharpness::Differentiable {
    let value = |w: &[f64]| w.iter().map(|w| 0.5 * w * w + w.sin()).sum::<f64>();
    let f = FnObjective::new(n, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
        g.iter_mut().zip(w).for_each(|(g, w)| *g = w + w.cos());
        value(w)
    });
    FiniteDifferenceHvp::new(f)
}

const N: usize = 50;

#[test]
fn evaluations_allocate_nothing() {
    let (f, layout, w) = (quadratic(N), ParameterLayout::flat(N), vec![0.3; N]);
    let (f, layout, w) = (&f, &layout, w.as_slice());
    for geometry in [Geometry::Absolute, Geometry::Filter, Geometry::Elementwise] {
        let perturbation = Perturbation::new(geometry, 0.1).unwrap();
        let lattice = Sampling::QuasiRandom { points: 7 };
        for sampling in [Sampling::Plain, Sampling::Antithetic, lattice] {
            assert_free_of_charge("expected loss", |count| {
                let settings = ExpectedLoss::new(perturbation.clone()).sampling(sampling);
                settings.draws(count).unwrap().measure(f, layout, w).unwrap();
            });
        }
        assert_free_of_charge("gradient of the expected loss", |count| {
            let settings = ExpectedLoss::new(perturbation.clone()).draws(count).unwrap();
            settings.gradient(f, layout, w, &mut [0.0; N]).unwrap();
        });
        assert_free_of_charge("comparison", |count| {
            let settings = ExpectedLoss::new(perturbation.clone()).draws(count).unwrap();
            settings.compare(f, layout, w, &[0.1; N]).unwrap();
        });
    }
    for ball in [Ball::L2, Ball::LInfinity] {
        assert_free_of_charge("worst case", |count| {
            let settings = WorstCase::new(ball, 0.1).unwrap().steps(count, 1).unwrap();
            settings.measure(f, layout, w).unwrap();
        });
    }
    assert_free_of_charge("trace", |count| {
        Trace::new().probes(count).unwrap().measure(f, layout, w).unwrap();
    });
    assert_free_of_charge("noise tolerance", |count| {
        let guess = Perturbation::new(Geometry::Absolute, 0.1).unwrap();
        let settings = NoiseTolerance::new(guess, 1e-9).unwrap().precision(1e9).unwrap();
        settings.draws(count).unwrap().measure(f, layout, w).unwrap();
    });
}

/// A grid keeps its values, 8 bytes each, and nothing else.
#[test]
fn a_grid_allocates_its_values() {
    let f = quadratic(N);
    let chart = Chart::line(&[0.0; N], &[1.0; N]).unwrap();
    let fill = |count| {
        allocations(|| {
            let axis = Axis { from: -1.0, to: 2.0, count };
            Grid::new("loss", &[axis]).unwrap().fill(&f, &chart).unwrap();
        })
    };
    let (few, many) = (fill(20), fill(200));
    assert_eq!(few.count_total, many.count_total);
    assert_eq!(many.bytes_total - few.bytes_total, 8 * 180);
}

/// Keskar's protocol on a million parameters: the peak, beside w itself, in vectors of f64. Ten
/// iterations keep nine pairs, 18 vectors; x, its two bounds, two gradients, two more points, and the
/// corners of the path (a time and an index) are the rest.
#[test]
fn a_million_parameters_take_some_25_vectors() {
    let n = 1_000_000;
    let (f, layout) = (quadratic(n), ParameterLayout::flat(n));
    let w: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
    let settings = Keskar::new(1e-3).unwrap();
    let settings = settings.starts(&[Start::Centre, Start::GradientVertex, Start::Random]).unwrap();
    let mut evaluations = 0;
    let peak = allocations(|| {
        evaluations = settings.measure(&f, &layout, &w).unwrap().evaluations;
    });
    // The two buffers of the finite differences are the objective's own.
    let vectors = peak.bytes_max as f64 / (8 * n) as f64 - 2.0;
    println!("{vectors:.2} vectors, {evaluations} evaluations");
    assert!(evaluations > 5 && vectors > 18.0, "{vectors} vectors: the search did not run");
    assert!(vectors <= 27.5, "{vectors} vectors");
}
