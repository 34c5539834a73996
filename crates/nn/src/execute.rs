//! The plain executor: walks the graph node by node, forward, then backward.

use std::mem::take;
use std::ops::Range;

use smoothout_tensor::kernels::Aligned;
use smoothout_tensor::{Real, StreamKey};

use crate::graph::{Node, Op, conv_shape, elements};
use crate::layers::batch_norm::Moments;
use crate::layers::{
    add, average_pool, batch_norm, conv2d, cross_entropy, dropout, flatten, max_pool, noisy_relu,
    relu,
};
use crate::parallel::copy;
use crate::plan::{BackwardStep, IMAGES, Slots};
use crate::times::Pass;
use crate::{BatchLoss, Mode, Network, NnError, Statistics, Workspace};

/// One evaluation of a network: what stays the same from node to node.
pub(crate) struct Run<'a, R> {
    network: &'a Network,
    w: &'a [R],
    mode: Mode<'a, R>,
    batch: usize,
    slots: &'a Slots,
    training: bool,
}

impl<'a, R: Real> Run<'a, R> {
    pub(crate) fn new(
        network: &'a Network,
        w: &'a [R],
        mode: Mode<'a, R>,
        batch: usize,
        training: bool,
    ) -> Self {
        let slots = if training { &network.plan.training } else { &network.plan.inference };
        Self { training, ..Self::with_slots(network, w, mode, batch, slots) }
    }

    /// A run over the buffers of another plan, node by node.
    pub(crate) fn with_slots(
        network: &'a Network,
        w: &'a [R],
        mode: Mode<'a, R>,
        batch: usize,
        slots: &'a Slots,
    ) -> Self {
        Self { network, w, mode, batch, slots, training: false }
    }

