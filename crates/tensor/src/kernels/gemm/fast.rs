//! The `f32` product: register tiles over packed panels.
//!
//! b is packed once into panels of (k, 16 N) that stay in the second cache level; c is cut into
//! blocks of rows and columns, in parallel, never along k, so the bits do not depend on the number
//! of threads. Rows of a are read where they are if they are contiguous, else a block of them is
//! packed. Long sums are cut into blocks of k, added in order.

use std::ops::Range;

use rayon::prelude::*;

use super::pack::Strip;
use super::{MatrixMut, MatrixRef};
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::tile::{Sums, multiply, zeros};
use crate::kernels::{InstructionSet, scratch};

/// Rows and columns of c to a task.
const ROWS: usize = 64;
const COLUMNS: usize = 256;
/// The longest sum that is taken in one go.
const DEPTH: usize = 1024;

/// `c = alpha a b + beta c` with the vectors of `set`.
pub(in crate::kernels) fn gemm(
    set: InstructionSet,
    alpha: f32,
    a: MatrixRef<'_, f32>,
    b: MatrixRef<'_, f32>,
    beta: f32,
    c: MatrixMut<'_, f32>,
) {
    assert_eq!((a.rows, b.columns, a.columns), (c.rows, c.columns, b.rows), "a b must fit c");
    if c.data.is_empty() {
        return;
    }
    let depth = a.columns;
    let width = simd::columns(set) * LANES;
    let panel_len = (width * depth).max(1);
    scratch::with_thread_buffer(c.columns.div_ceil(width) * panel_len, |panels| {
        panels.par_chunks_mut(panel_len).enumerate().for_each(|(p, strip)| {
            let (first, rows) = (p * width, 0..depth);
            simd::run(set, Strip { matrix: b, first, rows, width, strip });
        });
        let panels = &*panels;
        let c = Target { data: c.data.as_mut_ptr(), rows: c.rows, columns: c.columns };
        let (down, across) = (c.rows.div_ceil(ROWS), c.columns.div_ceil(COLUMNS));
        (0..down * across).into_par_iter().for_each(|task| {
            let (row, column) = (task / across * ROWS, task % across * COLUMNS);
            let rows = row..(row + ROWS).min(c.rows);
            let columns = column..(column + COLUMNS).min(c.columns);
            // Room for the rows of a last tile that is not full.
            let packed_a = if a.column_stride == 1 { 0 } else { (ROWS + LANES) * depth.min(DEPTH) };
            scratch::with_thread_buffer(packed_a, |packed_a| {
                let panels = &panels[column / width * panel_len..];
                simd::run(set, Block { alpha, a, packed_a, panels, beta, c: &c, rows, columns });
            });
        });
    });
}

/// The matrix c, of which tasks write disjoint blocks.
struct Target {
    data: *mut f32,
    rows: usize,
    columns: usize,
}

// SAFETY: a task writes and reads only its own block, and blocks are disjoint.
unsafe impl Sync for Target {}

/// A block of c: the unit of work of one thread.
struct Block<'a> {
    alpha: f32,
    a: MatrixRef<'a, f32>,
    /// Working memory for a block of `a` whose rows are not contiguous.
    packed_a: &'a mut [f32],
    /// The panels of b from the block's first column on.
    panels: &'a [f32],
    beta: f32,
    c: &'a Target,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Task for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let depth = self.a.columns;
        let width = V::COLUMNS * LANES;
        let block = depth.div_ceil(depth.div_ceil(DEPTH).max(1)).max(1);
        let mut start = 0;
        loop {
            let sums = start..(start + block).min(depth);
            if self.a.column_stride != 1 {
                self.pack_rows::<V>(&sums);
            }
            for (p, column) in self.columns.clone().step_by(width).enumerate() {
                let panel = &self.panels[p * width * depth..][..width * depth];
                let panel = &panel[sums.start * width..];
                for (tile, row) in self.rows.clone().step_by(V::ROWS).enumerate() {
                    match (V::ROWS, V::COLUMNS) {
                        (8, 2) => self.tile::<V, 8, 2>(&sums, panel, tile, row, column),
                        (6, _) => self.tile::<V, 6, 1>(&sums, panel, tile, row, column),
                        _ => self.tile::<V, 2, 1>(&sums, panel, tile, row, column),
                    }
                }
            }
            start = sums.end;
            if start >= depth {
                break;
            }
        }
    }
}

