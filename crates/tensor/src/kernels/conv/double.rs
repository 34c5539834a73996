//! The `f64` convolution: a row of the output meets a tap in one matrix product.
//!
//! ```text
//! y[row, O]    += x[row under the tap, I] w_tap[I, O]          forward
//! dx[row, I]   += dy[row, O] w_tap[I, O]^T                     input gradient
//! dw_tap[I, O] += x[row under the tap, I]^T dy[row, O]         weight gradient
//! ```
//! A stride along the row is a stride between a matrix's rows, so that nothing is copied but the
//! weight. Images run in parallel (bands of a tap's input channels for the weight gradient), and the
//! sums in a fixed order.

use rayon::prelude::*;

use super::Conv2dShape;
use super::plain::pack;
use crate::kernels::Scratch;
use crate::kernels::gemm::{MatrixRef, accumulate};

/// Pixels of one row of the output that meet a tap, padding left out.
struct Run {
    /// The first pixel of the output and the input pixel that it meets.
    output: usize,
    input: usize,
    len: usize,
}

/// Calls `visit` for each row of an image's output that meets `tap`.
fn for_each_run(shape: &Conv2dShape, tap: usize, mut visit: impl FnMut(Run)) {
    let [height, width] = shape.output_image();
    let (u, v) = (tap / shape.kernel[1], tap % shape.kernel[1]);
    let Some(first) = (0..width).find(|&x| shape.source(1, x, v).is_some()) else { return };
    let source_x = first * shape.stride[1] + v - shape.padding[1];
    let len = (shape.image[1] - source_x).div_ceil(shape.stride[1]).min(width - first);
    for y in 0..height {
        if let Some(source_y) = shape.source(0, y, u) {
            let input = source_y * shape.image[1] + source_x;
            visit(Run { output: y * width + first, input, len });
        }
    }
}

/// `y = w * x`.
pub(in crate::kernels) fn forward(
    shape: &Conv2dShape,
    input: &[f64],
    weight: &[f64],
    output: &mut [f64],
    scratch: &mut Scratch<f64>,
) {
    shape.check(input.len(), weight.len(), output.len());
    if shape.is_empty() {
        return output.fill(0.0);
    }
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let packed = scratch.take(weight.len());
    pack(shape, weight, packed);
    let taps = taps(packed, inputs, outputs);
    let images = input.par_chunks(input.len() / shape.batch);
    output.par_chunks_mut(output.len() / shape.batch).zip(images).for_each(|(y, x)| {
        y.fill(0.0);
        for (tap, w) in taps.clone().enumerate() {
            for_each_run(shape, tap, |run| {
                let x = &x[run.input * inputs..];
                let x = MatrixRef::strided(x, run.len, inputs, shape.stride[1] * inputs);
                accumulate(x, w, &mut y[run.output * outputs..], outputs);
            });
        }
    });
}

/// `dx = w^T * dy`.
pub(in crate::kernels) fn input_gradient(
    shape: &Conv2dShape,
    weight: &[f64],
    output_gradient: &[f64],
    input_gradient: &mut [f64],
    scratch: &mut Scratch<f64>,
) {
    shape.check(input_gradient.len(), weight.len(), output_gradient.len());
    if shape.is_empty() {
        return input_gradient.fill(0.0);
    }
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let packed = scratch.take(weight.len());
    pack(shape, weight, packed);
    let taps = taps(packed, inputs, outputs);
    let gradients = output_gradient.par_chunks(output_gradient.len() / shape.batch);
    let images = input_gradient.par_chunks_mut(input_gradient.len() / shape.batch);
    images.zip(gradients).for_each(|(dx, dy)| {
        dx.fill(0.0);
        for (tap, w) in taps.clone().enumerate() {
            for_each_run(shape, tap, |run| {
                let dy = MatrixRef::strided(&dy[run.output * outputs..], run.len, outputs, outputs);
                let dx = &mut dx[run.input * inputs..];
                accumulate(dy, w.transposed(), dx, shape.stride[1] * inputs);
            });
        }
    });
}

/// `dw = dy * x`.
pub(in crate::kernels) fn weight_gradient(
    shape: &Conv2dShape,
    input: &[f64],
    output_gradient: &[f64],
    weight_gradient: &mut [f64],
    scratch: &mut Scratch<f64>,
) {
    /// Input channels of a tap that one task sums.
    const BAND: usize = 16;
    shape.check(input.len(), weight_gradient.len(), output_gradient.len());
    if shape.is_empty() {
        return weight_gradient.fill(0.0);
    }
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let packed = scratch.take(weight_gradient.len());
    packed.par_chunks_mut(inputs * outputs).enumerate().for_each(|(tap, dw)| {
        dw.par_chunks_mut(BAND * outputs).enumerate().for_each(|(band, dw)| {
            dw.fill(0.0);
            let (first, rows) = (band * BAND, dw.len() / outputs);
            let images = input.chunks(input.len() / shape.batch);
            for (x, dy) in images.zip(output_gradient.chunks(output_gradient.len() / shape.batch)) {
                for_each_run(shape, tap, |run| {
                    let x = &x[run.input * inputs + first..];
                    let x = MatrixRef::strided(x, run.len, rows, shape.stride[1] * inputs);
                    let dy = &dy[run.output * outputs..];
                    let dy = MatrixRef::strided(dy, run.len, outputs, outputs);
                    accumulate(x.transposed(), dy, dw, outputs);
                });
            }
        });
    });
    let taps = shape.kernel[0] * shape.kernel[1];
    for (row, values) in packed.chunks(outputs).enumerate() {
        let (tap, i) = (row / inputs, row % inputs);
        for (o, &value) in values.iter().enumerate() {
            weight_gradient[(o * inputs + i) * taps + tap] = value;
        }
    }
}

/// A packed weight (taps, I, O), a matrix for each tap.
fn taps(
    packed: &[f64],
    inputs: usize,
    outputs: usize,
) -> impl Iterator<Item = MatrixRef<'_, f64>> + Clone + Sync {
    packed.chunks(inputs * outputs).map(move |tap| MatrixRef::new(tap, inputs, outputs))
}
