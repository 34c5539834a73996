//! Networks as objectives: measured, guarded, rescaled.

mod guards;
mod hessian;
mod network;
mod program;
mod rescaling;
