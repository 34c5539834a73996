//! Max pool: each output is the largest value of its window, channel by channel.
//!
//! x (N, H, W, C), y (N, HO, WO, C). Padding counts as minus infinity; the output's extents are
//! rounded down; the first of equal values in scan order wins, and NaN wins over numbers, as in
//! PyTorch. The backward pass keeps the pixel of each maximum.

use rayon::prelude::*;
use smoothout_tensor::Real;
use smoothout_tensor::kernels::{KernelChoice, max_pool, max_pool_gradient};

use crate::Window;
use crate::graph::{Shape, conv_shape};

/// output and `argmax` (pixel index within the image) are overwritten.
pub(crate) fn forward<R: Real>(
    window: &Window,
    shape: Shape,
    [rows, columns]: [usize; 2],
    input: &[R],
    output: &mut [R],
    argmax: &mut [u32],
) {
    assert_eq!(argmax.len(), output.len(), "one position for each output");
    let [height, width, channels] = shape;
    let size = rows * columns * channels;
    let fast = conv_shape(window, 1, shape, channels);
    output
        .par_chunks_mut(size)
        .zip(argmax.par_chunks_mut(size))
        .zip(input.par_chunks(height * width * channels))
        .for_each(|((output, argmax), image)| {
            if let (Some(image), Some(output)) = (R::as_single(image), R::as_single_mut(output))
                && KernelChoice::current() != KernelChoice::Scalar
            {
                return max_pool(&fast, image, output, argmax);
            }
            let pixels = output.chunks_exact_mut(channels).zip(argmax.chunks_exact_mut(channels));
            for (pixel, (best, at)) in pixels.enumerate() {
                best.fill(R::neg_infinity());
                let mut first = true;
                for y in window.sources(0, pixel / columns, height) {
                    for x in window.sources(1, pixel % columns, width) {
                        let source = y * width + x;
                        let values = &image[source * channels..][..channels];
                        for ((best, at), &value) in best.iter_mut().zip(&mut *at).zip(values) {
                            if first || value > *best || value.is_nan() {
                                (*best, *at) = (value, source as u32);
                            }
                        }
                        first = false;
                    }
                }
            }
        });
}

/// input_gradient (overwritten): each dy goes to the pixel of its maximum.
pub(crate) fn backward<R: Real>(
    window: &Window,
    shape: Shape,
    [rows, columns]: [usize; 2],
    output_gradient: &[R],
    argmax: &[u32],
    input_gradient: &mut [R],
) {
    let [height, width, channels] = shape;
    let size = rows * columns * channels;
    let fast = conv_shape(window, 1, shape, channels);
    input_gradient
        .par_chunks_mut(height * width * channels)
        .zip(output_gradient.par_chunks(size))
        .zip(argmax.par_chunks(size))
        .for_each(|((image, gradient), argmax)| {
            if let (Some(gradient), Some(image)) = (R::as_single(gradient), R::as_single_mut(image))
                && KernelChoice::current() != KernelChoice::Scalar
            {
                return max_pool_gradient(&fast, gradient, argmax, image);
            }
            image.fill(R::zero());
            let pixels = gradient.chunks_exact(channels).zip(argmax.chunks_exact(channels));
            for (gradient, at) in pixels {
                for (channel, (&dy, &at)) in gradient.iter().zip(at).enumerate() {
                    image[at as usize * channels + channel] += dy;
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    fn run(window: &Window, shape: [usize; 3], x: &[f64]) -> (Vec<f64>, Vec<u32>) {
        let image = window.output([shape[0], shape[1]]).unwrap();
        let len = x.len() / (shape[0] * shape[1]) * image[0] * image[1];
        let (mut y, mut argmax) = (vec![f64::NAN; len], vec![u32::MAX; len]);
        forward(window, shape, image, x, &mut y, &mut argmax);
        (y, argmax)
    }

    #[test]
    fn gradient_matches_differences() {
        for (shape, window) in [
            ([6, 6, 2], Window::square(3).stride(2)),
            ([7, 6, 3], Window::square(3).stride(2).padding(1)),
            ([4, 4, 1], Window::square(2).stride(2)),
        ] {
            let image = window.output([shape[0], shape[1]]).unwrap();
            let x = wave(2 * shape.iter().product::<usize>(), 0.37);
            let g = wave(2 * image[0] * image[1] * shape[2], 0.9);
            let (_, argmax) = run(&window, shape, &x);
            let mut dx = vec![f64::NAN; x.len()];
            backward(&window, shape, image, &g, &argmax, &mut dx);
            check("max pool", &x, &dx, |x| dot(&run(&window, shape, x).0, &g));
        }
    }

    #[test]
    fn padding_never_wins_and_the_first_of_equals_does() {
        let window = Window::square(3).stride(2).padding(1);
        let (y, argmax) = run(&window, [4, 4, 1], &[-5.0; 16]);
        assert_eq!(y, [-5.0; 4]);
        assert_eq!(argmax, [0, 1, 4, 5]);
        let (y, _) = run(&Window::square(2), [2, 2, 1], &[f64::NAN, 1.0, 2.0, 0.0]);
        assert!(y[0].is_nan());
    }
}
