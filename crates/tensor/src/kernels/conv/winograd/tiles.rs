//! The tiles of a band of target rows, and where their sources stand.

use std::ops::Range;

use super::transform::POINTS;
use crate::kernels::conv::correlation::Correlation;
use crate::kernels::conv::padded::Window;

/// How a convolution is cut into tiles of M x M target pixels, M = 4 or 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    /// M.
    pub(super) side: usize,
    /// Height and width of the target.
    pub(super) image: [usize; 2],
    /// Tiles to a column and to a row of the whole target.
    pub(super) count: [usize; 2],
}

/// One tile of a band: which image, and its first row (within the band) and column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Tiles {
    /// The tiles of a correlation of stride one.
    pub(super) fn new(correlation: &Correlation) -> Self {
        let image = correlation.images().1;
        let side = POINTS + 1 - correlation.axis(0, 0).taps;
        Self { side, image, count: image.map(|extent| extent.div_ceil(side)) }
    }

    /// Tiles of an image.
    pub(super) fn per_image(&self) -> usize {
        self.count[0] * self.count[1]
    }

    /// Tiles of a band of rows that starts at a multiple of the side.
    pub(super) fn in_rows(&self, rows: &Range<usize>) -> usize {
        rows.len().div_ceil(self.side) * self.count[1]
    }

    /// Tile number `number` of a band with `in_rows` tiles to an image.
    #[inline(always)]
    pub(super) fn tile(&self, number: usize, in_rows: usize) -> Tile {
        let (image, within) = (number / in_rows, number % in_rows);
        let (row, column) = (within / self.count[1], within % self.count[1]);
        Tile { image, row: row * self.side, column: column * self.side }
    }

    /// Rows and columns of a tile inside a band of `rows` rows.
    #[inline(always)]
    pub(super) fn inside(&self, tile: Tile, rows: usize) -> [usize; 2] {
        [self.side.min(rows - tile.row), self.side.min(self.image[1] - tile.column)]
    }

    /// The first pixel of a tile in bands of `rows` rows, one image after the other.
    #[inline(always)]
    pub(super) fn pixel(&self, tile: Tile, rows: usize) -> usize {
        (tile.image * rows + tile.row) * self.image[1] + tile.column
    }

    /// The source rectangle that the tiles of a band of rows meet.
    pub(super) fn window(&self, correlation: &Correlation, rows: &Range<usize>) -> Window {
        let reach = |axis: usize, first: usize, tiles: usize| {
            let start = correlation.axis(axis, 0).from_first + first as isize;
            start..start + (self.side * (tiles - 1) + POINTS) as isize
        };
        Window {
            image: correlation.images().0,
            channels: correlation.channels().0,
            rows: reach(0, rows.start, rows.len().div_ceil(self.side)),
            columns: reach(1, 0, self.count[1]),
        }
    }
}
