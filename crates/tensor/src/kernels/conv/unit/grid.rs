//! Where the pixels of padded images are.
//!
//! With strides (s, t), lines are dealt out in turn to s *fields*, as those of interlaced video are, and t
//! neighbouring source pixels are one pixel here: from a target pixel to the next it is one line of each
//! field, or one pixel.
//!
//! In each field all pixels are numbered, image by image, line by line. Neighbouring lines share the zeros
//! at their ends, as far as there are as many on either side, and so do neighbouring images. If the tap
//! (u, v) of a target pixel is in number n, that of the next pixel of its line is in n + 1, and the tap
//! (u + s, v) in n + pitch. Between the target pixels there are some that are none, where lines end.

use std::ops::Range;

use super::super::correlation::{Axis, Correlation};
use super::super::padded::{Load, Window};
use crate::kernels::simd::Vector;

/// The grid of some target rows of a few images.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// The source rectangle of each image, whole strides high and wide.
    window: Window,
    /// The fields, and the source pixels to a pixel.
    pub(super) stride: [usize; 2],
    /// Rows and columns of the target, or of the largest of its phases.
    pub(super) target: [usize; 2],
    pub(super) images: usize,
    /// Lines of a field from an image to the next.
    pub(super) lines: usize,
    /// Pixels from a line to the next.
    pub(super) pitch: usize,
}

/// A target pixel, or one between them; the same place in each field.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) image: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Grid {
    pub(super) fn new(correlation: &Correlation, rows: &Range<usize>, images: usize) -> Self {
        let mut window = correlation.window(rows);
        let [_, width] = correlation.images().1;
        let stride = [0, 1].map(|axis| correlation.axis(axis, 0).from_step);
        let target = [rows.clone(), 0..width];
        let target = [0, 1].map(|axis| correlation.most_numbers(axis, &target[axis]));
        let share = |range: &mut Range<isize>, axis: usize| {
            let stride = stride[axis];
            range.end = range.start + range.len().next_multiple_of(stride) as isize;
            let before = range.start.saturating_neg().max(0);
            let after = (range.end - correlation.images().0[axis] as isize).max(0);
            let shared = before.min(after) as usize / stride;
            (range.len() / stride).saturating_sub(shared).max(target[axis])
        };
        let (lines, pitch) = (share(&mut window.rows, 0), share(&mut window.columns, 1));
        Self { window, stride, target, images, lines, pitch }
    }

    /// Which field a source line is in, and where it begins there.
    pub(super) fn line(&self, image: usize, line: usize) -> (usize, Place) {
        (line % self.stride[0], Place { image, line: line / self.stride[0], column: 0 })
    }

    /// The number of a place.
    pub(super) fn number(&self, place: &Place) -> usize {
        (place.image * self.lines + place.line) * self.pitch + place.column
    }

    /// Numbers up to the last target pixel.
    pub(super) fn targets(&self) -> usize {
        let [lines, columns] = self.target;
        let (image, line) = (self.images - 1, lines - 1);
        self.number(&Place { image, line, column: columns })
    }

    /// Lines up to the last that has target pixels.
    pub(super) fn target_lines(&self) -> usize {
        (self.images - 1) * self.lines + self.target[0]
    }

    /// Where a line of a field begins, of which all images together have so many before.
    pub(super) fn field_line(&self, line: usize) -> Place {
        Place { image: line / self.lines, line: line % self.lines, column: 0 }
    }

    /// The place so many pixels further on in its line.
    pub(super) fn after(&self, at: &Place, pixels: usize) -> Place {
        let Place { image, line, column } = *at;
        let column = column + pixels;
        if column < self.pitch {
            Place { image, line, column }
        } else if line + 1 < self.lines {
            Place { image, line: line + 1, column: 0 }
        } else {
            Place { image: image + 1, line: 0, column: 0 }
        }
    }

    /// How many target pixels come before a place.
    pub(super) fn pixels_before(&self, at: &Place) -> usize {
        let ([lines, columns], Place { image, line, column }) = (self.target, *at);
        let lines_before = image * lines + line.min(lines);
        lines_before * columns + if line < lines { column.min(columns) } else { 0 }
    }

    /// Which of the target pixels is there, if one is, and how many of the same line follow, with it; else how many
    /// others.
    pub(super) fn run(&self, at: &Place) -> (Option<usize>, usize) {
        let ([lines, columns], Place { image, line, column }) = (self.target, *at);
        if image < self.images && line < lines && column < columns {
            (Some((image * lines + line) * columns + column), columns - column)
        } else {
            (None, self.pitch - column)
        }
    }

    /// Numbers up to the last pixel.
    pub(super) fn pixels(&self) -> usize {
        let [lines, columns] = [&self.window.rows, &self.window.columns].map(Range::len);
        let lines = (self.images - 1) * self.lines + lines / self.stride[0];
        (lines - 1) * self.pitch + columns / self.stride[1]
    }

    /// The number of the first pixel that the target's phases y and x meet.
    pub(super) fn first(&self, y: &Axis, x: &Axis, rows: &Range<usize>) -> usize {
        let number = y.numbers_in(rows).start * y.from_step;
        let row = y.from_first + number as isize - self.window.rows.start;
        let column = x.from_first - self.window.columns.start;
        row as usize * self.pitch + column as usize
    }

    /// Values of a line.
    pub(super) fn line_len(&self) -> usize {
        self.window.row_len()
    }

    /// Source lines of an image, those that it shares with the next included.
    pub(super) fn source_lines(&self) -> usize {
        self.window.rows.len()
    }

    /// Copies a source line. The zeros that it shares with the next are in both.
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

    /// Copies a line of a field, or zeros if no image has it.
    #[inline(always)]
    pub(super) fn load_field_line<V: Vector>(
        &self,
        source: &[f32],
        [field, line]: [usize; 2],
        load: impl Load,
        values: &mut [f32],
    ) {
        let Place { image, line, .. } = self.field_line(line);
        let line = line * self.stride[0] + field;
        if image < self.images && line < self.source_lines() {
            self.load_line::<V>(source, image, line, load, values);
        } else {
            values.fill(0.0);
        }
    }

    /// Where about in the source a line of a field is.
    pub(super) fn source_at(&self, [field, line]: [usize; 2]) -> usize {
        let Window { image: [height, width], channels, rows, .. } = &self.window;
        let Place { image, line, .. } = self.field_line(line);
        let row = rows.start.saturating_add_unsigned(line * self.stride[0] + field).max(0) as usize;
        (image * height + row) * width * channels
    }
}
