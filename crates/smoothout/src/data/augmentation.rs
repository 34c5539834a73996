//! From bytes to the numbers a network sees: pad, crop, flip, normalise, in one pass.
//!
//! ```text
//! x[h, w, c] = (byte / 255 - mean_c) / std_c
//! ```
//! CIFAR and folders: mean (.485, .456, .406), std (.229, .224, .225); MNIST: mean .5, std .5.
//! A byte has 256 values, so each channel is a table.
//!
//! In training an image is padded on all sides, a window of the data set's size is cut out at a
//! uniform place, and the window is mirrored with probability 1/2. An image that is larger than the
//! data set's size (a folder's) is cut without padding.
//!
//! # Source
//! E. Hoffer, I. Hubara, D. Soudry, "Train longer, generalize better", 2017 (arXiv:1705.08741),
//! whose preprocessing the SmoothOut authors use.
//!
//! # Differences
//! The authors' script augments MNIST too by default: it pads by 2 with black, crops and mirrors,
//! which turns digits into shapes that are none. Here that is `PadCropFlip { padding: 2, fill: 0 }`,
//! and off by default. The authors' ImageNet crops also vary
//! in scale and aspect; AlexNet's own recipe (scale to 256, crop 224, mirror) is used here.

use serde::{Deserialize, Serialize};
use smoothout_tensor::StreamKey;

use super::dataset::below;
use super::{DataSet, DataSetName};
use rand_xoshiro::rand_core::RngCore;

/// What happens to an image before it is trained on.
///
/// ```
/// use smoothout::data::{Augmentation, DataSetName};
///
/// let cifar = Augmentation::PadCropFlip { padding: 4, fill: 127 };
/// assert_eq!(Augmentation::of(DataSetName::Cifar10), cifar);
/// assert_eq!(Augmentation::of(DataSetName::Mnist), Augmentation::None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Augmentation {
    /// The middle of the image, which is all of it unless it is a folder's.
    None,
    /// A window at a uniform place of the padded image, mirrored with probability 1/2.
    PadCropFlip {
        /// How many pixels are added on each side.
        padding: usize,
        /// The byte they have.
        fill: u8,
    },
}

impl Augmentation {
    /// What the authors do for photographs: CIFAR is padded by 4 with grey 127, a folder's images
    /// are cut and mirrored, MNIST is left alone.
    pub fn of(name: DataSetName) -> Self {
        match name {
            DataSetName::Mnist => Self::None,
            DataSetName::Cifar10 | DataSetName::Cifar100 => {
                Self::PadCropFlip { padding: 4, fill: 127 }
            }
            DataSetName::Folder => Self::PadCropFlip { padding: 0, fill: 127 },
        }
    }

    /// Where the window of an image lies; `size` is the image's (height, width).
    pub(super) fn window(self, key: StreamKey, size: (usize, usize), set: &DataSet) -> Window {
        let (spare_rows, spare_columns) = (size.0 - set.height, size.1 - set.width);
        match self {
            Self::None => Window {
                top: (spare_rows / 2) as isize,
                left: (spare_columns / 2) as isize,
                flip: false,
            },
            Self::PadCropFlip { padding, .. } => {
                let mut generator = key.generator();
                let mut offset = |spare: usize| {
                    below(&mut generator, spare + 2 * padding + 1) as isize - padding as isize
                };
                let (top, left) = (offset(spare_rows), offset(spare_columns));
                Window { top, left, flip: generator.next_u64() >> 63 == 1 }
            }
        }
    }

    fn fill(self) -> u8 {
        match self {
            Self::None => 0,
            Self::PadCropFlip { fill, .. } => fill,
        }
    }
}

/// The part of an image that is used: its first row and column (negative: in the padding).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    top: isize,
    left: isize,
    flip: bool,
}

/// The value of each byte in each channel, and of the padding.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Normalization {
    tables: Vec<[f32; 256]>,
    fill: Vec<f32>,
}

impl Normalization {
    /// The tables of a data set, for images padded as `augmentation` says.
    pub(super) fn of(set: &DataSet, augmentation: Augmentation) -> Self {
        let channels = match set.name {
            DataSetName::Mnist => vec![(0.5, 0.5); set.channels],
            _ => vec![(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)],
        };
        let tables: Vec<[f32; 256]> = channels
            .into_iter()
            .map(|(mean, std): (f32, f32)| {
                std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
            })
            .collect();
        let fill = tables.iter().map(|table| table[usize::from(augmentation.fill())]).collect();
        Self { tables, fill }
    }

    /// Writes the window of `image` (`size` = height, width) to `out` (H, W, C), `width` wide.
    pub(super) fn write(
        &self,
        image: &[u8],
        size: (usize, usize),
        window: Window,
        width: usize,
        out: &mut [f32],
    ) {
        match self.tables.len() {
            1 => self.write_channels::<1>(image, size, window, width, out),
            3 => self.write_channels::<3>(image, size, window, width, out),
            channels => unreachable!("a loader takes 1 or 3 channels, not {channels}"),
        }
    }

    fn write_channels<const C: usize>(
        &self,
        image: &[u8],
        (rows, columns): (usize, usize),
        window: Window,
        width: usize,
        out: &mut [f32],
    ) {
        let tables: &[[f32; 256]; C] = self.tables.first_chunk().expect("C tables");
        let fill: [f32; C] = *self.fill.first_chunk().expect("C fills");
        let (image, _) = image.as_chunks::<C>();
        let (out, _) = out.as_chunks_mut::<C>();
        // Columns of the window before `first` and from `last` on lie in the padding.
        let first = ((-window.left).max(0) as usize).min(width);
        let last = (columns as isize - window.left).clamp(first as isize, width as isize) as usize;
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            let row = window.top + y as isize;
            if row < 0 || row >= rows as isize {
                out.fill(fill);
                continue;
            }
            let start = row as usize * columns + (window.left + first as isize).max(0) as usize;
            let source = &image[start..start + last - first];
            if window.flip {
                write_row(source, first, tables, fill, out.iter_mut().rev());
            } else {
                write_row(source, first, tables, fill, out.iter_mut());
            }
        }
    }
}

/// Padding, `source`, padding.
#[inline(always)]
fn write_row<'a, const C: usize>(
    source: &[[u8; C]],
    first: usize,
    tables: &[[f32; 256]; C],
    fill: [f32; C],
    mut out: impl Iterator<Item = &'a mut [f32; C]>,
) {
    out.by_ref().take(first).for_each(|pixel| *pixel = fill);
    for (pixel, bytes) in out.by_ref().take(source.len()).zip(source) {
        for c in 0..C {
            pixel[c] = tables[c][usize::from(bytes[c])];
        }
    }
    out.for_each(|pixel| *pixel = fill);
}
