//! Matrix product by its definition: the oracle of the fast kernels.

use rayon::prelude::*;

use super::{MatrixMut, MatrixRef};
use crate::Real;

/// `c = a b`, a row of c at a time.
pub(in crate::kernels) fn gemm<R: Real>(
    a: MatrixRef<'_, R>,
    b: MatrixRef<'_, R>,
    c: MatrixMut<'_, R>,
) {
    assert_eq!((a.rows, b.columns, a.columns), (c.rows, c.columns, b.rows), "a b must fit c");
    c.data.par_chunks_mut(c.columns.max(1)).enumerate().for_each(|(i, row)| {
        row.fill(R::zero());
        for k in 0..a.columns {
            let scale = a.data[i * a.row_stride + k * a.column_stride];
            for (j, value) in row.iter_mut().enumerate() {
                *value += scale * b.data[k * b.row_stride + j * b.column_stride];
            }
        }
    });
}
