//! What SAM and ASAM have in common: a first gradient at w, a second one at the point that the
//! first leads up to, and a descent of the clean w with the second.

use smoothout_tensor::Real;

use crate::waves::Waves;
use crate::{Descent, GradientOracle, StepError, StepReport, Update};

/// Whose gradient leads to the point w + epsilon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AscentScope {
    /// The whole batch's: one epsilon per parameter update, as algorithm 1 of SAM has it.
    #[default]
    Batch,
    /// Each ghost batch's own: one epsilon per ghost batch. This is m-sharpness with m = G (Foret
    /// et al., section 4.1), and what a training on several devices does that leaves epsilon
    /// unsynchronised.
    GhostBatch,
}

/// The two gradients of a step.
#[derive(Debug)]
pub(crate) struct Ascent<R> {
    scope: AscentScope,
    waves: Waves<R>,
    /// w + epsilon of the whole batch.
    point: Vec<R>,
}

impl<R> Default for Ascent<R> {
    fn default() -> Self {
        let scope = AscentScope::default();
        Self { scope, waves: Waves::default(), point: Vec::new() }
    }
}

impl<R: Real> Ascent<R> {
    pub(crate) fn scope(self, scope: AscentScope) -> Self {
        Self { scope, ..self }
    }

    /// One parameter update of `w`, its lines numbered as in the algorithm of SAM.
    /// `ascend(w, gradient, point)` writes w + epsilon to `point`.
    pub(crate) fn step<U: Update<R>, O: GradientOracle<R>>(
        &mut self,
        descent: &mut Descent<U>,
        w: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
        ascend: impl Fn(&[R], &[R], &mut [R]) + Sync,
    ) -> Result<StepReport, StepError<O::Error>> {
        let step = descent.steps();
        match self.scope {
            AscentScope::Batch => {
                let mean = self.waves.mean_gradient_at(step, w, oracle, scratch, true)?; // 1
                self.point.resize(w.len(), R::zero());
                ascend(w, mean.gradient, &mut self.point); // 2
                self.waves.mean_gradient_at(step, &self.point, oracle, scratch, false)?; // 3
            }
            AscentScope::GhostBatch => {
                self.waves.begin(step, w.len(), [oracle.ghosts(), 1], scratch.len());
                while let Some(mut wave) = self.waves.next_wave() {
                    wave.evaluate(oracle, scratch, &|oracle, at, slot, scratch| {
                        oracle.gradient(at, w, &mut slot.gradient, scratch) // 1
                    })?;
                    wave.accept(oracle, scratch);
                    wave.evaluate(oracle, scratch, &|oracle, at, slot, scratch| {
                        slot.point();
                        ascend(w, &slot.gradient, &mut slot.point); // 2
                        oracle.gradient(at, &slot.point, &mut slot.gradient, scratch) // 3
                    })?;
                    wave.add_up(oracle);
                }
            }
        }
        let mean = self.waves.mean();
        let norm = descent.finite(mean.norm())?;
        descent.descend(w, mean.gradient, norm, learning_rate); // 4
        Ok(StepReport { loss: mean.loss, gradient_norm: norm, radius_coefficient: 0.0 })
    }
}

/// rho / norm, or 0 for a norm of 0: where no direction leads up, the point is w.
pub(crate) fn scale(rho: f64, norm: f64) -> f64 {
    if norm > 0.0 { rho / norm } else { 0.0 }
}
