//! ASAM: SAM in a ball that stretches with the weights,
//! `max over ‖T^-1 epsilon‖ <= rho of C(w + epsilon)` with `T = diag(|w_i| + eta)`.
//!
//! One parameter update:
//! 1. `g <- gradient of C at w`;
//! 2. `epsilon <- rho T^2 g / ‖T g‖`, the maximiser of the linearised loss;
//! 3. `g <- gradient of C at w + epsilon`;
//! 4. clip the norm of g, and update the clean w with g.
//!
//! Because T stretches with w, a network whose layers are rescaled without changing its function
//! has the rescaled epsilon, and the same loss there: exactly for eta = 0, nearly for a small eta.
//! Passes, running statistics and reported loss are [`Sam`](crate::Sam)'s.
//!
//! # Source
//! Kwon et al. 2021, arXiv:2102.11600, algorithm 1 with the elementwise operator of section 3; the
//! authors' `asam.py`, whose rho = 0.5 and eta = 0.01 are the defaults here.
//!
//! # Differences
//! - eta is part of T wherever T stands, as in the authors' code.
//! - The authors' code stretches parameters with `weight` in their name, which in PyTorch are
//!   weights and batch norm's gammas, and lets T = 1 on biases and betas. Here that is the
//!   default, by kind of block, and [`stretched`](Asam::stretched) chooses others: the invariance is
//!   exact where all rescaled parameters are stretched. The rise in ASAM's ball that
//!   `smoothout-sharpness` measures stretches all of them.
//! - A zero ‖T g‖ gives epsilon = 0; the authors divide by ‖T g‖ + 1e-16.

use smoothout_tensor::{BlockKind, ParameterLayout, Real, Selection, parallel_squared_norm};

use crate::ascent::{Ascent, scale};
use crate::pass::combine;
use crate::{
    AscentScope, Descent, GradientOracle, OptimError, Optimizer, StepError, StepReport, Update,
};

/// ASAM around an update rule.
///
/// # Examples
/// `C(w) = w_1 + w_2` at w = (1, 2) with eta = 0: T g = (1, 2), epsilon = rho (1, 4) / sqrt 5.
/// ```
/// use smoothout_optim::{Asam, Descent, FnOracle, Optimizer, Sgd};
/// use smoothout_tensor::ParameterLayout;
///
/// let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
///     gradient.fill(1.0);
///     w[0] + w[1]
/// });
/// let layout = ParameterLayout::flat(2);
/// let mut asam = Asam::new(Descent::new(Sgd::new()), layout).rho(0.5)?.eta(0.0)?;
/// let report = asam.step(&mut [1.0, 2.0], &mut oracle, &mut [()], 0.1)?;
/// assert!((report.loss - (3.0 + 0.5 * 5.0 / 5.0_f64.sqrt())).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Asam<R, U> {
    descent: Descent<U>,
    stretch: Stretch,
    rho: f64,
    ascent: Ascent<R>,
}

impl<R: Real, U: Update<R>> Asam<R, U> {
    /// With rho = 0.5 and eta = 0.01, one epsilon per batch, for the parameters of `layout`.
    pub fn new(descent: Descent<U>, layout: ParameterLayout) -> Self {
        let stretched = Selection::of_kinds(&[BlockKind::Weight, BlockKind::NormScale]);
        let stretch = Stretch { layout, stretched, eta: 0.01 };
        Self { descent, stretch, rho: 0.5, ascent: Ascent::default() }
    }

    /// The length of `T^-1 epsilon`: a share of the weights' size.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn rho(self, rho: f64) -> Result<Self, OptimError> {
        Ok(Self {
            rho: OptimError::check("rho", rho, rho >= 0.0, "finite and not negative")?,
            ..self
        })
    }

    /// What is added to |w| in T, so that a zero weight can move.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn eta(self, eta: f64) -> Result<Self, OptimError> {
        OptimError::check("eta", eta, eta >= 0.0, "finite and not negative")?;
        Ok(Self { stretch: Stretch { eta, ..self.stretch }, ..self })
    }

    /// The blocks on which T is |w| + eta; on the others it is 1.
    #[must_use]
    pub fn stretched(self, stretched: Selection) -> Self {
        Self { stretch: Stretch { stretched, ..self.stretch }, ..self }
    }

    /// Whether the batch or each ghost batch has an epsilon.
    #[must_use]
    pub fn scope(self, scope: AscentScope) -> Self {
        Self { ascent: self.ascent.scope(scope), ..self }
    }
}

impl<R: Real, U: Update<R>> Optimizer<R> for Asam<R, U> {
    type Rule = U;

    fn descent(&self) -> &Descent<U> {
        &self.descent
    }

    fn descent_mut(&mut self) -> &mut Descent<U> {
        &mut self.descent
    }