impl Block<'_> {
    /// Packs the block's rows of a, for the terms `range` of the sums.
    #[inline(always)]
    fn pack_rows<V: Vector>(&mut self, range: &Range<usize>) {
        for (tile, first) in self.rows.clone().step_by(V::ROWS).enumerate() {
            let strip = &mut self.packed_a[tile * V::ROWS * range.len()..];
            let (matrix, rows) = (self.a.transposed(), range.clone());
            Strip { matrix, first, rows, width: V::ROWS, strip }.run::<V>();
        }
    }

    /// R rows and 16 N columns of c, for the terms `range` of the sums.
    #[inline(always)]
    fn tile<V: Vector, const R: usize, const N: usize>(
        &self,
        range: &Range<usize>,
        panel: &[f32],
        tile: usize,
        row: usize,
        column: usize,
    ) {
        let valid = R.min(self.rows.end - row);
        let panel = panel[..range.len() * N * LANES].as_ptr();
        if self.a.column_stride == 1 {
            let mut sums: Sums<V, R, 1, N> = zeros();
            let mut x = [self.a.data.as_ptr(); R];
            for r in 0..R {
                // Beyond the last row the last is multiplied again, and not stored.
                let at = (row + r.min(valid - 1)) * self.a.row_stride + range.start;
                x[r] = self.a.data[at..][..range.len()].as_ptr();
            }
            // SAFETY: each row and the panel hold the terms of the range, as just checked.
            unsafe { multiply(&mut sums, x, 1, panel, N * LANES, range.len()) };
            for r in 0..R {
                if r == valid {
                    break;
                }
                self.store(&sums[r][0], row + r, column, range.start == 0);
            }
        } else {
            let mut sums: Sums<V, 1, R, N> = zeros();
            let packed = &self.packed_a[tile * R * range.len()..][..R * range.len()];
            // SAFETY: `packed` holds R values and the panel 16 N for each term of the range.
            unsafe { multiply(&mut sums, [packed.as_ptr()], R, panel, N * LANES, range.len()) };
            for r in 0..R {
                if r == valid {
                    break;
                }
                self.store(&sums[0][r], row + r, column, range.start == 0);
            }
        }
    }

    /// Stores alpha times the sums of a row; beta belongs to the first block of terms.
    #[inline(always)]
    fn store<V: Vector, const N: usize>(
        &self,
        sums: &[V; N],
        row: usize,
        column: usize,
        first: bool,
    ) {
        let beta = if first { self.beta } else { 1.0 };
        let valid = (N * LANES).min(self.columns.end - column);
        debug_assert!(row < self.c.rows && column + valid <= self.c.columns);
        for n in 0..N {
            let filled = valid.saturating_sub(n * LANES).min(LANES);
            let mut lanes = [0.0; LANES];
            // SAFETY: `filled` values from here on belong to this block of c; `lanes` holds
            // sixteen.
            unsafe {
                let c = self.c.data.add(row * self.c.columns + column).wrapping_add(n * LANES);
                let scaled = sums[n].mul(V::splat(self.alpha));
                if filled == LANES {
                    let value = match beta {
                        0.0 => scaled,
                        1.0 => V::load(c).add(scaled),
                        _ => V::load(c).mul_add(V::splat(beta), scaled),
                    };
                    value.store(c);
                } else {
                    scaled.store(lanes.as_mut_ptr());
                    for (lane, value) in lanes[..filled].iter().enumerate() {
                        let c = c.add(lane);
                        *c = if beta == 0.0 { *value } else { *value + beta * *c };
                    }
                }
            }
        }
    }
}
