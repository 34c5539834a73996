//! A network on fixed data as a function of its parameter vector, in f64.

use ndarray::{Array4, ArrayView4};
use smoothout_nn::{Mode, Network, NetworkBuilder, Sequential, Workspace};
use smoothout_sharpness::{Differentiable, Objective};

use crate::cases::numbers;

/// The mean loss of a network over examples, as a function of w.
#[derive(Debug)]
pub(crate) struct NetworkLoss {
    pub(crate) network: Network,
    pub(crate) images: Array4<f64>,
    pub(crate) labels: Vec<usize>,
    /// Running statistics; those of the batch if there are none.
    pub(crate) buffers: Option<Vec<f64>>,
}

impl NetworkLoss {
    /// The loss of the examples `rows` alone.
    pub(crate) fn batch(&self, rows: &[usize]) -> Self {
        Self {
            network: self.network.clone(),
            images: self.images.select(ndarray::Axis(0), rows),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            buffers: self.buffers.clone(),
        }
    }

    fn mode(&self) -> Mode<'_, f64> {
        self.buffers.as_deref().map_or(Mode::batch(), Mode::evaluate)
    }

    fn images(&self) -> ArrayView4<'_, f64> {
        self.images.view()
    }
}

impl Objective for NetworkLoss {
    type Real = f64;
    type Scratch = Workspace<f64>;

    fn dimension(&self) -> usize {
        self.network.parameters().len()
    }

    fn scratch(&self) -> Workspace<f64> {
        Workspace::new(&self.network, self.labels.len())
    }

    fn value(&self, w: &[f64], workspace: &mut Workspace<f64>) -> f64 {
        let loss = self.network.loss(w, self.mode(), self.images(), &self.labels, workspace);
        loss.expect("data fit the network").loss
    }
}

impl Differentiable for NetworkLoss {
    fn value_and_gradient(
        &self,
        w: &[f64],
        gradient: &mut [f64],
        workspace: &mut Workspace<f64>,
    ) -> f64 {
        let mode = self.mode();
        let loss = self.network.loss_and_gradient(
            w,
            mode,
            self.images(),
            &self.labels,
            gradient,
            workspace,
        );
        loss.expect("data fit the network").loss
    }
}

/// What stands between the two linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// ReLU, layers without biases.
    Relu,
    /// ReLU, layers with biases.
    BiasRelu,
    /// Batch norm, then ReLU.
    BatchNormRelu,
}

/// `inputs` - `hidden` - `classes`.
pub(crate) fn two_layers(inputs: usize, hidden: usize, classes: usize, kind: Hidden) -> Network {
    let mut builder = NetworkBuilder::new("two layers", [1, 1, inputs]);
    let images = builder.images();
    let bias = kind == Hidden::BiasRelu;
    let mut layers = Sequential::new(&mut builder, "layers", images).linear(hidden, bias);
    if kind == Hidden::BatchNormRelu {
        layers = layers.batch_norm();
    }
    let logits = layers.relu().linear(classes, bias).end();
    builder.finish(logits).expect("no extent is 0")
}

/// Random images in (-2, 2).
pub(crate) fn images(seed: u64, examples: usize, inputs: usize) -> Array4<f64> {
    let draw = numbers(seed, 1 << 40, examples * inputs).iter().map(|x| 2.0 * x).collect();
    Array4::from_shape_vec((examples, 1, 1, inputs), draw).expect("examples x inputs numbers")
}
