//! Groups of images, and a convolution that is ready to compute them one by one.

use crate::kernels::Arithmetic;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::Correlation;
use crate::kernels::conv::direct::{self, Band};
use crate::kernels::conv::padded::Load;
use crate::kernels::conv::{Algorithm, Conv2dShape, winograd};

/// Pixels of a group, if its images are small.
const PIXELS: usize = 512;
/// Tasks that a batch is cut into at least, if it has as many images.
const TASKS: usize = 32;

impl Conv2dShape {
    /// Images of a group.
    pub(super) fn group(&self) -> usize {
        let pixels = |image: [usize; 2]| image[0] * image[1];
        let pixels = pixels(self.image).max(pixels(self.output_image())).max(1);
        (PIXELS / pixels).min(self.batch.div_ceil(TASKS)).max(1)
    }
}

/// A correlation of which groups of images can be computed on their own.
pub(super) struct Prepared<'a> {
    pub(super) with: Arithmetic,
    algorithm: Algorithm,
    correlation: Correlation,
    /// Packed, and transformed if Winograd's algorithm runs.
    weights: &'a [f32],
}

impl<'a> Prepared<'a> {
    /// Values of the buffer that [`new`](Self::new) takes.
    pub(super) fn len(way: (Arithmetic, Algorithm), correlation: &Correlation) -> usize {
        match way {
            (with, Algorithm::Direct) => direct::prepared_len(with, correlation),
            (_, Algorithm::Winograd) => winograd::prepared_len(correlation),
            (_, Algorithm::Im2col) => unreachable!("takes all images at once"),
        }
    }

    pub(super) fn new(
        (with, algorithm): (Arithmetic, Algorithm),
        correlation: Correlation,
        weight: &[f32],
        buffer: &'a mut [f32],
    ) -> Self {
        let weights = match algorithm {
            Algorithm::Direct => direct::prepare(with, &correlation, weight, buffer),
            Algorithm::Winograd => winograd::prepare(with.set, &correlation, weight, buffer),
            Algorithm::Im2col => unreachable!("takes all images at once"),
        };
        Self { with, algorithm, correlation, weights }
    }

    /// The target of a few images, overwritten. What is read or written next is `ahead`.
    pub(super) fn group<L: Load>(&self, source: &[f32], ahead: Ahead, load: L, target: &mut [f32]) {
        let Self { with, correlation, weights: packed, .. } = *self;
        let (images, channels) = (correlation.images(), correlation.channels());
        let of_image = |[height, width]: [usize; 2], channels: usize| height * width * channels;
        let from = of_image(images.0, channels.0);
        let to = source.len() / from * of_image(images.1, channels.1);
        assert_eq!(target.len(), to, "the target of {} images", source.len() / from);
        if self.algorithm == Algorithm::Winograd {
            return winograd::group(with.set, &correlation, packed, source, ahead, target, load);
        }
        let rows = 0..correlation.images().1[0];
        Band { correlation, source, packed, rows, load, target, ahead }.compute(with);
    }
}
