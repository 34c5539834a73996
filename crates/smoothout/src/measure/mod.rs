//! Networks as objectives to measure: what `smoothout-sharpness` asks of a function, answered by a
//! [`Network`](smoothout_nn::Network) on a fixed set of examples.
//!
//! ```text
//! C(w) = 1/N sum_n loss(w, x_n, y_n)          NetworkObjective
//! E(w) = share of the n with a wrong top-1    ErrorRate
//! ```
//! The N examples are an [`ExampleSet`], chosen once by a seed and kept in memory as the network
//! reads them. Dropout and augmentation are off; batch norm follows a [`BatchNormPolicy`]. Nothing
//! that is measured changes the model: w and the running statistics are only read.
//!
//! ```
//! use smoothout::measure::{BatchNormPolicy, ExampleSet, NetworkObjective};
//! use smoothout_nn::{NetworkBuilder, Sequential};
//! use smoothout_sharpness::{ExpectedLoss, Objective};
//! use smoothout_tensor::{Geometry, Perturbation};
//!
//! // One linear layer from 2 pixels to 2 classes; with w = 0 every class has the probability 1/2.
//! let mut b = NetworkBuilder::new("linear", [1, 2, 1]);
//! let images = b.images();
//! let logits = Sequential::new(&mut b, "layers", images).linear(2, false).end();
//! let network = b.finish(logits)?;
//! let examples = ExampleSet::new([1, 2, 1], vec![1.0, 0.0, 0.0, 1.0], vec![0, 1])?;
//! let objective = NetworkObjective::new(&network, &examples, &[], BatchNormPolicy::Frozen, 2)?;
//!
//! let w = [0.0_f64; 4];
//! let loss = objective.value(&w, &mut objective.scratch());
//! assert!((loss - 2.0_f64.ln()).abs() < 1e-15);
//!
//! // A logit difference of t costs ln(1 + e^-t), whose second derivative at 0 is 1/4; t is a sum
//! // of two coordinates of Theta, with the variance 2 a^2/3: the rise is about a^2/12.
//! let a = 0.1;
//! let report = ExpectedLoss::new(Perturbation::new(Geometry::Absolute, a)?)
//!     .measure(&objective, network.parameters(), &w)?;
//! assert!((report.rise.value / (a * a / 12.0) - 1.0).abs() < 0.1, "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod differentiable;
mod error;
mod error_rate;
mod examples;
mod hessian;
mod objective;
mod policy;
mod report;
mod rescaling;
mod select;

pub use differentiable::DifferentiableObjective;
pub use error::MeasureError;
pub use error_rate::ErrorRate;
pub use examples::{ExampleSet, Subset};
pub use objective::{NetworkObjective, NetworkScratch};
pub use policy::BatchNormPolicy;
pub use report::{Certainty, Finding, Invariant, Measurement};
pub use rescaling::{NetworkAudit, Rescaling};
pub use select::Select;
