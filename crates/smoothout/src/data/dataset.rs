//! One split of a data set: images of one size and a class for each.
//!
//! MNIST and CIFAR lie in memory as bytes, channels last (N, H, W, C); a folder of images is a list
//! of files that are decoded batch by batch, since ImageNet does not fit.

use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use rand_xoshiro::rand_core::RngCore;
use smoothout_tensor::{Purpose, StreamKey};

use super::published::hexadecimal;
use super::{DataError, DataSetName, Split, cifar, folder, locate, mnist};

/// Where the pixels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Images {
    /// Bytes, channels last (N, H, W, C).
    Memory(Vec<u8>),
    /// Files to decode when a batch needs them.
    Files {
        /// One file per image.
        paths: Vec<PathBuf>,
        /// Each image is scaled so that its shorter side has this length before it is cropped.
        shorter_side: usize,
        /// The folder whose subfolders are the classes: `train`, or the split's where there is none.
        class_folder: PathBuf,
    },
}

/// Images of one size with a class each.
///
/// # Shapes
/// `images` (N, H, W, C) with C = 1 or 3, `labels` (N) below `classes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// Which data set.
    pub name: DataSetName,
    /// Which of its splits.
    pub split: Split,
    /// The pixels.
    pub images: Images,
    /// The class of each image.
    pub labels: Vec<u16>,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// The number of classes.
    pub classes: usize,
}

impl DataSet {
    /// Reads one split from `data_dir`, or from the first place that has it (see
    /// [`data_folder`](super::data_folder)). MNIST is built into the program, and taken from there
    /// if no place has it.
    ///
    /// # Errors
    /// Files that are missing, cut, too long or damaged, and labels beyond the classes.
    pub fn load(
        name: DataSetName,
        data_dir: Option<&Path>,
        split: Split,
    ) -> Result<Self, DataError> {
        let folder = match locate::data_folder(name, data_dir) {
            Err(DataError::NotFound { name: DataSetName::Mnist, .. }) if data_dir.is_none() => {
                return mnist::built_in(split);
            }
            other => other?,
        };
        match name {
            DataSetName::Mnist => mnist::read(&folder, split),
            DataSetName::Cifar10 | DataSetName::Cifar100 => cifar::read(name, &folder, split),
            DataSetName::Folder => folder::read(&folder, split, folder::IMAGENET),
        }
    }

    /// N, the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// H W C, the number of values of one image.
    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The images at these places, in this order (an image may be taken twice).
    ///
    /// ```
    /// use smoothout::data::{DataSet, DataSetName, Images, Split};
    ///
    /// let set = DataSet {
    ///     name: DataSetName::Mnist,
    ///     split: Split::Test,
    ///     images: Images::Memory(vec![10, 11, 12]),
    ///     labels: vec![0, 1, 2],
    ///     height: 1,
    ///     width: 1,
    ///     channels: 1,
    ///     classes: 10,
    /// };
    /// let subset = set.subset(&[2, 0])?;
    /// assert_eq!(subset.images, Images::Memory(vec![12, 10]));
    /// assert_eq!(subset.labels, [2, 0]);
    /// assert!(set.subset(&[3]).is_err());
    /// # Ok::<(), smoothout::data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// A place beyond the last image.
    pub fn subset(&self, places: &[usize]) -> Result<Self, DataError> {
        if let Some(place) = places.iter().find(|&&place| place >= self.len()) {
            return Err(DataError::Argument {
                what: "an index of the subset",
                found: place.to_string(),
                expected: format!("one below {}, the number of images", self.len()),
            });
        }
        let len = self.image_len();
        let images = match &self.images {
            Images::Memory(pixels) => {
                let mut subset = Vec::with_capacity(places.len() * len);
                for &place in places {
                    subset.extend_from_slice(&pixels[place * len..][..len]);
                }
                Images::Memory(subset)
            }
            Images::Files { paths, shorter_side, class_folder } => Images::Files {
                paths: places.iter().map(|&place| paths[place].clone()).collect(),
                shorter_side: *shorter_side,
                class_folder: class_folder.clone(),
            },
        };
        let labels = places.iter().map(|&place| self.labels[place]).collect();
        Ok(Self { images, labels, ..self.header() })
    }

