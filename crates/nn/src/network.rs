//! A network: its graph, its parameter and buffer vectors, and what one can ask of it.

use ndarray::ArrayView4;
use smoothout_tensor::{ParameterLayout, Real, parallel_squared_norm};

use crate::execute::Run;
use crate::fused::plan::FusedPlan;
use crate::graph::{Node, Op, conv_shape};
use crate::layers::batch_norm;
use crate::plan::Plan;
use crate::workspace::Workspace;
use crate::{BatchLoss, BufferLayout, Mode, NnError, Statistics, fused, models};

/// A classifier of images: a static graph that ends in logits.
///
/// Its weights are not in it: they are one vector laid out as [`parameters`](Self::parameters), the
/// running statistics of batch norm another, laid out as [`buffers`](Self::buffers). Build one with
/// [`NetworkBuilder`](crate::NetworkBuilder), or take one of the paper's with
/// [`by_name`](Self::by_name).
///
/// ```
/// use ndarray::Array4;
/// use smoothout_nn::{Mode, Network, Workspace};
///
/// let network = Network::by_name("f1", 10)?;
/// let w: Vec<f32> = network.initial_parameters(1);
/// let images = Array4::from_shape_fn((4, 28, 28, 1), |(n, y, x, _)| ((n + y * x) % 7) as f32);
/// let mut workspace = Workspace::new(&network, 4);
/// let mut gradient = vec![0.0; w.len()];
/// let batch = network.loss_and_gradient(
///     &w, Mode::batch(), images.view(), &[3, 1, 4, 1], &mut gradient, &mut workspace,
/// )?;
/// // An untrained network knows little more than chance, ln 10 = 2.303.
/// assert!((batch.loss - 2.3).abs() < 1.0);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub(crate) name: String,
    pub(crate) input: [usize; 3],
    pub(crate) nodes: Vec<Node>,
    pub(crate) parameters: ParameterLayout,
    pub(crate) buffers: BufferLayout,
    pub(crate) initializations: Vec<crate::initial::Initialization>,
    pub(crate) plan: Plan,
    pub(crate) fused: FusedPlan,
}

