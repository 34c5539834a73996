//! A line or a plane (or more dimensions) in weight space: origin + sum_k c_k d_k.
//!
//! The directions are neither unit vectors nor orthogonal in general, so that the coordinates of a
//! point are the solution of (D'D) c = D'(w - origin), and not inner products divided by lengths.
//!
//! # Source
//! Goodfellow, Vinyals and Saxe 2015, arXiv:1412.6544 (lines between solutions); Li, Xu, Taylor,
//! Studer and Goldstein 2018, arXiv:1712.09913 (filter-normalised directions, PCA of trajectories).

use smoothout_tensor::{
    Distribution, Geometry, ParameterLayout, Perturbation, PerturbationKey, Real, Selection,
};

use crate::dense::{Lu, symmetric_eigen};
use crate::vector::{add_scaled, dot, norm, update, zeros};
use crate::{SharpnessError, error};

/// Origin and directions.
///
/// # Examples
/// The coordinates of a point come back, whatever the directions:
/// ```
/// use smoothout_sharpness::Chart;
///
/// let (d1, d2) = ([2.0, 0.0, 1.0], [1.0, 3.0, 0.0]); // not unit, not orthogonal
/// let origin = [1.0, 1.0, 1.0];
/// let chart = Chart::new(&origin, vec![d1.to_vec(), d2.to_vec()])?;
/// let mut point = [0.0; 3];
/// chart.point(&[2.0, -3.0], &mut point);
/// assert_eq!(point, [2.0, -8.0, 3.0]);
/// let coordinates = chart.project(&point)?;
/// assert!((coordinates[0] - 2.0).abs() < 1e-12 && (coordinates[1] + 3.0).abs() < 1e-12);
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart<R> {
    origin: Vec<R>,
    directions: Vec<Vec<R>>,
}

impl<R: Real> Chart<R> {
    /// The chart of these directions.
    ///
    /// # Errors
    /// If there is no direction, a length differs, or the directions are linearly dependent.
    pub fn new(origin: &[R], directions: Vec<Vec<R>>) -> Result<Self, SharpnessError> {
        let count = directions.len();
        error::setting("the number of directions", count as f64, count > 0, "at least 1")?;
        for direction in &directions {
            error::same_length("a direction", direction.len(), origin.len())?;
        }
        let chart = Self { origin: origin.to_vec(), directions };
        // With unit lengths the smallest eigenvalue of D'D says how dependent they are.
        let lengths: Vec<f64> = chart.directions.iter().map(|d| norm(d)).collect();
        let mut gram = chart.gram();
        (0..count * count).for_each(|k| gram[k] /= lengths[k / count] * lengths[k % count]);
        let least = symmetric_eigen(&gram, count).0[0];
        if least > 1e-10 {
            Ok(chart)
        } else {
            Err(SharpnessError::DependentDirections {
                what: "one of a chart's directions is zero or a combination of the others; take other points or another seed",
            })
        }
    }

    /// The line from `from` (coordinate 0) to `to` (coordinate 1).
    ///
    /// # Errors
    /// If the lengths differ, or the points are the same.
    pub fn line(from: &[R], to: &[R]) -> Result<Self, SharpnessError> {
        error::same_length("the second point", to.len(), from.len())?;
        Self::new(from, vec![difference(to, from)])
    }

    /// The plane through three points: (0, 0), (1, 0) and (0, 1).
    ///
    /// # Errors
    /// If the lengths differ, or the points are on one line.
    pub fn through(origin: &[R], first: &[R], second: &[R]) -> Result<Self, SharpnessError> {
        error::same_length("the second point", first.len(), origin.len())?;
        error::same_length("the third point", second.len(), origin.len())?;
        Self::new(origin, vec![difference(first, origin), difference(second, origin)])
    }

