//! Flatten in PyTorch's order: (N, H, W, C) to (N, C H W), so that the columns of the linear layer
//! that follows are those of a PyTorch checkpoint.

use rayon::prelude::*;
use smoothout_tensor::Real;

/// output[n, c, p] = input[n, p, c] over `pixels` p and `channels` c. Keeps nothing.
pub(crate) fn forward<R: Real>(pixels: usize, channels: usize, input: &[R], output: &mut [R]) {
    transpose(pixels, channels, input, output);
}

/// input_gradient[n, p, c] = output_gradient[n, c, p].
pub(crate) fn backward<R: Real>(
    pixels: usize,
    channels: usize,
    output_gradient: &[R],
    input_gradient: &mut [R],
) {
    transpose(channels, pixels, output_gradient, input_gradient);
}

/// Each image, a (rows, columns) matrix, is transposed.
fn transpose<R: Real>(rows: usize, columns: usize, from: &[R], to: &mut [R]) {
    let size = rows * columns;
    to.par_chunks_mut(size).zip(from.par_chunks(size)).for_each(|(to, from)| {
        for (column, to) in to.chunks_exact_mut(rows).enumerate() {
            let from = from.iter().skip(column).step_by(columns);
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_channel_major_and_backward_is_the_inverse() {
        // f(n, p, c) = 100 n + 10 p + c is read back at [n, c, p].
        let input: Vec<f64> =
            (0..2 * 3 * 4).map(|i| (100 * (i / 12) + 10 * (i / 4 % 3) + i % 4) as f64).collect();
        let mut output = vec![0.0; 24];
        forward(3, 4, &input, &mut output);
        assert_eq!(output[12 + 2 * 3 + 1], 112.0);
        let mut back = vec![0.0; 24];
        backward(3, 4, &output, &mut back);
        assert_eq!(back, input);
    }
}
