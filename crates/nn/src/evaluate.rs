//! Evaluation without gradient: the loss of a batch, or its logits.
//!
//! Where the images of a batch share nothing (running statistics, random layers off), they are taken
//! a group at a time: a layer finds its input in the cache, where the one before it left it, and the
//! memory is that of a group. An image's logits have the same bits in any group.

use std::mem::take;

use ndarray::{ArrayView2, ArrayView4};
use smoothout_tensor::Real;

use crate::execute::Run;
use crate::graph::elements;
use crate::layers::cross_entropy;
use crate::parallel::{copy, grown};
use crate::{BatchLoss, Mode, Network, NnError, Statistics, Workspace, fused};

/// The largest value of a group of images that are evaluated together: it stays in the last cache
/// level, next to another one, and still is work enough for many threads.
const GROUP_BYTES: usize = 8 << 20;
/// The fewest images to such a group: the weights of a layer are made ready once for each.
const GROUP: usize = 128;

impl Network {
    /// The mean loss of a batch at `w`.
    ///
    /// # Errors
    /// As [`loss_and_gradient`](Self::loss_and_gradient).
    pub fn loss<R: Real>(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        images: ArrayView4<'_, R>,
        labels: &[usize],
        workspace: &mut Workspace<R>,
    ) -> Result<BatchLoss, NnError> {
        self.check_labels(labels, images.dim().0)?;
        let len = self.compute_logits(w, mode, images, workspace)?;
        let Workspace { logits, partials, .. } = workspace;
        Ok(cross_entropy::loss(self.classes(), &logits[..len], labels, None, partials))
    }

    /// The logits (N, K) of a batch at `w`; they lie in the workspace.
    ///
    /// # Errors
    /// As [`loss_and_gradient`](Self::loss_and_gradient).
    pub fn logits<'ws, R: Real>(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        images: ArrayView4<'_, R>,
        workspace: &'ws mut Workspace<R>,
    ) -> Result<ArrayView2<'ws, R>, NnError> {
        let batch = images.dim().0;
        let len = self.compute_logits(w, mode, images, workspace)?;
        let logits = &workspace.logits[..len];
        Ok(ArrayView2::from_shape((batch, self.classes()), logits).expect("N K logits"))
    }

    /// Computes the logits without what a gradient would need, group by group; their number.
    fn compute_logits<R: Real>(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        images: ArrayView4<'_, R>,
        workspace: &mut Workspace<R>,
    ) -> Result<usize, NnError> {
        self.check(w, &mode, &images)?;
        let (batch, classes) = (images.dim().0, self.classes());
        let separate = mode.noise.is_none() && mode.statistics != Statistics::Batch;
        let group = if separate { self.images_in_cache::<R>() } else { batch };
        let mut logits = take(&mut workspace.logits);
        let result = workspace.with_images(&images, |images, workspace| {
            let images = images.chunks(group * elements(self.input));
            let logits = grown(&mut logits, batch * classes).chunks_mut(group * classes);
            images.zip(logits).try_for_each(|(images, logits)| {
                let slot = self.logits_of_group(w, mode, images, workspace)?;
                copy(logits, &workspace.activations[slot][..logits.len()]);
                Ok(())
            })
        });
        workspace.logits = logits;
        result.map(|()| batch * classes)
    }

    /// The slot of the logits of images that are taken at once.
    fn logits_of_group<R: Real>(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        images: &[R],
        workspace: &mut Workspace<R>,
    ) -> Result<usize, NnError> {
        let batch = images.len() / elements(self.input);
        if let Some(slot) = fused::logits(self, w, mode, batch, images, workspace) {
            return slot;
        }
        Run::new(self, w, mode, batch, false).forward(images, workspace)?;
        Ok(self.plan.inference.of_value[self.nodes.len()])
    }

    /// How many images' largest values fill [`GROUP_BYTES`], at least [`GROUP`].
    fn images_in_cache<R: Real>(&self) -> usize {
        let largest = self.nodes.iter().map(|node| elements(node.shape)).max().unwrap_or(1);
        (GROUP_BYTES / (largest * size_of::<R>())).max(GROUP)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, Axis, Slice};

    use super::*;
    use crate::models;

    fn check(network: &Network) {
        let [height, width, channels] = network.input_shape();
        let group = network.images_in_cache::<f32>();
        let batch = 2 * group + 3;
        let images = Array4::from_shape_fn((batch, height, width, channels), |(n, y, x, c)| {
            ((n * 7 + y * 5 + x * 3 + c) as f32 * 0.37).sin()
        });
        let w: Vec<f32> = network.initial_parameters(3);
        let buffers = network.initial_buffers();
        let (mode, mut workspace) = (Mode::evaluate(&buffers), Workspace::new(network, batch));
        let all = network.logits(&w, mode, images.view(), &mut workspace).unwrap().to_owned();
        for (first, count) in [(0, 1), (group - 1, 2), (batch - 5, 5)] {
            let some = Slice::from(first..first + count);
            let images = images.slice_axis(Axis(0), some);
            let logits = network.logits(&w, mode, images, &mut workspace).unwrap();
            assert!(logits == all.slice_axis(Axis(0), some), "{} from {first}", network.name());
        }
    }

    #[test]
    fn an_image_has_the_same_logits_in_any_batch() {
        check(&models::cifar_resnet(8, 16, 10).unwrap());
        check(&models::f1(8, 10).unwrap());
        check(&models::shallow(16, 6).unwrap());
    }
}
