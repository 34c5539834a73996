//! The register tile of a product: what it multiplies, and where its sums go.

use crate::kernels::simd::{LANES, Vector, lanes};
use crate::kernels::tile::{Sums, multiply, zeros};

/// A panel of b.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) values: &'a [f32],
    /// From a term to the next.
    pub(super) step: usize,
    pub(super) terms: usize,
}

impl Panel<'_> {
    /// The sums of Q rows of a, or of B neighbouring ones in a strip, which go on after `x_step`
    /// values, and N vectors of columns.
    #[inline(always)]
    fn sums<V: Vector, const Q: usize, const B: usize, const N: usize>(
        self,
        (rows, x_step): ([&[f32]; Q], usize),
    ) -> Sums<V, Q, B, N> {
        let Self { values, step, terms } = self;
        let mut sums = zeros();
        let Some(last) = terms.checked_sub(1) else { return sums };
        let mut x = [values.as_ptr(); Q];
        for q in 0..Q {
            assert!(last * x_step + B <= rows[q].len(), "rows hold the terms");
            x[q] = rows[q].as_ptr();
        }
        assert!(last * step + N * LANES <= values.len(), "the panel holds the terms");
        let panel = values.as_ptr();
        // SAFETY: both do, as just checked.
        unsafe {
            // A step that is known beforehand spares the loop a register and additions.
            if step == N * LANES {
                multiply(&mut sums, x, x_step, panel, N * LANES, terms);
            } else {
                multiply(&mut sums, x, x_step, panel, step, terms);
            }
        }
        sums
    }
}

/// Some rows and columns of a row-major matrix, to which the sums of tiles go.
pub(super) struct Target<'a> {
    c: *mut f32,
    rows: usize,
    row_stride: usize,
    columns: usize,
    add: bool,
    bias: &'a [f32],
}

impl<'a> Target<'a> {
    /// `rows` of `columns` elements from c on, to be written.
    ///
    /// # Safety
    /// As long as the target is used, these elements are valid for reading and writing, and nobody
    /// else has access to them.
    pub(super) unsafe fn new(c: *mut f32, rows: usize, row_stride: usize, columns: usize) -> Self {
        Self { c, rows, row_stride, columns, add: false, bias: &[] }
    }

    /// A whole matrix of `columns`.
    pub(super) fn buffer(values: &'a mut [f32], columns: usize) -> Self {
        // SAFETY: `values` holds the rows, and is borrowed alone.
        unsafe { Self::new(values.as_mut_ptr(), values.len() / columns, columns, columns) }
    }

    /// Whole vectors that hold the first `columns`.
    pub(super) fn columns(self, columns: usize) -> Self {
        Self { columns: columns.next_multiple_of(LANES).min(self.columns), ..self }
    }

    /// Whether the sums are added to what is there, and else the bias of the columns, unless it is
    /// empty.
    pub(super) fn add(self, add: bool, bias: &'a [f32]) -> Self {
        Self { add, bias, ..self }
    }

    /// Computes a tile of N vectors, or of as many as there are columns, and stores its first
    /// `valid` rows from `row` on.
    #[inline(always)]
    pub(super) fn store_product<V: Vector, const Q: usize, const B: usize, const N: usize>(
        &self,
        x: ([&[f32]; Q], usize),
        panel: Panel<'_>,
        row: usize,
        valid: usize,
    ) {
        // The last panel may be filled in part.
        match (N, self.columns.div_ceil(LANES)) {
            (2, 1) => self.store_tile(&panel.sums::<V, Q, B, 1>(x), row, valid),
            _ => self.store_tile(&panel.sums::<V, Q, B, N>(x), row, valid),
        }
    }

    #[inline(always)]
    fn store_tile<V: Vector, const Q: usize, const B: usize, const N: usize>(
        &self,
        sums: &Sums<V, Q, B, N>,
        row: usize,
        valid: usize,
    ) {
        assert!(row + valid <= self.rows, "the target holds the rows");
        let whole = self.columns >= N * LANES;
        let bias = match self.bias.get(..N * LANES) {
            Some(bias) if !self.add => Some(bias.as_ptr()),
            _ => None,
        };
        for q in 0..Q {
            for b in 0..B {
                let i = q * B + b;
                if i >= valid {
                    continue;
                }
                let c = self.c.wrapping_add((row + i) * self.row_stride);
                for n in 0..N {
                    // SAFETY: the target has this row, and it holds whole vectors if `whole`; so
                    // does the bias.
                    unsafe {
                        let c = c.wrapping_add(n * LANES);
                        match (whole, self.add, bias) {
                            (true, true, _) => sums[q][b][n].add(V::load(c)).store(c),
                            (true, false, Some(bias)) => {
                                sums[q][b][n].add(V::load(bias.add(n * LANES))).store(c)
                            }
                            (true, false, None) => sums[q][b][n].store(c),
                            (false, ..) => self.store_part(sums[q][b][n], n * LANES, c),
                        }
                    }
                }
            }
        }
    }

    /// Stores a vector that ends beyond the last column.
    ///
    /// # Safety
    /// The target's columns from `column` on are at c.
    #[inline(always)]
    unsafe fn store_part<V: Vector>(&self, sum: V, column: usize, c: *mut f32) {
        let filled = self.columns.saturating_sub(column).min(LANES);
        for (lane, value) in lanes(sum)[..filled].iter().enumerate() {
            // SAFETY: the caller vouches for `filled` elements.
            unsafe {
                let before = match (self.add, self.bias.is_empty()) {
                    (true, _) => *c.add(lane),
                    (false, false) => self.bias[column + lane],
                    (false, true) => 0.0,
                };
                *c.add(lane) = before + *value;
            }
        }
    }
}
