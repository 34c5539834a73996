//! The hypercube average and the paper's face difference by Gauss-Legendre quadrature, for few
//! dimensions.
//!
//! With q nodes x_k and weights c_k on (-1, 1), sum c_k = 2,
//! Cbar(w) ~ 2^-m sum over all q^m nodes of c_k1 ... c_km C(w + a x), and
//! dCbar/dw_i ~ 2^-(m-1) / (2a) sum over the other coordinates' nodes of
//! c ... c ( C at w_i + a  -  C at w_i - a ): the mean over the face pair of the difference,
//! divided by the side 2a. Exact for polynomials of degree 2q - 1 in each coordinate.
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898, section 3 (the gradient of Cbar as a face difference).

use smoothout_tensor::Real;

use crate::{Objective, SharpnessError, check_value, error};

/// Tensor-product quadrature over the box of radius a around w.
///
/// # Examples
/// C = w_0^2 w_1: over the box, Cbar = (w_0^2 + a^2/3) w_1 and dCbar/dw_1 = w_0^2 + a^2/3.
/// ```
/// use smoothout_sharpness::{FnObjective, Quadrature};
///
/// let f = FnObjective::new(2, |w: &[f64]| w[0] * w[0] * w[1]);
/// let quadrature = Quadrature::new(0.6, 4)?;
/// let w = [1.0, 2.0];
/// assert!((quadrature.expected_loss(&f, &w)? - 1.12 * 2.0).abs() < 1e-12);
/// let gradient = quadrature.gradient(&f, &w)?;
/// assert!((gradient[0] - 4.0).abs() < 1e-12 && (gradient[1] - 1.12).abs() < 1e-12);
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Quadrature {
    radius: f64,
    rule: Vec<(f64, f64)>,
}

/// The most evaluations a quadrature may take.
const MOST_NODES: f64 = 1e7;

impl Quadrature {
    /// q nodes a coordinate over a box of this radius.
    ///
    /// # Errors
    /// If the radius is not positive and finite, or q is not in 1..=64.
    pub fn new(radius: f64, nodes: usize) -> Result<Self, SharpnessError> {
        error::setting("the radius", radius, radius > 0.0 && radius.is_finite(), "positive")?;
        error::setting("the nodes", nodes as f64, (1..=64).contains(&nodes), "from 1 to 64")?;
        Ok(Self { radius, rule: gauss_legendre(nodes) })
    }

    /// Cbar(w).
    ///
    /// # Errors
    /// If the objective fails [`check_value`], or q^m is above ten million.
    pub fn expected_loss<O: Objective>(
        &self,
        objective: &O,
        w: &[O::Real],
    ) -> Result<f64, SharpnessError> {
        self.check(objective, w, w.len())?;
        let free: Vec<usize> = (0..w.len()).collect();
        let (mut point, mut scratch) = (w.to_vec(), objective.scratch());
        Ok(self.average(w, &free, &mut point, &mut |at| objective.value(at, &mut scratch)))
    }

    /// grad Cbar(w) as the face difference, without a gradient of C.
    ///
    /// # Errors
    /// As [`expected_loss`](Self::expected_loss), with m q^(m-1) evaluations on each side.
    pub fn gradient<O: Objective>(
        &self,
        objective: &O,
        w: &[O::Real],
    ) -> Result<Vec<f64>, SharpnessError> {
        self.check(objective, w, w.len().saturating_sub(1))?;
        let (mut point, mut scratch) = (w.to_vec(), objective.scratch());
        let partial = |i: usize| {
            let others: Vec<usize> = (0..w.len()).filter(|&j| j != i).collect();
            let mut face = |side: f64| {
                point.copy_from_slice(w);
                point[i] = w[i] + O::Real::from_f64(side * self.radius);
                self.average(w, &others, &mut point, &mut |at| objective.value(at, &mut scratch))
            };
            (face(1.0) - face(-1.0)) / (2.0 * self.radius)
        };
        Ok((0..w.len()).map(partial).collect())
    }

    fn check<O: Objective>(
        &self,
        objective: &O,
        w: &[O::Real],
        free: usize,
    ) -> Result<(), SharpnessError> {
        check_value(objective, w)?;
        let nodes = (self.rule.len() as f64).powi(free as i32);
        error::setting("the number of nodes", nodes, nodes <= MOST_NODES, "at most 1e7")
    }

    /// The mean over the box in the coordinates `free`.
    fn average<R: Real>(
        &self,
        w: &[R],
        free: &[usize],
        point: &mut [R],
        value: &mut impl FnMut(&[R]) -> f64,
    ) -> f64 {
        let Some((&i, rest)) = free.split_first() else {
            return value(point);
        };
        let mut sum = 0.0;
        for (x, c) in &self.rule {
            point[i] = w[i] + R::from_f64(self.radius * x);
            sum += 0.5 * c * self.average(w, rest, point, value);
        }
        sum
    }
}

/// Nodes and weights on (-1, 1): the roots of the Legendre polynomial P_n by Newton's method, and
/// 2 / ((1 - x^2) P_n'(x)^2).
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let polynomial = |x: f64| {
        let (mut before, mut now) = (1.0, x);
        for k in 2..=n {
            let k = k as f64;
            (before, now) = (now, ((2.0 * k - 1.0) * x * now - (k - 1.0) * before) / k);
        }
        (now, n as f64 * (x * now - before) / (x * x - 1.0))
    };
    let node = |k: usize| {
        let mut x = (std::f64::consts::PI * (k as f64 + 0.75) / (n as f64 + 0.5)).cos();
        for _ in 0..8 {
            let (value, slope) = polynomial(x);
            x -= value / slope;
        }
        let slope = polynomial(x).1;
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnObjective;

    /// q nodes are exact to the degree 2q - 1: E (w + a u)^2 = w^2 + a^2 / 3 and
    /// E (w + a u)^3 = w^3 + a^2 w in each coordinate. One node is the centre.
    #[test]
    fn the_quadrature_of_a_polynomial_is_exact() {
        let f = FnObjective::new(2, |w: &[f64]| w[0].powi(2) * w[1].powi(3));
        let (w, a) = ([0.7, -1.3_f64], 0.4);
        let expected = (w[0] * w[0] + a * a / 3.0) * (w[1].powi(3) + a * a * w[1]);
        for nodes in [2, 3, 8, 64] {
            let found = Quadrature::new(a, nodes).unwrap().expected_loss(&f, &w).unwrap();
            assert!((found - expected).abs() < 1e-13, "{nodes} nodes: {found}");
        }
        let found = Quadrature::new(a, 1).unwrap().expected_loss(&f, &w).unwrap();
        assert!((found - 0.49 * w[1].powi(3)).abs() < 1e-14, "{found}");
    }

    /// Ten million nodes at most; a face has one coordinate less.
    #[test]
    fn nodes_are_counted_first() {
        let f = |n: usize| FnObjective::new(n, |w: &[f64]| w[0]);
        let rule = Quadrature::new(0.1, 10).unwrap();
        for error in [
            rule.expected_loss(&f(8), &[0.0; 8]).unwrap_err(),
            rule.gradient(&f(9), &[0.0; 9]).unwrap_err(),
        ] {
            assert!(error.to_string().contains("at most 1e7"), "{error}");
        }
    }
}
