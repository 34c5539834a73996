//! What can be wrong with a run folder.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoint::CheckpointError;
use crate::data::Split;
use crate::experiment::ExperimentError;
use crate::remedy::remedy;
use crate::training::TrainError;

/// A run folder that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is a run already.
    #[error("{path} holds a run already: go on with it by --resume, or choose another --out")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is none to go on with.
    #[error("{path} holds no run to resume: leave --resume out to start one")]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another process trains there.
    #[error("{path} is in use by another training: wait for it to end, or choose another --out")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Resumed with other settings.
    #[error(
        "{field} is {found} and the run in {path} has {expected}: a run goes on as it was begun; \
         leave the option out, or start another run with another --out"
    )]
    Changed {
        /// The folder.
        path: PathBuf,
        /// The setting.
        field: String,
        /// What was given.
        found: String,
        /// What the run has.
        expected: String,
    },
    /// Resumed on other data.
    #[error(
        "the {split} split here is not the one that the run in {path} was begun with: found {found} \
         examples, expected {expected}, the same ones; name their folder with --data-dir, or start \
         another run with another --out"
    )]
    OtherData {
        /// The folder.
        path: PathBuf,
        /// Which data.
        split: Split,
        /// Examples here.
        found: usize,
        /// Examples of the run.
        expected: usize,
    },
    /// The file system's answer.
    #[error("{path} cannot be {action}: {source}; {}", remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// Records and state that do not belong together.
    #[error(
        "{path} has records of {records} epochs and a state after {epochs}: a file is missing; \
         put it back, or start another run with another --out"
    )]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// Records found.
        records: usize,
        /// Epochs of the state; 0 if there is none.
        epochs: usize,
    },
    /// A record that is not one.
    #[error(
        "line {line} of {path} is not an epoch's record: {source}; put the file back, or start \
         another run with another --out"
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A `run.json` that is not one.
    #[error(
        "{path} does not say on what the run was computed: {source}; put the file back, or start \
         another run with another --out"
    )]
    Facts {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The experiment.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The training.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl RunError {
    /// Whether the user's arguments or files are at fault, and not the disk.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::AlreadyExists
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Checkpoint(error) => error.is_bad_input(),
            Self::Train(error) => error.is_bad_input(),
            _ => true,
        }
    }
}
