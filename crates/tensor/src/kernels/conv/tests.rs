//! The fast convolutions equal their definition on every instruction set of this CPU, for shapes
//! around the edges of every tile, and give the same bits on any number of threads.

use proptest::prelude::*;

use super::*;
use crate::kernels::{Kernels, Precision};

/// Values in [-1, 1) without a pattern that a wrong index could survive.
pub(super) fn values(len: usize, seed: u64) -> Vec<f32> {
    let key = crate::StreamKey::new(seed, crate::Purpose::Data);
    let mut out = vec![0.0; len];
    crate::fill_uniform(key, &mut out);
    out
}

/// The largest difference relative to the largest expected value.
pub(super) fn error(found: &[f32], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
    let differences = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs());
    // A NaN stays.
    differences.fold(0.0, |m, d| if d <= m { m } else { d }) / largest
}

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Values as above that the precision keeps.
pub(super) fn values_in(precision: Precision, len: usize, seed: u64) -> Vec<f32> {
    values(len, seed).into_iter().map(|value| precision.kept(value)).collect()
}

/// Errors of (forward, input gradient, weight gradient) with all that this CPU has.
fn errors(choice: KernelChoice, shape: &Conv2dShape) -> Vec<(Arithmetic, [f64; 3])> {
    let precisions = [Precision::F32, Precision::Bf16].into_iter();
    precisions.flat_map(|precision| errors_in(precision, choice, shape)).collect()
}

