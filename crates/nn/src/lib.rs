//! Layers with forward and backward by hand, the paper's networks, and the cross-entropy loss.
//!
//! A [`Network`] is a static graph, built by a [`NetworkBuilder`] or taken from [`models`]; its
//! weights are one vector that the caller owns. A [`Workspace`] holds the buffers of an evaluation,
//! planned once and reused. A [`Mode`] says which statistics batch norm uses and whether random
//! layers are on.
//!
//! Everything is generic over [`Real`](smoothout_tensor::Real): `f32` trains, `f64` checks. Results
//! have the same bits for any number of Rayon threads.
//!
//! The example `own_network` of the crate `smoothout` builds a network, trains it with SmoothOut in ghost
//! batches and measures how flat its minimum is, by the library crates alone.

mod buffers;
mod builder;
mod error;
mod evaluate;
mod examine;
mod execute;
mod fused;
mod graph;
mod initial;
mod layers;
mod mode;
pub mod models;
mod network;
mod parallel;
mod plan;
mod sequential;
mod times;
mod window;
mod workspace;

pub use buffers::{BufferBlock, BufferLayout};
pub use builder::{Activation, Conv2d, NetworkBuilder, Value};
pub use error::NnError;
pub use examine::NonFinite;
pub use mode::{BatchLoss, Mode, Statistics};
pub use network::Network;
pub use sequential::Sequential;
pub use times::LayerTime;
pub use window::Window;
pub use workspace::Workspace;
