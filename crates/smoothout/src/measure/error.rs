//! What can keep a network from being measured.

use smoothout_nn::NnError;
use smoothout_sharpness::SharpnessError;
use thiserror::Error;

use crate::data::DataError;
use crate::training::TrainError;

/// Why there is no objective, or no measurement.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// A count outside its range.
    #[error("{setting} is {found}: it must be {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        found: usize,
        /// What is allowed.
        expected: String,
    },
    /// A gradient under a policy that has none.
    #[error(
        "the loss with recalibrated batch norm has no gradient here: the statistics themselves \
         depend on the weights; take the policy batch, whose gradient is exact, or frozen"
    )]
    NoGradient,
    /// No layers that cancel.
    #[error(
        "no two neighbouring layers of this network can be rescaled without changing its loss under \
         this batch-norm policy; name blocks and factors that cancel with --scale"
    )]
    NoRescaling,
    /// Examples and network do not fit, or the network refuses them.
    #[error(transparent)]
    Network(#[from] NnError),
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data set does not fit the network.
    #[error(transparent)]
    Fit(#[from] TrainError),
    /// The measurement failed.
    #[error(transparent)]
    Sharpness(#[from] SharpnessError),
}

impl MeasureError {
    /// Whether what was asked is at fault, and not what was found on the way.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Data(error) => error.is_bad_input(),
            Self::Sharpness(error) => matches!(
                error,
                SharpnessError::Setting { .. }
                    | SharpnessError::Dimension { .. }
                    | SharpnessError::DependentDirections { .. }
                    | SharpnessError::NoBlock { .. }
                    | SharpnessError::OtherFunction { .. }
                    | SharpnessError::OtherSlopes { .. }
                    | SharpnessError::OtherGrid { .. }
                    | SharpnessError::Tensor(_)
            ),
            _ => true,
        }
    }
}
