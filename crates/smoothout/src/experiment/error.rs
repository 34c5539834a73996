//! What can be wrong with an experiment: each message names the field or file.

use std::path::PathBuf;

use smoothout_nn::NnError;
use smoothout_optim::OptimError;
use smoothout_tensor::TensorError;
use thiserror::Error;

use crate::remedy::remedy;

/// An experiment that cannot run: which field, what was found, what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A field that must be given is missing.
    #[error("{field} is missing: {advice}")]
    Missing {
        /// The field.
        field: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A field out of its range, or at odds with another.
    #[error("{field} is {found}: {advice}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
        /// What was expected.
        advice: String,
    },
    /// JSON that is not an experiment.
    #[error(
        "{path} is not an experiment: {problem}; correct it, `smoothout train --help` says what \
         each field may be"
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// The field, what is wrong with it, and the line.
        problem: String,
    },
    /// A file that cannot be read.
    #[error("{path} cannot be read: {source}; {}", remedy(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A setting of the optimiser.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// A setting of the perturbation.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An unknown network.
    #[error(transparent)]
    Network(#[from] NnError),
}

impl ExperimentError {
    /// A field out of its range, or at odds with another.
    pub(crate) fn field(field: &'static str, found: impl ToString, advice: &str) -> Self {
        Self::Field { field, found: found.to_string(), advice: advice.to_owned() }
    }
}
