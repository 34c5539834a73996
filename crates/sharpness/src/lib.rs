//! How flat a minimum is, for any function of a vector: estimates with error bars.

mod closure;
mod dense;
mod error;
mod estimate;
mod expected_loss;
mod finite_difference;
mod guard;
mod lbfgsb;
mod objective;
mod observer;
mod perturbed;
mod pool;
mod vector;

pub use closure::FnObjective;
pub use error::SharpnessError;
pub use estimate::Estimate;
pub use expected_loss::{
    Comparison, ExpectedGradient, ExpectedLoss, ExpectedLossReport, Quadrature, Sampling,
    Stationarity, assert_stationary_expected_loss, expected_gradient_at,
};
pub use finite_difference::{FiniteDifferenceHvp, FiniteDifferenceScratch};
pub use guard::{check_gradient, check_hessian, check_value};
pub use lbfgsb::{Bounds, Lbfgsb, LbfgsbReport, Status};
pub use objective::{Differentiable, Objective, TwiceDifferentiable};
pub use observer::{Ending, Observer, Progress};
pub use perturbed::Perturbed;
