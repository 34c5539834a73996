//! The expected loss Cbar(w) = E[ C(w + Theta) ] and its rise Cbar(w) - C(w).
//!
//! Theta is a random perturbation in any geometry of [`Perturbation`]; uniform in the absolute box
//! it is the paper's hypercube average, Cbar(w) = (2a)^-m INT_{D(w,a)} C(w') dw'. The mean is taken
//! over independent *draws*:
//!
//! | sampling | a draw | evaluations a draw |
//! |---|---|---|
//! | plain | C(w + theta) | 1 |
//! | antithetic | ( C(w + theta) + C(w - theta) ) / 2 | 2 |
//! | quasi-random | the mean of C over a randomly shifted lattice of n points | n |
//!
//! so that estimate and standard error are the mean and its error in all three. Draw j has a stream
//! of its own, keyed by (seed, j): the bits do not depend on the number of threads, and two weight
//! vectors measured with one seed see the same draws ([`ExpectedLoss::compare`]).
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898, section 3; antithetic variates: Hammersley and Morton 1956;
//! shifted lattices: Cranley and Patterson 1976.

mod compare;
mod gradient;
mod lattice;
mod quadrature;
mod stationary;

use std::fmt;

use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, PerturbationKey, Real};

use crate::estimate::Moments;
use crate::observer::unobserved;
use crate::pool::{Pool, Slot};
use crate::sampling::Budget;
use crate::selected::Selected;
use crate::{Ending, Estimate, Objective, Observer, Perturbed, SharpnessError, check_value, error};

pub use compare::Comparison;
pub use gradient::ExpectedGradient;
pub use quadrature::Quadrature;
pub use stationary::{Stationarity, assert_stationary_expected_loss, expected_gradient_at};

use lattice::Lattice;

/// How the perturbations are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Sampling {
    /// Independent perturbations.
    Plain,
    /// Pairs theta and -theta: odd terms cancel exactly.
    #[default]
    Antithetic,
    /// Lattices of (about) `points` points, each with its own random generator and shift.
    QuasiRandom {
        /// Points a lattice, at least 2; rounded down to a prime, and so in a report.
        points: usize,
    },
}

/// The measurement of the expected loss: settings, checked.
///
/// # Examples
/// For C = 1/2 w'Hw the rise is (a^2/6) tr H, wherever w is:
/// ```
/// use smoothout_sharpness::{ExpectedLoss, FnObjective, Geometry, ParameterLayout, Perturbation};
///
/// let h = [1.0, 2.0, 3.0]; // tr H = 6
/// let f = FnObjective::new(3, |w: &[f64]| (0..3).map(|i| 0.5 * h[i] * w[i] * w[i]).sum());
/// let box_of_half = Perturbation::new(Geometry::Absolute, 0.5)?;
/// let report = ExpectedLoss::new(box_of_half)
///     .draws(20_000)?
///     .measure(&f, &ParameterLayout::flat(3), &[0.3, -1.0, 2.0])?;
/// let (low, high) = report.rise.interval();
/// assert!(low <= 0.25 && 0.25 <= high, "{report}"); // 0.25 / 6 * 6
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedLoss {
    perturbation: Perturbation,
    sampling: Sampling,
    budget: Budget,
    seed: u64,
}

/// What [`ExpectedLoss::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExpectedLossReport {
    /// C(w), the loss without perturbation.
    pub loss: f64,
    /// Cbar(w).
    pub expected: Estimate,
    /// Cbar(w) - C(w).
    pub rise: Estimate,
    /// How the perturbations were drawn.
    pub sampling: Sampling,
    /// The seed of the draws.
    pub seed: u64,
    /// Evaluations of the objective.
    pub evaluations: usize,
    /// What was perturbed.
    pub perturbed: Perturbed,
    /// How the sampling ended.
    pub ending: Ending,
}

impl fmt::Display for ExpectedLossReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.rise.interval();
        write!(
            f,
            "expected loss {} (rise {}, 95 % interval [{low:.6e}, {high:.6e}]) at a loss of {:.6e}: {}; {} evaluations, seed {}{}",
            self.expected,
            self.rise,
            self.loss,
            self.perturbed,
            self.evaluations,
            self.seed,
            self.ending.remark()
        )
    }
}

impl ExpectedLoss {
    /// 1000 antithetic pairs under this perturbation, seed 0.
    pub fn new(perturbation: Perturbation) -> Self {
        Self { perturbation, sampling: Sampling::default(), budget: Budget::new(1000), seed: 0 }
    }

    /// Another way to draw.
    #[must_use]
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// The number of independent draws (pairs, lattices); with [`until`](Self::until) the most.
    ///
    /// # Errors
    /// For fewer than 2: one draw has no standard error.
    pub fn draws(self, draws: usize) -> Result<Self, SharpnessError> {
        Ok(Self { budget: self.budget.draws(draws)?, ..self })
    }

    /// Draws until the standard error is at most `standard_error`, looked at first after 64 draws
    /// and then whenever their number has grown by half. Where the loss rises in few of the draws, or by
    /// very different amounts, the first of them may all be alike, and their error too small: then a fixed
    /// number of draws is safer.
    ///
    /// # Errors
    /// If it is not positive.
    pub fn until(self, standard_error: f64) -> Result<Self, SharpnessError> {
        Ok(Self { budget: self.budget.until(standard_error)?, ..self })
    }

