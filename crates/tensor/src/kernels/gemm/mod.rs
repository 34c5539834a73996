//! Matrix products.

mod block;
mod double;
mod fast;
mod matrix;
mod pack;
pub(super) mod plain;
mod product;
mod stretches;
mod sums;
#[cfg(test)]
mod tests;
mod unit;

pub(super) use double::{accumulate, gemm as double};
pub(in crate::kernels) use fast::{product, product_rows};
pub use matrix::{MatrixMut, MatrixRef};
pub(in crate::kernels) use product::Product;
