//! The passes of a linear layer, `y = x W' + b`: a matrix product that normalises its input as it
//! reads it, and hands over the rows that it has finished while they are in the cache.
//!
//! x (N, I), W (O, I), b (O), y (N, O). A small batch is cut by columns too; its rows are finished
//! in a pass of their own.

use super::gradient::{Finish, FinishGroup};
use super::moments::{GroupMoments, merge};
use super::output_gradient::OutputGradient;
use super::passes::{self, add_up, grown};
use crate::kernels::gemm::{MatrixMut, MatrixRef, Product, product, product_rows};
use crate::kernels::normalise::Operand;
use crate::kernels::{Arithmetic, simd};
use crate::parallel_squared_norm;

/// `output = input W' + bias`; an empty bias adds nothing. With `moments`, also the moments of the
/// output's channels: first all means, then all sums of squared deviations.
///
/// # Panics
/// If a length does not fit.
pub fn linear_forward(
    input: Operand<'_>,
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    moments: Option<&mut [f64]>,
    partials: &mut Vec<f64>,
    [inputs, outputs]: [usize; 2],
) {
    let with = Arithmetic::current();
    let batch = output.len() / outputs;
    let x = MatrixRef::new(input.values, batch, inputs);
    let w = MatrixRef::new(weight, outputs, inputs).transposed();
    let work = Product::new(x, w).normalise_a(input.normalise).bias(bias);
    match (moments, work.whole_rows(with)) {
        (Some(moments), Some(rows)) => {
            let len = 2 * outputs;
            assert_eq!(moments.len(), len, "two moments of each channel");
            let partials = grown(partials, batch.div_ceil(rows) * len);
            product_rows(with, &work, rows, output, (partials, len), |_, values, partial| {
                simd::run(with.set, GroupMoments { values, partial });
            });
            merge(partials, moments, rows, batch);
        }
        (moments, _) => {
            product(with, &work, MatrixMut::new(output, batch, outputs));
            if let Some(moments) = moments {
                passes::moments(output, moments, partials);
            }
        }
    }
}

/// Both gradients: `target = dy W`, finished, with `sums` as in [`finish`](super::finish), and
/// `weight_gradient = dy' input` (overwritten), whose squared norm is returned. dy is stored first if it
/// is not. Those of a small batch are computed side by side.
///
/// # Panics
/// If a length does not fit.
pub fn linear_gradients(
    weight: &[f32],
    gradient: OutputGradient<'_>,
    input: Operand<'_>,
    (target, finish, sums): (&mut [f32], Finish<'_>, &mut [f64]),
    partials: &mut Vec<f64>,
    weight_gradient: &mut [f32],
    extents: [usize; 2],
) -> f64 {
    let with = Arithmetic::current();
    let gradient = gradient.store();
    let work = input_product(weight, gradient, extents);
    let rows = work.whole_rows(with);
    let mut of_input = || input_gradient(with, &work, rows, target, finish, sums, partials);
    let mut of_weight = || weight_product(with, input, gradient, weight_gradient, extents);
    match rows {
        Some(_) => {
            of_input();
            of_weight()
        }
        None => rayon::join(of_input, of_weight).1,
    }
}

/// `gradient W`.
fn input_product<'a>(
    weight: &'a [f32],
    gradient: &'a [f32],
    [inputs, outputs]: [usize; 2],
) -> Product<'a> {
    let dy = MatrixRef::new(gradient, gradient.len() / outputs, outputs);
    Product::new(dy, MatrixRef::new(weight, outputs, inputs))
}

fn input_gradient(
    with: Arithmetic,
    work: &Product<'_>,
    rows: Option<usize>,
    target: &mut [f32],
    finish: Finish<'_>,
    sums: &mut [f64],
    partials: &mut Vec<f64>,
) {
    let [batch, inputs] = work.extents();
    match rows {
        Some(rows) => {
            let len = 3 * inputs;
            assert_eq!(sums.len(), len, "three sums of each channel");
            let partials = grown(partials, batch.div_ceil(rows) * len);
            product_rows(with, work, rows, target, (partials, len), |group, gradient, partial| {
                let first = group * rows * inputs;
                let finish = finish.rows(first..first + gradient.len());
                simd::run(with.set, FinishGroup { finish, gradient, partial });
            });
            add_up(partials, sums);
        }
        None => {
            product(with, work, MatrixMut::new(target, batch, inputs));
            if !finish.is_idle() {
                passes::finish(finish, target, sums, partials);
            }
        }
    }
}

/// `weight_gradient = gradient' input` (overwritten), whose squared norm is returned: it is still in the cache.
///
/// # Panics
/// If a length does not fit.
pub fn linear_weight_gradient(
    input: Operand<'_>,
    gradient: &[f32],
    weight_gradient: &mut [f32],
    extents: [usize; 2],
) -> f64 {
    weight_product(Arithmetic::current(), input, gradient, weight_gradient, extents)
}

/// The same computed `with` these instructions.
fn weight_product(
    with: Arithmetic,
    input: Operand<'_>,
    gradient: &[f32],
    weight_gradient: &mut [f32],
    [inputs, outputs]: [usize; 2],
) -> f64 {
    let batch = gradient.len() / outputs;
    let dy = MatrixRef::new(gradient, batch, outputs).transposed();
    let x = MatrixRef::new(input.values, batch, inputs);
    let work = Product::new(dy, x).normalise_b(input.normalise);
    product(with, &work, MatrixMut::new(weight_gradient, outputs, inputs));
    parallel_squared_norm(weight_gradient)
}
