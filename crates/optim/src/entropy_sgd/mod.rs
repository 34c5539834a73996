//! Entropy-SGD: descent on the local entropy
//! `-F(x, gamma) = -log of the integral of exp(-f(x') - gamma / 2 ‖x - x'‖^2) dx'`, a loss in
//! which wide valleys are deep. Its gradient is `gamma (x - <x'>)`, and Langevin steps estimate the
//! mean <x'>.
//!
//! One parameter update k:
//! 1. `x', mu <- x`;
//! 2. for l = 1..L:
//! 3. `g <- gradient of f at x'`, on a fresh batch;
//! 4. `dx' <- g - gamma_k (x - x')`, with the scope `gamma_k = gamma_0 (1 + gamma_1)^k`;
//! 5. `x' <- x' - eta' dx' + sqrt(eta') epsilon N(0, 1)`;
//! 6. `mu <- (1 - alpha) mu + alpha x'`;
//! 7. `x <- x - eta gamma_k (x - mu)`.
//!
//! A [`step`](Optimizer::step) is one Langevin step, lines 3 to 6, on one batch: every L-th ends
//! in line 7, and x stays as it is in between. An epoch of B batches so has B / L parameter
//! updates.
//!
//! Line 7 is the update rule's, which is given x - mu: its learning rate is the paper's
//! eta gamma_k, as in the authors' code. A growing scope leaves the size of the updates alone.
//!
//! # Source
//! Chaudhari et al. 2017, arXiv:1611.01838, algorithm 1 and section 4.3
//! (scoping); the authors' `optim.py`. The defaults are those of the authors' command
//! for MNIST: L = 20, gamma_0 = 1e-4, gamma_1 = 1e-3, epsilon = 1e-4, and their eta' = 0.1; their
//! gamma_0 for CIFAR-10 is 0.03.
//!
//! # Differences
//! - The authors' code adds epsilon sqrt(2 eta') N(0, 1) in line 5; here the paper's algorithm
//!   holds.
//! - Its mean keeps 0.75 of itself: alpha = 0.25, the default.
//! - Its Langevin steps have Nesterov's momentum and weight decay; here they are the algorithm's.
//!   Weight decay, momentum and clipping belong to line 7 and act on x and x - mu.
//! - It computes one gradient more per update, which it does not use.

use rayon::prelude::*;
use smoothout_tensor::{Purpose, Real, StreamKey, fill_gaussian, parallel_squared_norm};

use crate::pass::{PIECE, combine};
use crate::waves::Waves;
use crate::{Descent, GradientOracle, OptimError, Optimizer, StepError, StepReport, Update};

/// Entropy-SGD around an update rule.
///
/// # Examples
/// For `f(x) = h x^2 / 2`, the mean of x' is gamma x / (h + gamma), and the local entropy's
/// gradient is gamma h x / (h + gamma). With a learning rate of 1, x moves to the mean:
/// ```
/// use smoothout_optim::{Descent, EntropySgd, FnOracle, Optimizer, Sgd};
///
/// let (h, gamma) = (3.0, 1.0);
/// let mut oracle = FnOracle::new(|x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = h * x[0];
///     h * x[0] * x[0] / 2.0
/// });
/// let mut optimizer =
///     EntropySgd::new(Descent::new(Sgd::new()), 1).langevin_steps(100)?.gamma(gamma, 0.0)?.noise(0.0)?;
/// let mut x = [2.0];
/// for _ in 0..100 {
///     assert_eq!(x, [2.0]);
///     optimizer.step(&mut x, &mut oracle, &mut [()], 1.0)?;
/// }
/// assert!((x[0] - gamma * 2.0 / (h + gamma)).abs() < 1e-10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EntropySgd<R, U> {
    descent: Descent<U>,
    langevin_steps: u64,
    langevin_rate: f64,
    gamma: [f64; 2],
    noise: f64,
    alpha: f64,
    seed: u64,
    /// Langevin steps so far, over all updates.
    steps: u64,
    /// x'.
    walker: Vec<R>,
    /// mu.
    mean: Vec<R>,
    /// Normal numbers; x - mu for line 7.
    work: Vec<R>,
    waves: Waves<R>,
}

impl<R: Real, U: Update<R>> EntropySgd<R, U> {
    /// With L = 20, eta' = 0.1, gamma_0 = 1e-4, gamma_1 = 1e-3, epsilon = 1e-4, alpha = 0.25.
    /// `seed` names the random numbers.
    pub fn new(descent: Descent<U>, seed: u64) -> Self {
        Self {
            descent,
            langevin_steps: 20,
            langevin_rate: 0.1,
            gamma: [1e-4, 1e-3],
            noise: 1e-4,
            alpha: 0.25,
            seed,
            steps: 0,
            walker: Vec::new(),
            mean: Vec::new(),
            work: Vec::new(),
            waves: Waves::default(),
        }
    }

    /// L, the Langevin steps of one update.
    ///
    /// # Errors
    /// If it is 0.
    pub fn langevin_steps(self, langevin_steps: u64) -> Result<Self, OptimError> {
        let holds = langevin_steps > 0;
        OptimError::check("langevin_steps", langevin_steps as f64, holds, "at least 1")?;
        Ok(Self { langevin_steps, ..self })
    }

