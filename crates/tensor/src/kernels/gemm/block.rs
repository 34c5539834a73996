//! A block of a product: the unit of work of one thread.
//!
//! Every panel of b is multiplied by all rows of the block. A block of `c' = b' a'` keeps the sums of
//! a panel, and writes them transposed.

use std::ops::Range;

use super::pack::{Strips, padded_len};
use super::product::{Product, Stretch, together};
use super::sums::{Panel, Target};
use crate::kernels::simd::{self, LANES, Task, Vector, load, store};
use crate::kernels::{InstructionSet, scratch};

/// Rows and columns of c, for a stretch of terms.
pub(super) struct Block<'a> {
    pub(super) product: &'a Product<'a>,
    pub(super) stretch: &'a Stretch,
    /// Those of the stretch from the block's first column on; without them the block packs its own, some at
    /// a time.
    pub(super) panels: Option<&'a [f32]>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// The first row of the block in c, from column 0 on.
    pub(super) c: *mut f32,
    /// From an element of c to the next row and to the next column; one of them is 1.
    pub(super) strides: [usize; 2],
}

impl Block<'_> {
    /// Computes it.
    ///
    /// # Safety
    /// c holds the block's rows and columns, and nobody else has access to these elements.
    pub(super) unsafe fn run(self, set: InstructionSet) {
        let (rows, tile) = (self.rows.len(), self.product.tile_rows(set));
        let strips = if self.product.a_in_place() { 0 } else { rows.div_ceil(tile) };
        let copied = strips * padded_len(tile * self.stretch.terms.len());
        let width = simd::columns(set) * LANES;
        let transposed = if self.strides[1] == 1 { 0 } else { rows.next_multiple_of(LANES) };
        let kept = transposed * width;
        let own = if self.panels.is_some() { 0 } else { together(width) };
        let packed = own.min(self.columns.len().next_multiple_of(width)) * self.stretch.terms.len();
        scratch::with_thread_buffer(packed + copied + kept, |buffer| {
            let (packed, buffer) = buffer.split_at_mut(packed);
            let (copy, kept) = buffer.split_at_mut(copied);
            simd::run(set, Buffered { block: self, tile, packed, copy, kept });
        });
    }
}

/// A block with the memory for its panels, if they are its own, for its rows of a, if they are copied,
/// and for the sums of a panel, if they are to be transposed.
struct Buffered<'a> {
    block: Block<'a>,
    /// Rows of a register tile.
    tile: usize,
    packed: &'a mut [f32],
    copy: &'a mut [f32],
    kept: &'a mut [f32],
}

impl Task for Buffered<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match (V::COLUMNS, self.tile) {
            (2, 8) => self.panels::<V, 8, 2>(),
            (2, 12) => self.panels::<V, 12, 2>(),
            (1, 6) => self.panels::<V, 6, 1>(),
            (1, 2) => self.panels::<V, 2, 1>(),
            tile => unreachable!("a register tile of {tile:?}"),
        }
    }
}

impl Buffered<'_> {
    /// In tiles of R rows, read in place or in strips, and N vectors.
    #[inline(always)]
    fn panels<V: Vector, const R: usize, const N: usize>(self) {
        let Self { block, packed, copy, kept, .. } = self;
        let (matrix, normalise) = (block.product.a, block.product.normalise_a);
        let (terms, in_place) = (block.stretch.terms.clone(), block.product.a_in_place());
        if !in_place {
            let (rows, terms, copy) = (block.rows.clone(), terms.clone(), &mut *copy);
            Strips { matrix, normalise, rows, terms, copy }.fill::<V, R>();
        }
        let width = N * LANES;
        for (p, column) in block.columns.clone().step_by(width).enumerate() {
            let columns = column..(column + width).min(block.columns.end);
            let values = match block.panels {
                Some(panels) => &panels[p * width * terms.len()..],
                None => {
                    let among = p % (together(width) / width);
                    if among == 0 && !packed.is_empty() {
                        let left = (block.columns.end - column).next_multiple_of(width);
                        let next = &mut packed[..together(width).min(left) * terms.len()];
                        block.product.pack(column, terms.clone(), width, next).run::<V>();
                    }
                    &packed[among * width * terms.len()..]
                }
            };
            let panel = Panel { values, step: width, terms: terms.len() };
            let to = if kept.is_empty() {
                block.target(columns.clone())
            } else {
                Target::buffer(kept, width).columns(columns.len())
            };
            for row in (0..block.rows.len()).step_by(R) {
                let valid = R.min(block.rows.len() - row);
                if in_place {
                    let mut x = [&matrix.data[..0]; R];
                    for q in 0..R {
                        // Beyond the last row the last is multiplied again, and not stored.
                        let row = block.rows.start + row + q.min(valid - 1);
                        x[q] = &matrix.data[row * matrix.row_stride..][terms.clone()];
                    }
                    to.store_product::<V, R, 1, N>((x, 1), panel, row, valid);
                } else {
                    let strip = &copy[row / R * padded_len(R * terms.len())..];
                    to.store_product::<V, 1, R, N>(([strip], R), panel, row, valid);
                }
            }
            if !kept.is_empty() {
                block.transpose::<V>(kept, width, columns);
            }
        }
    }
}

impl Block<'_> {
    /// Some columns of the block's rows of c.
    fn target(&self, columns: Range<usize>) -> Target<'_> {
        let (rows, bias, add) = (self.rows.len(), self.product.bias, !self.stretch.first);
        let bias = if bias.is_empty() { bias } else { &bias[columns.clone()] };
        // SAFETY: these elements of c belong to this block.
        unsafe {
            let c = self.c.add(columns.start);
            Target::new(c, rows, self.strides[0], columns.len()).add(add, bias)
        }
    }

    /// Writes the sums of a panel, rows of `width`, to columns that are contiguous in c: the first
    /// with the bias of their rows, later ones are added.
    #[inline(always)]
    fn transpose<V: Vector>(&self, kept: &[f32], width: usize, columns: Range<usize>) {
        let (bias, first) = (self.product.bias, self.stretch.first);
        for row in (0..self.rows.len()).step_by(LANES) {
            let valid = LANES.min(self.rows.len() - row);
            let bias_of = if first && !bias.is_empty() {
                load(bias, self.rows.start + row, valid)
            } else {
                V::splat(0.0)
            };
            for j in (0..columns.len()).step_by(LANES) {
                let mut rows = [V::splat(0.0); LANES];
                for i in 0..LANES {
                    rows[i] = load(kept, (row + i) * width + j, LANES);
                }
                let transposed = V::transpose(rows);
                for i in 0..LANES.min(columns.len() - j) {
                    let column = columns.start + j + i;
                    // SAFETY: the `valid` values of this column belong to this block of c.
                    let c = unsafe {
                        let c = self.c.add(row + column * self.strides[1]);
                        std::slice::from_raw_parts_mut(c, valid)
                    };
                    let before = if first { bias_of } else { load(c, 0, valid) };
                    store(transposed[i].add(before), c, 0, valid);
                }
            }
        }
    }
}
