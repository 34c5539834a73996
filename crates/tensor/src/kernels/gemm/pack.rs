//! Copies of the factors in the order in which the register tile reads them.

use std::ops::Range;

use super::MatrixRef;
use crate::kernels::normalise::{Affine, Normalise};
use crate::kernels::simd::{LANES, Task, Vector, load, prefetch_at, store};

/// Rows that are asked for ahead of their use.
const AHEAD: usize = 8;
/// Blocks of sixteen columns that are copied side by side: a row is read four cache lines at a time.
const ABREAST: usize = 4;

/// Panels of b: `width` columns each, from `first` on, of the rows `terms`. Element (k, j) goes to
/// `panel[k width + j]`; columns that the matrix does not have are zeros.
pub(super) struct PackPanels<'a> {
    pub(super) matrix: MatrixRef<'a, f32>,
    pub(super) normalise: Option<Normalise<'a>>,
    /// Whether the rows of the matrix are normalised instead of its columns. What is normalised is
    /// contiguous: the columns of the matrix if this is set, else its rows.
    pub(super) by_rows: bool,
    pub(super) first: usize,
    pub(super) terms: Range<usize>,
    pub(super) width: usize,
    /// One after the other.
    pub(super) panels: &'a mut [f32],
}

impl Task for PackPanels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { matrix, normalise, by_rows, first, terms, width, panels } = self;
        assert!(!terms.is_empty(), "there is nothing to pack");
        let normalise = normalise.as_ref();
        let blocks = panels.len() / (terms.len() * LANES);
        let columns = |block: usize| {
            let first = first + block * LANES;
            Columns { matrix, first, filled: matrix.columns.saturating_sub(first).min(LANES) }
        };
        // The first element of a block of columns.
        let at = |block: usize| {
            let column = block * LANES;
            column / width * width * terms.len() + column % width
        };
        if by_rows || matrix.column_stride != 1 {
            assert!(by_rows || normalise.is_none(), "contiguous rows are normalised");
            for block in 0..blocks {
                let panel = &mut panels[at(block)..];
                columns(block).column_major::<V>(normalise, terms.clone(), panel, width);
            }
            return;
        }
        for block in (0..blocks).step_by(ABREAST) {
            let mut copies = [None; ABREAST];
            for (i, copy) in copies[..ABREAST.min(blocks - block)].iter_mut().enumerate() {
                let columns = columns(block + i);
                let affine = normalise.map(|normalise| columns.affine::<V>(normalise));
                *copy = Some((columns, affine, at(block + i)));
            }
            for (k, row) in terms.clone().enumerate() {
                for (columns, affine, at) in copies.iter().flatten() {
                    let value = columns.row(row, affine.as_ref());
                    store(value, panels, at + k * width, LANES);
                }
            }
        }
    }
}

/// At most sixteen neighbouring columns of a matrix.
#[derive(Clone, Copy)]
struct Columns<'a> {
    matrix: MatrixRef<'a, f32>,
    first: usize,
    filled: usize,
}

impl Columns<'_> {
    /// Their normalisation; of columns that the matrix does not have it makes zeros.
    #[inline(always)]
    fn affine<V: Vector>(&self, normalise: &Normalise<'_>) -> Affine<V> {
        let first = self.first.min(normalise.mean.len());
        Affine::new(normalise, first, self.filled)
    }

    /// A row of them, if rows are contiguous, and zeros in the lanes after them.
    #[inline(always)]
    fn row<V: Vector>(&self, row: usize, affine: Option<&Affine<V>>) -> V {
        let Self { matrix, first, filled } = *self;
        if filled == 0 {
            return V::splat(0.0);
        }
        let at = row * matrix.row_stride + first;
        prefetch_at(matrix.data, at + AHEAD * matrix.row_stride);
        let value = load(matrix.data, at, filled);
        affine.map_or(value, |affine| affine.apply(value))
    }

    /// The rows `terms` of them to a panel, sixteen at a time: columns are contiguous, as a rule, and
    /// the rows are normalised.
    #[inline(always)]
    fn column_major<V: Vector>(
        &self,
        normalise: Option<&Normalise<'_>>,
        terms: Range<usize>,
        panel: &mut [f32],
        width: usize,
    ) {
        let Self { matrix, first, filled } = *self;
        for k in (0..terms.len()).step_by(LANES) {
            let (row, count) = (terms.start + k, LANES.min(terms.len() - k));
            let at = first * matrix.column_stride + row * matrix.row_stride;
            if matrix.row_stride == 1 {
                let affine = normalise.map(|normalise| Affine::<V>::new(normalise, row, count));
                let mut values = [V::splat(0.0); LANES];
                for j in 0..filled {
                    let value = load(matrix.data, at + j * matrix.column_stride, count);
                    values[j] = affine.as_ref().map_or(value, |affine| affine.apply(value));
                }
                let values = V::transpose(values);
                for i in 0..count {
                    store(values[i], panel, (k + i) * width, LANES);
                }
                continue;
            }
            for i in 0..count {
                let at = at + i * matrix.row_stride;
                for (j, to) in panel[(k + i) * width..][..LANES].iter_mut().enumerate() {
                    *to = if j < filled { matrix.data[at + j * matrix.column_stride] } else { 0.0 };
                }
            }
        }
    }
}

