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
    /// Perturbations of the parameters of `layout`, a fresh one for each copy. Where the perturbation's
    /// selection picks no block, nothing is perturbed: [`Selection::count`](smoothout_tensor::Selection::count)
    /// tells.
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
    /// The weights with all perturbations of the step, when de-noising is off.
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
    /// If `scratch` is empty or the oracle has no ghost batch, the length of `w` changed or does not fit
    /// the layout of the perturbation, or the learning rate is infinite or NaN.
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
        let mean = self.waves.mean(); // 3
        let norm = self.descent.finite(mean.norm())?;
        if self.smoothing.as_ref().is_some_and(|smoothing| !smoothing.denoise) {
            w.copy_from_slice(&self.chain);
        }
        self.descent.descend(w, mean.gradient, norm, learning_rate); // 4, 5
        Ok(StepReport { loss: mean.loss, gradient_norm: norm, radius_coefficient: c })
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
            wave.evaluate(oracle, scratch, &|oracle, at, slot, scratch| {
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
mod tests;