    /// The buffers of the values.
    pub(crate) fn slots(&self) -> &'a Slots {
        self.slots
    }

    /// The stream of a node's noise, if random layers are on.
    fn noise(&self, node: usize) -> Option<StreamKey> {
        self.mode.noise.map(|key| key.block(node as u64))
    }

    /// The number of images.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Which statistics batch norm uses.
    pub(crate) fn statistics(&self) -> Statistics<'a, R> {
        self.mode.statistics
    }

    /// Elements of a value over the batch.
    pub(crate) fn len(&self, value: usize) -> usize {
        self.batch * elements(self.network.shape_of(value))
    }

    /// A value that has been computed.
    pub(crate) fn value<'v>(
        &self,
        images: &'v [R],
        activations: &'v [Aligned<R>],
        value: usize,
    ) -> &'v [R] {
        match self.slots.of_value[value] {
            IMAGES => images,
            slot => &activations[slot][..self.len(value)],
        }
    }

    /// Computes all values up to the logits.
    pub(crate) fn forward(
        &self,
        images: &[R],
        workspace: &mut Workspace<R>,
    ) -> Result<(), NnError> {
        let gradients = if self.training { &self.network.plan.gradients[..] } else { &[] };
        workspace.prepare(self.network, self.batch, self.slots, gradients);
        workspace.watch.begin(self.network.nodes.len());
        (0..self.network.nodes.len())
            .try_for_each(|node| self.forward_step(node, images, workspace))
    }

    /// Computes the value of one node from those before it.
    pub(crate) fn forward_step(
        &self,
        index: usize,
        images: &[R],
        workspace: &mut Workspace<R>,
    ) -> Result<(), NnError> {
        let node = &self.network.nodes[index];
        let slot = self.slots.of_value[index + 1];
        let mut buffer = take(&mut workspace.activations[slot]);
        let output = &mut buffer[..self.len(index + 1)];
        if node.op.is_in_place() && self.slots.of_value[node.input] != slot {
            copy(output, self.value(images, &workspace.activations, node.input));
        }
        let result = self.forward_node(index, node, images, output, workspace);
        workspace.activations[slot] = buffer;
        workspace.watch.lap(index, Pass::Forward);
        result
    }

    fn forward_node(
        &self,
        index: usize,
        node: &Node,
        images: &[R],
        output: &mut [R],
        workspace: &mut Workspace<R>,
    ) -> Result<(), NnError> {
        let w = self.w;
        let noise = self.noise(index);
        let shape = self.network.shape_of(node.input);
        let image = [node.shape[0], node.shape[1]];
        match &node.op {
            Op::Relu => relu::forward(output),
            Op::NoisyRelu { noise: width } => match noise {
                Some(key) => noisy_relu::forward(*width, key, output),
                None => relu::forward(output),
            },
            Op::Dropout { p } => {
                if let Some(key) = noise {
                    dropout::apply(*p, key, output);
                }
            }
            Op::Add { other } => {
                add::forward(output, self.value(images, &workspace.activations, *other));
            }
            Op::BatchNorm { .. } => {
                return self.forward_batch_norm(index, node, images, output, workspace);
            }
            op => {
                let input = self.value(images, &workspace.activations, node.input);
                match op {
                    Op::Linear { layer, weight, bias } => {
                        layer.forward(input, &w[weight.clone()], &w[bias.clone()], output);
                    }
                    Op::Conv2d { window, weight, bias } => conv2d::forward(
                        &conv_shape(window, self.batch, shape, node.shape[2]),
                        input,
                        &w[weight.clone()],
                        &w[bias.clone()],
                        output,
                        &mut workspace.scratch,
                    ),
                    Op::MaxPool { window } => {
                        let argmax = &mut workspace.argmax[index][..output.len()];
                        max_pool::forward(window, shape, image, input, output, argmax);
                    }
                    Op::AveragePool { window } => {
                        average_pool::forward(window, shape, image, input, output);
                    }
                    _ => flatten::forward(shape[0] * shape[1], shape[2], input, output),
                }
            }
        }
        Ok(())
    }

    fn forward_batch_norm(
        &self,
        index: usize,
        node: &Node,
        images: &[R],
        output: &mut [R],
        workspace: &mut Workspace<R>,
    ) -> Result<(), NnError> {
        let Op::BatchNorm { gamma, beta, mean, variance } = &node.op else {
            unreachable!("called for batch norms only")
        };
        let channels = node.shape[2];
        let input = self.value(images, &workspace.activations, node.input);
        let kept = &mut workspace.kept[index][..2 * channels];
        let (kept_mean, inverse_std) = kept.split_at_mut(channels);
        match self.mode.statistics {
            Statistics::Batch => {
                if input.len() == channels {
                    return Err(NnError::OneValuePerChannel { layer: node.name.clone() });
                }
                let statistics = &mut workspace.batch_statistics;
                let unbiased = &mut statistics[variance.clone()];
                let partials = &mut workspace.partials;
                batch_norm::batch_moments(input, kept_mean, unbiased, inverse_std, partials);
                statistics[mean.clone()].copy_from_slice(kept_mean);
            }
            Statistics::Running(buffers) => {
                kept_mean.copy_from_slice(&buffers[mean.clone()]);
                batch_norm::running_inverse_std(&buffers[variance.clone()], inverse_std);
            }
        }
        let moments = Moments { mean: kept_mean, inverse_std };
        batch_norm::forward(input, &moments, &self.w[gamma.clone()], &self.w[beta.clone()], output);
        Ok(())
    }

    /// The loss of the logits that `forward` left; writes their gradient.
    pub(crate) fn cross_entropy(
        &self,
        labels: &[usize],
        workspace: &mut Workspace<R>,
    ) -> BatchLoss {
        let last = self.network.nodes.len();
        let len = self.len(last);
        let logits = &workspace.activations[self.slots.of_value[last]][..len];
        let slot = self.network.plan.backward[0].output;
        let gradient = &mut workspace.gradients[slot][..len];
        let classes = self.network.classes();
        cross_entropy::loss(classes, logits, labels, Some(gradient), &mut workspace.partials)
    }

    /// Walks back from the gradient of the logits; overwrites `gradient`.
    pub(crate) fn backward(
        &mut self,
        images: &[R],
        gradient: &mut [R],
        workspace: &mut Workspace<R>,
    ) {
        workspace.watch.begin(self.network.nodes.len());
        for step in &self.network.plan.backward {
            self.backward_node(step, images, gradient, workspace);
        }
    }

    /// The backward pass of one node.
    pub(crate) fn backward_node(
        &self,
        step: &BackwardStep,
        images: &[R],
        gradient: &mut [R],
        workspace: &mut Workspace<R>,
    ) {
        let node = &self.network.nodes[step.node];
        let mut dy_buffer = take(&mut workspace.gradients[step.output]);
        let dy = &mut dy_buffer[..self.len(step.node + 1)];
        if let Some(target) = step.other {
            match target.into {
                Some(into) => add::forward(&mut workspace.gradients[into][..dy.len()], dy),
                None => copy(&mut workspace.gradients[target.slot][..dy.len()], dy),
            }
        }
        if node.op.has_in_place_gradient() {
            self.backward_in_place(step.node, node, images, dy, gradient, workspace);
            if let Some(into) = step.input.and_then(|target| target.into) {
                add::forward(&mut workspace.gradients[into][..dy.len()], dy);
            }
        } else {
            self.parameter_gradients(node, images, dy, gradient, workspace);
            if let Some(target) = step.input {
                let mut dx_buffer = take(&mut workspace.gradients[target.slot]);
                let dx = &mut dx_buffer[..self.len(node.input)];
                self.input_gradient(step.node, node, dy, dx, workspace);
                if let Some(into) = target.into {
                    add::forward(&mut workspace.gradients[into][..dx.len()], dx);
                }
                workspace.gradients[target.slot] = dx_buffer;
            }
        }
        workspace.gradients[step.output] = dy_buffer;
        workspace.watch.lap(step.node, Pass::Backward);
    }

    /// dy becomes dx.
    fn backward_in_place(
        &self,
        index: usize,
        node: &Node,
        images: &[R],
        dy: &mut [R],
        gradient: &mut [R],
        workspace: &mut Workspace<R>,
    ) {
        let output = self.value(images, &workspace.activations, index + 1);
        let noise = self.noise(index);
        match &node.op {
            Op::Relu => relu::backward(output, dy),
            Op::NoisyRelu { noise: width } => match noise {
                Some(key) => noisy_relu::backward(*width, key, output, dy),
                None => relu::backward(output, dy),
            },
            Op::Dropout { p } => {
                if let Some(key) = noise {
                    dropout::apply(*p, key, dy);
                }
            }
            Op::BatchNorm { gamma, beta, .. } => {
                let kept = &workspace.kept[index];
                let (mean, inverse_std) = kept[..2 * node.shape[2]].split_at(node.shape[2]);
                let (gamma_gradient, beta_gradient) = pair(gradient, gamma, beta);
                batch_norm::backward(
                    matches!(self.mode.statistics, Statistics::Batch),
                    self.value(images, &workspace.activations, node.input),
                    &Moments { mean, inverse_std },
                    &self.w[gamma.clone()],
                    dy,
                    gamma_gradient,
                    beta_gradient,
                    &mut workspace.partials,
                );
            }
            // A sum hands dy on.
            _ => {}
        }
    }

    fn parameter_gradients(
        &self,
        node: &Node,
        images: &[R],
        dy: &[R],
        gradient: &mut [R],
        workspace: &mut Workspace<R>,
    ) {
        let partials = &mut workspace.partials;
        match &node.op {
            Op::Linear { layer, weight, bias } => {
                let input = self.value(images, &workspace.activations, node.input);
                let (dw, db) = pair(gradient, weight, bias);
                layer.parameter_gradients(input, dy, dw, db, partials);
            }
            Op::Conv2d { window, weight, bias } => {
                let input = self.value(images, &workspace.activations, node.input);
                let (dw, db) = pair(gradient, weight, bias);
                let input_shape = self.network.shape_of(node.input);
                let shape = conv_shape(window, self.batch, input_shape, node.shape[2]);
                let scratch = &mut workspace.scratch;
                conv2d::parameter_gradients(&shape, input, dy, dw, db, scratch, partials);
            }
            _ => {}
        }
    }

    /// dx from dy, for nodes whose gradient needs a buffer of its own.
    fn input_gradient(
        &self,
        index: usize,
        node: &Node,
        dy: &[R],
        dx: &mut [R],
        workspace: &mut Workspace<R>,
    ) {
        let shape = self.network.shape_of(node.input);
        let image = [node.shape[0], node.shape[1]];
        match &node.op {
            Op::Linear { layer, weight, .. } => {
                layer.input_gradient(&self.w[weight.clone()], dy, dx);
            }
            Op::Conv2d { window, weight, .. } => R::conv2d_input_gradient(
                &conv_shape(window, self.batch, shape, node.shape[2]),
                &self.w[weight.clone()],
                dy,
                dx,
                &mut workspace.scratch,
            ),
            Op::MaxPool { window } => {
                let argmax = &workspace.argmax[index][..dy.len()];
                max_pool::backward(window, shape, image, dy, argmax, dx);
            }
            Op::AveragePool { window } => average_pool::backward(window, shape, image, dy, dx),
            Op::Flatten => flatten::backward(shape[0] * shape[1], shape[2], dy, dx),
            op => unreachable!("the gradient of {op:?} is computed in place"),
        }
    }
}

/// The gradients of two neighbouring blocks; the second may be empty.
fn pair<'g, R>(
    gradient: &'g mut [R],
    first: &Range<usize>,
    second: &Range<usize>,
) -> (&'g mut [R], &'g mut [R]) {
    gradient[first.start..second.end].split_at_mut(first.len())
}
