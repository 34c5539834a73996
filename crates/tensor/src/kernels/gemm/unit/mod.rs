//! Products by the [matrix unit](crate::kernels::unit), with factors split into parts.
//!
//! A *strip* is 32 lines of a factor (rows of a, columns of b) in steps of 32 terms. A step holds
//! tiles of 16 x 16 lanes: for each part, one of the first sixteen lines and one of the others. A
//! lane is a pair of `bf16`, of the terms j (its lower half) and j + 16 of the step. In tiles of a, a
//! row is a line and its lanes are pairs of terms; in tiles of b it is the other way round.

mod block;
mod driver;
mod strips;
#[cfg(test)]
mod tests;

pub(super) use driver::{product, product_rows};

pub(super) use crate::kernels::unit::LINES;
use crate::kernels::unit::{TILE, Unit, step_len};
