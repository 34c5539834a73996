//! Where a network's numbers first stop being finite: a slow evaluation, layer by layer, for the
//! message about a training that has failed.

use std::fmt;

use ndarray::ArrayView4;
use smoothout_tensor::{Real, all_finite};

use crate::execute::Run;
use crate::graph::Op;
use crate::{Mode, Network, NnError, Statistics, Workspace};

/// The first numbers of an evaluation that are infinite or NaN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NonFinite {
    /// The weights it was evaluated at: a block's name.
    Parameters(String),
    /// The images.
    Images,
    /// What a layer makes of finite numbers: its name.
    Output(String),
    /// A mean or variance over the batch: its name among the running statistics.
    Statistics(String),
    /// The loss of finite logits.
    Loss,
    /// The gradient of a block of parameters: its name.
    Gradient(String),
    /// The gradient of what a layer reads: the layer's name.
    InputGradient(String),
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameters(block) => write!(f, "the weights {block}"),
            Self::Images => f.write_str("the images"),
            Self::Output(layer) => write!(f, "the output of {layer}"),
            Self::Statistics(buffer) => write!(f, "the batch's statistics for {buffer}"),
            Self::Loss => f.write_str("the loss"),
            Self::Gradient(block) => write!(f, "the gradient of {block}"),
            Self::InputGradient(layer) => write!(f, "the gradient of the input of {layer}"),
        }
    }
}

impl Network {
    /// Evaluates the loss and its gradient node by node, by the plain definitions, and names the
    /// first numbers that are infinite or NaN. `None` if there are none, which may be so where the
    /// fast kernels, which add in another order, overflow.
    ///
    /// # Shapes
    /// As [`loss_and_gradient`](Self::loss_and_gradient).
    ///
    /// # Errors
    /// As [`loss_and_gradient`](Self::loss_and_gradient).
    ///
    /// # Examples
    /// ```
    /// use ndarray::Array4;
    /// use smoothout_nn::{Mode, Network, NonFinite, Workspace};
    ///
    /// let network = Network::by_name("f1", 10)?;
    /// let mut w: Vec<f32> = network.initial_parameters(1);
    /// let images = Array4::from_shape_fn((4, 28, 28, 1), |(n, y, x, _)| ((n + y * x) % 7) as f32);
    /// let mut workspace = Workspace::new(&network, 4);
    /// let mut examine = |w: &[f32]| {
    ///     network.first_non_finite(w, Mode::batch(), images.view(), &[3, 1, 4, 1], &mut workspace)
    /// };
    /// assert_eq!(examine(&w)?, None);
    /// w[5] = f32::NAN;
    /// assert_eq!(examine(&w)?, Some(NonFinite::Parameters("layers.0.weight".to_owned())));
    /// # Ok::<(), smoothout_nn::NnError>(())
    /// ```
    pub fn first_non_finite<R: Real>(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        images: ArrayView4<'_, R>,
        labels: &[usize],
        workspace: &mut Workspace<R>,
    ) -> Result<Option<NonFinite>, NnError> {
        self.check(w, &mode, &images)?;
        self.check_labels(labels, images.dim().0)?;
        let run = Run::new(self, w, mode, images.dim().0, true);
        workspace.with_images(&images, |images, workspace| {
            if let Some(block) = self.parameters.first_non_finite(w) {
                return Ok(Some(NonFinite::Parameters(block.to_owned())));
            }
            if !all_finite(images) {
                return Ok(Some(NonFinite::Images));
            }
            let forward = self.examine_forward(&run, images, workspace)?;
            if forward.is_some() {
                return Ok(forward);
            }
            if !run.cross_entropy(labels, workspace).loss.is_finite() {
                return Ok(Some(NonFinite::Loss));
            }
            Ok(self.examine_backward(&run, images, workspace))
        })
    }

    fn examine_forward<R: Real>(
        &self,
        run: &Run<'_, R>,
        images: &[R],
        workspace: &mut Workspace<R>,
    ) -> Result<Option<NonFinite>, NnError> {
        workspace.prepare(self, run.batch(), run.slots(), &self.plan.gradients);
        for (index, node) in self.nodes.iter().enumerate() {
            run.forward_step(index, images, workspace)?;
            if let (Op::BatchNorm { mean, variance, .. }, Statistics::Batch) =
                (&node.op, run.statistics())
            {
                for range in [mean, variance] {
                    if !all_finite(&workspace.batch_statistics[range.clone()]) {
                        let blocks = self.buffers.blocks().iter();
                        let mut names = blocks.filter(|block| block.range() == *range);
                        let name = names.next().map_or(&*node.name, |block| block.name());
                        return Ok(Some(NonFinite::Statistics(name.to_owned())));
                    }
                }
            }
            if !all_finite(run.value(images, &workspace.activations, index + 1)) {
                return Ok(Some(NonFinite::Output(self.place(index))));
            }
        }
        Ok(None)
    }

