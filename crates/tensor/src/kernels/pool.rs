//! Max pool of an image in `f32`: each output is the largest value of its window, channel by
//! channel, and the pixel where it stands.
//!
//! Which value wins is not to be foreseen, so there is no jump on it: both the value and the number
//! of its pixel, as the bits of a lane, are selected by a mask.

use super::InstructionSet;
use super::conv::Conv2dShape;
use super::simd::{self, LANES, Task, Vector};
use super::simd::{lanes, load, store};

/// Pixels of an image whose numbers, as the bits of an `f32`, are none of a NaN.
const PIXELS: usize = 0x7f80_0000;

/// The maxima of the windows of one image (H, W, C), `output` (HO, WO, C), and in `argmax` the
/// number of the pixel of each. Padding never wins, the first of equal values in scan order does,
/// and NaN wins over numbers. `shape` gives image, channels (of the input), kernel, stride and
/// padding.
///
/// # Panics
/// If a length is not what `shape` says, the padding is as wide as the kernel, so that a window could
/// see nothing of the image, or the image has more than 2^31 - 2^23 pixels.
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

/// The gradient of an image (H, W, C) whose maxima, as [`max_pool`] gave them, have this gradient
/// (HO, WO, C): each goes to the pixel of its maximum. `image_gradient` is overwritten.
///
/// # Panics
/// If a length is not what `shape` says.
///
/// ```
/// use smoothout_tensor::kernels::{Conv2dShape, max_pool_gradient};
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
/// let mut image_gradient = [f32::NAN; 6];
/// max_pool_gradient(&shape, &[0.5, 2.0], &[1, 5], &mut image_gradient);
/// assert_eq!(image_gradient, [0.0, 0.5, 0.0, 0.0, 0.0, 2.0]);
/// ```
pub fn max_pool_gradient(
    shape: &Conv2dShape,
    gradient: &[f32],
    argmax: &[u32],
    image_gradient: &mut [f32],
) {
    gradient_with(InstructionSet::current(), shape, gradient, argmax, image_gradient);
}

fn gradient_with(
    set: InstructionSet,
    shape: &Conv2dShape,
    gradient: &[f32],
    argmax: &[u32],
    to: &mut [f32],
) {
    let pixels = |[height, width]: [usize; 2]| height * width;
    assert_eq!(to.len(), pixels(shape.image) * shape.in_channels, "length of an image");
    let maxima = pixels(shape.output_image()) * shape.in_channels;
    assert_eq!(gradient.len(), maxima, "length of the gradient of the maxima");
    assert_eq!(argmax.len(), maxima, "one position for each maximum");
    simd::run(set, Gradient { shape, gradient, argmax, to });
}

/// Pixel by pixel, from the windows that see it: nothing depends on where the maxima were but a mask.
struct Gradient<'a> {
    shape: &'a Conv2dShape,
    gradient: &'a [f32],
    argmax: &'a [u32],
    to: &'a mut [f32],
}

impl Task for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, gradient, argmax, to } = self;
        let channels = shape.in_channels;
        let [_, windows] = shape.output_image();
        let of_pixels = shape.windows(0).flat_map(|rows| {
            let row = move |columns| (rows.clone(), columns);
            shape.windows(1).map(row)
        });
        let pixels = to.chunks_exact_mut(channels).zip(of_pixels).enumerate();
        for (pixel, (to, (rows, columns))) in pixels {
            let here = V::splat(number(pixel));
            for channel in (0..channels).step_by(LANES) {
                let filled = LANES.min(channels - channel);
                let mut sum = V::splat(0.0);
                for row in rows.clone() {
                    for column in columns.clone() {
                        let at = (row * windows + column) * channels + channel;
                        let positions: V = load_bits(argmax, at, filled);
                        let gradient: V = load(gradient, at, filled);
                        sum = sum.add(gradient.where_same(positions, here));
                    }
                }
                store(sum, to, channel, filled);
            }
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
                let mut at = V::splat(number(first));
                for y in rows.clone() {
                    for x in columns.clone() {
                        let source = y * shape.image[1] + x;
                        let value: V = load(image, source * channels + channel, filled);
                        (best, at) = value.larger(best, [V::splat(number(source)), at]);
                    }
                }
                store(best, output, channel, filled);
                let positions = lanes(at);
                let to = &mut argmax[channel..][..filled];
                // Whole vectors by a loop of as many turns.
                match <&mut [u32; LANES]>::try_from(&mut *to) {
                    Ok(to) => to.iter_mut().zip(positions).for_each(set_number),
                    Err(_) => to.iter_mut().zip(positions).for_each(set_number),
                }
            }
        }
    }
}

/// The number of a pixel as the bits of a lane.
#[inline(always)]
fn number(pixel: usize) -> f32 {
    f32::from_bits(pixel as u32)
}

#[inline(always)]
fn set_number((to, number): (&mut u32, f32)) {
    *to = number.to_bits();
}

/// `filled` numbers from `at` on, at most sixteen, as the bits of lanes; zeros in the lanes after them.
#[inline(always)]
fn load_bits<V: Vector>(numbers: &[u32], at: usize, filled: usize) -> V {
    let numbers = &numbers[at..at + filled];
    let mut lanes = [0; LANES];
    let from = if filled == LANES {
        numbers.as_ptr()
    } else {
        lanes[..filled].copy_from_slice(numbers);
        lanes.as_ptr()
    };
    // SAFETY: whichever it is holds sixteen, each as long as an `f32`, of which all bits are valid.
    unsafe { V::load(from.cast()) }
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
            let mut gradient = vec![0.0; expected.len()];
            crate::fill_uniform(crate::StreamKey::new(seed, crate::Purpose::Data).block(1), &mut gradient);
            let mut spread = vec![0.0; values.len()];
            for (k, (&dy, &at)) in gradient.iter().zip(&at).enumerate() {
                spread[at as usize * channels + k % channels] += dy;
            }
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let mut found = vec![f32::NAN; values.len()];
                gradient_with(set, &shape, &gradient, &at, &mut found);
                prop_assert_eq!(&found, &spread);
            }
        }
    }
}
