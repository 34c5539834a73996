//! Convolution as a product of matrices, for small images of many channels.
//!
//! Such a layer has more weights than an image has values, and a task of a few images would read them all
//! for little work. So the patches of many images are copied to a matrix first, (pixels, K) with
//! K = kernel rows, kernel columns, input channels, and the weight becomes W (O, K). Then
//! `y = patches W'`, `dpatches = dy W`, whose rows are added where the patches came from, and
//! `dW = dy' patches`: three products that read their factors as seldom as can be.

use rayon::prelude::*;

use super::Conv2dShape;
use super::correlation::{Correlation, Direction};
use super::padded::{Load, Window};
use crate::kernels::gemm::{MatrixMut, MatrixRef, Product, product};
use crate::kernels::simd::{self, Task, Vector};
use crate::kernels::{Arithmetic, InstructionSet, Scratch, scratch};

/// About as many values of patches are taken at a time. Tests, whose images are small, have several groups
/// of them as well.
const PATCHES: usize = if cfg!(test) { 1 << 12 } else { 1 << 22 };

/// Whether the forward pass and the input gradient are computed like this: where products are taken by the
/// matrix unit, which waits for memory otherwise. Rounded weights are a third as large.
pub(super) fn serves(with: Arithmetic, shape: &Conv2dShape) -> bool {
    let most = if with.rounds() { 16 } else { 64 };
    with.set == InstructionSet::Amx && is_deep(shape) && shape.pixels() <= most
}

/// The same for the weight gradient, with any instructions: its direct kernel reads and writes as many sums as
/// there are weights for each few images.
pub(super) fn serves_weight_gradient(shape: &Conv2dShape) -> bool {
    is_deep(shape) && shape.pixels() <= 16
}

/// Whether there are so many weights that each task would read them from memory. Tests have some that count
/// as many.
fn is_deep(shape: &Conv2dShape) -> bool {
    const WEIGHTS: usize = if cfg!(test) { 1 << 12 } else { 1 << 19 };
    shape.weight_len() >= WEIGHTS
}

impl Conv2dShape {
    /// K.
    fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.in_channels
    }

    /// Pixels of an output image.
    fn pixels(&self) -> usize {
        let [height, width] = self.output_image();
        height * width
    }

    /// Images whose patches are taken at a time.
    fn images_at_a_time(&self) -> usize {
        let most = (PATCHES / (self.pixels() * self.depth())).max(1);
        self.batch.div_ceil(self.batch.div_ceil(most))
    }

    /// Values of the input and of the output of so many images.
    fn of_group(&self) -> [usize; 2] {
        let image = [self.input_len() / self.batch, self.pixels() * self.out_channels];
        image.map(|values| self.images_at_a_time() * values)
    }

    /// The padded source of an image.
    fn window(&self) -> Window {
        Correlation::new(*self, Direction::Forward).window(&(0..self.output_image()[0]))
    }
}

/// The forward pass.
pub(super) fn forward<L: Load>(
    with: Arithmetic,
    shape: &Conv2dShape,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut Scratch<f32>,
    load: L,
) {
    if output.is_empty() {
        return;
    }
    let (depth, outputs) = (shape.depth(), shape.out_channels);
    let (w, patches) = buffers(shape, scratch);
    reorder(shape, weight, w);
    let w = MatrixRef::new(w, outputs, depth).transposed();
    let [of_input, of_output] = shape.of_group();
    for (input, output) in input.chunks(of_input).zip(output.chunks_mut(of_output)) {
        let rows = output.len() / outputs;
        let patches = &mut patches[..rows * depth];
        gather(with.set, shape, input, patches, load);
        let patches = MatrixRef::new(patches, rows, depth);
        product(with, &Product::new(patches, w), MatrixMut::new(output, rows, outputs));
    }
}

/// The gradient of the input.
pub(super) fn input_gradient(
    with: Arithmetic,
    shape: &Conv2dShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    if input_gradient.is_empty() {
        return;
    }
    let (depth, outputs) = (shape.depth(), shape.out_channels);
    let (w, patches) = buffers(shape, scratch);
    reorder(shape, weight, w);
    let w = MatrixRef::new(w, outputs, depth);
    let [of_input, of_output] = shape.of_group();
    let groups = output_gradient.chunks(of_output).zip(input_gradient.chunks_mut(of_input));
    for (dy, dx) in groups {
        let rows = dy.len() / outputs;
        let patches = &mut patches[..rows * depth];
        let dy = MatrixRef::new(dy, rows, outputs);
        product(with, &Product::new(dy, w), MatrixMut::new(patches, rows, depth));
        scatter(with.set, shape, patches, dx);
    }
}

