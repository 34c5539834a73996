use std::convert::Infallible;

use smoothout_tensor::Geometry;

use super::*;
use crate::{FnOracle, GhostCopy, Sgd};

const M: usize = 40;

fn perturbation(geometry: Geometry) -> SeededPerturbation {
    let perturbation = Perturbation::new(geometry, 0.3).unwrap();
    SeededPerturbation::new(ParameterLayout::flat(M), perturbation, 9)
}

/// A loss whose gradient is not linear: sum of w^4 / 4, plus k w for ghost batch k.
struct Quartic {
    ghosts: usize,
    accepted: Vec<GhostCopy>,
}

impl GradientOracle<f32> for Quartic {
    type Scratch = ();
    type Error = Infallible;

    fn ghosts(&self) -> usize {
        self.ghosts
    }

    fn gradient(
        &self,
        at: GhostCopy,
        w: &[f32],
        gradient: &mut [f32],
        (): &mut (),
    ) -> Result<f64, Infallible> {
        let slope = at.ghost as f32;
        gradient.iter_mut().zip(w).for_each(|(g, w)| *g = w * w * w + slope);
        Ok(w.iter().map(|w| f64::from(w.powi(4) / 4.0 + slope * w)).sum())
    }

    fn accept(&mut self, at: GhostCopy, (): &mut ()) {
        self.accepted.push(at);
    }
}

fn start() -> Vec<f32> {
    (0..M).map(|i| (i as f32 * 0.7).sin()).collect()
}

/// The same bits for any number of scratches and threads, and copies are accepted in order.
#[test]
fn scratches_and_threads_do_not_matter() {
    let run = |threads, scratches, denoise| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let smoothing = Smoothing::new(perturbation(Geometry::Absolute)).denoise(denoise);
        let mut optimizer = SmoothOut::new(Sgd::new().momentum(0.9).unwrap())
            .smoothing(smoothing.copies(2).unwrap());
        let mut w = start();
        let mut oracle = Quartic { ghosts: 3, accepted: Vec::new() };
        let loss = pool.install(|| {
            let steps = (0..20).map(|_| {
                optimizer.step(&mut w, &mut oracle, &mut vec![(); scratches], 0.01).unwrap()
            });
            steps.last().unwrap().loss
        });
        let order: Vec<usize> = oracle.accepted.iter().map(|at| at.copy).collect();
        assert_eq!(order, (0..20).flat_map(|_| 0..6).collect::<Vec<_>>());
        assert!(oracle.accepted.iter().all(|at| at.ghost == at.copy / 2));
        (w, loss)
    };
    for denoise in [true, false] {
        let expected = run(1, 1, denoise);
        assert_eq!(expected, run(2, 2, denoise));
        assert_eq!(expected, run(7, 4, denoise));
        assert_eq!(expected, run(2, 100, denoise));
    }
}

/// A shared perturbation is one theta a step, another at the next.
#[test]
fn a_shared_perturbation_is_drawn_once_a_step() {
    let source = perturbation(Geometry::Absolute).shared(true);
    let theta = |step, copy| {
        let mut out = vec![0.0_f32; M];
        source.perturb(1.0, step, copy, &[0.0; M], &mut out);
        out
    };
    assert_eq!(theta(0, 0), theta(0, 5));
    assert_ne!(theta(0, 0), theta(1, 0));
}

/// 10,000 steps give the bits of a plain reference that keeps its own clean copy.
#[test]
fn denoising_is_exact() {
    let mut optimizer = SmoothOut::new(Sgd::new().momentum(0.9).unwrap())
        .smoothing(Smoothing::new(perturbation(Geometry::Absolute)));
    let mut w = start();
    let mut oracle = FnOracle::new(|w: &[f32], gradient: &mut [f32]| {
        gradient.iter_mut().zip(w).for_each(|(g, w)| *g = w * w * w);
        0.0
    });
    let (mut clean, mut velocity, mut perturbed) = (start(), vec![0.0_f32; M], vec![0.0; M]);
    for step in 0..10_000 {
        optimizer.step(&mut w, &mut oracle, &mut [()], 0.01).unwrap();
        perturbation(Geometry::Absolute).perturb(1.0, step, 0, &clean, &mut perturbed);
        for i in 0..M {
            let gradient = perturbed[i] * perturbed[i] * perturbed[i];
            velocity[i] = 0.9 * velocity[i] + gradient;
            clean[i] -= 0.01 * velocity[i];
        }
    }
    assert_eq!(w, clean);
}

/// De-noising on again: clean weights move, not those of the last step without.
#[test]
fn denoising_is_turned_on_again() {
    let source = || perturbation(Geometry::Absolute);
    let smoothing = Smoothing::new(source()).denoise(false);
    let mut optimizer = SmoothOut::new(Sgd::<f32>::new()).smoothing(smoothing);
    let mut w = start();
    let mut oracle = Quartic { ghosts: 1, accepted: Vec::new() };
    optimizer.step(&mut w, &mut oracle, &mut [()], 0.1).unwrap();
    let mut optimizer = optimizer.smoothing(Smoothing::new(source()));
    w = start();
    optimizer.step(&mut w, &mut oracle, &mut [()], 0.0).unwrap();
    assert_eq!(w, start());
}

