//! What a training is between two parameter updates: all that a checkpoint keeps.

use serde::{Deserialize, Serialize};

use crate::oracle::Tally;

/// A network's parameters and running statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelState {
    /// w, the parameter vector.
    pub parameters: Vec<f32>,
    /// Batch norm's running means and variances.
    pub buffers: Vec<f32>,
    /// Forward passes that the running statistics have seen.
    pub batches_tracked: u64,
}

/// How far an epoch has come that is not finished; the default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochProgress {
    /// Batches that are done.
    pub batches: usize,
    /// What their examples came to.
    pub tally: Tally,
    /// c(t) at the last update.
    pub radius_coefficient: f64,
    /// Wall-clock seconds so far.
    pub seconds: f64,
}

/// Everything that the rest of a training depends on, between two parameter updates.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingState {
    /// Finished epochs.
    pub epochs: usize,
    /// Parameter updates so far; Entropy-SGD's batches.
    pub steps: u64,
    /// The model that is trained.
    pub model: ModelState,
    /// The optimiser's memory by name, SWA's average too.
    pub memory: Vec<(String, Vec<f32>)>,
    /// The weights in SWA's average.
    pub averaged: u64,
    /// The best evaluation so far: (epoch from 1, top-1 percent).
    pub best: Option<(usize, f64)>,
    /// The epoch after the finished ones.
    pub unfinished: EpochProgress,
}
