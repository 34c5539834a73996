//! Copies of the factors in the order in which the register tile reads them.

use super::MatrixRef;

/// Copies a strip of `matrix`, the columns from `first` on, to rows of `width` values: element
/// (k, j) goes to `strip[k width + j]`. Columns that the matrix does not have are zeros.
pub(super) fn strip(
    matrix: MatrixRef<'_, f32>,
    first: usize,
    rows: std::ops::Range<usize>,
    width: usize,
    strip: &mut [f32],
) {
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
    // Sixteen rows at a time: whole cache lines of a transposed matrix.
    for (block, rows) in strip.chunks_mut(16 * width).enumerate() {
        for j in 0..width {
            let count = rows.len() / width;
            if j >= filled {
                (0..count).for_each(|k| rows[k * width + j] = 0.0);
                continue;
            }
            let at = (start + 16 * block) * matrix.row_stride + (first + j) * matrix.column_stride;
            for k in 0..count {
                rows[k * width + j] = matrix.data[at + k * matrix.row_stride];
            }
        }
    }
}
