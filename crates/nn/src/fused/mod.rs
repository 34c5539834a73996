//! The fused executor of `f32`: batch norms, ReLUs and residual sums are done by the passes that
//! read or write the tensors next to them.
//!
//! [`roles`] says which node's work is done where, [`plan`] makes steps and buffers of it, this file
//! walks the steps. Whatever no pattern covers is run by the plain executor's functions, node by
//! node. The passes are in [`smoothout_tensor::kernels::fused`].
//!
//! What is kept: the output of each convolution and linear layer, of a convolution with a max pool behind it
//! the maxima alone, and one tensor at the end of each residual block; everything else is computed again.

mod backward;
mod forward;
pub(crate) mod plan;
mod roles;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::ops::Range;

use smoothout_tensor::Real;
use smoothout_tensor::kernels::fused::{Normalise, Operand};
use smoothout_tensor::kernels::{Aligned, Conv2dShape, KernelChoice};

use crate::execute::Run;
use crate::graph::{Node, Op, conv_shape};
use crate::workspace::KEPT;
use crate::{BatchLoss, Mode, Network, NnError, Statistics, Workspace};
use plan::FusedPlan;
use roles::Read;

/// One evaluation of a network.
pub(crate) struct Fused<'a> {
    network: &'a Network,
    plan: &'a FusedPlan,
    w: &'a [f32],
    mode: Mode<'a, f32>,
    batch: usize,
    run: Run<'a, f32>,
    training: bool,
}

/// `f32` arguments, if that is what they are and the kernels in force are not the plain ones.
fn single<'a, R: Real>(w: &'a [R], mode: Mode<'a, R>) -> Option<(&'a [f32], Mode<'a, f32>)> {
    if KernelChoice::current() == KernelChoice::Scalar {
        return None;
    }
    let statistics = match mode.statistics {
        Statistics::Batch => Statistics::Batch,
        Statistics::Running(buffers) => Statistics::Running(R::as_single(buffers)?),
    };
    Some((R::as_single(w)?, Mode { statistics, noise: mode.noise }))
}

/// The loss and its gradient; `None` if this is no work for the fused executor.
pub(crate) fn loss_and_gradient<R: Real>(
    network: &Network,
    w: &[R],
    mode: Mode<'_, R>,
    images: &[R],
    labels: &[usize],
    gradient: &mut [R],
    workspace: &mut Workspace<R>,
) -> Option<Result<BatchLoss, NnError>> {
    let (w, mode) = single(w, mode)?;
    let (images, gradient) = (R::as_single(images)?, R::as_single_mut(gradient)?);
    let workspace = (workspace as &mut dyn Any).downcast_mut::<Workspace<f32>>()?;
    let fused = Fused::new(network, w, mode, labels.len(), true);
    Some(fused.forward(images, workspace).map(|()| {
        let loss = fused.run.cross_entropy(labels, workspace);
        fused.backward(images, gradient, workspace);
        loss
    }))
}

/// The slot of the logits, computed without gradient; `None` if this is no work for the fused
/// executor.
pub(crate) fn logits<R: Real>(
    network: &Network,
    w: &[R],
    mode: Mode<'_, R>,
    batch: usize,
    images: &[R],
    workspace: &mut Workspace<R>,
) -> Option<Result<usize, NnError>> {
    let (w, mode) = single(w, mode)?;
    let images = R::as_single(images)?;
    let workspace = (workspace as &mut dyn Any).downcast_mut::<Workspace<f32>>()?;
    let fused = Fused::new(network, w, mode, batch, false);
    let slot = fused.plan.inference.of_value[network.nodes.len()];
    Some(fused.forward(images, workspace).map(|()| slot))
}

/// The ranges of a norm's gamma and beta in the parameters, mean and variance in the buffers.
struct NormRanges {
    gamma: Range<usize>,
    beta: Range<usize>,
    mean: Range<usize>,
    variance: Range<usize>,
}

/// What multiplies its input by weights: ranges in the parameters, and extents.
enum WeightedSum {
    /// The bias may be empty, and is not added.
    Conv2d { shape: Conv2dShape, weight: Range<usize>, bias: Range<usize> },
    /// Extents are (inputs, outputs); the bias may be empty.
    Linear { extents: [usize; 2], weight: Range<usize>, bias: Range<usize> },
}

/// Mean, 1/std, gamma/std, and the slope and offset of the backward pass.
fn kept(values: &[f32], channels: usize) -> [&[f32]; KEPT] {
    std::array::from_fn(|k| &values[k * channels..(k + 1) * channels])
}

impl<'a> Fused<'a> {
    fn new(
        network: &'a Network,
        w: &'a [f32],
        mode: Mode<'a, f32>,
        batch: usize,
        training: bool,
    ) -> Self {
        let plan = &network.fused;
        let slots = if training { &plan.training } else { &plan.inference };
        let run = Run::with_slots(network, w, mode, batch, slots);
        Self { network, plan, w, mode, batch, run, training }
    }

    fn norm(&self, node: usize) -> (&'a Node, NormRanges) {
        let node = &self.network.nodes[node];
        let Op::BatchNorm { gamma, beta, mean, variance } = node.op.clone() else {
            unreachable!("the plan names norms only")
        };
        (node, NormRanges { gamma, beta, mean, variance })
    }

    fn weighted_sum(&self, node: &Node) -> WeightedSum {
        match &node.op {
            Op::Conv2d { window, weight, bias } => {
                let input = self.network.shape_of(node.input);
                let shape = conv_shape(window, self.batch, input, node.shape[2]);
                WeightedSum::Conv2d { shape, weight: weight.clone(), bias: bias.clone() }
            }
            Op::Linear { layer, weight, bias } => {
                let extents = [layer.inputs, layer.outputs];
                WeightedSum::Linear { extents, weight: weight.clone(), bias: bias.clone() }
            }
            op => unreachable!("{op:?} is no weighted sum"),
        }
    }

    /// A max pool, of the whole batch.
    fn pool(&self, node: usize) -> Conv2dShape {
        let node = &self.network.nodes[node];
        let Op::MaxPool { window } = &node.op else {
            unreachable!("the plan names max pools only")
        };
        conv_shape(window, self.batch, self.network.shape_of(node.input), node.shape[2])
    }

    /// The tensor and the norm that make a value.
    fn operand<'v>(
        &'v self,
        images: &'v [f32],
        activations: &'v [Aligned<f32>],
        norms: &'v [Vec<f32>],
        read: Read,
    ) -> Operand<'v> {
        match read {
            Read::Stored(value) => {
                Operand { values: self.run.value(images, activations, value), normalise: None }
            }
            Read::Normed { norm, relu } => {
                let (node, ranges) = self.norm(norm);
                let [mean, _, scale, ..] = kept(&norms[norm], node.shape[2]);
                let shift = &self.w[ranges.beta];
                let normalise = Some(Normalise { mean, scale, shift, relu });
                Operand { values: self.run.value(images, activations, node.input), normalise }
            }
        }
    }
}
