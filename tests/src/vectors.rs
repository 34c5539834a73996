//! Golden vectors: tensors computed by PyTorch (`golden/generate.py`), read from safetensors files.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use smoothout_tensor::Real;

/// A file or folder under `tests/golden`.
pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(path)
}

/// One tensor, row-major; every stored type is exact in `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The extents.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<f64>,
}

impl Tensor {
    /// The elements in the precision of a test.
    pub fn to<R: Real>(&self) -> Vec<R> {
        self.values.iter().map(|&value| R::from_f64(value)).collect()
    }

    /// The elements as labels or counts.
    pub fn to_usize(&self) -> Vec<usize> {
        self.values.iter().map(|&value| value as usize).collect()
    }

    /// The extents as an array of `N`.
    ///
    /// # Panics
    /// If the tensor has another number of axes.
    pub fn extents<const N: usize>(&self) -> [usize; N] {
        self.shape.as_slice().try_into().expect("the tensor has this number of axes")
    }
}

/// One file of `tests/golden/vectors`.
#[derive(Debug)]
pub struct Vectors {
    name: String,
    bytes: Vec<u8>,
}

impl Vectors {
    /// Reads `tests/golden/vectors/NAME.safetensors`.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn open(name: &str) -> Self {
        let path = golden("vectors").join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self { name: name.to_owned(), bytes }
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("golden vectors are valid safetensors")
    }

    /// The settings that `generate.py` wrote into the header.
    ///
    /// # Panics
    /// If there are none.
    pub fn settings(&self) -> Value {
        let (_, metadata) =
            SafeTensors::read_metadata(&self.bytes).expect("golden vectors have a header");
        let metadata = metadata.metadata().as_ref().expect("the header has metadata");
        serde_json::from_str(&metadata["settings"]).expect("the settings are JSON")
    }

    /// The names that begin with `prefix`, without it, sorted.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let file = self.file();
        let names = file.names().into_iter().filter_map(|name| name.strip_prefix(prefix));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The tensor of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, name: &str) -> Tensor {
        self.find(name).unwrap_or_else(|| panic!("{}.safetensors lacks {name}", self.name))
    }

    /// The tensor of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<Tensor> {
        let file = self.file();
        let view = file.tensor(name).ok()?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => elements(data, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Dtype::F64 => elements(data, f64::from_le_bytes),
            Dtype::I64 => elements(data, |bytes| i64::from_le_bytes(bytes) as f64),
            Dtype::U8 => elements(data, |[byte]| f64::from(byte)),
            other => panic!("{name} has the type {other:?}, which no golden vector should"),
        };
        Some(Tensor { shape: view.shape().to_vec(), values })
    }
}

fn elements<const SIZE: usize>(data: &[u8], read: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
    let (chunks, rest) = data.as_chunks::<SIZE>();
    assert!(rest.is_empty(), "{} bytes are no multiple of {SIZE}", data.len());
    chunks.iter().map(|&bytes| read(bytes)).collect()
}

/// Asserts that every element of `actual` is within `tolerance` times the largest element of
/// `expected` (at least `floor`, for tensors that are all but zero).
///
/// # Panics
/// If not, naming the tensor, the worst element and both values.
pub fn assert_close<R: Real>(
    what: &str,
    actual: &[R],
    expected: &[f64],
    tolerance: f64,
    floor: f64,
) {
    assert_eq!(actual.len(), expected.len(), "{what}: the number of elements");
    let scale = expected.iter().fold(floor, |scale, value| scale.max(value.abs()));
    for (i, (actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let actual = actual.as_f64();
        let error = (actual - expected).abs();
        assert!(
            error <= tolerance * scale,
            "{what}[{i}] in {}: found {actual}, PyTorch has {expected}; the error is {:.1e} of the \
             largest element {scale}, allowed is {tolerance:.1e}",
            R::NAME,
            error / scale,
        );
    }
}
