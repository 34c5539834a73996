//! The examples a network is measured on: a seeded subset of a split, in memory as the network
//! reads it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ndarray::ArrayView4;
use rand_xoshiro::rand_core::RngCore;
use serde::{Deserialize, Serialize};
use smoothout_tensor::{Purpose, Real, StreamKey};

use super::MeasureError;
use crate::data::{DataSet, DataSetName, Loader, Split};

/// Which examples of which data: enough to find them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subset {
    /// The data set.
    pub dataset: DataSetName,
    /// Its split.
    pub split: Split,
    /// How many examples were taken.
    pub examples: usize,
    /// How many the split has.
    pub of: usize,
    /// The seed they were chosen and put in order by.
    pub seed: u64,
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dataset, split, examples, of, seed } = self;
        write!(f, "{examples} of {of} {split} examples of {dataset} (subset seed {seed})")
    }
}

/// Normalised images, channels last, and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleSet<R> {
    shape: [usize; 3],
    images: Vec<R>,
    labels: Vec<usize>,
}

/// Keeps the stream that chooses a subset apart from the one that holds examples out.
const SUBSET: u64 = 1;

impl<R: Real> ExampleSet<R> {
    /// Images of the shape (height, width, channels), one after the other.
    ///
    /// # Errors
    /// If there is none, or the images do not have as many values as the labels say.
    pub fn new(
        shape: [usize; 3],
        images: Vec<R>,
        labels: Vec<usize>,
    ) -> Result<Self, MeasureError> {
        let expected = labels.len() * shape.iter().product::<usize>();
        if labels.is_empty() || images.len() != expected {
            return Err(MeasureError::Setting {
                setting: "the number of values of the images",
                found: images.len(),
                expected: format!("{expected} for {} labels, and at least one image", labels.len()),
            });
        }
        Ok(Self { shape, images, labels })
    }

    /// `count` examples of `set` (all of them for `None`), chosen and ordered by `seed`, normalised
    /// and not augmented. The order matters for batch statistics, since a folder's files are sorted
    /// by class.
    ///
    /// # Errors
    /// If `count` is 0 or more than there are, or images cannot be read.
    pub fn draw(
        set: &DataSet,
        count: Option<usize>,
        seed: u64,
    ) -> Result<(Self, Subset), MeasureError> {
        let of = set.len();
        let examples = count.unwrap_or(of);
        if examples == 0 || examples > of {
            return Err(MeasureError::Setting {
                setting: "examples",
                found: examples,
                expected: format!("1 to {of}, the {} examples of {}", set.split, set.name),
            });
        }
        // The places with the smallest random keys, in the order of the keys.
        let mut generator = StreamKey::new(seed, Purpose::Data).step(SUBSET).generator();
        let mut keyed: Vec<(u64, usize)> =
            (0..of).map(|place| (generator.next_u64(), place)).collect();
        keyed.sort_unstable();
        let places: Vec<usize> = keyed[..examples].iter().map(|&(_, place)| place).collect();
        let chosen = Arc::new(set.subset(&places)?);
        let mut images = Vec::with_capacity(examples * set.image_len());
        let mut labels = Vec::with_capacity(examples);
        for batch in Loader::evaluate(&chosen, 256.min(examples))? {
            let batch = batch?;
            images.extend(batch.pixels().iter().map(|&pixel| R::from_f64(f64::from(pixel))));
            labels.extend_from_slice(batch.labels());
        }
        let shape = [set.height, set.width, set.channels];
        let subset = Subset { dataset: set.name, split: set.split, examples, of, seed };
        Ok((Self::new(shape, images, labels)?, subset))
    }

    /// N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example: never so.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images of a range, (N, H, W, C).
    pub(super) fn images(&self, range: Range<usize>) -> ArrayView4<'_, R> {
        let [height, width, channels] = self.shape;
        let len = height * width * channels;
        let shape = (range.len(), height, width, channels);
        let values = &self.images[range.start * len..range.end * len];
        ArrayView4::from_shape(shape, values).expect("N H W C values")
    }

    /// The classes of a range.
    pub(super) fn labels(&self, range: Range<usize>) -> &[usize] {
        &self.labels[range]
    }
}
