//! What goes wrong with checkpoints.

use std::path::PathBuf;

use safetensors::SafeTensorError;
use thiserror::Error;

use crate::remedy::remedy;

/// A checkpoint that cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system's answer.
    #[error("{path} cannot be {action}: {source}; {}", remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
    /// Not a safetensors file, or a damaged one.
    #[error(
        "{path} is not a whole safetensors file: {source}; it is cut, or of another format: save it \
         again"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SafeTensorError,
    },
    /// A file of PyTorch's own format.
    #[error(
        "{path} is a pickle file, which can run code when it is read: convert it in Python with \
         `safetensors.torch.save_file(torch.load(PATH, weights_only=True), \"model.safetensors\")`"
    )]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// A safetensors file that is not of a training.
    #[error(
        "{path} does not say how far its training has come: {source}; it is a model, or of another program"
    )]
    Progress {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Tensors of another model.
    #[error(
        "{path} is not a checkpoint of {model}: {problems}; choose the model and the number of \
         classes that it was saved from"
    )]
    Keys {
        /// The file.
        path: PathBuf,
        /// The network.
        model: String,
        /// Missing and unknown names, other shapes and types.
        problems: String,
    },
}

impl CheckpointError {
    /// Whether the user's file is at fault and not the disk.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Self::Io { action: "written", .. })
    }
}
