//! Checkpoints: safetensors files with PyTorch's names and shapes.
//!
//! A *model* file holds what PyTorch's `state_dict` holds: parameters, running statistics and
//! `num_batches_tracked`, so that it loads there with `strict=True` and theirs loads here. A
//! *training* file holds a [`TrainingState`] whole, in one file, so that a run is never left with
//! halves of two states. Both are written beside their place, synced and renamed.

mod error;
mod read;
mod whole;
mod write;

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use smoothout_nn::Network;

use crate::training::{EpochProgress, ModelState, TrainingState, is_zero};
use read::{Reader, metadata, parse, read_file, shortened};
use write::Tensors;

pub use error::CheckpointError;
pub(crate) use whole::UNFINISHED;
pub use whole::write_whole;

/// The key of a model file's network.
const MODEL: &str = "model";

/// The key of a training file's progress. It is the only one, so that a file's bytes do not depend
/// on the order of a map.
const PROGRESS: &str = "progress";

/// How far a training has come: what its tensors do not say.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    model: String,
    epochs: usize,
    steps: u64,
    batches_tracked: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    averaged: u64,
    best: Option<(usize, f64)>,
    /// Left out between two epochs.
    #[serde(default, skip_serializing_if = "at_the_beginning")]
    unfinished: EpochProgress,
}

/// More epochs, updates, batches or examples than any training has: counting on from there cannot
/// overflow.
const MANY: u64 = 1 << 48;

impl Progress {
    /// Reads it from a file's metadata.
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let progress: Self = serde_json::from_str(text)?;
        let Self { epochs, steps, batches_tracked, averaged, best, unfinished, .. } = &progress;
        let counts = [
            ("epochs", *epochs as u64),
            ("steps", *steps),
            ("batches_tracked", *batches_tracked),
            ("averaged", *averaged),
            ("the best epoch", best.map_or(0, |(epoch, _)| epoch as u64)),
            ("batches", unfinished.batches as u64),
            ("examples", unfinished.tally.examples() as u64),
        ];
        match counts.into_iter().find(|(_, count)| *count > MANY) {
            Some((name, found)) => {
                Err(serde::de::Error::custom(format!("{name} is {found}, expected at most 2^48")))
            }
            None => Ok(progress),
        }
    }
}

fn at_the_beginning(progress: &EpochProgress) -> bool {
    *progress == EpochProgress::default()
}

/// Writes a model with PyTorch's names.
///
/// # Errors
/// If the file cannot be written.
pub fn save_model(
    path: &Path,
    network: &Network,
    model: &ModelState,
) -> Result<(), CheckpointError> {
    let mut tensors = Tensors::default();
    for block in network.parameters().blocks() {
        tensors.push(block.name(), block.shape(), &model.parameters[block.range()]);
    }
    for block in network.buffers().blocks() {
        tensors.push(block.name(), &[block.len()], &model.buffers[block.range()]);
    }
    for name in tracked_names(network) {
        tensors.push_count(&name, model.batches_tracked);
    }
    tensors.write(path, HashMap::from([(MODEL.to_owned(), network.name().to_owned())]))
}

/// Reads a model that was written here or by PyTorch. `num_batches_tracked` may be missing.
///
/// # Errors
/// If the file is damaged, or its names, shapes and types are not those of the network: all of
/// them are listed.
pub fn load_model(path: &Path, network: &Network) -> Result<ModelState, CheckpointError> {
    let content = read_file(path)?;
    let file = parse(path, &content)?;
    let mut reader = Reader::new(&file);
    let mut parameters = vec![0.0; network.parameters().len()];
    for block in network.parameters().blocks() {
        reader.read(block.name(), block.shape(), &mut parameters[block.range()]);
    }
    let mut buffers = vec![0.0; network.buffers().len()];
    for block in network.buffers().blocks() {
        reader.read(block.name(), &[block.len()], &mut buffers[block.range()]);
    }
    let tracked = tracked_names(network);
    let mut batches_tracked = 0;
    for name in &tracked {
        batches_tracked = reader.read_count(name).unwrap_or(batches_tracked);
    }
    if let Some(saved) = metadata(path, &content, MODEL)?
        && saved != network.name()
        && !reader.problems.is_empty()
    {
        reader.problems.insert(0, format!("it is a model of {}", shortened(&saved)));
    }
    reader.finish(path, network.name())?;
    Ok(ModelState { parameters, buffers, batches_tracked })
}

/// Writes a training state.
///
/// # Errors
/// If the file cannot be written.
pub fn save_training(
    path: &Path,
    network: &Network,
    state: &TrainingState,
) -> Result<(), CheckpointError> {
    let mut tensors = Tensors::default();
    let memory = state.memory.iter().map(|(name, vector)| (format!("optimizer.{name}"), vector));
    let memory: Vec<_> = memory.collect();
    tensors.push("parameters", &[state.model.parameters.len()], &state.model.parameters);
    tensors.push("buffers", &[state.model.buffers.len()], &state.model.buffers);
    for (name, vector) in &memory {
        tensors.push(name, &[vector.len()], vector);
    }
    let progress = Progress {
        model: network.name().to_owned(),
        epochs: state.epochs,
        steps: state.steps,
        batches_tracked: state.model.batches_tracked,
        averaged: state.averaged,
        best: state.best,
        unfinished: state.unfinished,
    };
    let progress = serde_json::to_string(&progress).expect("plain fields are JSON");
    let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
    tensors.write(path, metadata)
}

/// Reads a training state.
///
/// # Errors
/// If the file is damaged or of another network.
pub fn load_training(path: &Path, network: &Network) -> Result<TrainingState, CheckpointError> {
    let content = read_file(path)?;
    let file = parse(path, &content)?;
    let progress = metadata(path, &content, PROGRESS)?.unwrap_or_default();
    let progress = Progress::parse(&progress)
        .map_err(|source| CheckpointError::Progress { path: path.to_owned(), source })?;
    let mut reader = Reader::new(&file);
    let parameters = reader.read_vector("parameters", network.parameters().len());
    let buffers = reader.read_vector("buffers", network.buffers().len());
    let mut memory = Vec::new();
    for name in file.names() {
        if let Some(short) = name.strip_prefix("optimizer.") {
            // Empty before the first parameter update.
            let empty = file.tensor(name).is_ok_and(|view| view.shape() == [0]);
            let len = if empty { 0 } else { network.parameters().len() };
            memory.push((short.to_owned(), reader.read_vector(name, len)));
        }
    }
    if progress.model != network.name() {
        reader.problems.push(format!("it is a state of {}", shortened(&progress.model)));
    }
    reader.finish(path, network.name())?;
    let Progress { epochs, steps, batches_tracked, averaged, best, unfinished, .. } = progress;
    let model = ModelState { parameters, buffers, batches_tracked };
    Ok(TrainingState { epochs, steps, model, memory, averaged, best, unfinished })
}

/// `bn1.num_batches_tracked` beside each `bn1.running_mean`.
fn tracked_names(network: &Network) -> Vec<String> {
    let blocks = network.buffers().blocks().iter();
    blocks
        .filter_map(|block| block.name().strip_suffix("running_mean"))
        .map(|prefix| format!("{prefix}num_batches_tracked"))
        .collect()
}
