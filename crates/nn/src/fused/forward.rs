//! The forward pass.

use std::mem::take;

use smoothout_tensor::kernels::fused::{self, Combination, Input, Output};

use super::plan::Forward;
use super::roles::{Join, Read};
use super::{Fused, WeightedSum};
use crate::graph::Op;
use crate::layers::batch_norm::EPSILON;
use crate::parallel::grown;
use crate::times::Pass;
use crate::workspace::KEPT;
use crate::{NnError, Statistics, Workspace};

impl Fused<'_> {
    /// Computes all values up to the logits.
    pub(super) fn forward(
        &self,
        images: &[f32],
        workspace: &mut Workspace<f32>,
    ) -> Result<(), NnError> {
        let (plan, slots) = (self.plan, self.run.slots());
        let gradients = if self.training { &plan.gradients[..] } else { &[] };
        workspace.prepare(self.network, self.batch, slots, gradients);
        let mut steps = plan.forward.iter().peekable();
        workspace.watch.begin(self.network.nodes.len());
        while let Some(step) = steps.next() {
            match *step {
                Forward::Plain { node } => self.run.forward_step(node, images, workspace)?,
                Forward::Moments { norm } => {
                    self.moments(norm, images, workspace)?;
                    workspace.watch.lap(norm, Pass::Forward);
                }
                Forward::Weighted { .. } => self.weighted(step, None, images, workspace)?,
                Forward::Combine { value, join } => {
                    let nodes = &self.network.nodes;
                    if let Some(next) = steps.next_if(|next| next.writes_input(value, nodes)) {
                        self.weighted(next, Some((value, join)), images, workspace)?;
                        continue;
                    }
                    let slot = slots.of_value[value];
                    let mut output = take(&mut workspace.activations[slot]);
                    let combination = self.combination(join, images, workspace);
                    let channels = self.network.shape_of(value)[2];
                    fused::combine(combination, channels, &mut output[..self.run.len(value)]);
                    workspace.activations[slot] = output;
                    workspace.watch.lap(value - 1, Pass::Forward);
                }
            }
        }
        Ok(())
    }

    /// A convolution or linear layer. A convolution may write its input first.
    fn weighted(
        &self,
        step: &Forward,
        written: Option<(usize, Join)>,
        images: &[f32],
        workspace: &mut Workspace<f32>,
    ) -> Result<(), NnError> {
        let Forward::Weighted { node: index, input, pool, norm } = *step else {
            unreachable!("called for weighted sums only")
        };
        if let Some(norm) = norm {
            self.check_rows(norm)?;
        }
        let slots = self.run.slots();
        let mut take_value = |value: usize| take(&mut workspace.activations[slots.of_value[value]]);
        let output_value = pool.unwrap_or(index) + 1;
        let mut output_buffer = take_value(output_value);
        let mut input_buffer = written.map(|(value, _)| take_value(value));
        let output = &mut output_buffer[..self.run.len(output_value)];
        let mut argmax = pool.map(|pool| take(&mut workspace.argmax[pool]));
        let node = &self.network.nodes[index];
        let batch_statistics = self.mode.statistics == Statistics::Batch;
        let mut sums = take(&mut workspace.sums);
        let moments =
            (norm.is_some() && batch_statistics).then(|| grown(&mut sums, 2 * node.shape[2]));
        let mut partials = take(&mut workspace.partials);
        let mut scratch = take(&mut workspace.scratch);
        let operand = || self.operand(images, &workspace.activations, &workspace.kept, input);
        match self.weighted_sum(node) {
            WeightedSum::Conv2d { shape, weight, .. } => {
                let input = match (written, &mut input_buffer) {
                    (Some((value, join)), Some(buffer)) => Input::Combined {
                        combination: self.combination(join, images, workspace),
                        to: &mut buffer[..self.run.len(value)],
                    },
                    _ => Input::Stored(operand()),
                };
                let output = match (pool, &mut argmax) {
                    (Some(pool), Some(argmax)) => {
                        let argmax = &mut argmax[..output.len()];
                        Output::Pooled { pool: self.pool(pool), maxima: output, argmax }
                    }
                    _ => Output::Stored(output),
                };
                let weight = &self.w[weight];
                let (partials, scratch) = (&mut partials, &mut scratch);
                fused::forward(&shape, input, weight, output, moments, partials, scratch);
            }
            WeightedSum::Linear { extents, weight, bias } => {
                assert!(written.is_none(), "convolutions write their input");
                let (weight, bias, partials) = (&self.w[weight], &self.w[bias], &mut partials);
                fused::linear_forward(operand(), weight, bias, output, moments, partials, extents);
            }
        }
        (workspace.sums, workspace.partials, workspace.scratch) = (sums, partials, scratch);
        workspace.activations[slots.of_value[output_value]] = output_buffer;
        if let (Some(pool), Some(argmax)) = (pool, argmax) {
            workspace.argmax[pool] = argmax;
        }
        if let (Some((value, _)), Some(buffer)) = (written, input_buffer) {
            workspace.activations[slots.of_value[value]] = buffer;
        }
        if let Some(norm) = norm {
            let missing = match &node.op {
                Op::Conv2d { bias, .. } => &self.w[bias.clone()],
                _ => &[],
            };
            self.settle(norm, missing, workspace);
        }
        workspace.watch.lap(index, Pass::Forward);
        Ok(())
    }

    /// What a joined value is made of.
    fn combination<'v>(
        &'v self,
        join: Join,
        images: &'v [f32],
        workspace: &'v Workspace<f32>,
    ) -> Combination<'v> {
        let operand = |read| self.operand(images, &workspace.activations, &workspace.kept, read);
        let first = operand(Read::Normed { norm: join.norm, relu: false });
        Combination { first, second: join.second.map(operand), relu: join.relu }
    }

    fn moments(
        &self,
        norm: usize,
        images: &[f32],
        workspace: &mut Workspace<f32>,
    ) -> Result<(), NnError> {
        self.check_rows(norm)?;
        let node = &self.network.nodes[norm];
        if self.mode.statistics == Statistics::Batch {
            let Workspace { activations, sums, partials, .. } = workspace;
            let values = self.run.value(images, activations, node.input);
            fused::moments(values, grown(sums, 2 * node.shape[2]), partials);
        }
        self.settle(norm, &[], workspace);
        Ok(())
    }

    fn check_rows(&self, norm: usize) -> Result<(), NnError> {
        let node = &self.network.nodes[norm];
        let rows = self.run.len(norm + 1) / node.shape[2];
        if rows == 1 && self.mode.statistics == Statistics::Batch {
            return Err(NnError::OneValuePerChannel { layer: node.name.clone() });
        }
        Ok(())
    }

    /// What a norm keeps, from the moments in `sums` or the running statistics. From its input, as it is stored,
    /// a bias may be missing.
    fn settle(&self, norm: usize, missing: &[f32], workspace: &mut Workspace<f32>) {
        let (node, ranges) = self.norm(norm);
        let channels = node.shape[2];
        let rows = (self.run.len(norm + 1) / channels) as f64;
        let kept = &mut workspace.kept[norm][..KEPT * channels];
        for c in 0..channels {
            let missing = missing.get(c).map_or(0.0, |&bias| f64::from(bias));
            // A bias that is no finite number makes the channel NaN, although a norm takes it away.
            let nothing = 0.0 * missing;
            let (mean, variance) = match self.mode.statistics {
                Statistics::Batch => {
                    let (mean, squares) = (workspace.sums[c], workspace.sums[channels + c]);
                    let statistics = &mut workspace.batch_statistics;
                    statistics[ranges.mean.start + c] = (mean + missing) as f32;
                    statistics[ranges.variance.start + c] = (squares / (rows - 1.0)) as f32;
                    (mean, squares / rows)
                }
                Statistics::Running(buffers) => {
                    let at = |start: usize| f64::from(buffers[start + c]);
                    (at(ranges.mean.start) - missing, at(ranges.variance.start))
                }
            };
            let inverse_std = 1.0 / (variance + EPSILON).sqrt();
            kept[c] = (mean + nothing) as f32;
            kept[channels + c] = inverse_std as f32;
            kept[2 * channels + c] =
                (f64::from(self.w[ranges.gamma.start + c]) * inverse_std) as f32;
        }
    }
}