/// From the beginning of a strip of `len` values to that of the next. They do not lie a power of two
/// apart: they would fall into the same few sets of the cache. What lies between them is written
/// with the last sixteen values.
#[inline(always)]
pub(super) fn padded_len(len: usize) -> usize {
    len.next_multiple_of(LANES) + LANES
}

/// Rows of a in strips of R: element (i, k) goes to `strip[k R + i]`, strip after strip. Rows that
/// the matrix does not have are zeros.
pub(super) struct Strips<'a> {
    pub(super) matrix: MatrixRef<'a, f32>,
    /// What happens to the columns of the matrix first; its rows are contiguous then.
    pub(super) normalise: Option<Normalise<'a>>,
    pub(super) rows: Range<usize>,
    pub(super) terms: Range<usize>,
    pub(super) copy: &'a mut [f32],
}

impl Strips<'_> {
    #[inline(always)]
    pub(super) fn fill<V: Vector, const R: usize>(self) {
        if self.matrix.column_stride == 1 {
            self.row_major::<V, R>();
        } else {
            assert!(self.normalise.is_none(), "contiguous rows are normalised");
            self.column_major::<V, R>();
        }
    }

    /// Of a matrix whose rows are contiguous: R of them, sixteen terms at a time, transposed.
    #[inline(always)]
    fn row_major<V: Vector, const R: usize>(self) {
        let Self { matrix, normalise, rows, terms, copy } = self;
        let strips = copy.chunks_exact_mut(padded_len(terms.len() * R));
        for (strip, first) in strips.zip(rows.clone().step_by(R)) {
            let count = R.min(rows.end - first);
            for k in (0..terms.len()).step_by(LANES) {
                let (term, width) = (terms.start + k, LANES.min(terms.len() - k));
                let affine = normalise.as_ref().map(|norm| Affine::<V>::new(norm, term, width));
                let mut values = [V::splat(0.0); LANES];
                for i in 0..R {
                    if i < count {
                        let at = (first + i) * matrix.row_stride + term;
                        prefetch_at(matrix.data, at + R * matrix.row_stride);
                        let value = load(matrix.data, at, width);
                        values[i] = affine.as_ref().map_or(value, |affine| affine.apply(value));
                    }
                }
                let values = V::transpose(values);
                for i in 0..width {
                    // What follows the R values is overwritten by the next, or lies between strips.
                    // SAFETY: the slice holds sixteen values.
                    unsafe { values[i].store(strip[(k + i) * R..][..LANES].as_mut_ptr()) };
                }
            }
        }
    }

    /// Of any matrix, a term at a time: its columns are contiguous, as a rule.
    #[inline(always)]
    fn column_major<V: Vector, const R: usize>(self) {
        let Self { matrix, rows, terms, copy, .. } = self;
        let strip_len = padded_len(terms.len() * R);
        for (k, term) in terms.enumerate() {
            let first = term * matrix.column_stride + rows.start * matrix.row_stride;
            for row in (0..rows.len()).step_by(LANES) {
                prefetch_at(matrix.data, first + AHEAD * matrix.column_stride + row);
            }
            for (strip, row) in (0..rows.len()).step_by(R).enumerate() {
                let to = &mut copy[strip * strip_len + k * R..][..LANES];
                let from = &matrix.data[first + row * matrix.row_stride..];
                if matrix.row_stride == 1 && row + R <= rows.len() && from.len() >= LANES {
                    // SAFETY: both hold sixteen values.
                    unsafe { V::load(from.as_ptr()).store(to.as_mut_ptr()) };
                } else {
                    let to = &mut to[..R];
                    to.fill(0.0);
                    for (to, i) in to.iter_mut().zip(row..rows.len()) {
                        *to = from[(i - row) * matrix.row_stride];
                    }
                }
            }
        }
    }
}
