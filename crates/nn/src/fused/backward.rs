//! The backward pass.

use std::mem::take;

use smoothout_tensor::kernels::fused::{self, Finish, NormGradient, Normed, OutputGradient};

use super::plan::{Backward, Finishing};
use super::{Fused, kept};
use crate::graph::{Op, conv_shape};
use crate::parallel::grown;
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
        for step in &self.plan.backward {
            match step {
                Backward::Plain(step) => {
                    self.run.backward_node(step, images, gradient, workspace);
                }
                Backward::Conv { .. } => self.conv_gradients(step, images, gradient, workspace),
                Backward::Norm { norm, gradient: from, add, to } => {
                    self.coefficients(*norm, gradient, workspace);
                    let mut buffer = take(&mut workspace.gradients[*to]);
                    let output = &mut buffer[..self.run.len(norm + 1)];
                    let add = add.map(|slot| &workspace.gradients[slot][..output.len()]);
                    let norm = self.norm_gradient(*norm, *from, images, workspace);
                    fused::norm_gradient(norm, add, output);
                    workspace.gradients[*to] = buffer;
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
                }
            }
        }
    }

    fn conv_gradients(
        &self,
        step: &Backward,
        images: &[f32],
        parameter_gradient: &mut [f32],
        workspace: &mut Workspace<f32>,
    ) {
        let Backward::Conv { node: index, input, gradient, norm, target } = step else {
            unreachable!("called for convolutions only")
        };
        let node = &self.network.nodes[*index];
        let Op::Conv2d { window, weight, .. } = &node.op else {
            unreachable!("the plan names convolutions only")
        };
        let input_shape = self.network.shape_of(node.input);
        let shape = conv_shape(window, self.batch, input_shape, node.shape[2]);
        let len = self.run.len(index + 1);
        if let Some((norm, _)) = norm {
            self.coefficients(*norm, parameter_gradient, workspace);
        }
        // With a norm, the gradient of the output is computed into a buffer of its own.
        let output = norm.map_or(*gradient, |(_, to)| to);
        let mut output_buffer = take(&mut workspace.gradients[output]);
        let mut scratch = take(&mut workspace.scratch);
        if let Some((slot, finishing)) = target {
            let mut buffer = take(&mut workspace.gradients[*slot]);
            let (mut sums, mut partials) =
                (take(&mut workspace.sums), take(&mut workspace.partials));
            let to = &mut buffer[..self.run.len(node.input)];
            let finish = self.finish(finishing, to.len(), images, workspace);
            let from = match norm {
                Some((norm, _)) => OutputGradient::Norm {
                    norm: self.norm_gradient(*norm, *gradient, images, workspace),
                    to: &mut output_buffer[..len],
                },
                None => OutputGradient::Stored(&output_buffer[..len]),
            };
            let weight = &self.w[weight.clone()];
            let all = grown(&mut sums, 3 * shape.in_channels);
            fused::input_gradient(
                &shape,
                weight,
                from,
                to,
                finish,
                all,
                &mut partials,
                &mut scratch,
            );
            self.norm_parameters(finishing, &sums, parameter_gradient);
            workspace.gradients[*slot] = buffer;
            (workspace.sums, workspace.partials) = (sums, partials);
        } else if let Some((norm, _)) = norm {
            let norm = self.norm_gradient(*norm, *gradient, images, workspace);
            fused::norm_gradient(norm, None, &mut output_buffer[..len]);
        }
        let input = self.operand(images, &workspace.activations, &workspace.kept, *input);
        let to = &mut parameter_gradient[weight.clone()];
        fused::weight_gradient(&shape, input, &output_buffer[..len], to, &mut scratch);
        workspace.scratch = scratch;
        workspace.gradients[output] = output_buffer;
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
