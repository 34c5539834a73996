//! The backward pass.

use std::mem::take;
use std::ops::Range;

use smoothout_tensor::kernels::fused::{
    self, Finish, MaximaGradient, NormGradient, Normed, OutputGradient,
};
use smoothout_tensor::parallel_squared_norm;

use super::plan::{Backward, Finishing};
use super::{Fused, WeightedSum, kept};
use crate::graph::Op;
use crate::layers::batch_norm::EPSILON;
use crate::parallel::{column_sums, grown};
use crate::times::Pass;
use crate::workspace::KEPT;
use crate::{Statistics, Workspace};

impl Fused<'_> {
    /// Walks back from the gradient of the logits; overwrites `gradient`.
    pub(super) fn backward(
        &self,
        images: &[f32],
        gradient: &mut [f32],
        workspace: &mut Workspace<f32>,
    ) {
        workspace.gradient_squared_norm = 0.0;
        workspace.watch.begin(self.network.nodes.len());
        for step in &self.plan.backward {
            match step {
                Backward::Plain(step) => {
                    self.run.backward_node(step, images, gradient, workspace);
                }
                Backward::Weighted { .. } => {
                    self.weighted_gradients(step, images, gradient, workspace);
                }
                Backward::Norm { norm: index, gradient: from, add, to } => {
                    self.coefficients(*index, gradient, workspace);
                    let mut buffer = take(&mut workspace.gradients[*to]);
                    let output = &mut buffer[..self.run.len(index + 1)];
                    let add = add.map(|slot| &workspace.gradients[slot][..output.len()]);
                    let norm = self.norm_gradient(*index, *from, images, workspace);
                    fused::norm_gradient(norm, add, output);
                    workspace.gradients[*to] = buffer;
                    workspace.watch.lap(*index, Pass::Backward);
                }
                Backward::Finish { value, slot, finishing } => {
                    let mut buffer = take(&mut workspace.gradients[*slot]);
                    let mut sums = take(&mut workspace.sums);
                    let mut partials = take(&mut workspace.partials);
                    let channels = self.network.shape_of(*value)[2];
                    let to = &mut buffer[..self.run.len(*value)];
                    let finish = self.finish(finishing, to.len(), images, workspace);
                    fused::finish(finish, to, grown(&mut sums, 3 * channels), &mut partials);
                    self.norm_parameters(finishing, &sums, gradient);
                    workspace.gradients[*slot] = buffer;
                    (workspace.sums, workspace.partials) = (sums, partials);
                    workspace.watch.lap(value - 1, Pass::Backward);
                }
            }
        }
        workspace.gradient_squared_norm += self.rest_of_squared_norm(gradient);
    }

    /// Without the weights that [`weighted_gradients`](Self::weighted_gradients) has added. The layers'
    /// parameters follow each other as the layers do, backward in reverse.
    fn rest_of_squared_norm(&self, gradient: &[f32]) -> f64 {
        let (mut sum, mut from) = (0.0, 0);
        for step in self.plan.backward.iter().rev() {
            let Backward::Weighted { node, .. } = step else { continue };
            if let Op::Linear { weight, .. } = &self.network.nodes[*node].op {
                sum += parallel_squared_norm(&gradient[from..weight.start]);
                from = weight.end;
            }
        }
        sum + parallel_squared_norm(&gradient[from..])
    }

    fn weighted_gradients(
        &self,
        step: &Backward,
        images: &[f32],
        parameter_gradient: &mut [f32],
        workspace: &mut Workspace<f32>,
    ) {
        let Backward::Weighted { node: index, input, pool, norm, gradient, room, target } = step
        else {
            unreachable!("called for weighted sums only")
        };
        let node = &self.network.nodes[*index];
        if let Some(norm) = norm {
            self.coefficients(*norm, parameter_gradient, workspace);
        }
        let mut room_buffer = room.map(|slot| take(&mut workspace.gradients[slot]));
        let mut scratch = take(&mut workspace.scratch);
        let mut sums = take(&mut workspace.sums);
        let mut partials = take(&mut workspace.partials);
        let input_slot = target.as_ref().map(|(slot, _)| *slot);
        let mut input_buffer = input_slot.map(|slot| take(&mut workspace.gradients[slot]));
        let written = self.run.len(pool.unwrap_or(*index) + 1);
        let stored = &workspace.gradients[*gradient][..written];
        let norm_gradient = norm.map(|norm| self.norm_gradient(norm, *gradient, images, workspace));
        let from = match (pool, norm_gradient) {
            (Some(pool), norm) => OutputGradient::Pooled {
                pool: self.pool(*pool),
                argmax: &workspace.argmax[*pool][..written],
                maxima: norm.map_or(MaximaGradient::Stored(stored), MaximaGradient::Norm),
            },
            (None, Some(norm)) => {
                let room = room_buffer.as_mut().expect("room for the gradient of a norm's input");
                OutputGradient::Norm { norm, to: &mut room[..written] }
            }
            (None, None) => OutputGradient::Stored(stored),
        };
        let input = self.operand(images, &workspace.activations, &workspace.kept, *input);
        let finished = target.as_ref();
        let target = match (finished, &mut input_buffer) {
            (Some((_, finishing)), Some(buffer)) => {
                let to = &mut buffer[..self.run.len(node.input)];
                let finish = self.finish(finishing, to.len(), images, workspace);
                let channels = self.network.shape_of(node.input)[2];
                Some((to, finish, grown(&mut sums, 3 * channels)))
            }
            _ => None,
        };
        match self.weighted_sum(node) {
            WeightedSum::Conv2d { shape, weight, bias } => {
                let w = &self.w[weight.clone()];
                let to = &mut parameter_gradient[weight];
                let (partials, scratch) = (&mut partials, &mut scratch);
                match target {
                    Some(target) => {
                        fused::gradients(&shape, w, from, input, target, partials, to, scratch);
                    }
                    None => fused::weight_gradient(&shape, input, from, to, scratch),
                }
                if let Some(norm) = norm {
                    self.shift_gradient(*norm, bias, parameter_gradient);
                }
            }
            WeightedSum::Linear { extents, weight, bias } => {
                let w = &self.w[weight.clone()];
                let to = &mut parameter_gradient[weight];
                workspace.gradient_squared_norm += match target {
                    Some(target) => {
                        fused::linear_gradients(w, from, input, target, &mut partials, to, extents)
                    }
                    None => fused::linear_weight_gradient(input, from.store(), to, extents),
                };
                match norm {
                    Some(norm) => self.shift_gradient(*norm, bias, parameter_gradient),
                    None if bias.is_empty() => {}
                    None => column_sums(stored, &mut parameter_gradient[bias], &mut partials),
                }
            }
        }
        if let Some((_, finishing)) = finished {
            self.norm_parameters(finishing, &sums, parameter_gradient);
        }
        (workspace.scratch, workspace.sums, workspace.partials) = (scratch, sums, partials);
        if let (Some(slot), Some(buffer)) = (*room, room_buffer) {
            workspace.gradients[slot] = buffer;
        }
        if let (Some(slot), Some(buffer)) = (input_slot, input_buffer) {
            workspace.gradients[slot] = buffer;
        }
        workspace.watch.lap(*index, Pass::Backward);
    }

    /// The gradient of a bias whose sum a norm reads: `sum dz`, which is 0 if the norm takes the
    /// mean away again, and else `gamma / std s1`.
    fn shift_gradient(&self, norm: usize, bias: Range<usize>, gradient: &mut [f32]) {
        let (_, ranges) = self.norm(norm);
        for (c, at) in bias.enumerate() {
            gradient[at] = match self.mode.statistics {
                Statistics::Batch => 0.0,
                Statistics::Running(buffers) => {
                    let variance = f64::from(buffers[ranges.variance.start + c]);
                    let scale =
                        f64::from(self.w[ranges.gamma.start + c]) / (variance + EPSILON).sqrt();
                    (scale * f64::from(gradient[ranges.beta.start + c])) as f32
                }
            };
        }
    }

    /// The slope and offset of a norm's backward pass, from the gradients of its gamma and beta.
    fn coefficients(&self, norm: usize, gradient: &[f32], workspace: &mut Workspace<f32>) {
        let (node, ranges) = self.norm(norm);
        let channels = node.shape[2];
        let kept = &mut workspace.kept[norm][..KEPT * channels];
        let share = match self.mode.statistics {
            Statistics::Batch => channels as f32 / self.run.len(norm + 1) as f32,
            Statistics::Running(_) => 0.0,
        };
        for c in 0..channels {
            let (inverse_std, scale) = (kept[channels + c], kept[2 * channels + c]);
            let (s1, s2) = (gradient[ranges.beta.start + c], gradient[ranges.gamma.start + c]);
            kept[3 * channels + c] = -scale * inverse_std * s2 * share;
            kept[4 * channels + c] = -scale * s1 * share;
        }
    }

    fn norm_gradient<'v>(
        &'v self,
        norm: usize,
        slot: usize,
        images: &'v [f32],
        workspace: &'v Workspace<f32>,
    ) -> NormGradient<'v> {
        let (node, _) = self.norm(norm);
        let input = self.run.value(images, &workspace.activations, node.input);
        let [mean, _, scale, slope, offset] = kept(&workspace.kept[norm], node.shape[2]);
        let gradient = &workspace.gradients[slot][..input.len()];
        NormGradient { gradient, input, mean, scale, slope, offset }
    }

    fn finish<'v>(
        &'v self,
        finishing: &Finishing,
        len: usize,
        images: &'v [f32],
        workspace: &'v Workspace<f32>,
    ) -> Finish<'v> {
        let (activations, norms) = (&workspace.activations, &workspace.kept);
        Finish {
            add: finishing.add.map(|slot| &workspace.gradients[slot][..len]),
            gate: finishing.gate.map(|read| self.operand(images, activations, norms, read)),
            norms: finishing.norms.map(|norm| {
                norm.map(|norm| {
                    let (node, _) = self.norm(norm);
                    let [mean, inverse_std, ..] = kept(&norms[norm], node.shape[2]);
                    let input = self.run.value(images, activations, node.input);
                    Normed { input, mean, inverse_std }
                })
            }),
        }
    }

    /// dbeta = s1, dgamma = s2.
    fn norm_parameters(&self, finishing: &Finishing, sums: &[f64], gradient: &mut [f32]) {
        for (k, norm) in finishing.norms.iter().enumerate() {
            let Some(norm) = norm else { continue };
            let (node, ranges) = self.norm(*norm);
            let channels = node.shape[2];
            let s2 = &sums[(k + 1) * channels..][..channels];
            for (to, from) in gradient[ranges.beta].iter_mut().zip(&sums[..channels]) {
                *to = *from as f32;
            }
            for (to, from) in gradient[ranges.gamma].iter_mut().zip(s2) {
                *to = *from as f32;
            }
        }
    }
}