    /// `count` random filter-normalised directions at w: ‖d_f‖ = ‖w_f‖ for every filter of the
    /// selected blocks, an element of a one-dimensional block as its own filter; zero elsewhere.
    ///
    /// # Errors
    /// If the length differs from the layout's, nothing is selected, or w is zero there.
    pub fn filter_normalized(
        layout: &ParameterLayout,
        w: &[R],
        selection: &Selection,
        count: usize,
        seed: u64,
    ) -> Result<Self, SharpnessError> {
        error::same_length("w", w.len(), layout.len())?;
        selection.count(layout)?;
        let perturbation = Perturbation::new(Geometry::Filter, 1.0)?
            .distribution(Distribution::Gaussian)
            .selection(selection.clone());
        let key = PerturbationKey::measurement(seed).step(DIRECTIONS);
        let directions = (0..count).map(|k| {
            let mut direction = zeros(w.len());
            perturbation.apply(layout, key.copy(k as u64), w, &mut direction);
            update(&mut direction, |i, moved| moved - w[i]);
            direction
        });
        Self::new(w, directions.collect())
    }

    /// The plane of the two first principal components of a trajectory, through its last point, and
    /// the share of the variance that each explains. The components are unit vectors.
    ///
    /// The differences x_t - x_T to the last point are analysed, not centred, as Li et al. do.
    ///
    /// # Errors
    /// For fewer than 3 points, lengths that differ, or a trajectory on a line.
    pub fn principal(trajectory: &[Vec<R>]) -> Result<(Self, [f64; 2]), SharpnessError> {
        let count = trajectory.len();
        error::setting("the trajectory's points", count as f64, count >= 3, "at least 3")?;
        let last = &trajectory[count - 1];
        for point in trajectory {
            error::same_length("a point of the trajectory", point.len(), last.len())?;
        }
        let steps: Vec<Vec<R>> =
            trajectory[..count - 1].iter().map(|point| difference(point, last)).collect();
        // The m x m covariance has the eigenvectors of the small matrix of inner products.
        let n = steps.len();
        let gram: Vec<f64> = (0..n * n).map(|k| dot(&steps[k / n], &steps[k % n])).collect();
        let (values, vectors) = symmetric_eigen(&gram, n);
        let total: f64 = values.iter().sum();
        if values[n - 2] <= 1e-12 * values[n - 1] {
            return Err(SharpnessError::DependentDirections {
                what: "the trajectory lies on a line, which has one principal component",
            });
        }
        let component = |rank: usize| {
            let i = n - 1 - rank;
            let mut direction = zeros(last.len());
            for (step, weight) in steps.iter().zip(&vectors[i * n..][..n]) {
                add_scaled(&mut direction, weight / values[i].sqrt(), step);
            }
            direction
        };
        let shares = [values[n - 1] / total, values[n - 2] / total];
        Ok((Self::new(last, vec![component(0), component(1)])?, shares))
    }

    /// The number of directions.
    pub fn dimensions(&self) -> usize {
        self.directions.len()
    }

    /// The directions.
    pub fn directions(&self) -> &[Vec<R>] {
        &self.directions
    }

    /// The length of the weight vectors.
    pub(super) fn len(&self) -> usize {
        self.origin.len()
    }

    /// Writes origin + sum_k c_k d_k.
    ///
    /// # Panics
    /// If there are not as many coordinates as directions, or `out` has another length.
    pub fn point(&self, coordinates: &[f64], out: &mut [R]) {
        assert_eq!(coordinates.len(), self.directions.len(), "one coordinate a direction");
        out.copy_from_slice(&self.origin);
        for (&c, direction) in coordinates.iter().zip(&self.directions) {
            add_scaled(out, c, direction);
        }
    }

    /// The coordinates of the point of the chart that is nearest to w.
    ///
    /// # Errors
    /// If the length differs.
    pub fn project(&self, w: &[R]) -> Result<Vec<f64>, SharpnessError> {
        error::same_length("w", w.len(), self.origin.len())?;
        let offset = difference(w, &self.origin);
        let right: Vec<f64> = self.directions.iter().map(|d| dot(d, &offset)).collect();
        let (mut lu, mut coordinates) = (Lu::default(), vec![0.0; right.len()]);
        if !lu.factor(&self.gram(), right.len()) {
            return Err(SharpnessError::DependentDirections { what: "the chart is degenerate" });
        }
        lu.solve(&right, &mut coordinates);
        Ok(coordinates)
    }

