//! The perturbation theta of the weights, shared by training and measuring.
//!
//! [`Perturbation::apply`] writes w + theta into a buffer of its own, in the pass that draws the
//! random numbers; the clean vector w is never touched, so taking the perturbation away again
//! ("de-noising") is exact and free. With radius a, schedule coefficient c, and u drawn uniformly
//! from (-1, 1) or from the standard normal law:
//!
//! | geometry | theta | name in the authors' code |
//! |---|---|---|
//! | absolute | a c u | `none`: SmoothOut |
//! | filter | a c u_f ‖w_f‖ / ‖u_f‖ | `filter`: AdaSmoothOut |
//! | elementwise | a c u \|w\| | `weight` |
//! | Keskar box | a c u (\|w\| + 1) | |
//! | layer | a c u_b ‖w_b‖ / ‖u_b‖ | |
//!
//! u_f, w_f are one filter (slice along the output axis) and u_b, w_b one block. An element of a
//! one-dimensional block is its own filter and moves by exactly ±a c |w|.
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898, sections 3 and 4; Keskar et al. 2017, arXiv:1609.04836,
//! metric 2.1 (the box).
//!
//! # Differences
//! - The authors divide by (‖u_f‖ + 1e-6); here a zero norm is guarded and the length is exactly
//!   a c ‖w_f‖ up to rounding.
//! - The authors take theta away by subtraction, which changes w by rounding errors that add up.
//! - The authors know the `weight` geometry with uniform numbers only.

mod passes;

use crate::stream::{CHUNK, Purpose, StreamKey, fill_chunks};
use crate::{Block, ParameterLayout, Real, Selection, TensorError};
use passes::{each, each_direction};

/// What the size of a perturbation is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Geometry {
    /// The box [-a, a]^m: SmoothOut.
    Absolute,
    /// Each filter moves by a times its norm: AdaSmoothOut.
    Filter,
    /// Each element moves by at most a times its size (with Gaussian numbers, by that as a standard
    /// deviation).
    Elementwise,
    /// Each element moves by at most a (|w| + 1), likewise: the box of Keskar's metric.
    KeskarBox,
    /// Each block moves by a times its norm.
    Layer,
}

/// The law of the random numbers u.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Distribution {
    /// Uniform on (-1, 1): variance 1/3.
    #[default]
    Uniform,
    /// Standard normal: variance 1.
    Gaussian,
}

/// Which draw of a perturbation: the same key always gives the same theta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PerturbationKey(StreamKey);

impl PerturbationKey {
    /// The draw of step 0, copy 0 in training.
    pub fn new(seed: u64) -> Self {
        Self(StreamKey::new(seed, Purpose::Perturbation))
    }

    /// Draws for a measurement: unrelated to those of training with the same seed.
    pub fn measurement(seed: u64) -> Self {
        Self(StreamKey::new(seed, Purpose::Measurement))
    }

    /// The same at another step (parameter update).
    #[must_use]
    pub fn step(self, step: u64) -> Self {
        Self(self.0.step(step))
    }

    /// The same for another copy (ghost batch or sample).
    #[must_use]
    pub fn copy(self, copy: u64) -> Self {
        Self(self.0.copy(copy))
    }
}

/// A random perturbation of a parameter vector, checked.
///
/// # Examples
/// The length of AdaSmoothOut's perturbation of a filter is a ‖w_f‖:
/// ```
/// use smoothout_tensor::{BlockKind, Geometry, ParameterLayout, Perturbation, PerturbationKey};
///
/// let mut layout = ParameterLayout::new();
/// layout.push("weight", &[1, 2], BlockKind::Weight)?;
/// let w = [3.0_f64, 4.0]; // one filter of norm 5
/// let mut perturbed = [0.0; 2];
/// Perturbation::new(Geometry::Filter, 0.1)?
///     .apply(&layout, PerturbationKey::new(1), &w, &mut perturbed);
/// let theta = [perturbed[0] - 3.0, perturbed[1] - 4.0];
/// assert!((theta[0].hypot(theta[1]) - 0.5).abs() < 1e-12);
/// # Ok::<(), smoothout_tensor::TensorError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Perturbation {
    geometry: Geometry,
    radius: f64,
    distribution: Distribution,
    selection: Selection,
}

impl Perturbation {
    /// A uniform perturbation of every block with radius a (for a Gaussian one: the factor of the
    /// standard normal numbers).
    ///
    /// # Errors
    /// If the radius is negative, infinite or NaN.
    pub fn new(geometry: Geometry, radius: f64) -> Result<Self, TensorError> {
        if !(radius.is_finite() && radius >= 0.0) {
            return Err(TensorError::Radius { found: radius });
        }
        Ok(Self {
            geometry,
            radius,
            distribution: Distribution::Uniform,
            selection: Selection::all(),
        })
    }

    /// The same with another law.
    #[must_use]
    pub fn distribution(self, distribution: Distribution) -> Self {
        Self { distribution, ..self }
    }

    /// The same on the chosen blocks only; the others stay as they are.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// a.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// What the radius is measured against.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The law of the random numbers.
    pub fn law(&self) -> Distribution {
        self.distribution
    }

    /// The blocks that are perturbed.
    pub fn selected(&self) -> &Selection {
        &self.selection
    }

    /// Writes w + theta to `out`. Parallel; the bits do not depend on the number of threads.
    ///
    /// # Shapes
    /// `w` and `out` are as long as the layout.
    ///
    /// # Panics
    /// If they are not.
    pub fn apply<R: Real>(
        &self,
        layout: &ParameterLayout,
        key: PerturbationKey,
        w: &[R],
        out: &mut [R],
    ) {
        self.apply_scaled(1.0, layout, key, w, out);
    }

