//! The source of a correlation with its border of zeros: a rectangle of each image, copied to a
//! buffer in which every tap of every target pixel finds a value.

use std::ops::Range;

use crate::kernels::simd::Vector;

/// What happens to a source value on its way into the padded copy; the border stays zero.
pub(in crate::kernels) trait Load: Copy + Sync {
    /// Writes the transform of `source` to `padded`: whole pixels, as many values in both.
    fn load<V: Vector>(self, source: &[f32], padded: &mut [f32]);
}

/// The value itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Identity;

impl Load for Identity {
    #[inline(always)]
    fn load<V: Vector>(self, source: &[f32], padded: &mut [f32]) {
        padded.copy_from_slice(source);
    }
}

/// A rectangle of source coordinates, in part outside of the image, and its pixels' channels.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Height and width of the image.
    pub(super) image: [usize; 2],
    pub(super) channels: usize,
    pub(super) rows: Range<isize>,
    pub(super) columns: Range<isize>,
}

impl Window {
    /// Values from one row of the padded copy to the next.
    pub(super) fn row_len(&self) -> usize {
        self.columns.len() * self.channels
    }

    /// Values of the padded copy of one image.
    pub(super) fn len(&self) -> usize {
        self.rows.len() * self.row_len()
    }

    /// From the first to the last value of `side` x `side` pixels.
    pub(super) fn patch_len(&self, side: usize) -> usize {
        (side - 1) * self.row_len() + side * self.channels
    }

    /// Copies the rectangle of each image of `source` to `padded`.
    #[inline(always)]
    pub(super) fn load<V: Vector>(&self, source: &[f32], padded: &mut [f32], load: impl Load) {
        if self.len() == 0 {
            return;
        }
        let [height, width] = self.image;
        let images = source.chunks_exact(height * width * self.channels);
        for (image, padded) in images.zip(padded.chunks_exact_mut(self.len())) {
            for (y, row) in self.rows.clone().zip(padded.chunks_exact_mut(self.row_len())) {
                self.load_row::<V>(image, y, row, load);
            }
        }
    }

    /// Copies what `padded` has of an image to it, and zeros to the rest.
    pub(super) fn crop(&self, padded: &[f32], image: &mut [f32]) {
        let [_, width] = self.image;
        image.fill(0.0);
        let (first, last) = (self.columns.start.max(0), self.columns.end.min(width as isize));
        if self.len() == 0 || first >= last {
            return;
        }
        let [at, first, last] =
            [first - self.columns.start, first, last].map(|column| column as usize * self.channels);
        for (y, row) in self.rows.clone().zip(padded.chunks_exact(self.row_len())) {
            let image = usize::try_from(y)
                .ok()
                .filter(|&y| y < self.image[0])
                .map(|y| &mut image[y * width * self.channels..][first..last]);
            if let Some(image) = image {
                image.copy_from_slice(&row[at..][..last - first]);
            }
        }
    }

    /// Copies row y of the rectangle.
    #[inline(always)]
    pub(super) fn load_row<V: Vector>(
        &self,
        image: &[f32],
        y: isize,
        row: &mut [f32],
        load: impl Load,
    ) {
        let [height, width] = self.image;
        if y < 0 || y >= height as isize {
            row.fill(0.0);
            return;
        }
        let channels = self.channels;
        let inside = |bound: isize, extent: usize| (bound.max(0) as usize).min(extent);
        let (first, last) = (inside(self.columns.start, width), inside(self.columns.end, width));
        let last = last.max(first);
        let left = (self.columns.start.saturating_neg().max(0) as usize).min(self.columns.len());
        let (left, middle) = (left * channels, (last - first) * channels);
        let from = (y as usize * width + first) * channels;
        row[..left].fill(0.0);
        load.load::<V>(&image[from..][..middle], &mut row[left..][..middle]);
        row[left + middle..].fill(0.0);
    }
}
