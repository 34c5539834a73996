//! How flat a minimum is, for any function of a vector: estimates with error bars.

mod closure;
mod curvature;
mod dense;
mod error;
mod estimate;
mod expected_loss;
mod finite_difference;
mod guard;
mod keskar;
mod lbfgsb;
mod objective;
mod observer;
mod perturbed;
mod pool;
mod sampling;
mod selected;
mod vector;
mod worst_case;

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
pub use guard::{check_gradient, check_hessian, check_value};
pub use keskar::{Effort, Keskar, KeskarReport, KeskarSearch, Space, Start};
pub use lbfgsb::{Bounds, Lbfgsb, LbfgsbReport, Status};
pub use objective::{Differentiable, Objective, TwiceDifferentiable};
pub use observer::{Ending, Observer, Progress};
pub use perturbed::Perturbed;
pub use worst_case::{Ball, MSharpness, Scaling, WorstCase, WorstCaseReport};
