//! Max pool of an image in `f32`: each output is the largest value of its window, channel by
//! channel, and the pixel where it stands.
//!
//! Which value wins is not to be foreseen, so there is no jump on it: both the value and the number
//! of its pixel, as lanes of `f32`, are selected by a mask.

use super::InstructionSet;
use super::conv::Conv2dShape;
use super::simd::{self, LANES, Task, Vector};
use crate::Real;

/// Pixels of an image whose numbers are exact in `f32`.
const PIXELS: usize = 1 << 24;

/// The maxima of the windows of one image (H, W, C), `output` (HO, WO, C), and in `argmax` the
/// number of the pixel of each. Padding never wins, the first of equal values in scan order does,
/// and NaN wins over numbers. `shape` gives image, channels (of the input), kernel, stride and
/// padding.
///
/// # Panics
/// If a length is not what `shape` says, the padding is as wide as the kernel, so that a window could
/// see nothing of the image, or the image has more than 2^24 pixels.
///
/// ```
/// use smoothout_tensor::kernels::{Conv2dShape, max_pool};
///
/// let shape = Conv2dShape {
///     batch: 1,
///     image: [2, 3],
///     in_channels: 1,
///     out_channels: 1,
///     kernel: [2, 2],
///     stride: [1, 1],
///     padding: [0, 0],
/// };
/// let (mut output, mut argmax) = ([0.0; 2], [0; 2]);
/// max_pool(&shape, &[1.0, 5.0, 2.0, 0.0, 3.0, 7.0], &mut output, &mut argmax);
/// assert_eq!((output, argmax), ([5.0, 7.0], [1, 5]));
/// ```
pub fn max_pool(shape: &Conv2dShape, image: &[f32], output: &mut [f32], argmax: &mut [u32]) {
    max_pool_with(InstructionSet::current(), shape, image, output, argmax);
}

/// The gradient of an image (H, W, C) whose maxima have this gradient (HO, WO, C): each goes to the pixel
/// of its maximum. `image_gradient` is overwritten.
///
/// # Panics
/// If the lengths of maxima and positions differ, are no whole pixels, or a position is outside of the image.
///
/// ```
/// use smoothout_tensor::kernels::max_pool_gradient;
///
/// let mut image_gradient = [f32::NAN; 6];
/// max_pool_gradient(1, &[0.5, 2.0], &[1, 5], &mut image_gradient);
/// assert_eq!(image_gradient, [0.0, 0.5, 0.0, 0.0, 0.0, 2.0]);
/// ```
pub fn max_pool_gradient<R: Real>(
    channels: usize,
    gradient: &[R],
    argmax: &[u32],
    image_gradient: &mut [R],
) {
    assert_eq!(gradient.len(), argmax.len(), "one position for each maximum");
    assert!(gradient.len().is_multiple_of(channels), "whole pixels");
    image_gradient.fill(R::zero());
    let pixels = gradient.chunks_exact(channels).zip(argmax.chunks_exact(channels));
    for (gradient, at) in pixels {
        for (channel, (&dy, &at)) in gradient.iter().zip(at).enumerate() {
            image_gradient[at as usize * channels + channel] += dy;
        }
    }
}

fn max_pool_with(
    set: InstructionSet,
    shape: &Conv2dShape,
    image: &[f32],
    output: &mut [f32],
    argmax: &mut [u32],
) {
    let pixels = |[height, width]: [usize; 2]| height * width;
    assert_eq!(image.len(), pixels(shape.image) * shape.in_channels, "length of an image");
    assert_eq!(output.len(), pixels(shape.output_image()) * shape.in_channels, "length of maxima");
    assert_eq!(argmax.len(), output.len(), "one position for each output");
    let seen = (0..2).all(|d| shape.padding[d] < shape.kernel[d]);
    assert!(
        seen,
        "padding {:?} of a window {:?} that must see the image",
        shape.padding, shape.kernel
    );
    assert!(pixels(shape.image) <= PIXELS, "at most {PIXELS} pixels, not {:?}", shape.image);
    simd::run(set, MaxPool { shape, image, output, argmax });
}

struct MaxPool<'a> {
    shape: &'a Conv2dShape,
    image: &'a [f32],
    output: &'a mut [f32],
    argmax: &'a mut [u32],
}