/// The same in a precision, which keeps all that is multiplied.
fn errors_in(
    precision: Precision,
    choice: KernelChoice,
    shape: &Conv2dShape,
) -> Vec<(Arithmetic, [f64; 3])> {
    let values = |len, seed| values_in(precision, len, seed);
    let (x, w) = (values(shape.input_len(), 1), values(shape.weight_len(), 2));
    let g = values(shape.output_len(), 3);
    let (x64, w64, g64) = (wide(&x), wide(&w), wide(&g));
    let (mut y64, mut dx64, mut dw64) =
        (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    let scratch = &mut Scratch::new();
    plain::forward(shape, &x64, &w64, &mut y64, scratch);
    plain::input_gradient(shape, &w64, &g64, &mut dx64, scratch);
    plain::weight_gradient(shape, &x64, &g64, &mut dw64, scratch);
    let all = Arithmetic::available().filter(|with| with.precision == precision);
    all.map(|with| {
        let (how, scratch) = ((choice, with), &mut Scratch::new());
        let mut y = vec![f32::NAN; g.len()];
        let (mut dx, mut dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
        forward(how, shape, &x, &w, &mut y, scratch);
        input_gradient(how, shape, &w, &g, &mut dx, scratch);
        weight_gradient(how, shape, &x, &g, &mut dw, scratch);
        (with, [error(&y, &y64), error(&dx, &dx64), error(&dw, &dw64)])
    })
    .collect()
}

fn shapes() -> impl Strategy<Value = Conv2dShape> {
    let channels = || prop_oneof![1..6_usize, 14..19_usize, 31..34_usize, 47..50_usize];
    let image = || prop_oneof![1..10_usize, 15..18_usize];
    (1..5_usize, [image(), image()], channels(), channels())
        .prop_flat_map(|(batch, image, in_channels, out_channels)| {
            let padding = [0..4_usize, 0..4_usize];
            (Just((batch, image, in_channels, out_channels)), padding, [1..4_usize, 1..4_usize])
        })
        .prop_flat_map(|((batch, image, in_channels, out_channels), padding, stride)| {
            let kernel = [0, 1].map(|d| 1..(image[d] + 2 * padding[d] + 1).min(7));
            kernel.prop_map(move |kernel| Conv2dShape {
                batch,
                image,
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn double_is_the_definition(shape in shapes()) {
        let [x, w, g] = [(shape.input_len(), 1), (shape.weight_len(), 2), (shape.output_len(), 3)]
            .map(|(len, seed)| wide(&values(len, seed)));
        let by = |fast: bool, threads| {
            let nan = |like: &[f64]| vec![f64::NAN; like.len()];
            let (mut y, mut dx, mut dw, mut scratch) = (nan(&g), nan(&x), nan(&w), Scratch::new());
            let scratch = &mut scratch;
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| if fast {
                double::forward(&shape, &x, &w, &mut y, scratch);
                double::input_gradient(&shape, &w, &g, &mut dx, scratch);
                double::weight_gradient(&shape, &x, &g, &mut dw, scratch);
            } else {
                plain::forward(&shape, &x, &w, &mut y, scratch);
                plain::input_gradient(&shape, &w, &g, &mut dx, scratch);
                plain::weight_gradient(&shape, &x, &g, &mut dw, scratch);
            });
            [y, dx, dw]
        };
        let found = by(true, 1);
        for (found, expected) in found.iter().zip(by(false, 1)) {
            let largest = expected.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-13 * largest, "{shape:?}");
            }
        }
        prop_assert_eq!(found, by(true, 3));
    }

    #[test]
    fn fast_is_the_definition(shape in shapes()) {
        for (with, errors) in errors(KernelChoice::Direct, &shape) {
            prop_assert!(errors.iter().all(|&error| error < 1e-5), "{with:?} {shape:?}: {errors:?}");
        }
    }
}

/// A 3x3 convolution, padded by one.
fn three(batch: usize, side: usize, channels: [usize; 2], stride: usize) -> Conv2dShape {
    Conv2dShape {
        batch,
        image: [side; 2],
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: [3; 2],
        stride: [stride; 2],
        padding: [1; 2],
    }
}

/// Bands of one image, groups of images, chunks and column groups of the weight gradient, panels of its
/// output gradient.
#[test]
fn every_way_to_cut_the_work_is_the_definition() {
    for shape in [
        three(1, 40, [3, 16], 1),
        three(2, 32, [16, 32], 2),
        three(19, 9, [16, 16], 1),
        three(37, 4, [130, 128], 1),
        three(3, 2, [64, 300], 1),
        three(7, 5, [130, 144], 1),
        three(3, 9, [64, 300], 2),
        three(2, 11, [16, 144], 1),
        Conv2dShape { kernel: [5; 2], padding: [2; 2], ..three(3, 15, [64, 64], 1) },
        Conv2dShape { kernel: [1; 2], padding: [0; 2], ..three(18, 16, [16, 32], 2) },
    ] {
        for (with, errors) in errors(KernelChoice::Direct, &shape) {
            assert!(errors.iter().all(|&error| error < 1e-5), "{with:?} {shape:?}: {errors:?}");
        }
    }
}

#[test]
fn threads_do_not_change_the_bits() {
    let (large, small) = (three(21, 12, [32, 48], 1), three(21, 4, [32, 48], 1));
    let strided = three(21, 12, [16, 32], 2);
    let cases = [
        (KernelChoice::Direct, large),
        (KernelChoice::Direct, small),
        (KernelChoice::Direct, strided),
        (KernelChoice::Winograd, large),
    ];
    for (with, (choice, shape)) in
        Arithmetic::available().flat_map(|with| cases.map(|of| (with, of)))
    {
        let how = (choice, with);
        let (x, w) = (values(shape.input_len(), 1), values(shape.weight_len(), 2));
        let g = values(shape.output_len(), 3);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut y, mut dx, mut dw) = (g.clone(), x.clone(), w.clone());
            pool.install(|| {
                let scratch = &mut Scratch::new();
                forward(how, &shape, &x, &w, &mut y, scratch);
                input_gradient(how, &shape, &w, &g, &mut dx, scratch);
                weight_gradient(how, &shape, &x, &g, &mut dw, scratch);
            });
            (y, dx, dw)
        };
        let expected = on(1);
        assert!(expected == on(2) && expected == on(7));
    }
}

/// Weight gradients of small images of many channels, which are products of patches unless a pass takes some
/// images at a time: by the direct kernel as well, on one thread and on five.
#[test]
fn direct_weight_gradients_of_small_images() {
    for shape in [
        three(37, 4, [130, 128], 1),
        three(3, 2, [64, 300], 1),
        three(21, 4, [32, 48], 1),
        three(19, 7, [48, 144], 2),
        Conv2dShape { kernel: [1; 2], padding: [0; 2], ..three(18, 8, [70, 160], 2) },
    ] {
        let (x, g) = (values(shape.input_len(), 1), values(shape.output_len(), 3));
        let mut expected = vec![0.0; shape.weight_len()];
        plain::weight_gradient(&shape, &wide(&x), &wide(&g), &mut expected, &mut Scratch::new());
        for with in Arithmetic::available().filter(|with| !with.rounds()) {
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (gradient, mut dw) =
                    (Stored { values: &g, batch: shape.batch }, vec![f32::NAN; shape.weight_len()]);
                pool.install(|| {
                    let scratch = &mut Scratch::new();
                    weight_gradient::direct(
                        with, &shape, &x, &gradient, &mut dw, scratch, Identity,
                    );
                });
                dw
            };
            let found = on(1);
            assert!(error(&found, &expected) < 1e-5, "{with:?} {shape:?}");
            assert!(found == on(5), "{with:?} {shape:?}");
        }
    }
}

