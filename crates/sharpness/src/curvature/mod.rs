//! The curvature of the loss at w: extreme eigenvalues, trace and spectral density of the Hessian,
//! of everything or of the selected blocks only.

mod eigenvalues;
mod lanczos;
mod operator;
mod spectrum;
mod trace;

pub use eigenvalues::{EigenReport, Eigenvalues, Ritz};
pub use spectrum::{Node, Spectrum, SpectrumReport};
pub use trace::{Trace, TraceEstimator, TraceReport};

/// Vectors of the length of w.
pub type Vectors<R> = Vec<Vec<R>>;

#[cfg(test)]
mod tests;
