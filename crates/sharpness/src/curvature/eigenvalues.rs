//! The largest and smallest eigenvalues of the Hessian, each with its residual.
//!
//! For a symmetric H and a unit vector x, some eigenvalue lies within ‖Hx - theta x‖ of theta: the
//! residual is a certificate, whatever Lanczos did to get there.

use std::fmt;

use smoothout_tensor::{ParameterLayout, Selection};

use super::Vectors;
use super::lanczos::Lanczos;
use super::operator::Operator;
use crate::observer::unobserved;
use crate::vector::zeros;
use crate::{Ending, Observer, Progress, SharpnessError, TwiceDifferentiable, error};

/// The measurement of extreme eigenvalues: settings, checked.
///
/// An eigenvalue that is repeated exactly may be found once instead of as often as it occurs, with the next
/// one in the place of its copies: a Krylov space of one start holds one vector of each eigenspace.
///
/// # Examples
/// H = diag(1, 2, -3):
/// ```
/// use smoothout_sharpness::{Eigenvalues, FnObjective, ParameterLayout};
///
/// let f = FnObjective::new(3, |_: &[f64]| 0.0)
///     .with_hessian(|_w, v, hv| hv.copy_from_slice(&[v[0], 2.0 * v[1], -3.0 * v[2]]));
/// let report = Eigenvalues::new(1, 1)?.measure(&f, &ParameterLayout::flat(3), &[0.0; 3])?;
/// assert!((report.largest[0].value - 2.0).abs() < 1e-12);
/// assert!((report.smallest[0].value + 3.0).abs() < 1e-12);
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Eigenvalues {
    largest: usize,
    smallest: usize,
    tolerance: f64,
    steps: usize,
    selection: Selection,
    seed: u64,
}

/// An approximate eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ritz {
    /// theta.
    pub value: f64,
    /// ‖Hx - theta x‖ for the unit vector x: an eigenvalue lies within.
    pub residual: f64,
}

/// What [`Eigenvalues::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EigenReport {
    /// The largest eigenvalues, descending.
    pub largest: Vec<Ritz>,
    /// The smallest eigenvalues, ascending.
    pub smallest: Vec<Ritz>,
    /// Hessian-vector products.
    pub evaluations: usize,
    /// The seed of the start vector.
    pub seed: u64,
    /// The blocks.
    pub selection: Selection,
    /// How many parameters they hold.
    pub parameters: usize,
    /// Whether all residuals met the tolerance.
    pub ending: Ending,
}

impl fmt::Display for EigenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &str, values: &[Ritz]| {
            write!(f, "{name} eigenvalues")?;
            values.iter().try_for_each(|r| write!(f, " {:.6e} (± {:.0e})", r.value, r.residual))
        };
        let sides = [("largest", &self.largest), ("smallest", &self.smallest)];
        for (i, (name, values)) in
            sides.into_iter().filter(|(_, list)| !list.is_empty()).enumerate()
        {
            f.write_str(if i > 0 { "; " } else { "" })?;
            list(f, name, values)?;
        }
        write!(
            f,
            "; {} parameters ({}), {} Hessian-vector products, seed {}{}",
            self.parameters,
            self.selection,
            self.evaluations,
            self.seed,
            self.ending.remark()
        )
    }
}

impl Eigenvalues {
    /// So many of the largest and of the smallest; relative residual 1e-6 (of the largest |theta|),
    /// at most 200 steps, every block, seed 0. A step keeps a vector.
    ///
    /// # Errors
    /// If both numbers are 0.
    pub fn new(largest: usize, smallest: usize) -> Result<Self, SharpnessError> {
        let count = largest.saturating_add(smallest);
        error::setting("the number of eigenvalues", count as f64, count > 0, "at least 1")?;
        let (tolerance, steps, seed) = (1e-6, 200, 0);
        Ok(Self { largest, smallest, tolerance, steps, selection: Selection::all(), seed })
    }

    /// Another relative residual; 0 takes all steps, short of an exact zero.
    ///
    /// # Errors
    /// If it is negative or NaN.
    pub fn tolerance(self, tolerance: f64) -> Result<Self, SharpnessError> {
        error::setting("the tolerance", tolerance, tolerance >= 0.0, "0 or more")?;
        Ok(Self { tolerance, ..self })
    }

    /// At most so many steps.
    ///
    /// # Errors
    /// For 0.
    pub fn steps(self, steps: usize) -> Result<Self, SharpnessError> {
        error::setting("the number of steps", steps as f64, steps > 0, "at least 1")?;
        Ok(Self { steps, ..self })
    }

    /// The Hessian of the chosen blocks only.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Another seed of the start vector.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The eigenvalues at w.
    ///
    /// # Errors
    /// If lengths differ, nothing is selected, or the objective fails
    /// [`check_hessian`](crate::check_hessian).
    pub fn measure<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<EigenReport, SharpnessError> {
        Ok(self.measure_vectors(objective, layout, w, &mut unobserved)?.0)
    }

    /// The eigenvalues with their unit vectors, in the order largest, smallest, and with an observer
    /// that is called at every look at the residuals.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_vectors<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<(EigenReport, Vectors<O::Real>), SharpnessError> {
        let operator = Operator::new(objective, layout, &self.selection, w, self.seed)?;
        let parameters = operator.selected.count();
        let mut lanczos = Lanczos::new(&operator, self.seed, 0);
        let mut look = self.largest.saturating_add(self.smallest).saturating_add(4).min(self.steps);
        let (ending, values, vectors) = loop {
            lanczos.step()?;
            let k = lanczos.steps();
            let last = lanczos.complete || k == self.steps;
            if k < look && !last {
                continue;
            }
            look = k + (k / 4).max(4);
            let (values, vectors) = lanczos.ritz();
            let size = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let worst = self
                .wanted(k)
                .map(|i| (lanczos.last_beta() * vectors[i * k + k - 1]).abs())
                .fold(0.0, f64::max);
            // A value that is found once only may have copies that a fresh start would bring.
            let met = worst <= self.tolerance * size && k > self.largest.max(self.smallest);
            let value = if self.largest > 0 { values[k - 1] } else { values[0] };
            let progress = Progress { evaluations: k, value, uncertainty: worst };
            let stopped = progress.stops(observer);
            if met || last || stopped {
                let ending = match (met || lanczos.complete, stopped) {
                    (true, _) => Ending::Done,
                    (false, true) => Ending::Stopped,
                    (false, false) => Ending::Budget,
                };
                break (ending, values, vectors);
            }
        };
        let k = lanczos.steps();
        let mut report = EigenReport {
            largest: Vec::new(),
            smallest: Vec::new(),
            evaluations: 0,
            seed: self.seed,
            selection: self.selection.clone(),
            parameters,
            ending,
        };
        let mut found = Vec::new();
        for (rank, i) in self.wanted(k).enumerate() {
            let mut x = zeros(w.len());
            lanczos.combine(&vectors[i * k..][..k], &mut x);
            let ritz = Ritz { value: values[i], residual: lanczos.residual(values[i], &x) };
            let side =
                if rank < self.largest.min(k) { &mut report.largest } else { &mut report.smallest };
            side.push(ritz);
            found.push(x);
        }
        report.evaluations = k + found.len();
        Ok((report, found))
    }

    /// The indices, among k ascending Ritz values, of the wanted ones.
    fn wanted(&self, k: usize) -> impl Iterator<Item = usize> + use<> {
        let (largest, smallest) = (self.largest.min(k), self.smallest.min(k));
        (k - largest..k).rev().chain(0..smallest)
    }
}
