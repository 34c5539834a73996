//! Linear layer: `y = x W' + b`.
//!
//! x (N, I), W (O, I), b (O), y (N, O).
//! dW = dy' x; db = sum over n of dy; dx = dy W.

use rayon::prelude::*;
use smoothout_tensor::Real;
use smoothout_tensor::kernels::{MatrixMut, MatrixRef};

use crate::parallel;

/// The extents (I, O) of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Linear {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Linear {
    /// output (overwritten) = input W' + b. An empty bias stands for none.
    pub(crate) fn forward<R: Real>(&self, input: &[R], weight: &[R], bias: &[R], output: &mut [R]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let batch = input.len() / inputs;
        let x = MatrixRef::new(input, batch, inputs); // (N, I)
        let w = MatrixRef::new(weight, outputs, inputs); // (O, I)
        R::gemm(x, w.transposed(), MatrixMut::new(output, batch, outputs));
        add_bias(output, bias);
    }

    /// Overwrites the gradients of weight and bias; keeps x only.
    pub(crate) fn parameter_gradients<R: Real>(
        &self,
        input: &[R],
        output_gradient: &[R],
        weight_gradient: &mut [R],
        bias_gradient: &mut [R],
        partials: &mut Vec<R::Wide>,
    ) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let batch = input.len() / inputs;
        let x = MatrixRef::new(input, batch, inputs); // (N, I)
        let dy = MatrixRef::new(output_gradient, batch, outputs); // (N, O)
        let dw = MatrixMut::new(weight_gradient, outputs, inputs);
        R::gemm(dy.transposed(), x, dw); // dW = dy' x
        if !bias_gradient.is_empty() {
            parallel::column_sums(output_gradient, bias_gradient, partials); // db = sum dy
        }
    }

    /// input_gradient (overwritten) = dy W.
    pub(crate) fn input_gradient<R: Real>(
        &self,
        weight: &[R],
        output_gradient: &[R],
        input_gradient: &mut [R],
    ) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let batch = output_gradient.len() / outputs;
        let dy = MatrixRef::new(output_gradient, batch, outputs); // (N, O)
        let w = MatrixRef::new(weight, outputs, inputs); // (O, I)
        R::gemm(dy, w, MatrixMut::new(input_gradient, batch, inputs));
    }
}

/// Adds `bias` to each row of `output`; an empty bias adds nothing.
pub(crate) fn add_bias<R: Real>(output: &mut [R], bias: &[R]) {
    if bias.is_empty() {
        return;
    }
    let chunk = parallel::rows_per_chunk(bias.len()) * bias.len();
    output.par_chunks_mut(chunk).for_each(|rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    #[test]
    fn gradients_match_differences() {
        for (batch, inputs, outputs, with_bias) in
            [(1, 3, 2, true), (5, 4, 7, false), (3, 1, 1, true)]
        {
            let layer = Linear { inputs, outputs };
            let (x, w) = (wave(batch * inputs, 0.3), wave(inputs * outputs, 0.7));
            let b = wave(if with_bias { outputs } else { 0 }, 1.9);
            let g = wave(batch * outputs, 1.3);
            let f = |x: &[f64], w: &[f64], b: &[f64]| {
                let mut y = vec![f64::NAN; g.len()];
                layer.forward(x, w, b, &mut y);
                dot(&y, &g)
            };
            let (mut dx, mut dw, mut db) =
                (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()], vec![f64::NAN; b.len()]);
            layer.parameter_gradients(&x, &g, &mut dw, &mut db, &mut Vec::new());
            layer.input_gradient(&w, &g, &mut dx);
            check("x", &x, &dx, |x| f(x, &w, &b));
            check("weight", &w, &dw, |w| f(&x, w, &b));
            check("bias", &b, &db, |b| f(&x, &w, b));
        }
    }

    #[test]
    fn weights_are_output_major() {
        let layer = Linear { inputs: 2, outputs: 3 };
        let mut y = [0.0; 3];
        layer.forward(&[1.0, 10.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.5, 0.0, 0.0], &mut y);
        assert_eq!(y, [21.5, 43.0, 65.0]);
    }
}
