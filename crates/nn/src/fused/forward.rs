//! The forward pass.

use std::mem::take;

use smoothout_tensor::kernels::fused;

use super::plan::Forward;
use super::roles::Read;
use super::{Fused, WeightedSum};
use crate::layers::batch_norm::EPSILON;
use crate::parallel::grown;
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
        for step in &plan.forward {
            match *step {
                Forward::Plain { node } => self.run.forward_step(node, images, workspace)?,
                Forward::Moments { norm } => self.moments(norm, images, workspace)?,
                Forward::Weighted { node, norm, .. } => {
                    if let Some(norm) = norm {
                        self.check_rows(norm)?;
                    }
                    let slot = slots.of_value[node + 1];
                    let mut output = take(&mut workspace.activations[slot]);
                    self.weighted(step, images, &mut output[..self.run.len(node + 1)], workspace);
                    workspace.activations[slot] = output;
                }
                Forward::Combine { value, join } => {
                    let slot = slots.of_value[value];
                    let mut output = take(&mut workspace.activations[slot]);
                    let (activations, kept) = (&workspace.activations, &workspace.kept);
                    let first = Read::Normed { norm: join.norm, relu: false };
                    let operand = |read| self.operand(images, activations, kept, read);
                    let channels = self.network.shape_of(value)[2];
                    let to = &mut output[..self.run.len(value)];
                    let second = join.second.map(operand);
                    fused::combine(operand(first), second, join.relu, channels, to);
                    workspace.activations[slot] = output;
                }
            }
        }
        Ok(())
    }

    fn weighted(
        &self,
        step: &Forward,
        images: &[f32],
        output: &mut [f32],
        workspace: &mut Workspace<f32>,
    ) {
        let Forward::Weighted { node: index, input, norm } = *step else {
            unreachable!("called for weighted sums only")
        };
        let node = &self.network.nodes[index];
        let channels = node.shape[2];
        let Workspace { activations, kept, sums, partials, scratch, .. } = workspace;
        let input = self.operand(images, activations, kept, input);
        let batch_statistics = self.mode.statistics == Statistics::Batch;
        let moments = (norm.is_some() && batch_statistics).then(|| grown(sums, 2 * channels));
        match self.weighted_sum(node) {
            WeightedSum::Conv2d { shape, weight } => {
                let weight = &self.w[weight];
                fused::forward(&shape, input, weight, output, moments, partials, scratch);
            }
            WeightedSum::Linear { extents, weight, bias } => {
                let (weight, bias) = (&self.w[weight], &self.w[bias]);
                fused::linear_forward(input, weight, bias, output, moments, partials, extents);
            }
        }
        if let Some(norm) = norm {
            self.settle(norm, workspace);
        }
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
        self.settle(norm, workspace);
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

    /// What a norm keeps, from the moments in `sums` or the running statistics.
    fn settle(&self, norm: usize, workspace: &mut Workspace<f32>) {
        let (node, ranges) = self.norm(norm);
        let channels = node.shape[2];
        let rows = (self.run.len(norm + 1) / channels) as f64;
        let kept = &mut workspace.kept[norm][..KEPT * channels];
        for c in 0..channels {
            let (mean, variance) = match self.mode.statistics {
                Statistics::Batch => {
                    let (mean, squares) = (workspace.sums[c], workspace.sums[channels + c]);
                    let statistics = &mut workspace.batch_statistics;
                    statistics[ranges.mean.start + c] = mean as f32;
                    statistics[ranges.variance.start + c] = (squares / (rows - 1.0)) as f32;
                    (mean, squares / rows)
                }
                Statistics::Running(buffers) => {
                    let at = |start: usize| f64::from(buffers[start + c]);
                    (at(ranges.mean.start), at(ranges.variance.start))
                }
            };
            let inverse_std = 1.0 / (variance + EPSILON).sqrt();
            kept[c] = mean as f32;
            kept[channels + c] = inverse_std as f32;
            kept[2 * channels + c] =
                (f64::from(self.w[ranges.gamma.start + c]) * inverse_std) as f32;
        }
    }
}
