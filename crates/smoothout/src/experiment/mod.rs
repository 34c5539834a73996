//! Experiments as data: an unchecked [`ExperimentSpec`], as it stands in a JSON file or on the
//! command line, and the checked [`Experiment`] that runs.
//!
//! Every field of the specification may be left out; [`ExperimentSpec::resolve`] fills in the
//! paper's values, and the resolved specification is what a run folder keeps. Unknown fields are
//! errors.

mod checked;
mod choices;
mod error;
mod foreign;
mod optimizer;
mod resolve;
mod spec;

pub use checked::Experiment;
pub use choices::{AdaptType, Method, Optimizer, RegimeSpec, ScheduleName};
pub use error::ExperimentError;
pub use optimizer::MethodOptimizer;
pub use spec::ExperimentSpec;