impl Task for MaxPool<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, image, output, argmax } = self;
        let (channels, width) = (shape.in_channels, shape.output_image()[1]);
        let pixels = output.chunks_exact_mut(channels).zip(argmax.chunks_exact_mut(channels));
        for (pixel, (output, argmax)) in pixels.enumerate() {
            let rows = shape.sources(0, pixel / width);
            let columns = shape.sources(1, pixel % width);
            for channel in (0..channels).step_by(LANES) {
                let filled = LANES.min(channels - channel);
                let mut best = V::splat(f32::NEG_INFINITY);
                // The first pixel stands where nothing is larger.
                let first = rows.start * shape.image[1] + columns.start;
                let mut at = V::splat(first as f32);
                for y in rows.clone() {
                    for x in columns.clone() {
                        let source = y * shape.image[1] + x;
                        let value = load::<V>(&image[source * channels + channel..], filled);
                        (best, at) = value.larger(best, [V::splat(source as f32), at]);
                    }
                }
                let (mut values, mut positions) = ([0.0; LANES], [0.0; LANES]);
                // SAFETY: both hold sixteen values.
                unsafe {
                    best.store(values.as_mut_ptr());
                    at.store(positions.as_mut_ptr());
                }
                output[channel..][..filled].copy_from_slice(&values[..filled]);
                for (to, from) in argmax[channel..][..filled].iter_mut().zip(positions) {
                    // SAFETY: a position is a whole number below 2^24. With a check, the loop would
                    // take longer than the comparisons.
                    *to = unsafe { from.to_int_unchecked::<i32>() }.cast_unsigned();
                }
            }
        }
    }
}

/// The first `filled` values, at most sixteen, and zeros after them.
#[inline(always)]
fn load<V: Vector>(values: &[f32], filled: usize) -> V {
    let mut lanes = [0.0; LANES];
    let values = &values[..filled];
    if filled < LANES {
        lanes[..filled].copy_from_slice(values);
    }
    // SAFETY: whichever it is holds sixteen values.
    unsafe { V::load(if filled < LANES { lanes.as_ptr() } else { values.as_ptr() }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By definition, one value after the other.
    fn plain(shape: &Conv2dShape, image: &[f32]) -> (Vec<f32>, Vec<u32>) {
        let [height, width] = shape.output_image();
        let (mut output, mut argmax) = (Vec::new(), Vec::new());
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for c in 0..shape.in_channels {
                let mut best: Option<(f32, usize)> = None;
                for row in shape.sources(0, y) {
                    for column in shape.sources(1, x) {
                        let pixel = row * shape.image[1] + column;
                        let value = image[pixel * shape.in_channels + c];
                        if best.is_none_or(|(best, _)| value > best || value.is_nan()) {
                            best = Some((value, pixel));
                        }
                    }
                }
                let (value, pixel) = best.unwrap();
                output.push(value);
                argmax.push(pixel as u32);
            }
        }
        (output, argmax)
    }

    /// A window in the padding alone has no position.
    #[test]
    #[should_panic(expected = "must see the image")]
    fn padding_is_narrower_than_the_window() {
        let shape = Conv2dShape {
            batch: 1,
            image: [1, 4],
            in_channels: 1,
            out_channels: 1,
            kernel: [1, 1],
            stride: [1, 1],
            padding: [1, 0],
        };
        max_pool(&shape, &[1.0; 4], &mut [0.0; 12], &mut [0; 12]);
    }

    proptest! {
        #[test]
        fn each_set_is_the_definition(
            image in [3..9_usize, 3..9_usize],
            channels in 1..40_usize,
            kernel in 1..4_usize,
            stride in 1..3_usize,
            seed: u64,
        ) {
            let shape = Conv2dShape {
                batch: 1, image, in_channels: channels, out_channels: channels,
                kernel: [kernel; 2], stride: [stride; 2], padding: [kernel / 2; 2],
            };
            let mut values = vec![0.0_f32; image[0] * image[1] * channels];
            crate::fill_uniform(crate::StreamKey::new(seed, crate::Purpose::Data), &mut values);
            // Equal values, infinities and NaN among them.
            for value in &mut values {
                let step = (*value * 4.0).round();
                *value = match step as i32 {
                    4 => f32::NAN,
                    -4 => f32::NEG_INFINITY,
                    _ => step,
                };
            }
            let (expected, at) = plain(&shape, &values);
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let (mut found, mut argmax) = (vec![0.5; expected.len()], vec![9; expected.len()]);
                max_pool_with(set, &shape, &values, &mut found, &mut argmax);
                prop_assert_eq!(bits(&found), bits(&expected));
                prop_assert_eq!(&argmax, &at);
            }
        }
    }
}
