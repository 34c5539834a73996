//! Optimisers that ask for gradients: SGD, Adam and AdamW, and SmoothOut and AdaSmoothOut around
//! any of them, on any slice of parameters. Beside them stand others that look for flat minima:
//! [`Sam`], [`Asam`], [`LpfSgd`], [`EntropySgd`] and [`Swa`].
//!
//! A [`SmoothOut`] step draws a fresh perturbation for every ghost batch, asks a
//! [`GradientOracle`] for the loss and gradient at the perturbed weights, averages the gradients in
//! the order of the ghost batches, clips their norm and lets an [`Update`] rule move the clean
//! weights. Without a perturbation the same step is plain training.
//!
//! ```
//! use smoothout_optim::{FnOracle, SeededPerturbation, Sgd, SmoothOut, Smoothing};
//! use smoothout_tensor::{Geometry, ParameterLayout, Perturbation};
//!
//! // Minimise |w|^2 / 2 of two parameters with SmoothOut, a = 0.1.
//! let perturbation = Perturbation::new(Geometry::Absolute, 0.1)?;
//! let source = SeededPerturbation::new(ParameterLayout::flat(2), perturbation, 1);
//! let mut optimizer =
//!     SmoothOut::new(Sgd::new().momentum(0.9)?).smoothing(Smoothing::new(source));
//! let mut oracle = FnOracle::new(|w: &[f64], gradient: &mut [f64]| {
//!     gradient.copy_from_slice(w);
//!     w.iter().map(|w| w * w).sum::<f64>() / 2.0
//! });
//! let mut w = [1.0, -2.0];
//! for _ in 0..500 {
//!     optimizer.step(&mut w, &mut oracle, &mut [()], 0.01)?;
//! }
//! assert!(w.iter().all(|w| w.abs() < 0.1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adam;
mod asam;
mod ascent;
mod clip;
mod descent;
mod entropy_sgd;
mod error;
mod ghost;
mod lpf_sgd;
mod optimizer;
mod oracle;
mod pass;
mod radius_schedule;
mod regime;
#[cfg(test)]
mod rivals;
mod sam;
mod sgd;
mod smoothout;
mod swa;
mod update;
mod waves;

pub use adam::{Adam, WeightDecay};
pub use asam::Asam;
pub use ascent::AscentScope;
pub use clip::Clip;
pub use descent::{Descent, StepReport};
pub use entropy_sgd::EntropySgd;
pub use error::{OptimError, StepError};
pub use ghost::{GhostBatches, LoneExample};
pub use lpf_sgd::LpfSgd;
pub use optimizer::Optimizer;
pub use oracle::{FnOracle, GhostCopy, GradientOracle};
pub use radius_schedule::RadiusSchedule;
pub use regime::{Adaptation, LearningRateScaling, Regime, RegimeStep};
pub use sam::Sam;
pub use sgd::Sgd;
pub use smoothout::{PerturbationSource, SeededPerturbation, SmoothOut, Smoothing};
pub use swa::{CyclicalRate, Swa};
pub use update::{BaseUpdate, Update};
