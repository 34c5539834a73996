//! The rule by which a mean gradient moves the clean weights.

use smoothout_tensor::Real;

use crate::{Adam, Sgd};

/// An update rule: SGD, Adam, AdamW, or one's own.
pub trait Update<R: Real>: Send {
    /// Moves `w` along `scale * gradient`. `step` counts the updates from 0.
    ///
    /// # Panics
    /// If the lengths differ.
    fn update(&mut self, w: &mut [R], gradient: &[R], scale: f64, learning_rate: f64, step: u64);

    /// The rule's memory by name, each vector as long as w (empty before the first update): what a
    /// checkpoint must keep.
    fn memory(&self) -> Vec<(&'static str, &[R])>;

    /// The same to write to, when a checkpoint is read.
    fn memory_mut(&mut self) -> Vec<(&'static str, &mut Vec<R>)>;
}

/// A choice of the built-in rules, for programs that choose at run time.
#[derive(Debug, Clone)]
pub enum BaseUpdate<R> {
    /// Stochastic gradient descent.
    Sgd(Sgd<R>),
    /// Adam or AdamW.
    Adam(Adam<R>),
}

impl<R: Real> Update<R> for BaseUpdate<R> {
    fn update(&mut self, w: &mut [R], gradient: &[R], scale: f64, learning_rate: f64, step: u64) {
        match self {
            Self::Sgd(rule) => rule.update(w, gradient, scale, learning_rate, step),
            Self::Adam(rule) => rule.update(w, gradient, scale, learning_rate, step),
        }
    }

    fn memory(&self) -> Vec<(&'static str, &[R])> {
        match self {
            Self::Sgd(rule) => rule.memory(),
            Self::Adam(rule) => rule.memory(),
        }
    }

    fn memory_mut(&mut self) -> Vec<(&'static str, &mut Vec<R>)> {
        match self {
            Self::Sgd(rule) => rule.memory_mut(),
            Self::Adam(rule) => rule.memory_mut(),
        }
    }
}
