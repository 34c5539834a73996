//! The `f64` product: `matrixmultiply`, bands of rows in parallel.

use rayon::prelude::*;

use super::{MatrixMut, MatrixRef};

/// Rows to a band: cut by shape, so that the bits do not depend on the number of threads.
const BAND: usize = 64;

/// `c = a b`.
pub(in crate::kernels) fn gemm(
    a: MatrixRef<'_, f64>,
    b: MatrixRef<'_, f64>,
    c: MatrixMut<'_, f64>,
) {
    assert_eq!((a.rows, b.columns, a.columns), (c.rows, c.columns, b.rows), "a b must fit c");
    if c.data.is_empty() {
        return;
    }
    let columns = c.columns;
    c.data.par_chunks_mut(BAND * columns).enumerate().for_each(|(band, c)| {
        let first = &a.data[(band * BAND * a.row_stride).min(a.data.len())..];
        let strides = |m: &MatrixRef<'_, f64>| (m.row_stride as isize, m.column_stride as isize);
        let ((a_row, a_column), (b_row, b_column)) = (strides(&a), strides(&b));
        // SAFETY: a view holds every element that its extents and strides reach; the band takes
        // the rows of `a` from `first` on, as many as `c` has left, and writes no other row.
        unsafe {
            matrixmultiply::dgemm(
                c.len() / columns,
                a.columns,
                columns,
                1.0,
                first.as_ptr(),
                a_row,
                a_column,
                b.data.as_ptr(),
                b_row,
                b_column,
                0.0,
                c.as_mut_ptr(),
                columns as isize,
                1,
            );
        }
    });
}
