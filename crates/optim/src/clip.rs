//! Clipping of the gradient's norm: `g <- g min(1, max_norm / (‖g‖ + 1e-6))`.
//!
//! # Source
//! PyTorch's `clip_grad_norm_`, the 1e-6 included; the authors call it with 5.

use crate::OptimError;

/// The largest norm that a gradient keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    max_norm: f64,
}

impl Clip {
    /// Clips at `max_norm`.
    ///
    /// # Errors
    /// If `max_norm` is not positive and finite.
    pub fn new(max_norm: f64) -> Result<Self, OptimError> {
        OptimError::check("clip_norm", max_norm, max_norm > 0.0, "positive and finite")?;
        Ok(Self { max_norm })
    }

    /// The factor that a gradient of norm `norm` is multiplied with.
    ///
    /// ```
    /// use smoothout_optim::Clip;
    /// let clip = Clip::new(5.0)?;
    /// assert_eq!(clip.factor(3.0), 1.0);
    /// assert!((clip.factor(10.0) * 10.0 - 5.0).abs() < 1e-5);
    /// # Ok::<(), smoothout_optim::OptimError>(())
    /// ```
    pub fn factor(&self, norm: f64) -> f64 {
        (self.max_norm / (norm + 1e-6)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1e-6 is added to the norm, which small norms show; a norm below the largest is kept.
    #[test]
    fn the_factor_is_its_formula() {
        let clip = Clip::new(1e-6).unwrap();
        assert_eq!(clip.factor(1e-6), 0.5);
        assert_eq!(clip.factor(3e-6), 0.25);
        assert_eq!(Clip::new(5.0).unwrap().factor(4.0), 1.0);
    }

    #[test]
    fn the_largest_norm_is_positive_and_finite() {
        for norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = Clip::new(norm).unwrap_err();
            assert!(error.to_string().starts_with("clip_norm is"), "{error}");
        }
    }
}
