//! Inputs of few channels, such as images: their kernel columns become channels.
//!
//! What a target pixel meets in a source row are neighbouring values, KW C of them. Copied, for each
//! target column, they are the channels of a folded image, of which the kernel has one column. So the unit,
//! which takes sixteen channels at a time, has as many to multiply as it can; and the folded weights lie in
//! the order in which those of the convolution do, (KH, KW C) being (KH, KW, C). Forward, where a pair of
//! terms is two channels, an odd number of them is followed by one of weight zero.

use std::ops::Range;

use super::super::Conv2dShape;
use super::super::correlation::{Correlation, Direction};
use super::super::direct::Band;
use super::super::padded::{Identity, Load, Window};
use super::correlate::unfolded_band;
use super::weight_gradient::{Chunk, chunk};
use super::{fits_a_slab, is_worth_splitting};
use crate::kernels::simd::{self, LANES, Task, Vector, load, store};
use crate::kernels::{Arithmetic, InstructionSet, scratch};

/// Multiply-adds that a value of the folded image or the gradient takes part in, at least.
const MULTIPLY_ADDS: usize = 32;
/// The same of a rounded folded image, forward.
const MULTIPLY_ADDS_FORWARD: usize = 128;
/// The most values of a folded image: a fourth of a second-level cache.
const FOLDED: usize = 1 << 17;

/// The shape with a kernel of one column.
pub(super) fn fold(shape: &Conv2dShape) -> Conv2dShape {
    let [_, width] = shape.output_image();
    Conv2dShape {
        image: [shape.image[0], width],
        in_channels: shape.kernel[1] * shape.in_channels,
        kernel: [shape.kernel[0], 1],
        stride: [shape.stride[0], 1],
        padding: [shape.padding[0], 0],
        ..*shape
    }
}

/// The folded shape, if the unit takes the gradient of its weight.
pub(in crate::kernels::conv) fn folded(
    with: Arithmetic,
    shape: &Conv2dShape,
) -> Option<Conv2dShape> {
    let folded = fold(shape);
    let values = || (folded.input_len() + folded.output_len()) / folded.batch;
    let serves = with.has_unit()
        && shape.batch > 0
        && shape.in_channels < LANES
        && shape.out_channels >= LANES
        && is_worth_splitting(
            &Correlation::new(folded, Direction::Forward),
            values(),
            MULTIPLY_ADDS,
        )
        && fits_a_slab(&folded);
    serves.then_some(folded)
}

/// The folded forward pass, if the unit takes it: of rounded factors, since to split them takes as long as is
/// gained, and the matrix unit's, since half of its products are with zeros; of images that stay in the cache.
pub(super) fn folded_forward(with: Arithmetic, correlation: &Correlation) -> Option<Correlation> {
    let shape = correlation.shape();
    let asked = with.rounds()
        && with.set == InstructionSet::Amx
        && correlation.direction() == Direction::Forward
        && shape.batch > 0
        && (1..LANES).contains(&shape.in_channels)
        && shape.out_channels >= LANES;
    if !asked {
        return None;
    }
    let folded = even(fold(shape));
    let values = folded.input_len() / folded.batch;
    let folded = Correlation::new(folded, Direction::Forward);
    let serves = values <= FOLDED && is_worth_splitting(&folded, values, MULTIPLY_ADDS_FORWARD);
    serves.then_some(folded)
}

/// A folded shape with one more channel, if the number of them is odd.
pub(super) fn even(folded: Conv2dShape) -> Conv2dShape {
    Conv2dShape { in_channels: folded.in_channels.next_multiple_of(2), ..folded }
}

/// Computes a band of a forward pass by the [folded](folded_forward) one.
pub(super) fn folded_band<L: Load>(with: Arithmetic, folded: Correlation, of: Band<'_, L>) {
    let len = folded.shape().input_len() / folded.batch() * of.images();
    let shape = of.correlation.shape();
    let window = of.correlation.window(&of.rows);
    let row_len = window.row_len() + LANES;
    scratch::with_thread_buffer(row_len + len + LANES, |buffer| {
        let (row, to) = buffer.split_at_mut(row_len);
        let Band { source, packed, rows, load, target, ahead, .. } = of;
        let step = shape.stride[1] * shape.in_channels;
        let channels = [shape.kernel[1] * shape.in_channels, folded.channels().0];
        // Those that the band's grid has: whole strides.
        let end = window.rows.end + shape.stride[0] as isize - 1;
        let [first, end] = [window.rows.start, end].map(|row| row.max(0) as usize);
        let of_band = first..end.min(shape.image[0]);
        let input = source;
        simd::run(with.set, Fold { window, rows: of_band, input, step, channels, load, row, to });
        let (correlation, source) = (folded, &to[..len]);
        let load = Identity;
        unfolded_band(with, Band { correlation, source, packed, rows, load, target, ahead });
    });
}

/// Adds up a chunk of the weight gradient of a shape that is [`folded`].
pub(in crate::kernels::conv) fn folded_chunk<L: Load>(
    with: Arithmetic,
    folded: &Conv2dShape,
    of: Chunk<'_, L>,
) {
    let images = of.input.len() / (of.shape.input_len() / of.shape.batch);
    let len = folded.input_len() / folded.batch * images;
    let correlation = Correlation::new(*of.shape, Direction::Forward);
    let window = correlation.window(&(0..of.shape.output_image()[0]));
    let row_len = window.row_len() + LANES;
    scratch::with_thread_buffer(row_len + len + LANES, |buffer| {
        let (row, to) = buffer.split_at_mut(row_len);
        let Chunk { shape, input, gradient, first, sums, load } = of;
        let (step, channels) = (shape.stride[1] * shape.in_channels, [folded.in_channels; 2]);
        let rows = 0..shape.image[0];
        simd::run(with.set, Fold { window, rows, input, step, channels, load, row, to });
        let input = &to[..len];
        chunk(with, Chunk { shape: folded, input, gradient, first, sums, load: Identity });
    });
}

/// Folds rows of images.
struct Fold<'a, L> {
    window: Window,
    rows: Range<usize>,
    input: &'a [f32],
    /// Values from what a target column meets to what the next does.
    step: usize,
    /// How many these are, and with those of weight zero.
    channels: [usize; 2],
    load: L,
    /// Room for a row and a vector.
    row: &'a mut [f32],
    /// The folded images, and room for a vector.
    to: &'a mut [f32],
}

impl<L: Load> Task for Fold<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { window, rows, input, step, channels: [channels, next], load: of_value, row, to } =
            self;
        let [height, width] = window.image;
        let row_len = window.row_len();
        let columns = (row_len - channels) / step + 1;
        // What follows the last column has weight zero, or is overwritten.
        row[row_len..].fill(0.0);
        for (number, image) in input.chunks_exact(height * width * window.channels).enumerate() {
            for y in rows.clone() {
                window.load_row::<V>(image, y as isize, &mut row[..row_len], of_value);
                let mut at = (number * height + y) * columns * next;
                for column in 0..columns {
                    // Whole vectors: what is too much is overwritten by what comes next.
                    for channel in (0..channels).step_by(LANES) {
                        let values: V = load(row, column * step + channel, LANES);
                        store(values, to, at + channel, LANES);
                    }
                    at += next;
                }
            }
        }
    }
}
