//! The ground that SmoothOut-rs stands on: the parameter vector w in R^m and its named blocks
//! ([`ParameterLayout`]), the perturbations theta of the paper ([`Perturbation`]), streams of
//! random numbers that do not depend on the number of threads ([`StreamKey`]), and channels-last
//! [`kernels`].
//!
//! Everything works in two precisions through the sealed trait [`Real`]: `f32` trains, and `f64`
//! serves gradient checks, theory and curvature.
//!
//! ```
//! use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, PerturbationKey};
//!
//! // Stochastic SmoothOut: w + theta with theta uniform in the box [-a, a]^m, here a = 0.1.
//! let layout = ParameterLayout::flat(1000);
//! let w = vec![1.0_f32; 1000];
//! let mut perturbed = vec![0.0_f32; 1000];
//! let perturbation = Perturbation::new(Geometry::Absolute, 0.1)?;
//! perturbation.apply(&layout, PerturbationKey::new(7), &w, &mut perturbed);
//! assert!(perturbed.iter().all(|p| (p - 1.0).abs() < 0.1 + 1e-6));
//! # Ok::<(), smoothout_tensor::TensorError>(())
//! ```

mod box_muller;
mod dual;
mod error;
mod finite;
#[expect(
    unsafe_code,
    clippy::needless_range_loop,
    reason = "vector instructions and pointers; loops over the indices of register tiles"
)]
pub mod kernels;
mod layout;
mod norm;
mod perturbation;
mod real;
mod selection;
mod stream;

pub use dual::Dual;
pub use error::TensorError;
pub use finite::all_finite;
pub use layout::{Block, BlockKind, ParameterLayout};
pub use norm::{parallel_squared_norm, squared_norm};
/// What a [`Real`] can do besides arithmetic.
pub use num_traits::Float;
pub use perturbation::{Distribution, Geometry, Perturbation, PerturbationKey};
pub use real::Real;
pub use selection::Selection;
pub use stream::{Purpose, StreamKey, fill_gaussian, fill_uniform, zip_uniform};