    fn examine_backward<R: Real>(
        &self,
        run: &Run<'_, R>,
        images: &[R],
        workspace: &mut Workspace<R>,
    ) -> Option<NonFinite> {
        let mut gradient = vec![R::zero(); self.parameters.len()];
        for step in &self.plan.backward {
            run.backward_node(step, images, &mut gradient, workspace);
            if let Some(block) = self.parameters.first_non_finite(&gradient) {
                return Some(NonFinite::Gradient(block.to_owned()));
            }
            let targets = step.input.iter().chain(&step.other);
            let slots = targets.map(|target| target.into.unwrap_or(target.slot));
            let len = run.len(self.nodes[step.node].input);
            if slots.map(|slot| &workspace.gradients[slot][..len]).any(|values| !all_finite(values))
            {
                return Some(NonFinite::InputGradient(self.place(step.node)));
            }
        }
        None
    }

    /// A node's name; one without parameters is told by the layer before it.
    fn place(&self, index: usize) -> String {
        let has_parameters =
            |op: &Op| matches!(op, Op::Linear { .. } | Op::Conv2d { .. } | Op::BatchNorm { .. });
        let name = &self.nodes[index].name;
        match self.nodes[..=index].iter().rposition(|node| has_parameters(&node.op)) {
            Some(before) if before < index => format!("{name} after {}", self.nodes[before].name),
            _ => name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::NetworkBuilder;

    /// Images of two pixels, a linear layer or two, and what is found for one label.
    fn examine<R: Real, const LEN: usize>(
        network: &Network,
        w: &[f64],
        images: [f64; LEN],
    ) -> Option<NonFinite> {
        let count = LEN / 2;
        let w: Vec<R> = w.iter().map(|&w| R::from_f64(w)).collect();
        let images =
            Array4::from_shape_vec((count, 1, 2, 1), images.map(R::from_f64).to_vec()).unwrap();
        let mut workspace = Workspace::new(network, count);
        let labels = vec![1; count];
        network.first_non_finite(&w, Mode::batch(), images.view(), &labels, &mut workspace).unwrap()
    }

    fn linear(layers: &[&str], norm: bool) -> Network {
        let mut builder = NetworkBuilder::new("test", [1, 2, 1]);
        let mut x = builder.images();
        for (index, name) in layers.iter().enumerate() {
            x = builder.linear(x, name, 2, false);
            if norm && index == 0 {
                x = builder.batch_norm(x, "norm");
                x = builder.relu(x);
            }
        }
        builder.finish(x).unwrap()
    }

    #[test]
    fn each_place_is_named() {
        let images = [1.0, 0.5, -1.0, 2.0];
        let single = linear(&["fc"], false);
        let small = [0.1, 0.2, 0.3, 0.4];
        assert_eq!(examine::<f32, _>(&single, &small, images), None);
        let found = examine::<f32, _>(&single, &[0.1, f64::NAN, 0.3, 0.4], images);
        assert_eq!(found, Some(NonFinite::Parameters("fc.weight".into())));
        let found = examine::<f32, _>(&single, &small, [1.0, f64::INFINITY, 0.0, 0.0]);
        assert_eq!(found, Some(NonFinite::Images));
        let found = examine::<f32, _>(&single, &[3e38; 4], images);
        assert_eq!(found, Some(NonFinite::Output("fc".into())));
        // f64: logits of 1e308 and -1e308 are numbers, their difference is none.
        let found = examine::<f64, _>(&single, &[1e308, 0.0, -1e308, 0.0], [1.0; 4]);
        assert_eq!(found, Some(NonFinite::Loss));
        // Two examples that pull the same way with 3e38 p each, p > 1/2.
        let found =
            examine::<f32, _>(&single, &[2e-38, 0.0, -2e-38, 0.0], [3e38, 3e38, 3e38, 3e38]);
        assert_eq!(found, None, "their mean is a number");

        let pair = linear(&["fc", "out"], false);
        // One image: the gradient of the hidden values is 3e38 (p_0 + 1 - p_1).
        let w = [2e-38, 0.0, 2e-38, 0.0, 3e38, 3e38, -3e38, -3e38];
        let found = examine::<f32, _>(&pair, &w, [1.0; 2]);
        assert_eq!(found, Some(NonFinite::InputGradient("out".into())));
        // The gradient of the hidden values is a number, that of the first weights is not.
        let w = [2e-38, 0.0, 2e-38, 0.0, 1e38, 1e38, -1e38, -1e38];
        let found = examine::<f32, _>(&pair, &w, [10.0; 4]);
        assert_eq!(found, Some(NonFinite::Gradient("fc.weight".into())));

        let norm = linear(&["fc", "out"], true);
        let w = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4];
        let found = examine::<f32, _>(&norm, &w, [1e25, 0.0, 0.0, 0.0]);
        assert_eq!(found, Some(NonFinite::Statistics("norm.running_var".into())));
        // gamma = 3e38, and the normalised values are 1 and -1.
        let w = [1.0, 1.0, 1.0, 1.0, 3e38, 1.0, 3e38, 0.0, 0.1, 0.2, 0.3, 0.4];
        let found = examine::<f32, _>(&norm, &w, [1e3, 0.0, 0.0, 0.0]);
        assert_eq!(found, Some(NonFinite::Output("norm".into())));
    }
}
