//! Two-dimensional convolution (cross-correlation, as everywhere in the field) with a bias:
//! `y[n,r,c,o] = b[o] + sum_{i,u,v} W[o,i,u,v] x[n, r s + u - p, c s + v - p, i]`.
//!
//! x (N, H, W, I), W (O, I, KH, KW), b (O), y (N, HO, WO, O). The products are kernels of
//! `smoothout_tensor`; the backward pass keeps x only, and db is the sum of dy over all pixels.

use smoothout_tensor::Real;
use smoothout_tensor::kernels::{Conv2dShape, Scratch};

use super::linear::add_bias;
use crate::parallel;

/// output is overwritten. An empty bias stands for none.
pub(crate) fn forward<R: Real>(
    shape: &Conv2dShape,
    input: &[R],
    weight: &[R],
    bias: &[R],
    output: &mut [R],
    scratch: &mut Scratch<R>,
) {
    R::conv2d_forward(shape, input, weight, output, scratch);
    add_bias(output, bias);
}

/// Overwrites the gradients of weight and bias.
pub(crate) fn parameter_gradients<R: Real>(
    shape: &Conv2dShape,
    input: &[R],
    output_gradient: &[R],
    weight_gradient: &mut [R],
    bias_gradient: &mut [R],
    scratch: &mut Scratch<R>,
    partials: &mut Vec<R::Wide>,
) {
    R::conv2d_weight_gradient(shape, input, output_gradient, weight_gradient, scratch);
    if !bias_gradient.is_empty() {
        parallel::column_sums(output_gradient, bias_gradient, partials);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    #[test]
    fn gradients_match_differences() {
        for (image, kernel, stride, padding, outputs) in [
            ([4, 5], [3, 3], [1, 1], [1, 1], 3),
            ([6, 6], [5, 5], [2, 2], [2, 2], 2),
            ([4, 4], [1, 1], [2, 2], [0, 0], 4),
        ] {
            let shape = Conv2dShape {
                batch: 2,
                image,
                in_channels: 2,
                out_channels: outputs,
                kernel,
                stride,
                padding,
            };
            let (x, w) = (wave(shape.input_len(), 0.3), wave(shape.weight_len(), 0.7));
            let (b, g) = (wave(outputs, 1.9), wave(shape.output_len(), 1.3));
            let scratch = &mut Scratch::new();
            let mut f = |x: &[f64], w: &[f64], b: &[f64]| {
                let mut y = vec![f64::NAN; g.len()];
                forward(&shape, x, w, b, &mut y, scratch);
                dot(&y, &g)
            };
            let (mut dx, mut dw, mut db) =
                (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()], vec![f64::NAN; b.len()]);
            let other = &mut Scratch::new();
            parameter_gradients(&shape, &x, &g, &mut dw, &mut db, other, &mut Vec::new());
            <f64 as smoothout_tensor::kernels::Kernels>::conv2d_input_gradient(
                &shape, &w, &g, &mut dx, other,
            );
            check("x", &x, &dx, |x| f(x, &w, &b));
            check("weight", &w, &dw, |w| f(&x, w, &b));
            check("bias", &b, &db, |b| f(&x, &w, b));
        }
    }
}
