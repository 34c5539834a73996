//! Copies of the factors in the order in which the register tile reads them.

use std::ops::Range;

use super::MatrixRef;
use crate::kernels::simd::{LANES, Task, Vector};

/// A strip of a matrix, `width` columns from `first` on, copied to rows of `width` values: element
/// (k, j) goes to `strip[k width + j]`. Columns that the matrix does not have are zeros.
pub(super) struct Strip<'a> {
    pub(super) matrix: MatrixRef<'a, f32>,
    pub(super) first: usize,
    pub(super) rows: Range<usize>,
    pub(super) width: usize,
    pub(super) strip: &'a mut [f32],
}

impl Task for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { matrix, first, rows, width, strip } = self;
        let filled = width.min(matrix.columns - first);
        let (start, strip) = (rows.start, &mut strip[..rows.len() * width]);
        if matrix.column_stride == 1 {
            for (k, row) in strip.chunks_exact_mut(width).enumerate() {
                let from = &matrix.data[(start + k) * matrix.row_stride + first..][..filled];
                row[..filled].copy_from_slice(from);
                row[filled..].fill(0.0);
            }
            return;
        }
        for (block, rows) in strip.chunks_mut(LANES * width).enumerate() {
            let start = start + block * LANES;
            for j in (0..width).step_by(LANES) {
                let whole = rows.len() == LANES * width && j + LANES <= filled;
                if whole && matrix.row_stride == 1 {
                    square::<V>(matrix, start, first + j, &mut rows[j..], width);
                    continue;
                }
                for (k, row) in rows.chunks_exact_mut(width).enumerate() {
                    for (lane, value) in row[j..].iter_mut().take(LANES).enumerate() {
                        let at = (first + j + lane) * matrix.column_stride
                            + (start + k) * matrix.row_stride;
                        *value = if j + lane < filled { matrix.data[at] } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// Sixteen rows of sixteen columns of a matrix whose columns are contiguous.
#[inline(always)]
fn square<V: Vector>(
    matrix: MatrixRef<'_, f32>,
    row: usize,
    column: usize,
    to: &mut [f32],
    width: usize,
) {
    let mut values = [V::splat(0.0); LANES];
    for j in 0..LANES {
        let from = &matrix.data[(column + j) * matrix.column_stride + row..][..LANES];
        // SAFETY: `from` holds sixteen values.
        values[j] = unsafe { V::load(from.as_ptr()) };
    }
    let values = V::transpose(values);
    for k in 0..LANES {
        let to = &mut to[k * width..][..LANES];
        // SAFETY: `to` holds sixteen values.
        unsafe { values[k].store(to.as_mut_ptr()) };
    }
}
