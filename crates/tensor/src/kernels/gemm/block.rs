//! A block of a product: the unit of work of one thread.

use std::ops::Range;

use super::fast::Product;
use super::pack::{Strips, padded_len};
use crate::kernels::conv::fused::lanes;
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::tile::{Sums, multiply, zeros};
use crate::kernels::{InstructionSet, scratch};

/// Rows and columns of c, for a range of the terms of its sums.
pub(super) struct Block<'a> {
    pub(super) product: &'a Product<'a>,
    /// So many terms are taken in one go.
    pub(super) stretch: usize,
    /// The first term of the sums in c: those of later ones are added.
    pub(super) begin: usize,
    pub(super) terms: Range<usize>,
    /// The panels of b from the block's first column on, for `terms`.
    pub(super) panels: &'a [f32],
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// The first row of the block in c, from column 0 on.
    pub(super) c: *mut f32,
    /// From an element of c to the next row and to the next column; one of them is 1.
    pub(super) strides: [usize; 2],
}

impl Block<'_> {
    /// Computes it. Nobody else may have access to its elements of c.
    pub(super) fn run(self, set: InstructionSet) {
        let tile = self.product.tile_rows(set);
        let strips = if self.product.in_place() { 0 } else { self.rows.len().div_ceil(tile) };
        let len = strips * padded_len(tile * self.stretch);
        scratch::with_thread_buffer(len, |copy| simd::run(set, Copied { block: self, copy }));
    }
}

/// A block with the memory for its rows of a, if they are copied.
struct Copied<'a> {
    block: Block<'a>,
    copy: &'a mut [f32],
}

impl Task for Copied<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match (V::ROWS, V::COLUMNS) {
            (8, 2) => self.stretches::<V, 8, 12, 2>(),
            (6, _) => self.stretches::<V, 6, 6, 1>(),
            _ => self.stretches::<V, 2, 2, 1>(),
        }
    }
}

impl Copied<'_> {
    /// In tiles of R rows that are read in place, or in strips of S.
    #[inline(always)]
    fn stretches<V: Vector, const R: usize, const S: usize, const N: usize>(self) {
        let Self { block, copy } = self;
        let (all, width) = (block.terms.clone(), N * LANES);
        let (matrix, normalise) = (block.product.a, block.product.normalise_a);
        let in_place = block.product.in_place();
        let mut start = all.start;
        loop {
            let terms = start..(start + block.stretch).min(all.end);
            let rows = block.rows.clone();
            if !in_place {
                let copy = &mut *copy;
                Strips { matrix, normalise, rows, terms: terms.clone(), copy }.fill::<V, S>();
            }
            let panels = &block.panels[(start - all.start) * width..];
            for (p, column) in block.columns.clone().step_by(width).enumerate() {
                let panel = &panels[p * width * all.len()..][..width * terms.len()];
                if in_place {
                    let first = block.rows.start * matrix.row_stride + terms.start;
                    let a = (&matrix.data[first.min(matrix.data.len())..], matrix.row_stride);
                    for row in (0..block.rows.len()).step_by(R) {
                        block.tile::<V, R, 1, N>(a, &terms, panel, row, column);
                    }
                } else {
                    let a = (&*copy, padded_len(S * terms.len()));
                    for row in (0..block.rows.len()).step_by(S) {
                        block.tile::<V, 1, S, N>(a, &terms, panel, row, column);
                    }
                }
            }
            start = terms.end;
            if start >= all.end {
                break;
            }
        }
    }
}

