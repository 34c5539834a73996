//! Why training stops.

use smoothout_nn::NnError;
use smoothout_optim::StepError;
use thiserror::Error;

use crate::data::{DataError, Split};
use crate::experiment::ExperimentError;

/// Why training stops.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data and the network do not fit.
    #[error(
        "{model} takes images of {expected:?} (height, width, channels), and {dataset} has \
         {found:?}: choose another model or data set"
    )]
    Shape {
        /// The network.
        model: String,
        /// Its input.
        expected: [usize; 3],
        /// The data set.
        dataset: String,
        /// Its images.
        found: [usize; 3],
    },
    /// A split without images.
    #[error("the {split} split of {dataset} has no images: give at least one")]
    EmptySplit {
        /// The data set.
        dataset: String,
        /// The split.
        split: Split,
    },
    /// The network has fewer classes than the data.
    #[error("classes is {found}: {dataset} has {expected} classes; give at least that many")]
    Classes {
        /// The data set.
        dataset: String,
        /// The network's classes.
        found: usize,
        /// The data set's.
        expected: usize,
    },
    /// A training set without a ghost batch.
    #[error(
        "there is 1 training example, and ghost batches need 2: give more data, or raise train_limit"
    )]
    LoneExample,
    /// Batch norm over one example.
    #[error(
        "ghost_batch_size is 1: {model} has batch norm, which needs ghost batches of at least 2"
    )]
    GhostOfOne {
        /// The network.
        model: String,
    },
    /// The weights are ruined after the last update of an epoch.
    #[error(
        "the test loss is {loss} after epoch {epoch} (step {step}): the weights have diverged; a \
         smaller learning rate or radius may help"
    )]
    Evaluation {
        /// The epoch, counted from 1.
        epoch: usize,
        /// Parameter updates so far.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// An update, or the running statistics that came with it, overflowed.
    #[error(
        "{what} are infinite or NaN after step {step} (epoch {epoch}): a smaller learning rate or \
         radius may help"
    )]
    Overflow {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The parameter update, counted from 0.
        step: u64,
        /// Which numbers, by the name of their block.
        what: String,
    },
    /// A parameter update failed.
    #[error(
        "training failed in epoch {epoch}{}",
        .first.as_ref().map_or_else(String::new, |first| format!(", first in {first}"))
    )]
    Step {
        /// The epoch, counted from 1.
        epoch: usize,
        /// Which numbers were the first to be infinite or NaN: layer or block, and ghost batch.
        first: Option<String>,
        /// Why.
        #[source]
        source: StepError<NnError>,
    },
    /// A checkpoint that does not hold what the optimiser needs.
    #[error("the state to resume from lacks the optimiser's {name}: it is of another optimiser")]
    Memory {
        /// The missing vector.
        name: &'static str,
    },
    /// A checkpoint further into an epoch than the epoch is long.
    #[error(
        "the state to resume from is {found} batches into an epoch, and an epoch has {expected}: the \
         data are others; put them back, or start another run"
    )]
    EpochLength {
        /// The state's batches.
        found: usize,
        /// An epoch's.
        expected: usize,
    },
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The experiment is not sound.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The network could not be evaluated.
    #[error(transparent)]
    Network(#[from] NnError),
}

impl TrainError {
    /// Whether the user's arguments or files are at fault, and not the run.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Data(error) => error.is_bad_input(),
            _ => !self.is_divergence(),
        }
    }

    /// Whether the weights, and what is computed from them, have become infinite or NaN.
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::Step { .. } | Self::Overflow { .. } | Self::Evaluation { .. })
    }
}