    /// The first `limit` images, or all if there are fewer. Files of a folder are sorted by class,
    /// so that the first would be of few classes: of them a random choice, always the same, in file
    /// order.
    pub fn first(&self, limit: usize) -> Self {
        let mut places: Vec<_> = match self.images {
            Images::Memory(_) => (0..self.len()).collect(),
            Images::Files { .. } => permutation(StreamKey::new(0, Purpose::Data), self.len()),
        };
        places.truncate(limit);
        places.sort_unstable();
        self.subset(&places).expect("places below the number of images")
    }

    /// Holds a random share of the images out: (the rest, the held-out), each in file order.
    ///
    /// round(fraction N) images, chosen by `seed` alone; both parts are non-empty.
    ///
    /// # Errors
    /// A fraction that is not in (0, 1) or leaves one part empty.
    pub fn split_holdout(&self, fraction: f64, seed: u64) -> Result<(Self, Self), DataError> {
        let held = (fraction * self.len() as f64).round();
        if !(fraction > 0.0 && fraction < 1.0 && held >= 1.0 && held < self.len() as f64) {
            return Err(DataError::Argument {
                what: "the held-out fraction",
                found: fraction.to_string(),
                expected: format!(
                    "a number between 0 and 1 that leaves both parts of the {} images non-empty",
                    self.len()
                ),
            });
        }
        let mut order = permutation(StreamKey::new(seed, Purpose::Data), self.len());
        let (held, rest) = order.split_at_mut(held as usize);
        held.sort_unstable();
        rest.sort_unstable();
        Ok((self.subset(rest)?, self.subset(held)?))
    }

    /// The md5 of images, their shape and labels, by which a run knows its data again; of a folder the
    /// files' names and labels, not their contents.
    pub fn md5(&self) -> String {
        let mut hash = Md5::new();
        hash.update(format!("{} {} {}", self.height, self.width, self.channels));
        match &self.images {
            Images::Memory(pixels) => hash.update(pixels),
            Images::Files { paths, .. } => {
                for path in paths {
                    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
                    hash.update([0]);
                }
            }
        }
        self.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        hexadecimal(&hash.finalize())
    }

    /// Everything but the images and labels.
    fn header(&self) -> Self {
        Self { images: Images::Memory(Vec::new()), labels: Vec::new(), ..*self }
    }
}

/// A uniform permutation of 0..len, by Fisher and Yates.
pub(super) fn permutation(key: StreamKey, len: usize) -> Vec<usize> {
    let mut generator = key.generator();
    let mut order: Vec<_> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, below(&mut generator, last + 1));
    }
    order
}

/// A uniform number in 0..bound (Lemire's multiplication with rejection, arXiv:1805.10941).
pub(super) fn below(generator: &mut impl RngCore, bound: usize) -> usize {
    let bound = bound as u64;
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(generator.next_u64()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(len: usize) -> DataSet {
        DataSet {
            name: DataSetName::Mnist,
            split: Split::Train,
            images: Images::Memory((0..len).map(|i| i as u8).collect()),
            labels: (0..len as u16).collect(),
            height: 1,
            width: 1,
            channels: 1,
            classes: len,
        }
    }

    #[test]
    fn a_permutation_holds_every_place_once_and_depends_on_its_key() {
        let key = StreamKey::new(1, Purpose::Shuffle);
        let mut order = permutation(key, 1000);
        assert_ne!(order, permutation(key.step(1), 1000));
        assert_eq!(order, permutation(key, 1000));
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..1000));
    }

    /// Each of the 6 orders of 3 things in 6000 draws: five standard errors of 28.9 about 1000.
    #[test]
    fn permutations_are_uniform() {
        let mut counts = std::collections::BTreeMap::new();
        for step in 0..6000 {
            let order = permutation(StreamKey::new(9, Purpose::Shuffle).step(step), 3);
            *counts.entry(order).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (count - 1000).abs() < 145), "{counts:?}");
    }

    #[test]
    fn a_holdout_parts_the_images() {
        let (rest, held) = numbered(200).split_holdout(0.1, 4).unwrap();
        assert_eq!((rest.len(), held.len()), (180, 20));
        let mut all: Vec<_> = rest.labels.iter().chain(&held.labels).copied().collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..200));
        assert_ne!(held, numbered(200).split_holdout(0.1, 5).unwrap().1);
        for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.001, 0.999] {
            assert!(numbered(200).split_holdout(fraction, 4).is_err(), "{fraction}");
        }
    }
}
