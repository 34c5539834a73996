//! Layers as pairs of pure functions over slices: forward and backward, channels last.
//!
//! They know nothing of networks; the executor calls them with the slices that the plan assigns.
//! Elementwise layers work in place.

pub(crate) mod add;
pub(crate) mod average_pool;
pub(crate) mod batch_norm;
pub(crate) mod conv2d;
pub(crate) mod cross_entropy;
pub(crate) mod dropout;
pub(crate) mod flatten;
pub(crate) mod linear;
pub(crate) mod max_pool;
pub(crate) mod noisy_relu;
pub(crate) mod relu;

#[cfg(test)]
pub(crate) mod gradient_check;
