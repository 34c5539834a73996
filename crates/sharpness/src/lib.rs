//! How flat a minimum is, for any function of a vector: estimates with error bars.
//!
//! Anything that implements [`Objective`] can be measured, a closure through [`FnObjective`]; what a
//! metric needs beyond values is a trait of its own ([`Differentiable`], [`TwiceDifferentiable`]).
//! Each metric is a small checked configuration with one verb, `measure`, that returns a report:
//! the estimate with its standard error or certificate, the evaluations, the seed and what was
//! perturbed.
//!
//! | metric | type |
//! |---|---|
//! | expected loss over a random perturbation, its gradient, comparison of two solutions | [`ExpectedLoss`], [`Quadrature`] |
//! | Keskar's sharpness | [`Keskar`] |
//! | worst case in a ball (SAM, ASAM), m-sharpness | [`WorstCase`] |
//! | eigenvalues, trace and spectral density of the Hessian | [`Eigenvalues`], [`Trace`], [`Spectrum`] |
//! | the radius that raises the loss by so much | [`NoiseTolerance`] |
//! | losses on lines and planes | [`Chart`], [`Grid`] |
//! | what moves when the function does not | [`Audit`] |
//!
//! Nothing is printed and nothing is global. Evaluations run in parallel on the current Rayon pool,
//! and all numbers have the same bits for any number of threads.

mod audit;
mod closure;
mod curvature;
mod dense;
mod error;
mod estimate;
mod expected_loss;
mod finite_difference;
mod guard;
mod keskar;
mod landscape;
mod lbfgsb;
mod objective;
mod observer;
mod perturbed;
mod pool;
mod sampling;
mod selected;
mod tolerance;
mod vector;
mod worst_case;

pub use audit::{Audit, AuditReport, AuditRow, Audited, rescale_blocks};
pub use closure::FnObjective;
pub use curvature::{
    EigenReport, Eigenvalues, Node, Ritz, Spectrum, SpectrumReport, Trace, TraceEstimator,
    TraceReport, Vectors,
};
pub use error::SharpnessError;
pub use estimate::Estimate;
pub use expected_loss::{
    Comparison, ExpectedGradient, ExpectedLoss, ExpectedLossReport, Quadrature, Sampling,
    Stationarity, assert_stationary_expected_loss, expected_gradient_at,
};
pub use finite_difference::{FiniteDifferenceHvp, FiniteDifferenceScratch};
pub use guard::{check_gradient, check_gradient_blocks, check_hessian, check_value};
pub use keskar::{Effort, Keskar, KeskarReport, KeskarSearch, Space, Start};
#[cfg(feature = "serde")]
pub use landscape::numbers;
pub use landscape::{Axis, Chart, Grid};
#[cfg(feature = "plot")]
pub use landscape::{
    ColourScale, LineStyle, Picture, PlotError, contour, plot_lines, plot_plane, viridis,
};
pub use lbfgsb::{Bounds, Lbfgsb, LbfgsbReport, Status};
pub use objective::{Differentiable, Objective, TwiceDifferentiable};
pub use observer::{Ending, Observer, Progress};
pub use perturbed::Perturbed;
pub use tolerance::{NoiseTolerance, ToleranceReport, Trial, Verdict};
// What measurements take: whoever has a closure needs no other crate.
pub use smoothout_tensor::{
    BlockKind, Distribution, Geometry, ParameterLayout, Perturbation, Real, Selection, TensorError,
};
pub use worst_case::{Ball, MSharpness, Scaling, WorstCase, WorstCaseReport};
