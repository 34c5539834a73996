//! Matrix product by its definition: the oracle of the fast kernels.

use rayon::prelude::*;

use super::{MatrixMut, MatrixRef};
use crate::Real;

/// `c = alpha a b + beta c`, a row of c at a time.
pub(in crate::kernels) fn gemm<R: Real>(
    alpha: R,
    a: MatrixRef<'_, R>,
    b: MatrixRef<'_, R>,
    beta: R,
    c: MatrixMut<'_, R>,
) {
    assert_eq!((a.rows, b.columns, a.columns), (c.rows, c.columns, b.rows), "a b must fit c");
    c.data.par_chunks_mut(c.columns.max(1)).enumerate().for_each(|(i, row)| {
        if beta == R::zero() {
            row.fill(R::zero());
        } else {
            row.iter_mut().for_each(|value| *value *= beta);
        }
        for k in 0..a.columns {
            let scale = alpha * a.data[i * a.row_stride + k * a.column_stride];
            for (j, value) in row.iter_mut().enumerate() {
                *value += scale * b.data[k * b.row_stride + j * b.column_stride];
            }
        }
    });
}