/// The error of Winograd's transforms, relative to the largest value, for each shape of the
/// networks they serve.
#[test]
fn winograd_errs_by_at_most_two_in_a_hundred_thousand() {
    let five = |side, channels| Conv2dShape {
        kernel: [5; 2],
        padding: [2; 2],
        ..three(2, side, channels, 1)
    };
    for shape in [
        three(3, 32, [16, 16], 1),
        three(5, 16, [32, 32], 1),
        three(33, 8, [64, 64], 1),
        three(2, 32, [64, 64], 1),
        three(2, 16, [128, 128], 1),
        three(2, 8, [256, 256], 1),
        three(2, 4, [512, 512], 1),
        three(1, 40, [16, 48], 1),
        five(15, [64, 64]),
        five(32, [16, 64]),
    ] {
        for (with, errors) in errors(KernelChoice::Winograd, &shape) {
            assert!(errors.iter().all(|&error| error < 2e-5), "{with:?} {shape:?}: {errors:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn winograd_is_the_definition(
        batch in 1..20_usize,
        image in [1..14_usize, 1..14_usize],
        channels in [1..4_usize, 1..4_usize],
        kernel in prop_oneof![Just(3_usize), Just(5)],
        padding in [0..4_usize, 0..4_usize],
    ) {
        let shape = Conv2dShape {
            batch,
            image,
            in_channels: 16 * channels[0],
            out_channels: 16 * channels[1],
            kernel: [kernel; 2],
            stride: [1; 2],
            padding,
        };
        prop_assume!([0, 1].iter().all(|&d| image[d] + 2 * padding[d] >= kernel));
        for (with, errors) in errors(KernelChoice::Winograd, &shape) {
            prop_assert!(errors.iter().all(|&error| error < 3e-5), "{with:?} {shape:?}: {errors:?}");
        }
    }
}

/// Nothing comes of no images, and no gradient.
#[test]
fn an_empty_batch_is_no_work() {
    let images = Conv2dShape { kernel: [5; 2], padding: [2; 2], ..three(0, 32, [3, 64], 1) };
    for (with, shape) in Arithmetic::available()
        .flat_map(|with| [three(0, 8, [32, 32], 1), images].map(|shape| (with, shape)))
    {
        let (how, scratch) = ((KernelChoice::Auto, with), &mut Scratch::new());
        let (w, mut dw) = (values(shape.weight_len(), 1), vec![f32::NAN; shape.weight_len()]);
        forward(how, &shape, &[], &w, &mut [], scratch);
        input_gradient(how, &shape, &w, &[], &mut [], scratch);
        weight_gradient(how, &shape, &[], &[], &mut dw, scratch);
        assert!(dw.iter().all(|&dw| dw == 0.0), "{with:?} {shape:?}");
    }
    let shape = three(0, 8, [4, 4], 1);
    let (w, mut dw) = (vec![1.0; shape.weight_len()], vec![f64::NAN; shape.weight_len()]);
    f64::conv2d_forward(&shape, &[], &w, &mut [], &mut Scratch::new());
    f64::conv2d_input_gradient(&shape, &w, &[], &mut [], &mut Scratch::new());
    f64::conv2d_weight_gradient(&shape, &[], &[], &mut dw, &mut Scratch::new());
    assert!(dw.iter().all(|&dw| dw == 0.0));
    // Sums of no channel.
    let shape = three(1, 8, [0, 4], 1);
    let mut y = vec![f32::NAN; shape.output_len()];
    f32::conv2d_forward(&shape, &[], &[], &mut y, &mut Scratch::new());
    assert!(y.iter().all(|&y| y == 0.0));
}
