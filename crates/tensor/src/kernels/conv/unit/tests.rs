//! Convolutions of split images are their definition, and the unit is its own. What needs no unit runs on
//! every CPU, with plain sums.

use proptest::prelude::*;

use super::super::direct::Band;
use super::super::tests::{error, values, values_in, wide};
use super::super::{Conv2dShape, plain};
use super::*;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::Direction;
use crate::kernels::normalise::Normalise;
use crate::kernels::unit::{self, PARTS, Patches, TILE, Taps, Unit};
use crate::kernels::{InstructionSet, Precision, Scratch, scratch};

/// Values that `bf16` holds, two to a lane.
fn lanes(len: usize, seed: u64) -> Vec<f32> {
    let pair = |pair: &[f32]| {
        let [low, high] = [pair[0], pair[1]].map(|value| value.to_bits() & 0xffff_0000);
        f32::from_bits(high | low >> 16)
    };
    values(2 * len, seed).chunks_exact(2).map(pair).collect()
}

/// What splits factors.
fn arithmetic() -> impl Strategy<Value = Arithmetic> {
    prop::sample::select(Arithmetic::of_split_factors().collect::<Vec<_>>())
}

/// A norm of some channels.
struct Norm {
    with: Arithmetic,
    values: [Vec<f32>; 3],
}

impl Norm {
    /// Where what it makes is rounded to `bf16`, it is the same whether its multiply-add is fused or not.
    fn new(with: Arithmetic, channels: usize) -> Self {
        let values = match with.precision {
            Precision::F32 => [4, 5, 6].map(|seed| values(channels, seed)),
            Precision::Bf16 => [0.5, 2.0, 0.25].map(|value| vec![value; channels]),
        };
        Self { with, values }
    }

    fn normalise(&self) -> Normalise<'_> {
        let [mean, scale, shift] = &self.values;
        Normalise { mean, scale, shift, relu: true }
    }

    /// What is multiplied of an input.
    fn loaded(&self, normalised: bool, input: &[f32]) -> Vec<f64> {
        if !normalised {
            return wide(input);
        }
        let values = input.iter().enumerate().map(|(at, &x)| {
            let c = at % self.values[0].len();
            let [mean, scale, shift] = [0, 1, 2].map(|k| self.values[k][c]);
            match self.with.precision {
                Precision::F32 => {
                    let [x, mean, scale, shift] = [x, mean, scale, shift].map(f64::from);
                    ((x - mean) * scale + shift).max(0.0)
                }
                Precision::Bf16 => {
                    f64::from(self.with.precision.kept(((x - mean) * scale + shift).max(0.0)))
                }
            }
        });
        values.collect()
    }
}

/// Whatever is read before it is written shows.
fn stale_buffers() {
    let stale = |buffer: &mut [f32]| buffer.fill(f32::NAN);
    scratch::with_thread_buffer(1 << 18, |one| {
        stale(one);
        scratch::with_thread_buffer(1 << 18, stale);
    });
}

fn shapes() -> impl Strategy<Value = Conv2dShape> {
    let image = || prop_oneof![1..10_usize, 15..18_usize];
    let channels = prop_oneof![Just(16), Just(18), Just(32), Just(50)];
    let padding = [0..4_usize, 0..4_usize];
    (1..6_usize, [image(), image()], channels, 1..20_usize, padding).prop_flat_map(
        |(batch, image, in_channels, out_channels, padding)| {
            let kernel = [0, 1].map(|d| 1..(image[d] + 2 * padding[d] + 1).min(6));
            let strides = |kernel: [usize; 2]| (Just(kernel), kernel.map(|taps| 1..=taps.min(3)));
            kernel.prop_flat_map(strides).prop_map(move |(kernel, stride)| Conv2dShape {
                batch,
                image,
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
            })
        },
    )
}

/// Room for the sums of all output channels of a shape.
fn sums_of(taken: &Conv2dShape) -> Vec<f32> {
    vec![f32::NAN; taken.out_channels.div_ceil(16) * sums_len(taken)]
}

