//! LPF-SGD: descent on the loss convolved with a Gaussian, a low-pass filter,
//! `(C * K)(w) = E[C(w - theta)]` with `theta ~ N(0, gamma^2 Sigma)` and
//! `Sigma = diag(‖w_f‖^2)`: every element of filter f has the standard deviation gamma ‖w_f‖.
//!
//! One parameter update t of T, the batch in M chunks:
//! 1. `gamma_t <- gamma_0 (alpha / 2 (1 - cos(pi t / T)) + 1)`, from gamma_0 to
//!    (alpha + 1) gamma_0;
//! 2. for each chunk: `theta_i <- gamma_t ‖w_f‖ u_i` with fresh normal u_i, for the filter f of
//!    every weight i;
//! 3. `g <- mean over the chunks of the gradient of the chunk's loss at w + theta`;
//! 4. clip the norm of g, and update the clean w with g.
//!
//! A chunk is a ghost batch: M is the number of the oracle's ghost batches. The standard deviation
//! is that of one *element*, so the length of a filter's theta is about
//! `gamma sqrt(d) ‖w_f‖` for a filter of d elements, where AdaSmoothOut's is exactly `a ‖w_f‖`: gamma
//! and a radius are not to be compared, or exchanged.
//!
//! # Source
//! Bisla, Wang and Choromanska 2022, arXiv:2201.08025, algorithm 1 and the schedule of its
//! experiments; the authors' `lpf_train.py` and `CosineInc`. Their gamma_0 lies between 0.0005 and
//! 0.002, M between 1 and 8; alpha is 0 (a fixed gamma) or, in their other scripts, 14.
//!
//! # Differences
//! - theta is taken away exactly; the authors subtract it, and w keeps the rounding.
//! - Chunks are weighted by their examples; the authors weight them equally.
//! - A one-dimensional block (a bias, gamma or beta) is one filter here, as in the authors' code,
//!   and unlike in the rest of this crate, where each of its elements is one. They add 1e-16 to
//!   its norm.
//! - The authors' option `inc` is alpha + 1.

use std::f64::consts::PI;

use rayon::prelude::*;
use smoothout_tensor::kernels::vectorised;
use smoothout_tensor::{
    Block, ParameterLayout, Purpose, Real, Selection, StreamKey, fill_gaussian, squared_norm,
};

use crate::waves::Waves;
use crate::{Descent, GradientOracle, OptimError, Optimizer, StepError, StepReport, Update};

/// LPF-SGD around an update rule.
///
/// # Examples
/// The standard deviation grows with half a cosine from gamma_0 to (alpha + 1) gamma_0:
/// ```
/// use smoothout_optim::{Descent, LpfSgd, Sgd};
/// use smoothout_tensor::ParameterLayout;
///
/// let descent = Descent::new(Sgd::<f32>::new());
/// let lpf = LpfSgd::<f32, _>::new(descent, ParameterLayout::flat(2), 1).gamma(0.5)?.alpha(14.0, 100)?;
/// assert_eq!(lpf.gamma_at(0), 0.5);
/// assert!((lpf.gamma_at(50) - 0.5 * 8.0).abs() < 1e-12);
/// assert_eq!(lpf.gamma_at(100), 0.5 * 15.0);
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
#[derive(Debug)]
pub struct LpfSgd<R, U> {
    descent: Descent<U>,
    kernel: Kernel,
    gamma: f64,
    alpha: f64,
    total_steps: u64,
    waves: Waves<R>,
}

impl<R: Real, U: Update<R>> LpfSgd<R, U> {
    /// With a fixed gamma of 0.001 on all blocks of `layout`. `seed` names the random numbers.
    pub fn new(descent: Descent<U>, layout: ParameterLayout, seed: u64) -> Self {
        Self {
            descent,
            kernel: Kernel { layout, selection: Selection::all(), seed },
            gamma: 0.001,
            alpha: 0.0,
            total_steps: 1,
            waves: Waves::default(),
        }
    }

    /// gamma_0: the first standard deviation of an element, in norms of its filter.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn gamma(self, gamma: f64) -> Result<Self, OptimError> {
        OptimError::check("gamma", gamma, gamma >= 0.0, "finite and not negative")?;
        Ok(Self { gamma, ..self })
    }

    /// alpha: gamma grows to (alpha + 1) gamma_0 over `total_steps` parameter updates, and stays.
    ///
    /// # Errors
    /// If alpha is negative or not finite, or there is no step.
    pub fn alpha(self, alpha: f64, total_steps: u64) -> Result<Self, OptimError> {
        OptimError::check("alpha", alpha, alpha >= 0.0, "finite and not negative")?;
        OptimError::check("total_steps", total_steps as f64, total_steps > 0, "at least 1")?;
        Ok(Self { alpha, total_steps, ..self })
    }

    /// The blocks that are perturbed.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { kernel: Kernel { selection, ..self.kernel }, ..self }
    }

    /// gamma_t for update t, counted from 0.
    pub fn gamma_at(&self, t: u64) -> f64 {
        let part = (t as f64 / self.total_steps as f64).min(1.0);
        self.gamma * (self.alpha / 2.0 * (1.0 - (PI * part).cos()) + 1.0)
    }
}

impl<R: Real, U: Update<R>> Optimizer<R> for LpfSgd<R, U> {
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
        let step = self.descent.steps();
        let gamma = self.gamma_at(step); // 1
        let Self { descent, kernel, waves, .. } = self;
        waves.begin(step, w.len(), [oracle.ghosts(), 1], scratch.len());
        while let Some(mut wave) = waves.next_wave() {
            wave.evaluate(oracle, scratch, &|oracle, at, slot, scratch| {
                kernel.perturb(gamma, step, at.copy as u64, w, slot.point()); // 2
                oracle.gradient(at, &slot.point, &mut slot.gradient, scratch) // 3
            })?;
            wave.accept(oracle, scratch);
            wave.add_up(oracle); // 3
        }
        let mean = waves.mean();
        let norm = descent.finite(mean.norm())?;
        descent.descend(w, mean.gradient, norm, learning_rate); // 4
        Ok(StepReport { loss: mean.loss, gradient_norm: norm, radius_coefficient: 0.0 })
    }
}

/// The Gaussian: where it acts, and its random numbers.
#[derive(Debug)]
struct Kernel {
    layout: ParameterLayout,
    selection: Selection,
    seed: u64,
}

impl Kernel {
    /// Writes w + theta to `out`.
    fn perturb<R: Real>(&self, gamma: f64, step: u64, copy: u64, w: &[R], out: &mut [R]) {
        assert_eq!(w.len(), self.layout.len(), "w fits the layout");
        let key = StreamKey::new(self.seed, Purpose::Perturbation).step(step).copy(copy);
        for (index, block) in self.layout.blocks().iter().enumerate() {
            let (w, out) = (&w[block.range()], &mut out[block.range()]);
            if gamma == 0.0 || !self.selection.contains(block) {
                out.copy_from_slice(w);
                continue;
            }
            fill_gaussian(key.block(index as u64), out);
            let len = filter_len(block);
            out.par_chunks_mut(len).zip(w.par_chunks(len)).for_each(|(out, w)| {
                vectorised(|| {
                    let deviation = R::from_f64(gamma * squared_norm(w).sqrt());
                    out.iter_mut().zip(w).for_each(|(out, &w)| *out = w + deviation * *out);
                });
            });
        }
    }
}

/// A slice along the output axis, or the whole of a one-dimensional block.
fn filter_len(block: &Block) -> usize {
    if block.shape().len() > 1 { block.filter_len() } else { block.len() }
}

#[cfg(test)]
mod tests;
