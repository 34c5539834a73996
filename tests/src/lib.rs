//! Tests across the crates: golden vectors from PyTorch, end to end. What the test files share.

mod hashed;
pub mod hostile;
mod vectors;

pub use hashed::{HashedPerturbation, direction};
pub use vectors::{Tensor, Vectors, assert_close, golden};
