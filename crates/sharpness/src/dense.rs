//! Small dense linear algebra: solving a square system, eigenvalues of a symmetric matrix.
//!
//! Matrices are row-major slices of n x n numbers, n being a few dozen.

/// An LU factorisation with scaled partial pivoting.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lu {
    n: usize,
    factors: Vec<f64>,
    rows: Vec<usize>,
    scales: Vec<f64>,
}

impl Lu {
    /// Factorises `matrix`; false if it is singular or not finite.
    pub(crate) fn factor(&mut self, matrix: &[f64], n: usize) -> bool {
        let Self { factors, rows, scales, .. } = self;
        self.n = n;
        factors.clear();
        factors.extend_from_slice(matrix);
        rows.clear();
        rows.extend(0..n);
        scales.clear();
        scales.extend(
            matrix.chunks_exact(n).map(|row| row.iter().fold(0.0_f64, |most, a| most.max(a.abs()))),
        );
        for step in 0..n {
            let size = |row: usize| factors[rows[row] * n + step].abs() / scales[rows[row]];
            let pivot = (step..n).max_by(|&a, &b| size(a).total_cmp(&size(b))).unwrap_or(step);
            if !(size(pivot) > 0.0 && size(pivot).is_finite()) {
                return false;
            }
            rows.swap(step, pivot);
            let top = rows[step] * n;
            for &row in &rows[step + 1..] {
                let factor = factors[row * n + step] / factors[top + step];
                factors[row * n + step] = factor;
                for column in step + 1..n {
                    factors[row * n + column] -= factor * factors[top + column];
                }
            }
        }
        true
    }

    /// Writes the solution of A x = b to `x`.
    pub(crate) fn solve(&self, b: &[f64], x: &mut [f64]) {
        let Self { n, factors, rows, .. } = self;
        for i in 0..*n {
            let row = &factors[rows[i] * n..][..*n];
            x[i] = b[rows[i]] - (0..i).map(|j| row[j] * x[j]).sum::<f64>();
        }
        for i in (0..*n).rev() {
            let row = &factors[rows[i] * n..][..*n];
            x[i] = (x[i] - (i + 1..*n).map(|j| row[j] * x[j]).sum::<f64>()) / row[i];
        }
    }
}

/// Eigenvalues (ascending) and eigenvectors of a symmetric matrix, by Jacobi's rotations.
///
/// Vector k stands in `vectors[k * n..][..n]`.
pub(crate) fn symmetric_eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    for _sweep in 0..60 {
        let square = |i: usize, j: usize| a[i * n + j] * a[i * n + j];
        let off: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| square(i, j)).sum();
        let all: f64 = a.iter().map(|a| a * a).sum();
        if off <= 1e-32 * all {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i * n + i].total_cmp(&a[j * n + j]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let vectors = order.iter().flat_map(|&i| v[i * n..][..n].iter().copied()).collect();
    (values, vectors)
}

/// One rotation that makes a_pq zero; the rows of v turn along.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let ratio = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let t = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for i in 0..n {
        let (x, y) = (a[i * n + p], a[i * n + q]);
        (a[i * n + p], a[i * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for matrix in [a, v] {
        for i in 0..n {
            let (x, y) = (matrix[p * n + i], matrix[q * n + i]);
            (matrix[p * n + i], matrix[q * n + i]) = (c * x - s * y, s * x + c * y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved() {
        let a = [0.0, 2.0, 1.0, 1e6, 1e6, -1e6, 3.0, 0.0, 1e-3];
        let x = [1.0, -2.0, 0.5];
        let b: Vec<f64> =
            a.chunks(3).map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum()).collect();
        let (mut lu, mut solution) = (Lu::default(), [0.0; 3]);
        assert!(lu.factor(&a, 3));
        lu.solve(&b, &mut solution);
        assert!(solution.iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-12), "{solution:?}");
        assert!(!lu.factor(&[1.0, 2.0, 2.0, 4.0], 2));
    }

    /// The pivot is the largest for its row: x + 1e17 y = 1e17, x + y = 2 loses x otherwise.
    #[test]
    fn rows_of_different_size_are_solved() {
        let (mut lu, mut solution) = (Lu::default(), [0.0; 2]);
        assert!(lu.factor(&[1.0, 1e17, 1.0, 1.0], 2));
        lu.solve(&[1e17, 2.0], &mut solution);
        assert_eq!(solution, [1.0, 1.0]);
    }

    #[test]
    fn eigenpairs_are_eigenpairs() {
        let n = 7;
        let a: Vec<f64> = (0..n * n)
            .map(|k| {
                ((k / n + 1) * (k % n + 1)) as f64 % 5.0
                    + 1.0
                    + if k % (n + 1) == 0 { 3.0 } else { 0.0 }
            })
            .collect();
        let (values, vectors) = symmetric_eigen(&a, n);
        assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        for (value, v) in values.iter().zip(vectors.chunks(n)) {
            for i in 0..n {
                let product: f64 = (0..n).map(|j| a[i * n + j] * v[j]).sum();
                assert!((product - value * v[i]).abs() < 1e-12);
            }
        }
        // However small: a power of two changes no digit.
        let small = 2.0_f64.powi(-120);
        let (scaled, same) = symmetric_eigen(&a.iter().map(|a| a * small).collect::<Vec<_>>(), n);
        assert_eq!((scaled, same), (values.iter().map(|value| value * small).collect(), vectors));
    }
}