    /// eta', the step size of the Langevin steps.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn langevin_rate(self, langevin_rate: f64) -> Result<Self, OptimError> {
        let holds = langevin_rate > 0.0;
        OptimError::check("langevin_rate", langevin_rate, holds, "positive and finite")?;
        Ok(Self { langevin_rate, ..self })
    }

    /// The scope gamma_0, the inverse square of the width that local entropy looks at, and its
    /// growth gamma_1.
    ///
    /// # Errors
    /// If gamma_0 is not positive and finite, or gamma_1 negative or not finite.
    pub fn gamma(self, gamma: f64, growth: f64) -> Result<Self, OptimError> {
        OptimError::check("gamma", gamma, gamma > 0.0, "positive and finite")?;
        OptimError::check("gamma_growth", growth, growth >= 0.0, "finite and not negative")?;
        Ok(Self { gamma: [gamma, growth], ..self })
    }

    /// epsilon, the size of the Langevin steps' noise.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn noise(self, noise: f64) -> Result<Self, OptimError> {
        OptimError::check("noise", noise, noise >= 0.0, "finite and not negative")?;
        Ok(Self { noise, ..self })
    }

    /// The weight of the newest x' in mu.
    ///
    /// # Errors
    /// If it is not in (0, 1].
    pub fn alpha(self, alpha: f64) -> Result<Self, OptimError> {
        OptimError::check("alpha", alpha, alpha > 0.0 && alpha <= 1.0, "in (0, 1]")?;
        Ok(Self { alpha, ..self })
    }

    /// gamma_k for update k, counted from 0.
    pub fn gamma_at(&self, k: u64) -> f64 {
        let [gamma, growth] = self.gamma;
        gamma * (1.0 + growth).powf(k as f64)
    }
}

impl<R: Real, U: Update<R>> Optimizer<R> for EntropySgd<R, U> {
    type Rule = U;

    fn descent(&self) -> &Descent<U> {
        &self.descent
    }

    fn descent_mut(&mut self) -> &mut Descent<U> {
        &mut self.descent
    }

    /// The number of steps so far: L for each parameter update.
    fn steps(&self) -> u64 {
        self.steps
    }

    /// The rule's memory, x' and mu.
    fn memory(&self) -> Vec<(&'static str, &[R])> {
        let mut memory = self.descent.update().memory();
        memory.extend([(WALKER, &self.walker[..]), (MEAN, &self.mean[..])]);
        memory
    }

    fn restore(
        &mut self,
        steps: u64,
        mut memory: impl FnMut(&str) -> Option<Vec<R>>,
    ) -> Result<(), &'static str> {
        let mut begun = |name| memory(name).filter(|found| steps == 0 || !found.is_empty());
        let walker = begun(WALKER).ok_or(WALKER)?;
        let fits = |found: &Vec<R>| found.len() == walker.len();
        let mean = begun(MEAN).filter(fits).ok_or(MEAN)?;
        // The rule has no memory before its first update.
        let of_rule = |name: &str| memory(name).filter(|found| found.is_empty() || fits(found));
        self.descent.restore(steps / self.langevin_steps, of_rule)?;
        (self.walker, self.mean, self.steps) = (walker, mean, steps);
        Ok(())
    }

    /// A Langevin step on the oracle's batch; every L-th is followed by an update of `x` with the
    /// learning rate eta gamma_k. The report's loss and gradient are those at x'.
    fn step<O: GradientOracle<R>>(
        &mut self,
        x: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>> {
        let k = self.descent.steps();
        let gamma = self.gamma_at(k);
        if self.steps.is_multiple_of(self.langevin_steps) {
            for vector in [&mut self.walker, &mut self.mean] {
                vector.clear();
                vector.extend_from_slice(x); // 1
            }
        }
        assert_eq!(x.len(), self.walker.len(), "lengths of x and x'");
        let found = self.waves.mean_gradient_at(k, &self.walker, oracle, scratch, true)?; // 3
        let gradient_norm = self.descent.finite(found.norm())?;
        self.work.resize(x.len(), R::zero());
        fill_gaussian(
            StreamKey::new(self.seed, Purpose::Perturbation).step(self.steps),
            &mut self.work,
        );
        let [gamma, rate, spread, keep, alpha] = [
            gamma,
            self.langevin_rate,
            self.langevin_rate.sqrt() * self.noise,
            1.0 - self.alpha,
            self.alpha,
        ]
        .map(R::from_f64);
        let given = x.par_chunks(PIECE).zip(found.gradient.par_chunks(PIECE));
        let moved = self.walker.par_chunks_mut(PIECE).zip(self.mean.par_chunks_mut(PIECE));
        given.zip(moved).zip(self.work.par_chunks(PIECE)).for_each(
            |(((x, gradient), (walker, mean)), normal)| {
                let given = x.iter().zip(gradient).zip(normal);
                for ((walker, mean), ((&x, &g), &u)) in walker.iter_mut().zip(mean).zip(given) {
                    let dx = g - gamma * (x - *walker); // 4
                    *walker = *walker - rate * dx + spread * u; // 5
                    *mean = keep * *mean + alpha * *walker; // 6
                }
            },
        );
        self.steps += 1;
        if self.steps.is_multiple_of(self.langevin_steps) {
            combine(&mut self.work, x, &self.mean, |_, x, mean| x - mean);
            let norm = self.descent.finite(parallel_squared_norm(&self.work).sqrt())?;
            self.descent.descend(x, &self.work, norm, learning_rate); // 7
        }
        Ok(StepReport { loss: found.loss, gradient_norm, radius_coefficient: 0.0 })
    }
}

/// The names of x' and mu in a checkpoint.
const WALKER: &str = "langevin_weights";
const MEAN: &str = "langevin_mean";

#[cfg(test)]
mod tests;