/// The gradient of the weight.
pub(super) fn weight_gradient<L: Load>(
    with: Arithmetic,
    shape: &Conv2dShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
    load: L,
) {
    if output_gradient.is_empty() {
        return weight_gradient.fill(0.0);
    }
    let (depth, outputs) = (shape.depth(), shape.out_channels);
    let (dw, patches) = buffers(shape, scratch);
    let [of_input, of_output] = shape.of_group();
    let groups = input.chunks(of_input).zip(output_gradient.chunks(of_output));
    for (k, (input, dy)) in groups.enumerate() {
        let rows = dy.len() / outputs;
        let patches = &mut patches[..rows * depth];
        gather(with.set, shape, input, patches, load);
        let patches = MatrixRef::new(patches, rows, depth);
        let dy = MatrixRef::new(dy, rows, outputs).transposed();
        product(with, &Product::new(dy, patches), MatrixMut::new(dw, outputs, depth));
        // (O, taps, I) to (O, I, taps).
        let taps = depth / shape.in_channels;
        let filters = weight_gradient.par_chunks_mut(depth).zip(dw.par_chunks(depth));
        filters.for_each(|(to, from)| {
            for (tap, from) in from.chunks_exact(shape.in_channels).enumerate() {
                let to = to[tap..].iter_mut().step_by(taps);
                to.zip(from).for_each(|(to, from)| *to = if k == 0 { *from } else { *to + from });
            }
        });
    }
}

/// Room for W, and for the patches of a group of images.
fn buffers<'s>(
    shape: &Conv2dShape,
    scratch: &'s mut Scratch<f32>,
) -> (&'s mut [f32], &'s mut [f32]) {
    let len = shape.weight_len();
    let patches = shape.images_at_a_time() * shape.pixels() * shape.depth();
    scratch.take(len + patches).split_at_mut(len)
}

/// (O, I, taps) to (O, taps, I).
fn reorder(shape: &Conv2dShape, weight: &[f32], w: &mut [f32]) {
    let (depth, taps) = (shape.depth(), shape.depth() / shape.in_channels);
    w.par_chunks_mut(depth).zip(weight.par_chunks(depth)).for_each(|(to, from)| {
        for (tap, to) in to.chunks_exact_mut(shape.in_channels).enumerate() {
            let from = from[tap..].iter().step_by(taps);
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    });
}

/// Copies the patches of some images.
fn gather<L: Load>(
    set: InstructionSet,
    shape: &Conv2dShape,
    input: &[f32],
    patches: &mut [f32],
    load: L,
) {
    let window = &shape.window();
    let images = input.par_chunks(shape.input_len() / shape.batch);
    patches.par_chunks_mut(shape.pixels() * shape.depth()).zip(images).for_each(|(to, image)| {
        scratch::with_thread_buffer(window.len(), |padded| {
            simd::run(set, Fill { window, image, padded, load });
            for (to, from) in
                to.chunks_exact_mut(shape.kernel[1] * shape.in_channels).zip(runs(shape, window))
            {
                to.copy_from_slice(&padded[from..][..to.len()]);
            }
        });
    });
}

/// Adds patches where they come from.
fn scatter(set: InstructionSet, shape: &Conv2dShape, patches: &[f32], input: &mut [f32]) {
    let window = &shape.window();
    let images = input.par_chunks_mut(shape.input_len() / shape.batch);
    patches.par_chunks(shape.pixels() * shape.depth()).zip(images).for_each(|(from, image)| {
        scratch::with_thread_buffer(window.len(), |padded| {
            simd::run(set, Collect { shape, window, from, padded, image });
        });
    });
}

/// Where the runs of an image's patches begin in its padded copy, pixel by pixel, kernel row by kernel row.
#[inline(always)]
fn runs(shape: &Conv2dShape, window: &Window) -> impl Iterator<Item = usize> {
    let ([height, width], row) = (shape.output_image(), window.row_len());
    let [down, along] = [shape.stride[0] * row, shape.stride[1] * shape.in_channels];
    let rows = shape.kernel[0];
    (0..height).flat_map(move |y| {
        (0..width).flat_map(move |x| (0..rows).map(move |u| y * down + x * along + u * row))
    })
}

/// The padded copy of an image.
struct Fill<'a, L> {
    window: &'a Window,
    image: &'a [f32],
    padded: &'a mut [f32],
    load: L,
}

