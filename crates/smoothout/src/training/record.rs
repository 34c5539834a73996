//! What an epoch came to.

use serde::{Deserialize, Serialize};

/// What one epoch came to: a line of a run's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Parameter updates so far; Entropy-SGD's batches, L of which make an update.
    pub steps: u64,
    /// The learning rate of this epoch.
    pub learning_rate: f64,
    /// a c(t) at the epoch's last update; 0 where the method has no radius.
    pub radius: f64,
    /// Mean loss over the epoch's examples, at the weights where the method took its gradients:
    /// perturbed ones, Entropy-SGD's x'; SAM's and ASAM's first gradients, at the clean weights.
    pub train_loss: f64,
    /// Percent, likewise.
    pub train_top1: f64,
    /// Percent, likewise.
    pub train_top5: f64,
    /// Mean loss on the test split after the epoch, at the clean weights; at their average as soon
    /// as SWA has one.
    pub test_loss: f64,
    /// Percent, likewise.
    pub test_top1: f64,
    /// Percent, likewise.
    pub test_top5: f64,
    /// Wall-clock seconds of the epoch, evaluation included.
    pub seconds: f64,
    /// The weights in SWA's average, where it was evaluated; 0 elsewhere.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub averaged: u64,
}

/// Whether nothing was averaged: it is then not written.
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}
