//! Matrix products.

mod double;
mod fast;
mod matrix;
mod pack;
pub(super) mod plain;
#[cfg(test)]
mod tests;

pub(super) use double::gemm as double;
pub(super) use fast::gemm as fast;
pub use matrix::{MatrixMut, MatrixRef};
