//! The `f64` products: `matrixmultiply`, bands of rows in parallel.

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
        let data = &a.data[(band * BAND * a.row_stride).min(a.data.len())..];
        let a = MatrixRef { data, rows: c.len() / columns, ..a };
        product(a, b, 0.0, c, columns);
    });
}

/// `c += a b` on the calling thread; the rows of c begin `row_stride` elements after each other.
///
/// # Panics
/// If the shapes do not fit, or c ends before its last row.
pub(in crate::kernels) fn accumulate(
    a: MatrixRef<'_, f64>,
    b: MatrixRef<'_, f64>,
    c: &mut [f64],
    row_stride: usize,
) {
    product(a, b, 1.0, c, row_stride);
}

/// `c = a b + beta c`.
fn product(
    a: MatrixRef<'_, f64>,
    b: MatrixRef<'_, f64>,
    beta: f64,
    c: &mut [f64],
    row_stride: usize,
) {
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    assert_eq!(a.columns, b.rows, "a b must fit");
    assert!(
        b.columns <= row_stride && (a.rows - 1) * row_stride + b.columns <= c.len(),
        "c is short"
    );
    let strides = |m: &MatrixRef<'_, f64>| (m.row_stride as isize, m.column_stride as isize);
    let ((a_row, a_column), (b_row, b_column)) = (strides(&a), strides(&b));
    // SAFETY: a view holds every element that its extents and strides reach; c holds each of its
    // rows, which do not overlap, and is borrowed alone.
    unsafe {
        matrixmultiply::dgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.data.as_ptr(),
            a_row,
            a_column,
            b.data.as_ptr(),
            b_row,
            b_column,
            beta,
            c.as_mut_ptr(),
            row_stride as isize,
            1,
        );
    }
}
