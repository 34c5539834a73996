//! Convolution by its definition, tap by tap: the oracle of the fast kernels.

use rayon::prelude::*;

use super::Conv2dShape;
use crate::Real;
use crate::kernels::Scratch;

/// Weight (O, I, taps) to (taps, I, O), so that the innermost loop runs over output channels.
pub(super) fn pack<R: Real>(shape: &Conv2dShape, weight: &[R], packed: &mut [R]) {
    let taps = shape.kernel[0] * shape.kernel[1];
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    for o in 0..outputs {
        for i in 0..inputs {
            for tap in 0..taps {
                packed[(tap * inputs + i) * outputs + o] = weight[(o * inputs + i) * taps + tap];
            }
        }
    }
}

pub(in crate::kernels) fn forward<R: Real>(
    shape: &Conv2dShape,
    input: &[R],
    weight: &[R],
    output: &mut [R],
    scratch: &mut Scratch<R>,
) {
    shape.check(input.len(), weight.len(), output.len());
    if shape.is_empty() {
        return output.fill(R::zero());
    }
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let packed = scratch.take(weight.len());
    pack(shape, weight, packed);
    let packed = &*packed;
    let images = input.par_chunks(input.len() / shape.batch);
    output.par_chunks_mut(output.len() / shape.batch).zip(images).for_each(|(output, input)| {
        output.fill(R::zero());
        shape.for_each_tap(|to, from, tap| {
            let sums = &mut output[to * outputs..][..outputs];
            for (i, &x) in input[from * inputs..][..inputs].iter().enumerate() {
                let row = &packed[(tap * inputs + i) * outputs..][..outputs];
                sums.iter_mut().zip(row).for_each(|(sum, &w)| *sum += w * x);
            }
        });
    });
}

pub(in crate::kernels) fn input_gradient<R: Real>(
    shape: &Conv2dShape,
    weight: &[R],
    output_gradient: &[R],
    input_gradient: &mut [R],
    scratch: &mut Scratch<R>,
) {
    shape.check(input_gradient.len(), weight.len(), output_gradient.len());
    if shape.is_empty() {
        return input_gradient.fill(R::zero());
    }
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let packed = scratch.take(weight.len());
    pack(shape, weight, packed);
    let packed = &*packed;
    let gradients = output_gradient.par_chunks(output_gradient.len() / shape.batch);
    input_gradient.par_chunks_mut(input_gradient.len() / shape.batch).zip(gradients).for_each(
        |(input_gradient, output_gradient)| {
            input_gradient.fill(R::zero());
            shape.for_each_tap(|to, from, tap| {
                let gradient = &output_gradient[to * outputs..][..outputs];
                let sums = &mut input_gradient[from * inputs..][..inputs];
                for (i, sum) in sums.iter_mut().enumerate() {
                    let row = &packed[(tap * inputs + i) * outputs..][..outputs];
                    *sum += row.iter().zip(gradient).map(|(&w, &g)| w * g).sum();
                }
            });
        },
    );
}

pub(in crate::kernels) fn weight_gradient<R: Real>(
    shape: &Conv2dShape,
    input: &[R],
    output_gradient: &[R],
    weight_gradient: &mut [R],
    _scratch: &mut Scratch<R>,
) {
    shape.check(input.len(), weight_gradient.len(), output_gradient.len());
    if shape.is_empty() {
        return weight_gradient.fill(R::zero());
    }
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let taps = shape.kernel[0] * shape.kernel[1];
    weight_gradient.par_chunks_mut(inputs * taps).enumerate().for_each(|(o, filter)| {
        filter.fill(R::zero());
        let images = input.chunks(input.len() / shape.batch);
        let gradients = output_gradient.chunks(output_gradient.len() / shape.batch);
        for (input, gradient) in images.zip(gradients) {
            shape.for_each_tap(|to, from, tap| {
                let g = gradient[to * outputs + o];
                for (i, &x) in input[from * inputs..][..inputs].iter().enumerate() {
                    filter[i * taps + tap] += g * x;
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, index by index.
    fn naive(shape: &Conv2dShape, input: &[f64], weight: &[f64]) -> Vec<f64> {
        let [height, width] = shape.output_image();
        let mut output = vec![0.0; shape.output_len()];
        for n in 0..shape.batch {
            for y in 0..height {
                for x in 0..width {
                    for o in 0..shape.out_channels {
                        let mut sum = 0.0;
                        for i in 0..shape.in_channels {
                            for u in 0..shape.kernel[0] {
                                for v in 0..shape.kernel[1] {
                                    let (Some(r), Some(c)) =
                                        (shape.source(0, y, u), shape.source(1, x, v))
                                    else {
                                        continue;
                                    };
                                    let pixel = (n * shape.image[0] + r) * shape.image[1] + c;
                                    sum += input[pixel * shape.in_channels + i]
                                        * weight[((o * shape.in_channels + i) * shape.kernel[0]
                                            + u)
                                            * shape.kernel[1]
                                            + v];
                                }
                            }
                        }
                        output[((n * height + y) * width + x) * shape.out_channels + o] = sum;
                    }
                }
            }
        }
        output
    }

    fn wave(len: usize, pace: f64) -> Vec<f64> {
        (0..len).map(|i| (i as f64 * pace).sin()).collect()
    }

    /// Convolution is linear in input and weight, so its gradients are its adjoints:
    /// <g, conv(x, w)> = <input_gradient(g, w), x> = <weight_gradient(g, x), w>.
    #[test]
    fn plain_is_the_definition_and_its_gradients_are_the_adjoints() {
        for (image, kernel, stride, padding) in [
            ([6, 5], [3, 3], [1, 1], [1, 1]),
            ([7, 8], [5, 5], [1, 1], [2, 2]),
            ([8, 8], [3, 3], [2, 2], [1, 1]),
            ([9, 7], [1, 1], [2, 2], [0, 0]),
            ([11, 13], [11, 7], [4, 3], [2, 0]),
        ] {
            let shape = Conv2dShape {
                batch: 2,
                image,
                in_channels: 3,
                out_channels: 4,
                kernel,
                stride,
                padding,
            };
            let (x, w) = (wave(shape.input_len(), 0.7), wave(shape.weight_len(), 1.3));
            let g = wave(shape.output_len(), 0.31);
            let scratch = &mut Scratch::new();
            let mut y = vec![f64::NAN; g.len()];
            forward(&shape, &x, &w, &mut y, scratch);
            for (a, b) in y.iter().zip(naive(&shape, &x, &w)) {
                assert!((a - b).abs() < 1e-12, "{shape:?}");
            }
            let (mut dx, mut dw) = (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()]);
            input_gradient(&shape, &w, &g, &mut dx, scratch);
            weight_gradient(&shape, &x, &g, &mut dw, scratch);
            let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            assert!((dot(&g, &y) - dot(&dx, &x)).abs() < 1e-10, "{shape:?}");
            assert!((dot(&g, &y) - dot(&dw, &w)).abs() < 1e-10, "{shape:?}");
        }
    }
}
