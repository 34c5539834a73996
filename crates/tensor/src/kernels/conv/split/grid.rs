//! Where the pixels of padded images are.
//!
//! All are numbered, image by image, line by line. Neighbouring lines share the zeros at their ends, as
//! far as there are as many on either side, and so do neighbouring images. If the tap (u, v) of a target
//! pixel is number n, that of the next pixel of its line is n + 1, and the tap (u + 1, v) is n + pitch.
//! Between the target pixels there are some that are none, where lines end.

use std::ops::Range;

use super::super::correlation::Correlation;
use super::super::padded::{Load, Window};
use crate::kernels::simd::Vector;

/// The grid of some target rows of a few images.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// The source rectangle of each image.
    window: Window,
    /// Rows and columns of the target.
    pub(super) target: [usize; 2],
    pub(super) images: usize,
    /// Lines from an image to the next.
    pub(super) lines: usize,
    /// Pixels from a line to the next.
    pub(super) pitch: usize,
}

/// A target pixel, or one between them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) image: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Grid {
    pub(super) fn new(correlation: &Correlation, rows: &Range<usize>, images: usize) -> Self {
        let window = correlation.window(rows);
        let [_, width] = correlation.images().1;
        let share = |range: &Range<isize>, extent: usize, target: usize| {
            let before = range.start.saturating_neg().max(0);
            let after = (range.end - extent as isize).max(0);
            range.len().saturating_sub(before.min(after) as usize).max(target)
        };
        let lines = share(&window.rows, window.image[0], rows.len());
        let pitch = share(&window.columns, window.image[1], width);
        Self { window, target: [rows.len(), width], images, lines, pitch }
    }

    /// The number of a place.
    pub(super) fn number(&self, place: &Place) -> usize {
        (place.image * self.lines + place.line) * self.pitch + place.column
    }

    /// Target pixels of all images.
    pub(super) fn target_pixels(&self) -> usize {
        let [lines, columns] = self.target;
        self.images * lines * columns
    }

    /// Numbers up to the last target pixel.
    pub(super) fn targets(&self) -> usize {
        let [lines, columns] = self.target;
        let (image, line) = (self.images - 1, lines - 1);
        self.number(&Place { image, line, column: columns })
    }

    /// Numbers up to the last pixel.
    pub(super) fn pixels(&self) -> usize {
        let lines = (self.images - 1) * self.lines + self.window.rows.len();
        (lines - 1) * self.pitch + self.window.columns.len()
    }

    /// Values of a line.
    pub(super) fn line_len(&self) -> usize {
        self.window.row_len()
    }

    /// Where the next line begins; those that an image shares with the next are in both.
    pub(super) fn line_after(&self, place: Place) -> Option<Place> {
        let Place { mut image, mut line, .. } = place;
        line += 1;
        if line == self.all_lines() {
            (image, line) = (image + 1, 0);
        }
        (image < self.images).then_some(Place { image, line, column: 0 })
    }

    /// Lines of an image, those that it shares with the next included.
    pub(super) fn all_lines(&self) -> usize {
        self.window.rows.len()
    }

    /// Copies a line. The zeros that it shares with the next are in both.
    #[inline(always)]
    pub(super) fn load_line<V: Vector>(
        &self,
        source: &[f32],
        image: usize,
        line: usize,
        load: impl Load,
        values: &mut [f32],
    ) {
        let Window { image: [height, width], channels, rows, .. } = &self.window;
        let len = height * width * channels;
        let y = rows.start + line as isize;
        self.window.load_row::<V>(&source[image * len..][..len], y, values, load);
    }
}
