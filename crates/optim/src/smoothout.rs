//! Stochastic SmoothOut and AdaSmoothOut: gradients at perturbed weights, updates of clean ones.
//!
//! One parameter update t with ghost batches k = 1..K and n copies of each:
//! 1. for each ghost batch k and copy i: draw a fresh perturbation and write the perturbed weights
//!    `w~ = w + theta(a c(t))`;
//! 2. `C_k,i, g_k,i <- loss and gradient of ghost batch k at w~`;
//! 3. `g <- sum_k share_k / n sum_i g_k,i`, the share being ghost batch k's part of the examples;
//! 4. clip the norm of g;
//! 5. update the clean w with g: momentum and weight decay act on clean weights.
//!
//! SmoothOut draws theta from a box, AdaSmoothOut filter by filter: that is the choice of the
//! [`Geometry`](smoothout_tensor::Geometry). n > 1 is the paper's first, non-stochastic form, the
//! average over perturbed copies of the same batch. The clean w is never written before step 5, so
//! taking the perturbation away ("de-noising") is exact.
//!
//! With de-noising off, the perturbed weights become the weights: each perturbation is added to the
//! one before, ghost batch after ghost batch, and step 5 starts from the last.
//!
//! Copies run in waves of one per scratch; gradients are summed in the order of the copies, so the
//! bits do not depend on how many there are.
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898, sections 3 and 4; authors' `main_gbn.py`.
//!
//! # Differences
//! - De-noising restores w exactly; the authors subtract theta, and (w + theta) - theta differs from
//!   w by rounding.
//! - Ghost batches of unequal size are weighted by their examples; the authors weight them equally.

use smoothout_tensor::{ParameterLayout, Perturbation, PerturbationKey, Real};

use crate::waves::Waves;
use crate::{
    Clip, Descent, GradientOracle, OptimError, Optimizer, RadiusSchedule, StepError, StepReport,
    Update,
};

/// Where perturbations come from: [`SeededPerturbation`], or one's own.
pub trait PerturbationSource<R>: Send + Sync {
    /// Writes w + theta to `out`, theta having the source's radius times `c`. One (step, copy) has
    /// one theta (for the same w).
    fn perturb(&self, c: f64, step: u64, copy: u64, w: &[R], out: &mut [R]);
}

/// Random perturbations of a layout's blocks, keyed by (seed, step, copy).
#[derive(Debug, Clone)]
pub struct SeededPerturbation {
    layout: ParameterLayout,
    perturbation: Perturbation,
    seed: u64,
    shared: bool,
}

impl SeededPerturbation {
    /// Perturbations of the parameters of `layout`, a fresh one for each copy.
    pub fn new(layout: ParameterLayout, perturbation: Perturbation, seed: u64) -> Self {
        Self { layout, perturbation, seed, shared: false }
    }

    /// Whether all copies of a step take the same perturbation, as if the batch were not cut into
    /// ghost batches.
    #[must_use]
    pub fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }
}

impl<R: Real> PerturbationSource<R> for SeededPerturbation {
    fn perturb(&self, c: f64, step: u64, copy: u64, w: &[R], out: &mut [R]) {
        let copy = if self.shared { 0 } else { copy };
        let key = PerturbationKey::new(self.seed).step(step).copy(copy);
        self.perturbation.apply_scaled(c, &self.layout, key, w, out);
    }
}

/// How SmoothOut perturbs.
pub struct Smoothing<R> {
    source: Box<dyn PerturbationSource<R>>,
    schedule: RadiusSchedule,
    total_steps: u64,
    copies: usize,
    denoise: bool,
}

impl<R> std::fmt::Debug for Smoothing<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smoothing")
            .field("schedule", &self.schedule)
            .field("copies", &self.copies)
            .field("denoise", &self.denoise)
            .finish_non_exhaustive()
    }
}

impl<R: Real> Smoothing<R> {
    /// One copy per ghost batch, constant radius, de-noising on.
    pub fn new(source: impl PerturbationSource<R> + 'static) -> Self {
        Self {
            source: Box::new(source),
            schedule: RadiusSchedule::Constant,
            total_steps: 1,
            copies: 1,
            denoise: true,
        }
    }

    /// A radius that changes over `total_steps` parameter updates.
    ///
    /// # Errors
    /// If the schedule's parameters are out of range.
    pub fn schedule(self, schedule: RadiusSchedule, total_steps: u64) -> Result<Self, OptimError> {
        Ok(Self { schedule: schedule.check()?, total_steps: total_steps.max(1), ..self })
    }

    /// n, the perturbed copies of each ghost batch.
    ///
    /// # Errors
    /// If it is 0.
    pub fn copies(self, copies: usize) -> Result<Self, OptimError> {
        OptimError::check("copies", copies as f64, copies > 0, "at least 1")?;
        Ok(Self { copies, ..self })
    }

    /// Whether the perturbation is taken away again.
    #[must_use]
    pub fn denoise(self, denoise: bool) -> Self {
        Self { denoise, ..self }
    }
}

