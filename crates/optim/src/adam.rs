//! Adam and AdamW.
//!
//! With t counting the updates from 1:
//! 1. coupled weight decay (Adam): `g <- g + weight_decay w`;
//!    decoupled (AdamW): `w <- w - learning_rate weight_decay w`
//! 2. `m <- beta1 m + (1 - beta1) g`
//! 3. `v <- beta2 v + (1 - beta2) g^2`
//! 4. `w <- w - learning_rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)`
//!
//! # Source
//! Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov and Hutter 2019, arXiv:1711.05101
//! (AdamW); epsilon stands outside the corrected root, as in PyTorch.

use rayon::prelude::*;
use smoothout_tensor::Real;
use smoothout_tensor::kernels::vectorised;

use crate::pass::{PIECE, remember};
use crate::{OptimError, Update};

/// Where Adam's weight decay acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum WeightDecay {
    /// In the gradient: Adam.
    #[default]
    Coupled,
    /// On the weights: AdamW.
    Decoupled,
}

/// Adam's settings and moments.
///
/// ```
/// use smoothout_optim::{Adam, Update};
/// // The first step moves by the learning rate, whatever the gradient's size.
/// let mut w = [1.0_f64];
/// Adam::new().update(&mut w, &[1e-3], 1.0, 0.1, 0);
/// assert!((w[0] - 0.9).abs() < 1e-5);
/// ```
#[derive(Debug, Clone)]
pub struct Adam<R> {
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
    decay_kind: WeightDecay,
    first: Vec<R>,
    second: Vec<R>,
}

impl<R: Real> Default for Adam<R> {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.0,
            decay_kind: WeightDecay::Coupled,
            first: Vec::new(),
            second: Vec::new(),
        }
    }
}

impl<R: Real> Adam<R> {
    /// With beta1 0.9, beta2 0.999, epsilon 1e-8, no weight decay.
    pub fn new() -> Self {
        Self::default()
    }

    /// beta1 and beta2.
    ///
    /// # Errors
    /// If one is not in [0, 1).
    pub fn betas(self, betas: [f64; 2]) -> Result<Self, OptimError> {
        for (name, beta) in ["beta1", "beta2"].into_iter().zip(betas) {
            OptimError::check(name, beta, (0.0..1.0).contains(&beta), "in [0, 1)")?;
        }
        Ok(Self { betas, ..self })
    }

    /// What is added to the root of the second moment.
    ///
    /// # Errors
    /// If it is not positive and finite, in the precision of the weights.
    pub fn epsilon(self, epsilon: f64) -> Result<Self, OptimError> {
        let holds = R::from_f64(epsilon) > R::zero() && R::from_f64(epsilon) < R::infinity();
        OptimError::check("epsilon", epsilon, holds, "positive and finite")?;
        Ok(Self { epsilon, ..self })
    }

    /// Weight decay, coupled (Adam) or decoupled (AdamW).
    ///
    /// # Errors
    /// If it is negative, or not finite in the precision of the weights.
    pub fn weight_decay(self, weight_decay: f64, kind: WeightDecay) -> Result<Self, OptimError> {
        let holds = weight_decay >= 0.0 && R::from_f64(weight_decay) < R::infinity();
        let expected = "not negative, and finite in the precision of the weights";
        OptimError::check("weight_decay", weight_decay, holds, expected)?;
        Ok(Self { weight_decay, decay_kind: kind, ..self })
    }
}

impl<R: Real> Update<R> for Adam<R> {
    fn update(&mut self, w: &mut [R], gradient: &[R], scale: f64, learning_rate: f64, step: u64) {
        assert_eq!(w.len(), gradient.len(), "lengths of w and the gradient");
        remember(&mut self.first, w.len());
        remember(&mut self.second, w.len());
        let t = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let [correction1, correction2] = self.betas.map(|beta| 1.0 - beta.powi(t));
        let (coupled, decoupled) = match self.decay_kind {
            WeightDecay::Coupled => (self.weight_decay, 0.0),
            WeightDecay::Decoupled => (0.0, learning_rate * self.weight_decay),
        };
        let [beta1, beta2] = self.betas;
        let [scale, coupled, keep, beta1, gain1, beta2, gain2, rate, root, epsilon] = [
            scale,
            coupled,
            1.0 - decoupled,
            beta1,
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            learning_rate / correction1,
            correction2.sqrt(),
            self.epsilon,
        ]
        .map(R::from_f64);
        let vectors = w.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
        let moments = self.first.par_chunks_mut(PIECE).zip(self.second.par_chunks_mut(PIECE));
        vectors.zip(moments).for_each(|((w, gradient), (first, second))| {
            vectorised(|| {
                let moments = first.iter_mut().zip(second);
                for ((w, &g), (m, v)) in w.iter_mut().zip(gradient).zip(moments) {
                    let g = scale * g + coupled * *w; // 1
                    *w *= keep; // 1
                    *m = beta1 * *m + gain1 * g; // 2
                    *v = beta2 * *v + gain2 * g * g; // 3
                    *w -= rate * *m / (v.sqrt() / root + epsilon); // 4
                }
            });
        });
    }

    fn memory(&self) -> Vec<(&'static str, &[R])> {
        vec![("exp_avg", &self.first), ("exp_avg_sq", &self.second)]
    }

    fn memory_mut(&mut self) -> Vec<(&'static str, &mut Vec<R>)> {
        vec![("exp_avg", &mut self.first), ("exp_avg_sq", &mut self.second)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The algorithm in its own words: corrected moments m^ and v^, one weight, ten steps.
    #[test]
    fn adam_is_algorithm_1() {
        for kind in [WeightDecay::Coupled, WeightDecay::Decoupled] {
            let mut adam = Adam::new().weight_decay(0.1, kind).unwrap();
            adam = adam.betas([0.8, 0.99]).unwrap().epsilon(0.1).unwrap();
            let (mut w, mut expected) = ([1.0_f64], 1.0_f64);
            let (mut m, mut v) = (0.0, 0.0);
            for step in 0..10 {
                let gradient = (step as f64).cos();
                adam.update(&mut w, &[4.0 * gradient], 0.25, 0.01, step);
                let g = match kind {
                    WeightDecay::Coupled => gradient + 0.1 * expected,
                    WeightDecay::Decoupled => gradient,
                };
                if kind == WeightDecay::Decoupled {
                    expected -= 0.01 * 0.1 * expected;
                }
                m = 0.8 * m + 0.2 * g;
                v = 0.99 * v + 0.01 * g * g;
                let t = step as i32 + 1;
                let (m_hat, v_hat) = (m / (1.0 - 0.8_f64.powi(t)), v / (1.0 - 0.99_f64.powi(t)));
                expected -= 0.01 * m_hat / (v_hat.sqrt() + 0.1);
                assert!((w[0] - expected).abs() < 1e-12, "{kind:?}, step {step}");
            }
        }
    }

    #[test]
    fn settings_are_checked() {
        assert!(Adam::<f32>::new().betas([0.9, 1.0]).is_err());
        assert!(Adam::<f32>::new().epsilon(0.0).is_err());
        for decay in [f64::NAN, 1e300] {
            assert!(Adam::<f32>::new().weight_decay(decay, WeightDecay::Coupled).is_err());
        }
    }
}
