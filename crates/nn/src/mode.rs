//! How a network is run, and what comes back.

use smoothout_tensor::StreamKey;

/// Which mean and variance batch norm uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistics<'a, R> {
    /// Those of the batch (a ghost batch, if that is what is given).
    Batch,
    /// The running ones: a buffer vector laid out as [`Network::buffers`](crate::Network::buffers).
    Running(&'a [R]),
}

/// Statistics of batch norm and noise of the random layers: two separate choices.
///
/// ```
/// use smoothout_nn::{Mode, Statistics};
/// let mode = Mode::<f32>::batch();
/// assert_eq!((mode.statistics, mode.noise), (Statistics::Batch, None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode<'a, R> {
    /// Where batch norm takes its mean and variance from.
    pub statistics: Statistics<'a, R>,
    /// The stream of dropout and noisy ReLU; its `block` becomes the layer's index. `None` turns
    /// dropout off and makes a noisy ReLU a plain one.
    pub noise: Option<StreamKey>,
}

impl<'a, R> Mode<'a, R> {
    /// Training: batch statistics, random layers on. One key draws one mask: each step needs its own, and so
    /// does each ghost batch of a step.
    pub fn train(key: StreamKey) -> Self {
        Self { statistics: Statistics::Batch, noise: Some(key) }
    }

    /// Evaluation: running statistics, random layers off.
    pub fn evaluate(buffers: &'a [R]) -> Self {
        Self { statistics: Statistics::Running(buffers), noise: None }
    }

    /// Batch statistics, random layers off.
    pub fn batch() -> Self {
        Self { statistics: Statistics::Batch, noise: None }
    }
}

/// The mean loss of a batch and how many examples it gets right.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BatchLoss {
    /// Mean cross-entropy in nats, summed in f64. May be infinite or NaN.
    pub loss: f64,
    /// The number of examples.
    pub examples: usize,
    /// How many have their label on top.
    pub top1: usize,
    /// How many have their label among the first five. All of them with five classes or fewer.
    pub top5: usize,
}