/// The weight gradient in sums of a shape that the unit takes.
fn sorted(taken: &Conv2dShape, shape: &Conv2dShape, sums: &[f32]) -> Vec<f32> {
    let mut gradient = vec![f32::NAN; shape.weight_len()];
    sort(taken, shape, sums, &mut gradient);
    gradient
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Of inputs of few channels, whose kernel columns are folded into channels.
    #[test]
    fn folded_convolutions_are_the_definition(
        batch in 1..6_usize,
        image in [6..20_usize, 6..20_usize],
        channels in [1..6_usize, 1..20_usize],
        kernel in [1..7_usize, 1..7_usize],
        stride in [1..3_usize, 1..4_usize],
        padding in [0..4_usize, 0..4_usize],
        normalised: bool,
        with in arithmetic(),
    ) {
        let [in_channels, out_channels] = channels;
        let shape =
            Conv2dShape { batch, image, in_channels, out_channels, kernel, stride, padding };
        prop_assume!(kernel[0] >= stride[0]);
        let values = |len, seed| values_in(with.precision, len, seed);
        let (x, w) = (values(shape.input_len(), 1), values(shape.weight_len(), 2));
        let g = values(shape.output_len(), 3);
        let of_norm = Norm::new(with, in_channels);
        let load = normalised.then(|| of_norm.normalise());
        let (x64, w64, g64) = (of_norm.loaded(normalised, &x), wide(&w), wide(&g));
        let mut y64 = vec![0.0; g.len()];
        plain::forward(&shape, &x64, &w64, &mut y64, &mut Scratch::new());
        let mut dw64 = vec![0.0; w.len()];
        plain::weight_gradient(&shape, &x64, &g64, &mut dw64, &mut Scratch::new());

        let correlation = Correlation::new(shape, Direction::Forward);
        let folded = Correlation::new(fold::even(fold::fold(&shape)), Direction::Forward);
        let mut scratch = Scratch::new();
        let len = prepared_len(with, &correlation);
        let packed = prepare(with, &correlation, &w, scratch.take(len));
        let mut y = vec![f32::NAN; g.len()];
        // One image may be cut into bands of rows.
        let ([height, _], source) = (shape.output_image(), &x[..]);
        let band = if batch == 1 { height.div_ceil(2) } else { height };
        let row_len = g.len() / batch / height;
        for (number, target) in y.chunks_mut(batch * band * row_len).enumerate() {
            let rows = number * band..height.min((number + 1) * band);
            let ahead = Ahead::new(&[]);
            stale_buffers();
            let of = Band { correlation, source, packed, rows, load, target, ahead };
            fold::folded_band(with, folded, of);
        }
        let error_of_y = error(&y, &y64);
        prop_assert!(error_of_y < 2e-6, "{shape:?}: {error_of_y}");

        let folded = fold::fold(&shape);
        let mut sums = sums_of(&folded);
        let (input, gradient, first) = (&x[..], &g[..], 0);
        stale_buffers();
        let chunk = Chunk { shape: &shape, input, gradient, first, sums: &mut sums, load };
        folded_chunk(with, &folded, chunk);
        let error = error(&sorted(&folded, &shape, &sums), &dw64);
        // It may be a single sum, small beside its terms.
        prop_assert!(error < 1e-5, "weight gradient {shape:?}: {error}");
    }

    /// Kernels of one tap and of many, wide paddings, images smaller than a tile, whole bands and some of
    /// the rows of one image; inputs as they are, and normalised as they are read.
    #[test]
    fn convolutions_are_the_definition(
        shape in shapes(),
        some_rows in prop::option::of([0.0..1.0_f64, 0.0..1.0]),
        normalised: bool,
        with in arithmetic(),
    ) {
        let values = |len, seed| values_in(with.precision, len, seed);
        let (x, w) = (values(shape.input_len(), 1), values(shape.weight_len(), 2));
        let g = values(shape.output_len(), 3);
        let (w64, g64) = (wide(&w), wide(&g));
        let of_norm = Norm::new(with, shape.in_channels);
        let normalise = normalised.then(|| of_norm.normalise());
        let x64 = of_norm.loaded(normalised, &x);
        let (mut y64, mut dx64) = (vec![0.0; g.len()], vec![0.0; x.len()]);
        let mut dw64 = vec![0.0; w.len()];
        plain::forward(&shape, &x64, &w64, &mut y64, &mut Scratch::new());
        plain::input_gradient(&shape, &w64, &g64, &mut dx64, &mut Scratch::new());
        plain::weight_gradient(&shape, &x64, &g64, &mut dw64, &mut Scratch::new());

        // The gradient of an input of these channels, whose source has an odd number of them, is not split.
        let mut directions = vec![(Direction::Forward, &x, normalise, &y64)];
        if shape.out_channels.is_multiple_of(2) {
            directions.push((Direction::InputGradient, &g, None, &dx64));
        }
        for (direction, source, load, expected) in directions {
            let correlation = Correlation::new(shape, direction);
            let mut scratch = Scratch::new();
            let len = prepared_len(with, &correlation);
            let packed = prepare(with, &correlation, &w, scratch.take(len));
            let (_, [height, width]) = correlation.images();
            let row = width * correlation.channels().1;
            // Any rows of an image.
            let mut rows = 0..height;
            if let (Some(some), 1) = (some_rows, shape.batch) {
                let [a, b] = some.map(|share| (share * height as f64) as usize);
                rows = a.min(b)..a.max(b) + 1;
            }
            // Nothing is written outside of the target.
            let expected = if shape.batch == 1 {
                &expected[rows.start * row..rows.end * row]
            } else {
                &expected[..]
            };
            let (len, margin) = (expected.len(), 512);
            let mut found = vec![f32::NAN; len + 2 * margin];
            let target = &mut found[margin..][..len];
            stale_buffers();
            let ahead = Ahead::new(&[]).and_behind(source);
            band(with, Band { correlation, source, packed, rows, load, target, ahead });
            let (before, target) = found.split_at(margin);
            let (target, after) = target.split_at(len);
            prop_assert!(before.iter().chain(after).all(|value| value.is_nan()), "{shape:?}");
            let error = error(target, expected);
            prop_assert!(error < 2e-6, "{direction:?} {shape:?}: {error}");
        }

        let mut sums = sums_of(&shape);
        let (input, gradient, first) = (&x[..], &g[..], 0);
        stale_buffers();
        let of = Chunk { shape: &shape, input, gradient, first, sums: &mut sums, load: normalise };
        chunk(with, of);
        let found = sorted(&shape, &shape, &sums);
        let error = error(&found, &dw64);
        prop_assert!(error < 2e-6, "weight gradient {shape:?}: {error}");
    }

    /// The matrix unit gives the bits of its definition.
    #[test]
    fn the_unit_is_its_definition(extents in [1..4_usize, 1..4, 8..40], seed: u64) {
        if !InstructionSet::Amx.is_available() {
            eprintln!("skipped: this CPU has no matrix unit, or the system does not lend it");
            return Ok(());
        }
        // SAFETY: this thread has no other.
        let mut unit = unsafe { Unit::<PARTS>::take(InstructionSet::Amx) };
        prop_assert_eq!(sums(&mut unit, extents, seed), sums(&mut Unit::<PARTS>::plain(), extents, seed));
        drop(unit);
        // SAFETY: as above.
        let mut unit = unsafe { Unit::<1>::take(InstructionSet::Amx) };
        prop_assert_eq!(sums(&mut unit, extents, seed), sums(&mut Unit::<1>::plain(), extents, seed));
    }

    /// Dot products add in another order.
    #[test]
    fn dot_products_are_the_definition(extents in [1..4_usize, 1..4, 8..40], seed: u64) {
        if !(unit::has_dot_products() && InstructionSet::Avx512.is_available()) {
            eprintln!("skipped: this CPU has no AVX-512 BF16");
            return Ok(());
        }
        // SAFETY: this thread has no other.
        let mut unit = unsafe { Unit::<1>::take(InstructionSet::Avx512) };
        let expected = sums(&mut Unit::<1>::plain(), extents, seed);
        for (found, expected) in sums(&mut unit, extents, seed).iter().zip(&expected) {
            let error = error(found, &wide(expected));
            prop_assert!(error < 1e-6, "{extents:?}: {error}");
        }
    }
}