    /// Writes w + theta to `out` with the radius times c, the coefficient of a radius schedule.
    ///
    /// # Panics
    /// If `w` or `out` do not fit the layout, or the radius times `c` is negative or, in the precision
    /// of `w`, not finite.
    pub fn apply_scaled<R: Real>(
        &self,
        c: f64,
        layout: &ParameterLayout,
        key: PerturbationKey,
        w: &[R],
        out: &mut [R],
    ) {
        assert_eq!((w.len(), out.len()), (layout.len(), layout.len()), "w and out fit the layout");
        let radius = self.radius * c;
        assert!(radius >= 0.0, "the scaled radius is {radius}");
        assert!(R::from_f64(radius).is_finite(), "the scaled radius is {radius:e} in {}", R::NAME);
        self.apply_to_blocks(radius, layout.blocks(), 0, key, w, out);
    }

    /// Turns the numbers u that `out` holds into w + theta: [`apply`](Self::apply) for random (or
    /// quasi-random) numbers of the caller's own. The law is the caller's too.
    ///
    /// # Panics
    /// If `w` and `out` are not as long as the layout, or the radius is infinite in their precision.
    ///
    /// # Examples
    /// ```
    /// use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};
    ///
    /// let mut out = [0.5, -1.0];
    /// Perturbation::new(Geometry::Elementwise, 0.1)?
    ///     .apply_to_draw(&ParameterLayout::flat(2), &[10.0, 20.0], &mut out);
    /// assert_eq!(out, [10.5, 18.0]);
    /// # Ok::<(), smoothout_tensor::TensorError>(())
    /// ```
    pub fn apply_to_draw<R: Real>(&self, layout: &ParameterLayout, w: &[R], out: &mut [R]) {
        assert_eq!((w.len(), out.len()), (layout.len(), layout.len()), "w and out fit the layout");
        assert!(
            R::from_f64(self.radius).is_finite(),
            "the radius is {} in {}",
            self.radius,
            R::NAME
        );
        for block in layout.blocks() {
            let (w, out) = (&w[block.range()], &mut out[block.range()]);
            if self.radius == 0.0 || !self.selection.contains(block) {
                out.copy_from_slice(w);
            } else {
                self.scale_block(self.radius, block, w, out);
            }
        }
    }

    /// Halves the list of blocks until one is left, the halves in parallel.
    fn apply_to_blocks<R: Real>(
        &self,
        radius: f64,
        blocks: &[Block],
        first: usize,
        key: PerturbationKey,
        w: &[R],
        out: &mut [R],
    ) {
        match blocks {
            [] => {}
            [block] => self.apply_to_block(radius, block, key.0.block(first as u64), w, out),
            _ => {
                let half = blocks.len() / 2;
                let (left, right) = blocks.split_at(half);
                let split = right[0].range().start - left[0].range().start;
                let ((w_left, w_right), (out_left, out_right)) =
                    (w.split_at(split), out.split_at_mut(split));
                rayon::join(
                    || self.apply_to_blocks(radius, left, first, key, w_left, out_left),
                    || self.apply_to_blocks(radius, right, first + half, key, w_right, out_right),
                );
            }
        }
    }

    /// One block: draw u into `out`, then turn it into w + theta.
    fn apply_to_block<R: Real>(
        &self,
        radius: f64,
        block: &Block,
        key: StreamKey,
        w: &[R],
        out: &mut [R],
    ) {
        if radius == 0.0 || !self.selection.contains(block) {
            out.copy_from_slice(w);
            return;
        }
        let by_chunks = self.goes_by(block, CHUNK);
        let scale = |at: usize, u: &mut [R]| {
            if by_chunks {
                self.scale_block(radius, block, &w[at..][..u.len()], u);
            }
        };
        let fill = match self.distribution {
            Distribution::Uniform => R::fill_chunk,
            Distribution::Gaussian => R::fill_chunk_gaussian,
        };
        fill_chunks(fill, key, out, scale);
        if !by_chunks {
            self.scale_block(radius, block, w, out);
        }
    }

    /// Whether pieces of `len` elements of a block can be scaled one by one.
    fn goes_by(&self, block: &Block, len: usize) -> bool {
        match self.geometry {
            Geometry::Absolute | Geometry::Elementwise | Geometry::KeskarBox => true,
            Geometry::Filter => len.is_multiple_of(block.filter_len()),
            Geometry::Layer => false,
        }
    }

    /// One block, or a piece that it [goes by](Self::goes_by): turns the u that `out` holds into
    /// w + theta.
    fn scale_block<R: Real>(&self, radius: f64, block: &Block, w: &[R], out: &mut [R]) {
        let a = R::from_f64(radius);
        match self.geometry {
            Geometry::Absolute => each(w, out, |w, u| w + a * u),
            Geometry::Elementwise => each(w, out, |w, u| w + a * u * w.abs()),
            Geometry::KeskarBox => each(w, out, |w, u| w + a * u * (w.abs() + R::one())),
            Geometry::Filter if block.filter_len() == 1 => {
                // A u of zero has no direction, as in longer filters.
                each(w, out, |w, u| if u == R::zero() { w } else { w + a * u.signum() * w.abs() });
            }
            Geometry::Filter => each_direction(radius, block.filter_len(), w, out),
            Geometry::Layer => each_direction(radius, block.len(), w, out),
        }
    }
}

#[cfg(test)]
mod tests;
