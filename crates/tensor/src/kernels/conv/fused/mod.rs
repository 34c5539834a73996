//! Convolutions and linear layers that do the work of their neighbours while the values are in the
//! cache.
//!
//! A batch norm needs the moments of its input before it can normalise, and the sums of its
//! output's gradient before it can hand it on. So a layer is cut where the sums are: what comes
//! before belongs to the pass that writes the tensor, what comes after to the pass that reads it.
//!
//! Forward, one pass for a convolution or linear layer with its norm: the input is normalised and
//! rectified as it is read ([`Operand`]), zero padding coming after, or written first if others read
//! it as well ([`Input`]); of a group of images whose maxima alone are read, only these are written
//! ([`Output`]); the moments are taken as soon as the group is there. Backward, one pass for the gradients
//! of input and weight, or one for each: that of the output is computed from what is known of it as it is
//! read ([`OutputGradient`]; a linear layer's in a pass before); that of the input is finished ([`Finish`])
//! as soon as it is written, group by group.
//!
//! Groups are fixed by shape, and their sums are merged in order: the same bits for any number of
//! threads. All this is for `f32`.

mod combine;
mod convolution;
mod gradient;
mod gradients;
mod linear;
mod moments;
mod output_gradient;
mod passes;
#[cfg(test)]
mod pooled_tests;
mod prepared;
#[cfg(test)]
mod tests;

pub use crate::kernels::normalise::{Normalise, Operand};
pub use combine::{Combination, Input, combine};
pub use convolution::{Output, forward};
pub use gradient::{Finish, NormGradient, Normed};
pub use gradients::{POOLED_WEIGHTS, gradients, weight_gradient};
pub use linear::{linear_forward, linear_gradients, linear_weight_gradient};
pub use output_gradient::{MaximaGradient, OutputGradient};
pub use passes::{finish, moments, norm_gradient};
