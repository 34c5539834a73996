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

use rayon::prelude::*;

use crate::kernels::InstructionSet;
use crate::kernels::simd::{self, Task, Vector};
use crate::stream::{Purpose, StreamKey, fill_gaussian, fill_uniform};
use crate::{Block, ParameterLayout, Real, Selection, TensorError};

/// What the size of a perturbation is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Geometry {
    /// The box [-a, a]^m: SmoothOut.
    Absolute,
    /// Each filter moves by a times its norm: AdaSmoothOut.
    Filter,
    /// Each element moves by at most a times its size.
    Elementwise,
    /// Each element moves by at most a (|w| + 1): the box of Keskar's metric.
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
    /// If `w` or `out` do not fit the layout, or a c is negative or not finite.
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
        assert!(radius.is_finite() && radius >= 0.0, "the scaled radius is {radius}");
        self.apply_to_blocks(radius, layout.blocks(), 0, key, w, out);
    }

    /// Turns the numbers u that `out` holds into w + theta: [`apply`](Self::apply) for random (or
    /// quasi-random) numbers of the caller's own. The law is the caller's too.
    ///
    /// # Panics
    /// If `w` and `out` are not as long as the layout.
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
        match self.distribution {
            Distribution::Uniform => fill_uniform(key, out),
            Distribution::Gaussian => fill_gaussian(key, out),
        }
        self.scale_block(radius, block, w, out);
    }

    /// One block: turns the u that `out` holds into w + theta.
    fn scale_block<R: Real>(&self, radius: f64, block: &Block, w: &[R], out: &mut [R]) {
        let a = R::from_f64(radius);
        match self.geometry {
            Geometry::Absolute => each(w, out, |w, u| w + a * u),
            Geometry::Elementwise => each(w, out, |w, u| w + a * u * w.abs()),
            Geometry::KeskarBox => each(w, out, |w, u| w + a * u * (w.abs() + R::one())),
            Geometry::Filter if block.filter_len() == 1 => {
                each(w, out, |w, u| w + a * u.signum() * w.abs());
            }
            Geometry::Filter => each_direction(radius, block.filter_len(), w, out),
            Geometry::Layer => each_direction(radius, block.len(), w, out),
        }
    }
}

/// `out = f(w, u)` element by element, u being what `out` held. Compiled for each instruction set,
/// to the same bits: nothing is fused or reordered.
struct Each<'a, R, F> {
    w: &'a [R],
    out: &'a mut [R],
    f: F,
}

impl<R: Real, F: Fn(R, R) -> R> Task for Each<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (out, &w) in self.out.iter_mut().zip(self.w) {
            *out = (self.f)(w, *out);
        }
    }
}

fn each<R: Real>(w: &[R], out: &mut [R], f: impl Fn(R, R) -> R + Copy + Send + Sync) {
    const PIECE: usize = 1 << 15;
    let set = InstructionSet::current();
    out.par_chunks_mut(PIECE)
        .zip(w.par_chunks(PIECE))
        .for_each(|(out, w)| simd::run(set, Each { w, out, f }));
}

/// `out = w + a u ‖w‖ / ‖u‖` direction by direction (`len` elements each), u being what `out` held.
struct EachDirection<'a, R> {
    a: f64,
    len: usize,
    w: &'a [R],
    out: &'a mut [R],
}

impl<R: Real> Task for EachDirection<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (out, w) in self.out.chunks_mut(self.len).zip(self.w.chunks(self.len)) {
            let u_norm = norm(out);
            let factor = if u_norm > 0.0 { self.a * norm(w) / u_norm } else { 0.0 };
            let factor = R::from_f64(factor);
            out.iter_mut().zip(w).for_each(|(out, &w)| *out = w + factor * *out);
        }
    }
}

fn each_direction<R: Real>(a: f64, len: usize, w: &[R], out: &mut [R]) {
    let set = InstructionSet::current();
    let piece = len * ((1 << 13) / len).max(1);
    out.par_chunks_mut(piece)
        .zip(w.par_chunks(piece))
        .for_each(|(out, w)| simd::run(set, EachDirection { a, len, w, out }));
}

