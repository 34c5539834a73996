//! Stochastic gradient descent with momentum.
//!
//! 1. `g <- g + weight_decay w`
//! 2. `v <- momentum v + g`
//! 3. `w <- w - learning_rate v`, or with Nesterov's look-ahead
//!    `w <- w - learning_rate (g + momentum v)`
//!
//! # Source
//! Sutskever et al. 2013, in PyTorch's convention: the learning rate multiplies the velocity when
//! it is used, not when it is gathered, and weight decay is part of the gradient.

use smoothout_tensor::Real;

use crate::pass::{remember, update_pieces};
use crate::{OptimError, Update};

/// SGD's settings and velocity.
///
/// ```
/// use smoothout_optim::{Sgd, Update};
/// let mut sgd = Sgd::new().momentum(0.5)?;
/// let mut w = [1.0_f64];
/// sgd.update(&mut w, &[1.0], 1.0, 0.1, 0); // v = 1
/// sgd.update(&mut w, &[1.0], 1.0, 0.1, 1); // v = 1.5
/// assert!((w[0] - 0.75).abs() < 1e-15);
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sgd<R> {
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    velocity: Vec<R>,
}

impl<R: Real> Sgd<R> {
    /// Without momentum and weight decay.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a velocity that keeps the share `momentum` of itself.
    ///
    /// # Errors
    /// If it is not in [0, 1).
    pub fn momentum(self, momentum: f64) -> Result<Self, OptimError> {
        let holds = (0.0..1.0).contains(&momentum);
        Ok(Self { momentum: OptimError::check("momentum", momentum, holds, "in [0, 1)")?, ..self })
    }

    /// With Nesterov's look-ahead.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// With `weight_decay w` added to the gradient.
    ///
    /// # Errors
    /// If it is negative, or not finite in the precision of the weights.
    pub fn weight_decay(self, weight_decay: f64) -> Result<Self, OptimError> {
        let holds = weight_decay >= 0.0 && R::from_f64(weight_decay) < R::infinity();
        let expected = "not negative, and finite in the precision of the weights";
        OptimError::check("weight_decay", weight_decay, holds, expected)?;
        Ok(Self { weight_decay, ..self })
    }
}

impl<R: Real> Update<R> for Sgd<R> {
    fn update(&mut self, w: &mut [R], gradient: &[R], scale: f64, learning_rate: f64, _step: u64) {
        remember(&mut self.velocity, w.len());
        let [scale, decay, momentum, rate] =
            [scale, self.weight_decay, self.momentum, learning_rate].map(R::from_f64);
        let nesterov = self.nesterov;
        update_pieces(w, gradient, &mut self.velocity, |w, gradient, velocity| {
            for ((w, &g), v) in w.iter_mut().zip(gradient).zip(velocity) {
                let g = scale * g + decay * *w; // 1
                *v = momentum * *v + g; // 2
                let direction = if nesterov { g + momentum * *v } else { *v };
                *w -= rate * direction; // 3
            }
        });
    }

    fn memory(&self) -> Vec<(&'static str, &[R])> {
        vec![("momentum_buffer", &self.velocity)]
    }

    fn memory_mut(&mut self) -> Vec<(&'static str, &mut Vec<R>)> {
        vec![("momentum_buffer", &mut self.velocity)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps by hand: w = 1, g = 2 then 3, learning rate 0.1, momentum 0.9, decay 0.5.
    #[test]
    fn two_steps_by_hand() {
        for (nesterov, expected) in [(false, [0.75, 0.1875]), (true, [0.525, -0.297375])] {
            let mut sgd = Sgd::new().momentum(0.9).unwrap().weight_decay(0.5).unwrap();
            sgd = sgd.nesterov(nesterov);
            let mut w = [1.0_f64];
            sgd.update(&mut w, &[4.0], 0.5, 0.1, 0);
            assert!((w[0] - expected[0]).abs() < 1e-12, "{nesterov}: {}", w[0]);
            sgd.update(&mut w, &[3.0], 1.0, 0.1, 1);
            assert!((w[0] - expected[1]).abs() < 1e-12, "{nesterov}: {}", w[0]);
        }
    }

    #[test]
    fn settings_are_checked() {
        assert!(Sgd::<f32>::new().momentum(1.0).is_err());
        assert!(Sgd::<f32>::new().weight_decay(-1e-4).is_err());
        assert!(Sgd::<f32>::new().weight_decay(f64::INFINITY).is_err());
        assert!(Sgd::<f32>::new().weight_decay(1e300).is_err());
        assert!(Sgd::<f64>::new().weight_decay(1e300).is_ok());
    }
}
