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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tile {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// The tiles of a band, one after the other. To find a tile by its number takes two divisions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    next: Tile,
    side: usize,
    rows: usize,
    width: usize,
}

impl Walk {
    #[inline(always)]
    pub(super) fn step(&mut self) -> Tile {
        let tile = self.next;
        self.next.column += self.side;
        if self.next.column >= self.width {
            (self.next.column, self.next.row) = (0, self.next.row + self.side);
            if self.next.row >= self.rows {
                (self.next.row, self.next.image) = (0, self.next.image + 1);
            }
        }
        tile
    }
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

    /// All tiles of a band of `rows` rows, image by image, row by row; of as many images as it takes.
    #[inline(always)]
    pub(super) fn walk(&self, rows: usize) -> Walk {
        Walk { next: Tile::default(), side: self.side, rows, width: self.image[1] }
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