    fn gram(&self) -> Vec<f64> {
        let (d, n) = (&self.directions, self.directions.len());
        (0..n * n).map(|k| dot(&d[k / n], &d[k % n])).collect()
    }
}

fn difference<R: Real>(a: &[R], b: &[R]) -> Vec<R> {
    a.iter().zip(b).map(|(&a, &b)| a - b).collect()
}

/// Keeps the directions apart from other measurements' draws.
const DIRECTIONS: u64 = 7;

#[cfg(test)]
mod tests {
    use smoothout_tensor::BlockKind;

    use super::*;

    /// Golden norms: each filter of a linear and a convolution as long as the weights', elements of a
    /// bias of their own size, a zero filter zero, batch norm left alone.
    #[test]
    fn directions_are_filter_normalized() {
        let mut layout = ParameterLayout::new();
        layout.push("conv.weight", &[2, 1, 2, 2], BlockKind::Weight).unwrap();
        layout.push("bn.weight", &[2], BlockKind::NormScale).unwrap();
        layout.push("fc.weight", &[2, 2], BlockKind::Weight).unwrap();
        layout.push("fc.bias", &[2], BlockKind::Bias).unwrap();
        let w = [1.0, 2.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 3.0, 4.0, 1.0, 0.0, -0.5, 0.25];
        let chart =
            Chart::<f64>::filter_normalized(&layout, &w, &Selection::without_norm(), 2, 3).unwrap();
        for d in chart.directions() {
            assert!((norm(&d[0..4]) - 5.0).abs() < 1e-12);
            assert_eq!(&d[4..10], &[0.0; 6]);
            assert!(
                (norm(&d[10..12]) - 5.0).abs() < 1e-12 && (norm(&d[12..14]) - 1.0).abs() < 1e-12
            );
            assert!((d[14].abs() - 0.5).abs() < 1e-15 && (d[15].abs() - 0.25).abs() < 1e-15);
        }
        assert_ne!(chart.directions()[0], chart.directions()[1]);
    }

    /// A trajectory in a plane of R^5 is explained by two components, and its points come back.
    #[test]
    fn principal_components_span_the_trajectory() {
        let (a, b) = ([1.0, 0.0, 2.0, 0.0, -1.0], [0.0, 1.0, 1.0, 1.0, 0.0]);
        let at = |s: f64, t: f64| (0..5).map(|i| 0.3 + s * a[i] + t * b[i]).collect::<Vec<f64>>();
        let trajectory: Vec<_> =
            (0..9).map(|k| at(8.0 - f64::from(k), (f64::from(k) * 0.8).sin())).collect();
        let (chart, shares) = Chart::principal(&trajectory).unwrap();
        assert!((shares[0] + shares[1] - 1.0).abs() < 1e-12 && shares[0] > shares[1]);
        let [d1, d2] = chart.directions() else { panic!("two directions") };
        assert!(
            (norm(d1) - 1.0).abs() < 1e-9
                && (norm(d2) - 1.0).abs() < 1e-9
                && dot(d1, d2).abs() < 1e-9
        );
        let mut back = vec![0.0; 5];
        for point in &trajectory {
            chart.point(&chart.project(point).unwrap(), &mut back);
            assert!(norm(&difference(&back, point)) < 1e-9);
        }
        let straight: Vec<_> = (0..5).map(|k| at(f64::from(k), 0.0)).collect();
        assert!(Chart::principal(&straight).is_err());
    }

    #[test]
    fn degenerate_charts_are_errors() {
        let (w, v) = ([1.0, 2.0], [2.0, 4.0]);
        assert!(Chart::line(&w, &w).is_err());
        assert!(Chart::through(&[0.0, 0.0], &w, &v).is_err());
        assert!(Chart::new(&w, vec![vec![1.0]]).is_err());
        let line = Chart::line(&w, &v).unwrap();
        assert_eq!(line.project(&[1.5, 3.0]).unwrap(), [0.5]);
    }
}
