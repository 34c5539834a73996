//! Small dense linear algebra: solving a square system.
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
}
