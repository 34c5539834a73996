//! A network and a batch of examples as the optimiser's oracle.

use ndarray::{ArrayView4, Axis, Slice};
use serde::{Deserialize, Serialize};
use smoothout_nn::{BatchLoss, Mode, Network, NnError, Workspace};
use smoothout_optim::{GhostBatches, GhostCopy, GradientOracle};
use smoothout_tensor::StreamKey;

/// Sums over examples: losses and hits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    loss: f64,
    top1: usize,
    top5: usize,
    examples: usize,
}

impl Tally {
    /// Adds a batch.
    pub fn add(&mut self, batch: &BatchLoss) {
        self.loss += batch.loss * batch.examples as f64;
        self.top1 += batch.top1;
        self.top5 += batch.top5;
        self.examples += batch.examples;
    }

    /// The examples seen.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The mean loss per example.
    pub fn loss(&self) -> f64 {
        self.loss / self.examples as f64
    }

    /// Percent of the examples whose class has the largest logit.
    pub fn top1(&self) -> f64 {
        100.0 * self.top1 as f64 / self.examples as f64
    }

    /// Percent of the examples whose class has one of the five largest logits.
    pub fn top5(&self) -> f64 {
        100.0 * self.top5 as f64 / self.examples as f64
    }
}

/// Working memory of one ghost batch in flight.
#[derive(Debug)]
pub struct GhostScratch {
    pub(crate) workspace: Workspace<f32>,
    outcome: Option<BatchLoss>,
}

impl GhostScratch {
    /// For ghost batches of at most `capacity` examples.
    pub fn new(network: &Network, capacity: usize) -> Self {
        Self { workspace: Workspace::new(network, capacity), outcome: None }
    }
}

/// The loss of one batch, ghost batch by ghost batch.
///
/// Batch norm uses each ghost batch's own statistics; the running statistics follow them in the
/// order of the copies, and see perturbed activations, as in the authors' code.
#[derive(Debug)]
pub struct BatchOracle<'a> {
    network: &'a Network,
    images: ArrayView4<'a, f32>,
    labels: &'a [usize],
    cut: GhostBatches,
    key: StreamKey,
    buffers: &'a mut [f32],
    tally: &'a mut Tally,
}

impl<'a> BatchOracle<'a> {
    /// `key` is the stream of this step's random layers. What the step sees goes to `buffers`
    /// (running statistics) and `tally`.
    ///
    /// # Shapes
    /// images (B, H, W, C), labels (B).
    pub fn new(
        network: &'a Network,
        images: ArrayView4<'a, f32>,
        labels: &'a [usize],
        cut: GhostBatches,
        key: StreamKey,
        buffers: &'a mut [f32],
        tally: &'a mut Tally,
    ) -> Self {
        Self { network, images, labels, cut, key, buffers, tally }
    }

    /// What is evaluated for one copy: network, mode, images and labels.
    pub(crate) fn evaluation(
        &self,
        at: GhostCopy,
    ) -> (&Network, Mode<'static, f32>, ArrayView4<'_, f32>, &[usize]) {
        let range = self.cut.range(at.ghost, self.labels.len());
        let images = self.images.slice_axis(Axis(0), Slice::from(range.clone()));
        let mode = Mode::train(self.key.copy(at.copy as u64));
        (self.network, mode, images, &self.labels[range])
    }
}

impl GradientOracle<f32> for BatchOracle<'_> {
    type Scratch = GhostScratch;
    type Error = NnError;

    fn ghosts(&self) -> usize {
        self.cut.count(self.labels.len())
    }

    fn share(&self, ghost: usize) -> f64 {
        self.cut.share(ghost, self.labels.len())
    }

    fn gradient(
        &self,
        at: GhostCopy,
        w: &[f32],
        gradient: &mut [f32],
        scratch: &mut GhostScratch,
    ) -> Result<f64, NnError> {
        let (network, mode, images, labels) = self.evaluation(at);
        let workspace = &mut scratch.workspace;
        let outcome = network.loss_and_gradient(w, mode, images, labels, gradient, workspace)?;
        let loss = outcome.loss;
        scratch.outcome = Some(outcome);
        Ok(loss)
    }

    fn squared_norm(&self, scratch: &GhostScratch) -> Option<f64> {
        Some(scratch.workspace.gradient_squared_norm())
    }

    fn accept(&mut self, _at: GhostCopy, scratch: &mut GhostScratch) {
        self.network.update_buffers(self.buffers, scratch.workspace.batch_statistics());
        if let Some(outcome) = scratch.outcome.take() {
            self.tally.add(&outcome);
        }
    }
}