/// De-noising off: gradients at w + theta_1, w + theta_1 + theta_2, ...; the update starts
/// from the last.
#[test]
fn without_denoising_perturbations_add_up() {
    let smoothing = Smoothing::new(perturbation(Geometry::Absolute)).denoise(false);
    let mut optimizer = SmoothOut::new(Sgd::<f32>::new()).smoothing(smoothing);
    let mut w = start();
    let mut oracle = Quartic { ghosts: 3, accepted: Vec::new() };
    optimizer.step(&mut w, &mut oracle, &mut [(), ()], 0.1).unwrap();
    let (mut chain, mut gradient) = (start(), [0.0_f32; M]);
    for copy in 0..3 {
        let before = chain.clone();
        perturbation(Geometry::Absolute).perturb(1.0, 0, copy, &before, &mut chain);
        let cubes = chain.iter().map(|w| w * w * w + copy as f32);
        gradient.iter_mut().zip(cubes).for_each(|(g, cube)| *g += cube / 3.0);
    }
    for i in 0..M {
        assert!((w[i] - (chain[i] - 0.1 * gradient[i])).abs() < 1e-5);
    }
}

/// In update t the radius is a c(t): the gradient of w^4 / 4 is that of w + c(t) theta.
#[test]
fn the_radius_follows_the_schedule() {
    for schedule in [RadiusSchedule::ANNEAL, RadiusSchedule::TANH] {
        let source = perturbation(Geometry::Absolute);
        let smoothing = Smoothing::new(source.clone()).schedule(schedule, 4).unwrap();
        let mut optimizer = SmoothOut::new(Sgd::<f32>::new()).smoothing(smoothing);
        let (mut w, mut oracle) = (start(), Quartic { ghosts: 1, accepted: Vec::new() });
        for step in 0..4 {
            let (clean, c) = (w.clone(), schedule.coefficient(step, 4));
            let report = optimizer.step(&mut w, &mut oracle, &mut [()], 0.5).unwrap();
            assert_eq!(report.radius_coefficient, c);
            let mut perturbed = clean.clone();
            source.perturb(c, step, 0, &clean, &mut perturbed);
            for i in 0..M {
                assert_eq!(w[i], clean[i] - 0.5 * perturbed[i].powi(3), "{schedule:?}, {step}");
            }
        }
    }
    let smoothing = || Smoothing::<f32>::new(perturbation(Geometry::Absolute));
    assert!(smoothing().schedule(RadiusSchedule::Tanh { scale: 0.0 }, 4).is_err());
    assert!(smoothing().copies(0).is_err());
}

/// The mean of n copies has the mean gradient: for a quadratic it is w plus the mean theta.
#[test]
fn copies_are_averaged() {
    let n = 4000;
    let smoothing = Smoothing::new(perturbation(Geometry::Absolute)).copies(n).unwrap();
    let mut optimizer = SmoothOut::new(Sgd::<f64>::new()).smoothing(smoothing);
    let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(w);
        w.iter().map(|w| w * w).sum::<f64>() / 2.0
    });
    let mut w = vec![0.0; M];
    let report = optimizer.step(&mut w, &mut oracle, &mut [()], 1.0).unwrap();
    // E C(theta) = m a^2 / 6, and the mean theta is within five standard errors of 0.
    let (expected, error) = (M as f64 * 0.09 / 6.0, 0.09 * (4.0 * M as f64 / 45.0).sqrt() / 2.0);
    assert!((report.loss - expected).abs() < 5.0 * error / (n as f64).sqrt());
    assert!(w.iter().all(|w| w.abs() < 5.0 * 0.3 / (3.0 * n as f64).sqrt()));
    assert!(w.iter().all(|&w| w != 0.0));
}

#[test]
fn ghost_batches_count_by_their_share() {
    struct Uneven;
    impl GradientOracle<f64> for Uneven {
        type Scratch = ();
        type Error = Infallible;
        fn ghosts(&self) -> usize {
            2
        }
        fn share(&self, ghost: usize) -> f64 {
            [0.75, 0.25][ghost]
        }
        fn gradient(
            &self,
            at: GhostCopy,
            _w: &[f64],
            gradient: &mut [f64],
            (): &mut (),
        ) -> Result<f64, Infallible> {
            gradient.fill([4.0, 8.0][at.ghost]);
            Ok([1.0, 3.0][at.ghost])
        }
    }
    let mut optimizer = SmoothOut::new(Sgd::new());
    let mut w = [0.0];
    let report = optimizer.step(&mut w, &mut Uneven, &mut [()], 1.0).unwrap();
    assert_eq!((report.loss, report.gradient_norm, w), (1.5, 5.0, [-5.0]));
}

#[test]
fn a_step_that_diverges_leaves_the_weights_alone() {
    for (loss, gradient) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (0.0, f64::NAN)] {
        for denoise in [true, false] {
            let smoothing = Smoothing::new(perturbation(Geometry::Absolute)).denoise(denoise);
            let mut optimizer = SmoothOut::new(Sgd::new()).smoothing(smoothing);
            let mut oracle = FnOracle::new(|_: &[f64], g: &mut [f64]| {
                g.fill(gradient);
                loss
            });
            let mut w = vec![1.0; M];
            let error = optimizer.step(&mut w, &mut oracle, &mut [()], 0.1).unwrap_err();
            assert!(error.to_string().contains("step 0"), "{error}");
            assert_eq!((w, optimizer.steps()), (vec![1.0; M], 0));
        }
    }
}

#[test]
fn clipping_bounds_the_step() {
    let mut optimizer = SmoothOut::new(Sgd::new()).clip(Clip::new(5.0).unwrap());
    let mut oracle = FnOracle::new(|_: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(&[30.0, 40.0]);
        0.0
    });
    let mut w = [0.0; 2];
    let report = optimizer.step(&mut w, &mut oracle, &mut [()], 1.0).unwrap();
    assert_eq!(report.gradient_norm, 50.0);
    assert!((w[0] + 3.0).abs() < 1e-6 && (w[1] + 4.0).abs() < 1e-6, "{w:?}");
}