/// The norm, its square summed in f64: element i belongs to partial sum i mod 16, and these are
/// added in order.
#[inline(always)]
fn norm<R: Real>(values: &[R]) -> f64 {
    const SUMS: usize = 16;
    let mut sums = [0.0; SUMS];
    let mut groups = values.chunks_exact(SUMS);
    for group in &mut groups {
        for (sum, value) in sums.iter_mut().zip(group) {
            *sum += value.as_f64() * value.as_f64();
        }
    }
    for (sum, value) in sums.iter_mut().zip(groups.remainder()) {
        *sum += value.as_f64() * value.as_f64();
    }
    sums.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::BlockKind;

    fn layout() -> ParameterLayout {
        let mut layout = ParameterLayout::new();
        layout.push("conv.weight", &[5, 3, 3, 3], BlockKind::Weight).unwrap();
        layout.push("bn.weight", &[5], BlockKind::NormScale).unwrap();
        layout.push("fc.weight", &[4, 7], BlockKind::Weight).unwrap();
        layout.push("fc.bias", &[4], BlockKind::Bias).unwrap();
        layout
    }

    fn weights<R: Real>(layout: &ParameterLayout, seed: u64) -> Vec<R> {
        let mut w = vec![R::zero(); layout.len()];
        fill_gaussian(StreamKey::new(seed, Purpose::Initialization), &mut w);
        w
    }

    fn theta<R: Real>(perturbation: &Perturbation, key: PerturbationKey, w: &[R]) -> Vec<f64> {
        let mut out = vec![R::nan(); w.len()];
        perturbation.apply(&layout(), key, w, &mut out);
        out.iter().zip(w).map(|(out, w)| out.as_f64() - w.as_f64()).collect()
    }

    proptest! {
        /// ‖theta_f‖ = a ‖w_f‖ for each filter; an element of a 1-D block moves by ±a |w|.
        #[test]
        fn filter_lengths_are_exact(seed: u64, radius in 1e-6..10.0_f64) {
            let (layout, w) = (layout(), weights::<f64>(&layout(), seed));
            for law in [Distribution::Uniform, Distribution::Gaussian] {
                let perturbation = Perturbation::new(Geometry::Filter, radius).unwrap().distribution(law);
                let theta = theta(&perturbation, PerturbationKey::new(seed), &w);
                for block in layout.blocks() {
                    let filters = theta[block.range()].chunks(block.filter_len());
                    for (theta, w) in filters.zip(w[block.range()].chunks(block.filter_len())) {
                        let expected = radius * norm(w);
                        prop_assert!((norm(theta) - expected).abs() < 1e-12 * (1.0 + norm(w) + expected));
                    }
                }
            }
        }

        /// Each geometry keeps its bound with uniform numbers.
        #[test]
        fn boxes_hold(seed: u64, radius in 1e-6..10.0_f64) {
            let w = weights::<f32>(&layout(), seed);
            for geometry in [Geometry::Absolute, Geometry::Elementwise, Geometry::KeskarBox] {
                let scale = |w: f64| match geometry {
                    Geometry::Elementwise => w.abs(),
                    Geometry::KeskarBox => w.abs() + 1.0,
                    _ => 1.0,
                };
                let perturbation = Perturbation::new(geometry, radius).unwrap();
                for (theta, w) in theta(&perturbation, PerturbationKey::new(seed), &w).iter().zip(&w) {
                    let bound = radius * scale(w.as_f64());
                    prop_assert!(theta.abs() <= bound * (1.0 + 1e-6) + 1e-6 * w.abs().as_f64());
                }
            }
        }

        /// The same bits on 1, 2 and 7 threads.
        #[test]
        fn threads_do_not_matter(seed: u64) {
            let w = weights::<f32>(&layout(), seed);
            let perturbation = Perturbation::new(Geometry::Filter, 0.3).unwrap();
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| theta(&perturbation, PerturbationKey::new(seed), &w))
            };
            let expected = on(1);
            prop_assert_eq!(&expected, &on(2));
            prop_assert_eq!(&expected, &on(7));
        }
    }

    /// The table of the module, line by line, for a perturbation's own numbers and for the
    /// caller's. One block is longer than a piece of the passes, which cuts no filter.
    #[test]
    fn each_geometry_is_its_formula() {
        let mut layout = layout();
        layout.push("wide.weight", &[300, 37], BlockKind::Weight).unwrap();
        let (w, key) = (weights::<f64>(&layout, 3), PerturbationKey::new(4).step(5).copy(6));
        for law in [Distribution::Uniform, Distribution::Gaussian] {
            let draw = |geometry, radius, c, w: &[f64]| {
                let mut out = vec![f64::NAN; w.len()];
                let perturbation = Perturbation::new(geometry, radius).unwrap().distribution(law);
                perturbation.apply_scaled(c, &layout, key, w, &mut out);
                out
            };
            let u = draw(Geometry::Absolute, 1.0, 1.0, &vec![0.0; w.len()]);
            for geometry in [
                Geometry::Absolute,
                Geometry::Filter,
                Geometry::Elementwise,
                Geometry::KeskarBox,
                Geometry::Layer,
            ] {
                let mut expected = w.clone();
                for block in layout.blocks() {
                    let direction = match geometry {
                        Geometry::Layer => block.len(),
                        _ => block.filter_len(),
                    };
                    let pieces = expected[block.range()].chunks_mut(direction);
                    for (w, u) in pieces.zip(u[block.range()].chunks(direction)) {
                        let factor = norm(w) / norm(u);
                        for (w, &u) in w.iter_mut().zip(u) {
                            *w += 0.2
                                * match geometry {
                                    Geometry::Absolute => u,
                                    Geometry::Elementwise => u * w.abs(),
                                    Geometry::KeskarBox => u * (w.abs() + 1.0),
                                    Geometry::Filter | Geometry::Layer => u * factor,
                                };
                        }
                    }
                }
                let mut given = u.clone();
                let perturbation = Perturbation::new(geometry, 0.2).unwrap();
                perturbation.apply_to_draw(&layout, &w, &mut given);
                for found in [draw(geometry, 0.4, 0.5, &w), given] {
                    for ((found, expected), w) in found.iter().zip(&expected).zip(&w) {
                        let scale = 1.0 + w.abs();
                        assert!((found - expected).abs() < 1e-12 * scale, "{geometry:?}, {law:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_zero_filter_stays_zero() {
        let w = vec![0.0_f32; layout().len()];
        for geometry in [Geometry::Filter, Geometry::Elementwise, Geometry::Layer] {
            let theta =
                theta(&Perturbation::new(geometry, 0.5).unwrap(), PerturbationKey::new(1), &w);
            assert!(theta.iter().all(|&theta| theta == 0.0), "{geometry:?}");
        }
    }

    #[test]
    fn blocks_outside_the_selection_do_not_move() {
        let (layout, w) = (layout(), weights::<f32>(&layout(), 1));
        let perturbation = Perturbation::new(Geometry::Absolute, 0.5)
            .unwrap()
            .selection(Selection::without_norm());
        let theta = theta(&perturbation, PerturbationKey::new(1), &w);
        for block in layout.blocks() {
            let moved = theta[block.range()].iter().all(|&theta| theta != 0.0);
            assert_eq!(moved, block.kind() != BlockKind::NormScale, "{}", block.name());
        }
    }

    /// The sample variance is a^2 / 3 for the uniform law, a^2 for the Gaussian (five standard
    /// errors at a million draws).
    #[test]
    fn variances_are_those_of_the_laws() {
        let layout = ParameterLayout::flat(1_000_000);
        let (w, mut out) = (vec![0.0_f64; 1_000_000], vec![0.0; 1_000_000]);
        for (law, expected, error) in
            [(Distribution::Uniform, 0.25 / 3.0, 0.75e-4), (Distribution::Gaussian, 0.25, 3.6e-4)]
        {
            Perturbation::new(Geometry::Absolute, 0.5).unwrap().distribution(law).apply(
                &layout,
                PerturbationKey::new(2),
                &w,
                &mut out,
            );
            let variance = norm(&out).powi(2) / 1e6;
            assert!((variance - expected).abs() < 5.0 * error, "{law:?}: {variance}");
        }
    }

    #[test]
    fn a_radius_is_finite_and_not_negative() {
        for radius in [-1.0, f64::NAN, f64::INFINITY] {
            let error = Perturbation::new(Geometry::Absolute, radius).unwrap_err();
            assert!(error.to_string().contains("radius"), "{error}");
        }
        assert!(Perturbation::new(Geometry::Absolute, 0.0).is_ok());
    }
}