impl Network {
    /// One of the paper's networks: see [`models`] for the names.
    ///
    /// # Errors
    /// If no model has that name; the error lists those that do. If there are no classes, or more
    /// than 65,536.
    pub fn by_name(name: &str, classes: usize) -> Result<Self, NnError> {
        models::by_name(name, classes)
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Height, width and channels of an image.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// K, the number of logits.
    pub fn classes(&self) -> usize {
        self.nodes.last().map_or(0, |node| node.shape[2])
    }

    /// The layout of w: PyTorch's names, shapes and order of `model.parameters()`.
    pub fn parameters(&self) -> &ParameterLayout {
        &self.parameters
    }

    /// The layout of the running statistics.
    pub fn buffers(&self) -> &BufferLayout {
        &self.buffers
    }

    /// Shape of a value of the graph; value 0 is the images.
    pub(crate) fn shape_of(&self, value: usize) -> [usize; 3] {
        if value == 0 { self.input } else { self.nodes[value - 1].shape }
    }

    /// Multiply-adds of one image's forward pass in convolutions and linear layers, padding counted
    /// as dense work.
    pub fn multiply_adds(&self) -> usize {
        self.nodes.iter().map(|node| self.node_multiply_adds(node)).sum()
    }

    /// Multiply-adds of one image's forward and backward pass, counted as
    /// [`multiply_adds`](Self::multiply_adds): three times those of the forward pass, but twice for
    /// a layer that reads the images, whose input needs no gradient.
    pub fn training_multiply_adds(&self) -> usize {
        let nodes = self.nodes.iter();
        nodes.map(|node| node.training_passes() * self.node_multiply_adds(node)).sum()
    }

    pub(crate) fn node_multiply_adds(&self, node: &Node) -> usize {
        match &node.op {
            Op::Linear { layer, .. } => layer.inputs * layer.outputs,
            Op::Conv2d { window, .. } => {
                conv_shape(window, 1, self.shape_of(node.input), node.shape[2]).multiply_adds()
            }
            _ => 0,
        }
    }

    /// Running mean 0, running variance 1.
    pub fn initial_buffers<R: Real>(&self) -> Vec<R> {
        let mut buffers = vec![R::zero(); self.buffers.len()];
        for block in self.buffers.blocks().iter().filter(|block| block.is_variance()) {
            buffers[block.range()].fill(R::one());
        }
        buffers
    }

    /// `running = 0.9 running + 0.1 batch`, for means and unbiased variances alike.
    ///
    /// # Panics
    /// If a slice does not have the length of [`buffers`](Self::buffers).
    pub fn update_buffers<R: Real>(&self, buffers: &mut [R], batch_statistics: &[R]) {
        assert_eq!(buffers.len(), self.buffers.len(), "length of the buffers");
        assert_eq!(batch_statistics.len(), self.buffers.len(), "length of the batch statistics");
        let momentum = batch_norm::MOMENTUM;
        let (keep, take) = (R::from_f64(1.0 - momentum), R::from_f64(momentum));
        for (running, &batch) in buffers.iter_mut().zip(batch_statistics) {
            *running = keep * *running + take * batch;
        }
    }

    /// The mean loss of a batch and its gradient at `w`; `gradient` is overwritten.
    ///
    /// With running statistics it is the gradient through frozen batch norm. An infinite or NaN
    /// loss is returned like any other.
    ///
    /// # Shapes
    /// images (N, H, W, C), labels N, `w` and `gradient` as [`parameters`](Self::parameters).
    ///
    /// # Errors
    /// If a length or shape does not fit, a label is no class, or batch statistics are asked of a
    /// layer that sees one value per channel.
    pub fn loss_and_gradient<R: Real>(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        images: ArrayView4<'_, R>,
        labels: &[usize],
        gradient: &mut [R],
        workspace: &mut Workspace<R>,
    ) -> Result<BatchLoss, NnError> {
        length("the gradient", gradient.len(), self.parameters.len())?;
        self.check(w, &mode, &images)?;
        self.check_labels(labels, images.dim().0)?;
        let mut run = Run::new(self, w, mode, images.dim().0, true);
        workspace.with_images(&images, |images, workspace| {
            let fused =
                fused::loss_and_gradient(self, w, mode, images, labels, gradient, workspace);
            if let Some(result) = fused {
                return result;
            }
            run.forward(images, workspace)?;
            let loss = run.cross_entropy(labels, workspace);
            run.backward(images, gradient, workspace);
            workspace.gradient_squared_norm = parallel_squared_norm(gradient);
            Ok(loss)
        })
    }

    pub(crate) fn check<R: Real>(
        &self,
        w: &[R],
        mode: &Mode<'_, R>,
        images: &ArrayView4<'_, R>,
    ) -> Result<(), NnError> {
        length("the parameter vector", w.len(), self.parameters.len())?;
        if let Statistics::Running(buffers) = mode.statistics {
            length("the buffer vector", buffers.len(), self.buffers.len())?;
        }
        let (batch, height, width, channels) = images.dim();
        let found = [height, width, channels];
        if found != self.input {
            return Err(NnError::ImageShape { found, expected: self.input });
        }
        if batch == 0 {
            return Err(NnError::EmptyBatch);
        }
        Ok(())
    }

    pub(crate) fn check_labels(&self, labels: &[usize], images: usize) -> Result<(), NnError> {
        length("the list of labels", labels.len(), images)?;
        let classes = self.classes();
        match labels.iter().position(|&label| label >= classes) {
            Some(example) => Err(NnError::Label { example, label: labels[example], classes }),
            None => Ok(()),
        }
    }
}

fn length(what: &'static str, found: usize, expected: usize) -> Result<(), NnError> {
    if found == expected { Ok(()) } else { Err(NnError::Length { what, found, expected }) }
}
