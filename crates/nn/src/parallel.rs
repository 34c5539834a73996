//! How layers cut their work: into chunks that depend on shapes only, so that results have the same
//! bits for any number of threads.

use rayon::prelude::*;
use smoothout_tensor::Real;

/// Elements in a chunk of elementwise work: small enough for a core's own cache.
pub(crate) const CHUNK: usize = 1 << 14;

/// The rows of `width` elements that make about one chunk, at least one.
pub(crate) fn rows_per_chunk(width: usize) -> usize {
    (CHUNK / width).max(1)
}

/// The number of such chunks in `len` elements.
pub(crate) fn row_chunks(len: usize, width: usize) -> usize {
    len.div_ceil(rows_per_chunk(width) * width)
}

/// `f(x)` for each element.
pub(crate) fn map<R: Real>(values: &mut [R], f: impl Fn(R) -> R + Sync + Send) {
    values.par_chunks_mut(CHUNK).for_each(|values| {
        values.iter_mut().for_each(|value| *value = f(*value));
    });
}

/// `values[i] = f(values[i], others[i])`.
pub(crate) fn map_with<R: Real>(
    values: &mut [R],
    others: &[R],
    f: impl Fn(R, R) -> R + Sync + Send,
) {
    assert_eq!(values.len(), others.len(), "two slices of one length");
    values.par_chunks_mut(CHUNK).zip(others.par_chunks(CHUNK)).for_each(|(values, others)| {
        values.iter_mut().zip(others).for_each(|(value, &other)| *value = f(*value, other));
    });
}

/// `target = source`.
pub(crate) fn copy<R: Real>(target: &mut [R], source: &[R]) {
    map_with(target, source, |_, source| source);
}

/// Sums of the columns of a (rows, columns) matrix, wide chunk by chunk, the chunks in order.
/// `partials` is working memory that grows once.
pub(crate) fn column_sums<R: Real>(matrix: &[R], sums: &mut [R], partials: &mut Vec<R::Wide>) {
    let columns = sums.len();
    let chunk = rows_per_chunk(columns) * columns;
    let partials = grown(partials, row_chunks(matrix.len(), columns) * columns);
    partials.par_chunks_mut(columns).zip(matrix.par_chunks(chunk)).for_each(|(partial, rows)| {
        partial.fill(R::Wide::default());
        for row in rows.chunks_exact(columns) {
            partial.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.widen());
        }
    });
    for (column, sum) in sums.iter_mut().enumerate() {
        *sum = R::narrow(partials.iter().skip(column).step_by(columns).copied().sum());
    }
}

/// The first `len` elements of a buffer that grows when it must.
pub(crate) fn grown<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
