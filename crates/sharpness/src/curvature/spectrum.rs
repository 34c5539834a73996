//! The spectral density of the Hessian by stochastic Lanczos quadrature.
//!
//! For a random unit vector q, k steps of Lanczos give Ritz values theta_i and weights
//! tau_i = (first component of the eigenvector of T)^2 with sum tau_i g(theta_i) ~ q' g(H) q for any
//! smooth g, exact for polynomials of degree 2k - 1; the mean over random q is tr g(H) / n. The
//! density is the mean of sum tau_i delta(x - theta_i), drawn with a Gaussian in place of delta.
//!
//! Ritz values of eigenvalues that are exactly 0, as of a network with more parameters than examples,
//! are rounding of either sign. So what lies within sqrt(u) max |theta| of 0 counts as 0 (u: the unit
//! roundoff of the precision, 3e-4 in f32 and 1.5e-8 in f64 after the root).
//!
//! # Source
//! Golub and Meurant 1994; Ubaru, Chen and Saad 2017; Ghorbani, Krishnan and Xiao 2019,
//! arXiv:1901.10159 (densities of networks' Hessians).

use std::fmt;

use smoothout_tensor::{ParameterLayout, Selection};

use super::lanczos::Lanczos;
use super::operator::Operator;
use crate::observer::{unobserved, watched};
use crate::vector::epsilon;
use crate::{Ending, Estimate, Observer, Progress, SharpnessError, TwiceDifferentiable, error};

/// The measurement of the spectral density: settings, checked.
///
/// # Examples
/// Half of the eigenvalues of diag(1, 1, -2, 4) are 1, a quarter is negative:
/// ```
/// use smoothout_sharpness::{FnObjective, ParameterLayout, Spectrum};
///
/// let f = FnObjective::new(4, |_: &[f64]| 0.0)
///     .with_hessian(|_w, v, hv| hv.copy_from_slice(&[v[0], v[1], -2.0 * v[2], 4.0 * v[3]]));
/// let report = Spectrum::new(200, 4)?.measure(&f, &ParameterLayout::flat(4), &[0.0; 4])?;
/// let (low, high) = report.share_negative().interval();
/// assert!(low < 0.25 && 0.25 < high);
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    probes: usize,
    steps: usize,
    selection: Selection,
    seed: u64,
}

/// A node of the quadrature.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Node {
    /// theta.
    pub value: f64,
    /// tau; the weights of one probe sum to 1.
    pub weight: f64,
}

/// What [`Spectrum::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SpectrumReport {
    /// The nodes of each probe.
    pub probes: Vec<Vec<Node>>,
    /// t: what lies within t of 0 counts as 0; sqrt(u) max |theta|.
    pub zero: f64,
    /// Hessian-vector products.
    pub evaluations: usize,
    /// The seed of the probes.
    pub seed: u64,
    /// The blocks.
    pub selection: Selection,
    /// How many parameters they hold.
    pub parameters: usize,
    /// Whether all probes were run.
    pub ending: Ending,
}

impl SpectrumReport {
    /// tr g(H) / n, with its standard error over the probes. The error of k steps for a g that is no
    /// polynomial is not in it.
    pub fn mean_of(&self, g: impl Fn(f64) -> f64) -> Estimate {
        let sum = |nodes: &Vec<Node>| nodes.iter().map(|node| node.weight * g(node.value)).sum();
        Estimate::of(&self.probes.iter().map(sum).collect::<Vec<f64>>())
    }

    /// The share of the eigenvalues below `x`. A step is far from a polynomial: where eigenvalues are
    /// dense around `x`, k steps place their weight up to a node off, and that error is not in the
    /// interval. More steps make it smaller. At 0 see [`share_negative`](Self::share_negative).
    pub fn share_below(&self, x: f64) -> Estimate {
        self.mean_of(|value| f64::from(u8::from(value < x)))
    }

    /// The share of the eigenvalues below -t, which are negative beyond rounding.
    pub fn share_negative(&self) -> Estimate {
        self.share_below(-self.zero)
    }

    /// The density at `x`, each node spread by a Gaussian of standard deviation `width`.
    pub fn density(&self, x: f64, width: f64) -> Estimate {
        let peak = 1.0 / (width * (2.0 * std::f64::consts::PI).sqrt());
        self.mean_of(|value| peak * (-0.5 * ((x - value) / width).powi(2)).exp())
    }
}

impl fmt::Display for SpectrumReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spectrum of the Hessian over {} parameters ({}): mean eigenvalue {}, share below zero {} (below -{:.0e}: nearer to 0 is rounding); {} probes, {} Hessian-vector products, seed {}",
            self.parameters,
            self.selection,
            self.mean_of(|value| value),
            self.share_negative(),
            self.zero,
            self.probes.len(),
            self.evaluations,
            self.seed
        )
    }
}

impl Spectrum {
    /// So many random probes of so many Lanczos steps each, every block, seed 0.
    ///
    /// # Errors
    /// For fewer than 2 probes (no standard error) or no step.
    pub fn new(probes: usize, steps: usize) -> Result<Self, SharpnessError> {
        error::setting("the number of probes", probes as f64, probes >= 2, "at least 2")?;
        error::setting("the number of steps", steps as f64, steps > 0, "at least 1")?;
        Ok(Self { probes, steps, selection: Selection::all(), seed: 0 })
    }

    /// The Hessian of the chosen blocks only.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The spectrum at w.
    ///
    /// # Errors
    /// If lengths differ, nothing is selected, or the objective fails
    /// [`check_hessian`](crate::check_hessian).
    pub fn measure<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<SpectrumReport, SharpnessError> {
        self.measure_observed(objective, layout, w, &mut unobserved)
    }

    /// [`measure`](Self::measure) with an observer, called after each probe.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<SpectrumReport, SharpnessError> {
        let operator = Operator::new(objective, layout, &self.selection, w, self.seed)?;
        let mut report = SpectrumReport {
            probes: Vec::new(),
            zero: 0.0,
            evaluations: 0,
            seed: self.seed,
            selection: self.selection.clone(),
            parameters: operator.selected.count(),
            ending: Ending::Done,
        };
        report.ending = watched(self.probes, observer, |probe| {
            let mut lanczos = Lanczos::new(&operator, self.seed, 1 + probe as u64);
            while lanczos.steps() < self.steps && !lanczos.complete {
                lanczos.step()?;
            }
            let k = lanczos.steps();
            report.evaluations += k;
            let (values, vectors) = lanczos.ritz();
            let node = |(i, &value): (usize, &f64)| {
                let first = vectors[i * k];
                Node { value, weight: first * first }
            };
            let size = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            report.zero = report.zero.max(epsilon::<O::Real>().sqrt() * size);
            report.probes.push(values.iter().enumerate().map(node).collect());
            Ok(Progress::of(&report.mean_of(|value| value), report.evaluations))
        })?;
        Ok(report)
    }
}
