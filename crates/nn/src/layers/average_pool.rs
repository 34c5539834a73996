//! Average pool without padding: each output is the mean of its window, channel by channel.
//!
//! x (N, H, W, C), y (N, HO, WO, C). Global average pooling has the whole image as its window.
//! Nothing is kept: dx spreads dy / (KH KW) over the window.

use rayon::prelude::*;
use smoothout_tensor::Real;

use crate::Window;

/// output is overwritten.
pub(crate) fn forward<R: Real>(
    window: &Window,
    [height, width, channels]: [usize; 3],
    [rows, columns]: [usize; 2],
    input: &[R],
    output: &mut [R],
) {
    let share = R::from_f64(1.0 / (window.kernel[0] * window.kernel[1]) as f64);
    let images = input.par_chunks(height * width * channels);
    output.par_chunks_mut(rows * columns * channels).zip(images).for_each(|(output, image)| {
        for (pixel, sums) in output.chunks_exact_mut(channels).enumerate() {
            sums.fill(R::zero());
            for y in window.sources(0, pixel / columns, height) {
                for x in window.sources(1, pixel % columns, width) {
                    let values = &image[(y * width + x) * channels..][..channels];
                    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
                }
            }
            sums.iter_mut().for_each(|sum| *sum *= share);
        }
    });
}

/// input_gradient is overwritten.
pub(crate) fn backward<R: Real>(
    window: &Window,
    [height, width, channels]: [usize; 3],
    [rows, columns]: [usize; 2],
    output_gradient: &[R],
    input_gradient: &mut [R],
) {
    let share = R::from_f64(1.0 / (window.kernel[0] * window.kernel[1]) as f64);
    let gradients = output_gradient.par_chunks(rows * columns * channels);
    input_gradient.par_chunks_mut(height * width * channels).zip(gradients).for_each(
        |(image, gradient)| {
            image.fill(R::zero());
            for (pixel, gradient) in gradient.chunks_exact(channels).enumerate() {
                for y in window.sources(0, pixel / columns, height) {
                    for x in window.sources(1, pixel % columns, width) {
                        let sums = &mut image[(y * width + x) * channels..][..channels];
                        sums.iter_mut().zip(gradient).for_each(|(sum, &dy)| *sum += dy * share);
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    #[test]
    fn gradient_matches_differences_and_a_constant_stays() {
        for (shape, window) in [
            ([4, 4, 2], Window::square(4).stride(4)),
            ([5, 6, 3], Window::square(2).stride(2)),
            ([5, 5, 1], Window::square(3).stride(1)),
        ] {
            let image = window.output([shape[0], shape[1]]).unwrap();
            let x = wave(2 * shape.iter().product::<usize>(), 0.3);
            let g = wave(2 * image[0] * image[1] * shape[2], 0.9);
            let run = |x: &[f64]| {
                let mut y = vec![f64::NAN; g.len()];
                forward(&window, shape, image, x, &mut y);
                y
            };
            let mut dx = vec![f64::NAN; x.len()];
            backward(&window, shape, image, &g, &mut dx);
            check("average pool", &x, &dx, |x| dot(&run(x), &g));
            assert!(run(&vec![3.0; x.len()]).iter().all(|y| (y - 3.0).abs() < 1e-12));
        }
    }
}