    /// Another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The perturbation.
    pub fn perturbation(&self) -> &Perturbation {
        &self.perturbation
    }

    /// The expected loss at w.
    ///
    /// # Errors
    /// If lengths differ, nothing is selected, the objective is not deterministic, a loss is not finite,
    /// a lattice has fewer than 2 points, or an absolute radius is so small that rounding leaves every
    /// weight where it is.
    pub fn measure<O: Objective>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<ExpectedLossReport, SharpnessError> {
        self.measure_observed(objective, layout, w, &mut unobserved)
    }

    /// [`measure`](Self::measure) with an observer.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: Objective>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<ExpectedLossReport, SharpnessError> {
        error::same_length("the layout", layout.len(), objective.dimension())?;
        let loss = check_value(objective, w)?;
        self.check_radius(layout, w)?;
        let perturbed = Perturbed::new(&self.perturbation, layout)?;
        let mut pool = Pool::of_points(objective);
        let draw = Draw::new(self, layout)?;
        let mut moments = Moments::default();
        let ending = self.budget.sample(observer, draw.evaluations(), |first, out| {
            pool.values(first, out, &|objective, j, slot| draw.value(objective, w, j, slot));
            for &value in &*out {
                moments.push(error::finite("a perturbed loss", value)?);
            }
            Ok(moments.estimate())
        })?;
        let expected = moments.estimate();
        Ok(ExpectedLossReport {
            loss,
            expected,
            rise: expected.shifted(-loss),
            sampling: draw.sampling(),
            seed: self.seed,
            evaluations: expected.samples * draw.evaluations(),
            perturbed,
            ending,
        })
    }

    /// Refuses an absolute radius that moves no weight (those that are 0 always move): the rise would be 0
    /// with an error of 0, and say nothing.
    fn check_radius<R: Real>(
        &self,
        layout: &ParameterLayout,
        w: &[R],
    ) -> Result<(), SharpnessError> {
        let (radius, a) = (self.perturbation.radius(), R::from_f64(self.perturbation.radius()));
        if radius == 0.0 || self.perturbation.geometry() != Geometry::Absolute {
            return Ok(());
        }
        let selected = Selected::new(self.perturbation.selected(), layout)?;
        let weights = selected.ranges().flatten().map(|i| w[i]);
        let mut weights = weights.filter(|&w| w != R::zero() || a == R::zero()).peekable();
        let rounded = weights.peek().is_some() && weights.all(|w| w + a == w && w - a == w);
        let expected = "large enough to move a weight in the precision of w";
        error::setting("the radius", radius, !rounded, expected)
    }
}

/// One way to turn draw j into a number.
struct Draw<'a> {
    perturbation: &'a Perturbation,
    layout: &'a ParameterLayout,
    key: PerturbationKey,
    kind: Kind,
}

enum Kind {
    Plain,
    Antithetic,
    Lattice(Lattice),
}

impl<'a> Draw<'a> {
    fn new(
        settings: &'a ExpectedLoss,
        layout: &'a ParameterLayout,
    ) -> Result<Self, SharpnessError> {
        let kind = match settings.sampling {
            Sampling::Plain => Kind::Plain,
            Sampling::Antithetic => Kind::Antithetic,
            Sampling::QuasiRandom { points } => {
                let setting = "the number of points of a lattice";
                error::setting(setting, points as f64, points >= 2, "at least 2")?;
                Kind::Lattice(Lattice::new(points, settings.seed, settings.perturbation.law()))
            }
        };
        Ok(Self {
            perturbation: &settings.perturbation,
            layout,
            key: PerturbationKey::measurement(settings.seed),
            kind,
        })
    }

    /// How it draws, with the points that a lattice has.
    fn sampling(&self) -> Sampling {
        match &self.kind {
            Kind::Plain => Sampling::Plain,
            Kind::Antithetic => Sampling::Antithetic,
            Kind::Lattice(lattice) => Sampling::QuasiRandom { points: lattice.points() },
        }
    }

    /// Evaluations of the objective for one draw.
    fn evaluations(&self) -> usize {
        match &self.kind {
            Kind::Plain => 1,
            Kind::Antithetic => 2,
            Kind::Lattice(lattice) => lattice.points(),
        }
    }

    /// Writes w + theta of point `point` of draw j.
    fn place<R: Real>(&self, w: &[R], j: usize, point: usize, out: &mut [R]) {
        match &self.kind {
            Kind::Lattice(lattice) => {
                lattice.fill(j as u64, point as u64, out);
                self.perturbation.apply_to_draw(self.layout, w, out);
            }
            Kind::Plain | Kind::Antithetic if point == 0 => {
                self.perturbation.apply(self.layout, self.key.copy(j as u64), w, out);
            }
            // The mirror image of the point that stands there: w - (point - w).
            Kind::Plain | Kind::Antithetic => {
                out.iter_mut().zip(w).for_each(|(out, &w)| *out = w - (*out - w));
            }
        }
    }

    /// The mean of the objective over the points of draw j.
    fn value<O: Objective>(
        &self,
        objective: &O,
        w: &[O::Real],
        j: usize,
        slot: &mut Slot<O>,
    ) -> f64 {
        let mut sum = 0.0;
        for point in 0..self.evaluations() {
            self.place(w, j, point, &mut slot.point);
            sum += objective.value(&slot.point, &mut slot.scratch);
        }
        sum / self.evaluations() as f64
    }
}

#[cfg(test)]
mod tests;
