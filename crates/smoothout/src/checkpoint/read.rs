//! Tensors out of a safetensors file: everything that does not fit is told at once.

use std::collections::HashSet;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{CheckpointError, MANY};

/// The bytes of an ordinary file that is no pickle.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CheckpointError> {
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

/// The tensors of a file.
pub(super) fn parse<'a>(
    path: &Path,
    content: &'a [u8],
) -> Result<SafeTensors<'a>, CheckpointError> {
    SafeTensors::deserialize(content)
        .map_err(|source| CheckpointError::Format { path: path.to_owned(), source })
}

/// An entry of a file's metadata.
pub(super) fn metadata(
    path: &Path,
    content: &[u8],
    key: &str,
) -> Result<Option<String>, CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(content)
        .map_err(|source| CheckpointError::Format { path: path.to_owned(), source })?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned())
}

/// Reads tensors by name and gathers what does not fit.
pub(super) struct Reader<'a> {
    file: &'a SafeTensors<'a>,
    pub(super) problems: Vec<String>,
    known: HashSet<String>,
}

/// The most problems that are listed: a file may have a million.
const LISTED: usize = 100;

/// The longest name of a tensor that is told whole.
const LONG: usize = 100;

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a SafeTensors<'a>) -> Self {
        Self { file, problems: Vec::new(), known: HashSet::new() }
    }

    pub(super) fn read(&mut self, name: &str, shape: &[usize], out: &mut [f32]) {
        if let Some(view) = self.expect(name, shape) {
            self.copy(name, &view, out);
        }
    }

    /// A vector of that length; memory is taken once the file is seen to hold it.
    pub(super) fn read_vector(&mut self, name: &str, len: usize) -> Vec<f32> {
        let Some(view) = self.expect(name, &[len]) else { return Vec::new() };
        let mut vector = vec![0.0; len];
        self.copy(name, &view, &mut vector);
        vector
    }

    /// A count that may be missing.
    pub(super) fn read_count(&mut self, name: &str) -> Option<u64> {
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

    pub(super) fn finish(mut self, path: &Path, model: &str) -> Result<(), CheckpointError> {
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
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A shape in a message.
fn list(shape: &[usize]) -> String {
    shortened(&format!("{shape:?}"))
}