/// The optimiser: ghost batches, perturbations, clipping and an update rule.
///
/// Without [`smoothing`](Self::smoothing) it is the plain rule over ghost batches.
#[derive(Debug)]
pub struct SmoothOut<R, U> {
    descent: Descent<U>,
    smoothing: Option<Smoothing<R>>,
    waves: Waves<R>,
    /// The weights with all perturbations so far, when de-noising is off.
    chain: Vec<R>,
}

impl<R, U> From<Descent<U>> for SmoothOut<R, U> {
    /// Plain training by `descent`.
    fn from(descent: Descent<U>) -> Self {
        Self { descent, smoothing: None, waves: Waves::default(), chain: Vec::new() }
    }
}

impl<R: Real, U: Update<R>> SmoothOut<R, U> {
    /// Plain training by `update`, without clipping.
    pub fn new(update: U) -> Self {
        Self::from(Descent::new(update))
    }

    /// With perturbations.
    #[must_use]
    pub fn smoothing(self, smoothing: Smoothing<R>) -> Self {
        Self { smoothing: Some(smoothing), ..self }
    }

    /// With the mean gradient's norm clipped.
    #[must_use]
    pub fn clip(self, clip: Clip) -> Self {
        Self { descent: self.descent.clip(clip), ..self }
    }

    /// The number of updates so far.
    pub fn steps(&self) -> u64 {
        self.descent.steps()
    }

    /// The update rule, for its memory.
    pub fn update(&self) -> &U {
        self.descent.update()
    }

    /// Goes on from a checkpoint: after `step` updates, with `memory` by name.
    ///
    /// # Errors
    /// Names the vector of the rule's memory that `memory` lacks.
    pub fn restore(
        &mut self,
        step: u64,
        memory: impl FnMut(&str) -> Option<Vec<R>>,
    ) -> Result<(), &'static str> {
        self.descent.restore(step, memory)
    }

    /// One parameter update of `w`.
    ///
    /// `scratch` holds the working memory of as many evaluations as may run at once; it decides
    /// memory and speed, not the result. The first call allocates, later ones of the same size do
    /// not.
    ///
    /// # Errors
    /// If the oracle fails, or the loss or gradient is infinite or NaN; `w` is then unchanged.
    ///
    /// # Panics
    /// If `scratch` is empty, or the length of `w` changed.
    pub fn step<O: GradientOracle<R>>(
        &mut self,
        w: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>> {
        let step = self.steps();
        let c = self
            .smoothing
            .as_ref()
            .map_or(0.0, |smoothing| smoothing.schedule.coefficient(step, smoothing.total_steps));
        self.gradients(c, w, oracle, scratch)?;
        let (loss, gradient) = self.waves.mean(); // 3
        let norm = self.descent.norm(gradient)?;
        if !self.chain.is_empty() {
            w.copy_from_slice(&self.chain);
        }
        self.descent.descend(w, gradient, norm, learning_rate); // 4, 5
        Ok(StepReport { loss, gradient_norm: norm, radius_coefficient: c })
    }

    /// Lines 1 to 3, wave after wave.
    fn gradients<O: GradientOracle<R>>(
        &mut self,
        c: f64,
        w: &[R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
    ) -> Result<(), StepError<O::Error>> {
        let step = self.descent.steps();
        let smoothing = self.smoothing.as_ref();
        let copies = smoothing.map_or(1, |smoothing| smoothing.copies);
        let chained = smoothing.filter(|smoothing| !smoothing.denoise);
        if chained.is_some() {
            self.chain.resize(w.len(), R::zero());
            self.chain.copy_from_slice(w);
        }
        self.waves.begin(step, w.len(), [oracle.ghosts(), copies], scratch.len());
        while let Some(mut wave) = self.waves.next_wave() {
            if let Some(Smoothing { source, .. }) = chained {
                for (copy, slot) in wave.slots() {
                    source.perturb(c, step, copy as u64, &self.chain, slot.point()); // 1
                    self.chain.copy_from_slice(&slot.point);
                }
            }
            wave.evaluate(oracle, scratch, |oracle, at, slot, scratch| {
                let w = match smoothing {
                    None => w,
                    Some(smoothing) => {
                        if smoothing.denoise {
                            smoothing.source.perturb(c, step, at.copy as u64, w, slot.point()); // 1
                        }
                        &slot.point
                    }
                };
                oracle.gradient(at, w, &mut slot.gradient, scratch) // 2
            })?;
            wave.accept(oracle, scratch);
            wave.add_up(oracle); // 3
        }
        Ok(())
    }
}

impl<R: Real, U: Update<R>> Optimizer<R> for SmoothOut<R, U> {
    type Rule = U;

    fn descent(&self) -> &Descent<U> {
        &self.descent
    }

    fn descent_mut(&mut self) -> &mut Descent<U> {
        &mut self.descent
    }

    fn step<O: GradientOracle<R>>(
        &mut self,
        w: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>> {
        self.step(w, oracle, scratch, learning_rate)
    }
}

#[cfg(test)]
mod tests {
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
        let (expected, error) =
            (M as f64 * 0.09 / 6.0, 0.09 * (4.0 * M as f64 / 45.0).sqrt() / 2.0);
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
}