impl<L: Load> Task for Fill<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.window.load::<V>(self.image, self.padded, self.load);
    }
}

/// The sum of an image's patches.
struct Collect<'a> {
    shape: &'a Conv2dShape,
    window: &'a Window,
    from: &'a [f32],
    padded: &'a mut [f32],
    image: &'a mut [f32],
}

impl Task for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, window, from, padded, image } = self;
        padded.fill(0.0);
        let run = shape.kernel[1] * shape.in_channels;
        for (from, to) in from.chunks_exact(run).zip(runs(shape, window)) {
            let to = &mut padded[to..][..run];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        window.crop(padded, image);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plain;
    use super::super::tests::{values, wide};
    use super::*;
    use crate::kernels::normalise::Normalise;

    /// Output, input gradient and weight gradient.
    fn definition(shape: &Conv2dShape, x: &[f64], w: &[f64], g: &[f64]) -> [Vec<f64>; 3] {
        let [mut y, mut dx, mut dw] = [g.len(), x.len(), w.len()].map(|len| vec![0.0; len]);
        plain::forward(shape, x, w, &mut y, &mut Scratch::new());
        plain::input_gradient(shape, w, g, &mut dx, &mut Scratch::new());
        plain::weight_gradient(shape, x, g, &mut dw, &mut Scratch::new());
        [y, dx, dw]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Several groups of images, strides that skip pixels, paddings, inputs normalised as they are read.
        #[test]
        fn products_are_the_definition(
            batch in 1..6_usize,
            image in [1..7_usize, 1..7_usize],
            [in_channels, out_channels] in [1..40_usize, 1..20_usize],
            stride in [1..4_usize, 1..4_usize],
            padding in [0..3_usize, 0..3_usize],
            taps in [1..6_usize, 1..6_usize],
            normalised: bool,
        ) {
            let kernel = [0, 1].map(|axis| taps[axis].min(image[axis] + 2 * padding[axis]));
            let shape =
                Conv2dShape { batch, image, in_channels, out_channels, kernel, stride, padding };
            let (x, w) = (values(shape.input_len(), 1), values(shape.weight_len(), 2));
            let g = values(shape.output_len(), 3);
            let (mut x64, w64, g64) = (wide(&x), wide(&w), wide(&g));
            let of_norm = [4, 5, 6].map(|seed| values(in_channels, seed));
            let [mean, scale, shift] = &of_norm;
            let load = normalised.then_some(Normalise { mean, scale, shift, relu: true });
            if normalised {
                for (at, x) in x64.iter_mut().enumerate() {
                    let c = at % in_channels;
                    let [mean, scale, shift] = [mean[c], scale[c], shift[c]].map(f64::from);
                    *x = ((*x - mean) * scale + shift).max(0.0);
                }
            }
            let expected = definition(&shape, &x64, &w64, &g64);
            // Sums of a few values may be much smaller than their terms, whose sizes make the error.
            let sizes = |values: &[f64], more: f64| -> Vec<f64> {
                values.iter().map(|value| value.abs() + more).collect()
            };
            let scale =
                definition(&shape, &sizes(&x64, 1.0), &sizes(&w64, 0.0), &sizes(&g64, 0.0));
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let scratch = &mut Scratch::new();
                let [mut y, mut dx, mut dw] =
                    [g.len(), x.len(), w.len()].map(|len| vec![f32::NAN; len]);
                forward(set.into(), &shape, &x, &w, &mut y, scratch, load);
                input_gradient(set.into(), &shape, &w, &g, &mut dx, scratch);
                weight_gradient(set.into(), &shape, &x, &g, &mut dw, scratch, load);
                for (k, found) in [y, dx, dw].iter().enumerate() {
                    let largest = scale[k].iter().fold(0.0_f64, |most, size| most.max(*size));
                    let pairs = found.iter().zip(&expected[k]);
                    let near = |(f, e): (&f32, &f64)| (f64::from(*f) - e).abs() <= 1e-6 * largest;
                    prop_assert!(pairs.into_iter().all(near), "{set:?} {shape:?}, tensor {k}");
                }
            }
        }
    }
}
