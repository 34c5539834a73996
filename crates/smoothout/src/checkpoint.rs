//! Checkpoints: safetensors files with PyTorch's names and shapes.
//!
//! A *model* file holds what PyTorch's `state_dict` holds: parameters, running statistics and
//! `num_batches_tracked`, so that it loads there with `strict=True` and theirs loads here. A
//! *training* file holds a [`TrainingState`] whole, in one file, so that a run is never left with
//! halves of two states. Both are written beside their place, synced and renamed.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use smoothout_nn::Network;
use thiserror::Error;

use crate::remedy::remedy;
use crate::training::{EpochProgress, ModelState, TrainingState, is_zero};

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

/// How the names of files begin that are not whole yet.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Writes `content` so that `path` holds either what it held before or all of it.
///
/// # Errors
/// If the file cannot be written; `path` is then as it was.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), CheckpointError> {
    let io = |source| CheckpointError::Io { action: "written", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    // The rename itself lasts once the folder is synced.
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
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
    let content = read(path)?;
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
    let content = read(path)?;
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

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    let io = |source| CheckpointError::Io { action: "read", path: path.to_owned(), source };
    let metadata = path.metadata().map_err(io)?;
    if !metadata.is_file() && !metadata.is_dir() {
        let problem = "it is a pipe or a device, which has no end to rely on";
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, problem)));
    }
    let content = std::fs::read(path).map_err(io)?;
    // A zip archive of pickles, or a bare pickle of protocol 2 and later.
    if content.starts_with(b"PK\x03\x04") || content.first() == Some(&0x80) {
        return Err(CheckpointError::Pickle { path: path.to_owned() });
    }
    Ok(content)
}

fn parse<'a>(path: &Path, content: &'a [u8]) -> Result<SafeTensors<'a>, CheckpointError> {
    SafeTensors::deserialize(content)
        .map_err(|source| CheckpointError::Format { path: path.to_owned(), source })
}

/// An entry of a file's metadata.
fn metadata(path: &Path, content: &[u8], key: &str) -> Result<Option<String>, CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(content)
        .map_err(|source| CheckpointError::Format { path: path.to_owned(), source })?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned())
}

/// Tensors on their way into a file.
#[derive(Default)]
struct Tensors {
    entries: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    fn push(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.entries.push((name.to_owned(), Dtype::F32, shape.to_vec(), bytes));
    }

    fn push_count(&mut self, name: &str, count: u64) {
        let bytes = count.to_le_bytes().to_vec();
        self.entries.push((name.to_owned(), Dtype::I64, Vec::new(), bytes));
    }

    fn write(self, path: &Path, metadata: HashMap<String, String>) -> Result<(), CheckpointError> {
        let format = |source| CheckpointError::Format { path: path.to_owned(), source };
        let views = self.entries.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(format)?;
        let content = safetensors::serialize(views, Some(metadata)).map_err(format)?;
        write_whole(path, &content)
    }
}

/// Reads tensors by name and gathers what does not fit.
struct Reader<'a> {
    file: &'a SafeTensors<'a>,
    problems: Vec<String>,
    known: HashSet<String>,
}

/// The most problems that are listed: a file may have a million.
const LISTED: usize = 100;

/// The longest name of a tensor that is told whole.
const LONG: usize = 100;

impl<'a> Reader<'a> {
    fn new(file: &'a SafeTensors<'a>) -> Self {
        Self { file, problems: Vec::new(), known: HashSet::new() }
    }

    fn read(&mut self, name: &str, shape: &[usize], out: &mut [f32]) {
        if let Some(view) = self.expect(name, shape) {
            self.copy(name, &view, out);
        }
    }

    /// A vector of that length; memory is taken once the file is seen to hold it.
    fn read_vector(&mut self, name: &str, len: usize) -> Vec<f32> {
        let Some(view) = self.expect(name, &[len]) else { return Vec::new() };
        let mut vector = vec![0.0; len];
        self.copy(name, &view, &mut vector);
        vector
    }

    /// A count that may be missing.
    fn read_count(&mut self, name: &str) -> Option<u64> {
        self.known.insert(name.to_owned());
        let view = self.file.tensor(name).ok()?;
        let count = <[u8; 8]>::try_from(view.data()).map(u64::from_le_bytes);
        match (view.dtype(), count) {
            (Dtype::I64, Ok(count)) if count <= MANY => return Some(count),
            (Dtype::I64, Ok(count)) => self.problem(name, &format!("is {}", count.cast_signed())),
            (dtype, _) => {
                let shape = list(view.shape());
                self.problem(name, &format!("is of type {dtype:?} and shape {shape}"));
            }
        }
        self.problems.last_mut()?.push_str(", expected one I64 from 0 to 2^48");
        None
    }

    /// The tensor of that name, if it has that shape.
    fn expect(&mut self, name: &str, shape: &[usize]) -> Option<TensorView<'a>> {
        self.known.insert(name.to_owned());
        let Ok(view) = self.file.tensor(name) else {
            self.problem(name, "is missing");
            return None;
        };
        if view.shape() != shape {
            let (found, expected) = (list(view.shape()), list(shape));
            self.problem(name, &format!("has the shape {found}, expected {expected}"));
            return None;
        }
        Some(view)
    }

    fn copy(&mut self, name: &str, view: &TensorView<'_>, out: &mut [f32]) {
        match view.dtype() {
            Dtype::F32 => {
                for (value, bytes) in out.iter_mut().zip(view.data().as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Dtype::F64 => {
                for (value, bytes) in out.iter_mut().zip(view.data().as_chunks().0) {
                    *value = f64::from_le_bytes(*bytes) as f32;
                }
            }
            other => self.problem(
                name,
                &format!("is of type {other:?}, expected F32 or F64 (in PyTorch: model.float())"),
            ),
        }
    }

    fn problem(&mut self, name: &str, what: &str) {
        self.problems.push(format!("{} {what}", shortened(name)));
    }

    fn finish(mut self, path: &Path, model: &str) -> Result<(), CheckpointError> {
        let mut unknown = self.file.names();
        unknown.retain(|name| !self.known.contains(*name));
        unknown.sort_unstable();
        for name in unknown {
            self.problem(name, "is unknown to the model");
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        let more = self.problems.len().saturating_sub(LISTED);
        self.problems.truncate(LISTED);
        if more > 0 {
            self.problems.push(format!("and {more} more"));
        }
        let problems = self.problems.join("; ");
        Err(CheckpointError::Keys { path: path.to_owned(), model: model.to_owned(), problems })
    }
}

/// A text of the file in a message.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A shape in a message.
fn list(shape: &[usize]) -> String {
    shortened(&format!("{shape:?}"))
}