    /// Two gradients per ghost batch and a parameter update.
    fn step<O: GradientOracle<R>>(
        &mut self,
        w: &mut [R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>> {
        assert_eq!(w.len(), self.stretch.layout.len(), "w fits the layout");
        let Self { descent, stretch, rho, ascent } = self;
        // Lines 1, 3 and 4 are those of `Ascent::step`.
        ascent.step(descent, w, oracle, scratch, learning_rate, |w, gradient, point| {
            stretch.combine(point, w, gradient, |_, _, g, t| t * g); // 2: T g
            let factor = R::from_f64(scale(*rho, parallel_squared_norm(point).sqrt()));
            stretch.combine(point, w, gradient, |tg, w, _, t| w + factor * t * tg); // 2
        })
    }
}

/// T.
#[derive(Debug)]
struct Stretch {
    layout: ParameterLayout,
    stretched: Selection,
    eta: f64,
}

impl Stretch {
    /// `out = f(out, w, g, T)` element by element.
    fn combine<R: Real>(
        &self,
        out: &mut [R],
        w: &[R],
        g: &[R],
        f: impl Fn(R, R, R, R) -> R + Sync,
    ) {
        let eta = R::from_f64(self.eta);
        for block in self.layout.blocks() {
            let (out, w, g) = (&mut out[block.range()], &w[block.range()], &g[block.range()]);
            if self.stretched.contains(block) {
                combine(out, w, g, |out, w, g| f(out, w, g, w.abs() + eta));
            } else {
                combine(out, w, g, |out, w, g| f(out, w, g, R::one()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

    use super::*;
    use crate::rivals::{self, Quadratic};
    use crate::{FnOracle, Sam, Sgd};

    fn descent<R: Real>() -> Descent<Sgd<R>> {
        Descent::new(Sgd::new())
    }

    /// w and the second gradient of a quadratic by the formulas, with T = 1 on the bias.
    #[test]
    fn epsilon_is_its_formula() {
        let mut layout = ParameterLayout::new();
        layout.push("fc.weight", &[1, 2], BlockKind::Weight).unwrap();
        layout.push("fc.bias", &[1], BlockKind::Bias).unwrap();
        let (start, h, rho, eta) = ([1.0, -2.0, 4.0], [3.0, 1.0, 0.5], 0.3, 0.1);
        let mut asam = Asam::new(descent(), layout).rho(rho).unwrap().eta(eta).unwrap();
        let (mut w, mut oracle) = (start, Quadratic::new(h.to_vec(), vec![0.0]));
        asam.step(&mut w, &mut oracle, &mut [()], 1.0).unwrap();
        let t = [1.1, 2.1, 1.0];
        let stretched: Vec<f64> = (0..3).map(|i| t[i] * h[i] * start[i]).collect();
        let length = stretched.iter().map(|x| x * x).sum::<f64>().sqrt();
        for i in 0..3 {
            let point = start[i] + rho * t[i] * stretched[i] / length;
            assert!((w[i] - (start[i] - h[i] * point)).abs() < 1e-14, "{i}");
        }
    }

    /// T = 1 on blocks that are not stretched: without any, ASAM is SAM, with one epsilon for the batch
    /// or one for each ghost batch.
    #[test]
    fn where_nothing_is_stretched_it_is_sam() {
        let found = [AscentScope::Batch, AscentScope::GhostBatch].map(|scope| {
            let oracle =
                || Quadratic::new(vec![3.0, 1.0], vec![3.0, -5.0]).shares(vec![0.75, 0.25]);
            let mut sam = Sam::new(descent()).rho(0.3).unwrap().scope(scope);
            let mut asam = Asam::new(descent(), ParameterLayout::flat(2)).rho(0.3).unwrap();
            asam = asam.stretched(Selection::of_kinds(&[])).scope(scope);
            let mut expected = [1.0_f64, -2.0];
            let mut found = expected;
            sam.step(&mut expected, &mut oracle(), &mut [()], 0.1).unwrap();
            asam.step(&mut found, &mut oracle(), &mut [()], 0.1).unwrap();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{scope:?}");
            found
        });
        assert_ne!(found[0], found[1]);
    }

    /// `C = (u'v - 1)^2 / 2` is the same at (c u, v / c): so is ASAM's loss at the ascent point,
    /// while SAM's is another.
    #[test]
    fn rescaling_a_layer_changes_nothing() {
        const N: usize = 6;
        let mut start = [0.0_f64; 2 * N];
        fill_gaussian(StreamKey::new(1, Purpose::Data), &mut start);
        let loss = |adaptive: bool, c: f64| {
            let mut w = start;
            w[..N].iter_mut().for_each(|u| *u *= c);
            w[N..].iter_mut().for_each(|v| *v /= c);
            let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
                let (u, v) = w.split_at(N);
                let miss = u.iter().zip(v).map(|(u, v)| u * v).sum::<f64>() - 1.0;
                for i in 0..N {
                    (gradient[i], gradient[N + i]) = (miss * v[i], miss * u[i]);
                }
                miss * miss / 2.0
            });
            let layout = ParameterLayout::flat(2 * N);
            let report = if adaptive {
                let mut asam = Asam::new(descent(), layout).eta(0.0).unwrap();
                asam.step(&mut w, &mut oracle, &mut [()], 0.0)
            } else {
                Sam::new(descent()).rho(0.5).unwrap().step(&mut w, &mut oracle, &mut [()], 0.0)
            };
            report.unwrap().loss
        };
        for c in [0.1, 7.0] {
            assert!((loss(true, c) / loss(true, 1.0) - 1.0).abs() < 1e-12, "{c}");
            assert!((loss(false, c) / loss(false, 1.0) - 1.0).abs() > 0.1, "{c}");
        }
    }

    #[test]
    fn scratches_and_threads_do_not_matter() {
        for scope in [AscentScope::Batch, AscentScope::GhostBatch] {
            rivals::same_bits(|| {
                let mut optimizer =
                    Asam::<f32, _>::new(descent(), ParameterLayout::flat(40_000)).scope(scope);
                move |w, oracle, scratch| optimizer.step(w, oracle, scratch, 0.01).unwrap().loss
            });
        }
    }

    #[test]
    fn settings_are_checked() {
        let asam = || Asam::<f32, _>::new(descent(), ParameterLayout::flat(1));
        for value in [-0.1, f64::NAN, f64::INFINITY] {
            let error = asam().rho(value).unwrap_err();
            assert!(error.to_string().starts_with("rho is"), "{error}");
            let error = asam().eta(value).unwrap_err();
            assert!(error.to_string().starts_with("eta is"), "{error}");
        }
    }
}
