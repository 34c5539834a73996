//! Networks as objectives: measured, guarded, rescaled.

mod guards;
mod network;
mod rescaling;