impl Block<'_> {
    /// R = Q B rows and 16 N columns of c, for the terms of one stretch. Row `row` of the block is
    /// the first.
    #[inline(always)]
    fn tile<V: Vector, const Q: usize, const B: usize, const N: usize>(
        &self,
        (a, row_len): (&[f32], usize),
        terms: &Range<usize>,
        panel: &[f32],
        row: usize,
        column: usize,
    ) {
        let valid = (Q * B).min(self.rows.len() - row);
        let mut sums: Sums<V, Q, B, N> = zeros();
        let mut x = [a.as_ptr(); Q];
        for q in 0..Q {
            // Beyond the last row the last is multiplied again, and not stored.
            let first = (row / B + q.min(valid - 1)) * row_len;
            x[q] = a[first..][..B * terms.len()].as_ptr();
        }
        // SAFETY: each row, or the strip, and the panel hold the terms, as just checked.
        unsafe { multiply(&mut sums, x, B, panel.as_ptr(), N * LANES, terms.len()) };
        if self.strides[1] != 1 {
            return self.store_exchanged(&sums, row, valid, column, terms.start == self.begin);
        }
        for q in 0..Q {
            for b in 0..B {
                if q * B + b < valid {
                    self.store(&sums[q][b], row + q * B + b, column, terms.start == self.begin);
                }
            }
        }
    }

    /// Stores the first sums of a tile whose columns are contiguous in c, with the bias of its rows,
    /// or adds them to those before.
    #[inline(always)]
    fn store_exchanged<V: Vector, const Q: usize, const B: usize, const N: usize>(
        &self,
        sums: &Sums<V, Q, B, N>,
        row: usize,
        valid: usize,
        column: usize,
        first: bool,
    ) {
        let bias = self.product.bias;
        let mut bias_of = [0.0; LANES];
        if first && !bias.is_empty() {
            bias_of[..valid].copy_from_slice(&bias[self.rows.start + row..][..valid]);
        }
        for n in 0..N {
            let mut rows = [V::splat(0.0); LANES];
            for q in 0..Q {
                for b in 0..B {
                    rows[q * B + b] = sums[q][b][n].add(V::splat(bias_of[q * B + b]));
                }
            }
            let columns = V::transpose(rows);
            let column = column + n * LANES;
            for i in 0..self.columns.end.saturating_sub(column).min(LANES) {
                let sums = lanes(columns[i]);
                // SAFETY: the `valid` values of this column belong to this block of c.
                let c = unsafe {
                    let c = self.c.wrapping_add(row + (column + i) * self.strides[1]);
                    std::slice::from_raw_parts_mut(c, valid)
                };
                match (first, valid == Q * B) {
                    // As many as are known beforehand.
                    (true, true) => c[..Q * B].copy_from_slice(&sums[..Q * B]),
                    (true, false) => c.copy_from_slice(&sums[..valid]),
                    (false, _) => c.iter_mut().zip(sums).for_each(|(c, sum)| *c += sum),
                }
            }
        }
    }

    /// Stores the first sums of a row with the bias, or adds them to those before.
    #[inline(always)]
    fn store<V: Vector, const N: usize>(
        &self,
        sums: &[V; N],
        row: usize,
        column: usize,
        first: bool,
    ) {
        let bias = self.product.bias;
        debug_assert!(row < self.rows.len() && self.columns.end <= self.strides[0]);
        for n in 0..N {
            let column = column + n * LANES;
            let filled = self.columns.end.saturating_sub(column).min(LANES);
            let mut lanes = [0.0; LANES];
            // SAFETY: `filled` values from here on belong to this block of c; `lanes` holds
            // sixteen.
            unsafe {
                let c = self.c.wrapping_add(row * self.strides[0] + column);
                if filled == LANES {
                    let sum = match (first, bias.is_empty()) {
                        (false, _) => sums[n].add(V::load(c)),
                        (true, false) => sums[n].add(V::load(bias[column..][..LANES].as_ptr())),
                        (true, true) => sums[n],
                    };
                    sum.store(c);
                } else {
                    sums[n].store(lanes.as_mut_ptr());
                    for (lane, value) in lanes[..filled].iter().enumerate() {
                        let before = match (first, bias.is_empty()) {
                            (false, _) => *c.add(lane),
                            (true, false) => bias[column + lane],
                            (true, true) => 0.0,
                        };
                        *c.add(lane) = before + *value;
                    }
                }
            }
        }
    }
}