/// What a unit makes of some steps of patches, and of four and of five tiles of taps.
fn sums<const P: usize>(
    unit: &mut Unit<P>,
    [rows, steps, pixel]: [usize; 3],
    seed: u64,
) -> [Vec<f32>; 3] {
    // Shorter than two steps.
    let row = 20;
    let part = 64 * pixel * steps + rows * row;
    let patches = Patches { pixel, part };
    let taps = Taps { row: pixel, part, steps };
    let (source, weights) = (lanes(P * part + 64, seed), lanes(rows * steps * P * TILE, !seed));
    let before = values(5 * TILE, seed);
    let mut sums = [before.clone(), before.clone(), before];
    // Rows of tiles side by side, and one after the other.
    let first = sums[0].as_mut_ptr();
    let to = [3, 1, 0, 2].map(|t| first.wrapping_add(t * LANES));
    let stride = 5 * LANES;
    let ahead = (to[0], stride);
    unit.begin();
    for (step, weights) in weights.chunks_exact(P * TILE).enumerate() {
        let at = step / steps * row + step % steps * LANES;
        let tiles = [0, 7, 16, 20].map(|first| source[first + at..].as_ptr());
        // SAFETY: the source holds all lanes of these tiles, and there are four of sums.
        unsafe { unit.add_patches(tiles, &patches, weights.as_ptr(), ahead) };
    }
    // SAFETY: as above.
    unsafe { unit.finish(to, stride) };
    let tiles = [0, 7, 16, 20, 3].map(|at| source[at..].as_ptr());
    for (tiles, sums) in [&tiles[..4], &tiles].into_iter().zip(&mut sums[1..]) {
        // SAFETY: as above, or five.
        unsafe { unit.multiply_taps(weights.as_ptr(), tiles, &taps, sums.as_mut_ptr()) };
    }
    sums
}
