//! Matrices as views of slices.

/// A matrix to read: `rows x columns` elements of a slice at any strides.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRef<'a, R> {
    pub(crate) data: &'a [R],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a, R> MatrixRef<'a, R> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// If `data` does not hold `rows * columns` elements.
    pub fn new(data: &'a [R], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(columns), "a {rows} x {columns} matrix");
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// A matrix whose rows begin `row_stride` elements after each other, from the first of `data` on.
    ///
    /// # Panics
    /// If `data` ends before it.
    pub(crate) fn strided(data: &'a [R], rows: usize, columns: usize, row_stride: usize) -> Self {
        let len = rows.checked_sub(1).map_or(Some(0), |last| {
            last.checked_mul(row_stride).and_then(|last| last.checked_add(columns))
        });
        let holds = len.is_some_and(|len| len <= data.len());
        assert!(holds, "a {rows} x {columns} matrix in {} elements", data.len());
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Another matrix of the same extents and strides.
    ///
    /// # Panics
    /// If `data` is not as long as this one's.
    pub(crate) fn with_data<T>(self, data: &[T]) -> MatrixRef<'_, T> {
        assert_eq!(data.len(), self.data.len(), "data of the same matrix");
        let Self { rows, columns, row_stride, column_stride, .. } = self;
        MatrixRef { data, rows, columns, row_stride, column_stride }
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// A row-major matrix to write.
#[derive(Debug)]
pub struct MatrixMut<'a, R> {
    pub(crate) data: &'a mut [R],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl<'a, R> MatrixMut<'a, R> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// If `data` does not hold `rows * columns` elements.
    pub fn new(data: &'a mut [R], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(columns), "a {rows} x {columns} matrix");
        Self { data, rows, columns }
    }
}
