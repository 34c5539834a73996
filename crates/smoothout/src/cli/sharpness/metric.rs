//! The metrics by name, and the options that each reads.

use clap::ValueEnum;

use super::{Options, Precision};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Metric {
    /// Rise of the mean loss under random perturbations, with its standard error
    ExpectedLoss,
    /// Highest loss in Keskar's box, by L-BFGS-B from several starts
    Keskar,
    /// Highest loss in a ball, by projected gradient ascent (SAM, ASAM)
    WorstCase,
    /// The same for each batch of m examples, averaged
    MSharpness,
    /// Largest and smallest eigenvalues of the Hessian
    Eigenvalues,
    /// Trace of the Hessian
    Trace,
    /// Spectral density of the Hessian
    Spectrum,
    /// The radius at which the expected loss or error has risen by a chosen amount
    NoiseTolerance,
    /// Which measures move when layers are rescaled so that the network computes the same
    Audit,
}

impl Metric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ExpectedLoss => "expected-loss",
            Self::Keskar => "keskar",
            Self::WorstCase => "worst-case",
            Self::MSharpness => "m-sharpness",
            Self::Eigenvalues => "eigenvalues",
            Self::Trace => "trace",
            Self::Spectrum => "spectrum",
            Self::NoiseTolerance => "noise-tolerance",
            Self::Audit => "audit",
        }
    }

    /// The options that mean something to it.
    pub(super) fn options(self) -> &'static [&'static str] {
        match self {
            Self::ExpectedLoss => {
                &["radius", "geometry", "distribution", "sampling", "samples", "standard-error"]
            }
            Self::Keskar => &["epsilon", "subspace", "iterations", "converged", "starts"],
            Self::WorstCase => &["radius", "geometry", "ball", "steps", "starts"],
            Self::MSharpness => &["radius", "geometry", "ball", "steps", "starts", "m"],
            Self::Eigenvalues => &["largest", "smallest", "steps", "tolerance"],
            Self::Trace => &["samples", "standard-error", "sketch"],
            Self::Spectrum => &["samples", "steps"],
            Self::NoiseTolerance => {
                &["radius", "geometry", "distribution", "samples", "rise", "of"]
            }
            Self::Audit => &["radius", "epsilon", "samples", "factor", "scale"],
        }
    }

    /// The precision unless another is asked for: eigenvalues to the default tolerance need f64.
    pub(super) fn precision(self) -> Precision {
        match self {
            Self::Eigenvalues | Self::Trace | Self::Spectrum => Precision::F64,
            _ => Precision::F32,
        }
    }

    /// Whether a rescaling of layers that leaves the function as it is leaves the number as it is:
    /// perturbations that scale with the weights do; and an audit holds such measures.
    pub(super) fn is_invariant(self, options: &Options) -> bool {
        match self {
            Self::ExpectedLoss | Self::NoiseTolerance => options.is_relative(),
            Self::Audit => true,
            // ASAM's balls are invariant but for its eta of 0.01.
            Self::Keskar
            | Self::WorstCase
            | Self::MSharpness
            | Self::Eigenvalues
            | Self::Trace
            | Self::Spectrum => false,
        }
    }
}
