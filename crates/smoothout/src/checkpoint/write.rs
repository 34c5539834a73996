//! Tensors on their way into a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::CheckpointError;
use super::whole::write_whole;

/// Tensors on their way into a file.
#[derive(Default)]
pub(super) struct Tensors {
    entries: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    pub(super) fn push(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.entries.push((name.to_owned(), Dtype::F32, shape.to_vec(), bytes));
    }

    pub(super) fn push_count(&mut self, name: &str, count: u64) {
        let bytes = count.to_le_bytes().to_vec();
        self.entries.push((name.to_owned(), Dtype::I64, Vec::new(), bytes));
    }

    pub(super) fn write(
        self,
        path: &Path,
        metadata: HashMap<String, String>,
    ) -> Result<(), CheckpointError> {
        let format = |source| CheckpointError::Format { path: path.to_owned(), source };
        let views = self.entries.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(format)?;
        let content = safetensors::serialize(views, Some(metadata)).map_err(format)?;
        write_whole(path, &content)
    }
}
