//! Pools behind convolutions are as in a pass of their own, forward and backward.

use proptest::prelude::*;

use super::gradient::{Finish, NormGradient};
use super::tests::{near, single, values};
use super::*;
use crate::kernels::{Conv2dShape, Scratch, max_pool, max_pool_gradient};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_pooled_convolution_is_a_convolution_and_a_pool(
        batch in 1..20_usize,
        image in [4..9_usize, 4..9_usize],
        channels in prop_oneof![Just([16, 16]), Just([32, 16]), Just([3, 5]), Just([16, 20])],
        kernel in prop_oneof![Just(3_usize), Just(5)],
        stride in 1..3_usize,
        window in 1..3_usize,
        pool_stride in 1..4_usize,
        pool_padding in 0..2_usize,
    ) {
        let shape = Conv2dShape {
            batch, image, in_channels: channels[0], out_channels: channels[1],
            kernel: [kernel; 2], stride: [stride; 2], padding: [kernel / 2; 2],
        };
        let pool = Conv2dShape {
            batch, image: shape.output_image(), in_channels: channels[1],
            out_channels: channels[1], kernel: [window; 2], stride: [pool_stride; 2],
            padding: [pool_padding.min(window - 1); 2],
        };
        check_pooled(&shape, pool);
    }
}

/// The same but for roundings: other algorithms may have run.
fn alike(found: &[f32], expected: &[f32], what: &str) {
    near(found, &expected.iter().map(|&value| f64::from(value)).collect::<Vec<_>>(), what);
}

fn check_pooled(shape: &Conv2dShape, pool: Conv2dShape) {
    let (x, w) = (values(shape.input_len(), 0.37), values(shape.weight_len(), 0.77));
    let (scratch, partials) = (&mut Scratch::new(), &mut Vec::new());
    let (inputs, channels) = (shape.in_channels, shape.out_channels);
    let operand = Operand { values: &x, normalise: None };
    let input = || Input::Stored(operand);
    let [each, len] = [pool.output_len() / shape.batch, pool.output_len()];

    let mut y = vec![f32::NAN; shape.output_len()];
    forward(shape, input(), &w, Output::Stored(&mut y), None, partials, scratch);
    let (mut expected, mut at) = (vec![f32::NAN; len], vec![u32::MAX; len]);
    let one = Conv2dShape { batch: 1, ..pool };
    let targets = expected.chunks_mut(each).zip(at.chunks_mut(each));
    for (y, (expected, at)) in y.chunks(y.len() / shape.batch).zip(targets) {
        max_pool(&one, y, expected, at);
    }
    let (mut maxima, mut argmax) = (vec![f32::NAN; len], vec![u32::MAX; len]);
    let mut found = vec![f64::NAN; 2 * channels];
    let output = Output::Pooled { pool, maxima: &mut maxima, argmax: &mut argmax };
    forward(shape, input(), &w, output, Some(&mut found), partials, scratch);
    alike(&maxima, &expected, "maxima");
    for (k, (&maximum, &at)) in maxima.iter().zip(&argmax).enumerate() {
        let image = &y[k / each * (y.len() / shape.batch)..];
        let value = image[at as usize * channels + k % channels];
        alike(&[value, 100.0], &[maximum, 100.0], "the value at a maximum");
    }
    let mut again = vec![f64::NAN; 2 * channels];
    moments(&maxima, &mut again, partials);
    near(&single(&found), &again, "moments");

    // With a norm behind the pool and without.
    let d = values(len, 0.19);
    let [slope, offset, mean, scale] = [0.29, 0.41, 0.13, 0.67].map(|step| values(channels, step));
    let norm = NormGradient {
        gradient: &d,
        input: &maxima,
        mean: &mean,
        scale: &scale,
        slope: &slope,
        offset: &offset,
    };
    for of_maxima in [MaximaGradient::Stored(&d), MaximaGradient::Norm(norm)] {
        let mut dz = vec![f32::NAN; len];
        match of_maxima {
            MaximaGradient::Stored(gradient) => dz.copy_from_slice(gradient),
            MaximaGradient::Norm(norm) => norm_gradient(norm, None, &mut dz),
        }
        let mut dy = vec![f32::NAN; y.len()];
        let images = dy.chunks_mut(y.len() / shape.batch);
        for (dy, (dz, at)) in images.zip(dz.chunks(each).zip(argmax.chunks(each))) {
            max_pool_gradient(&one, dz, at, dy);
        }
        let pooled = || OutputGradient::Pooled { pool, argmax: &argmax, maxima: of_maxima };
        let mut found = [0, 1].map(|_| (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]));
        for (gradient, (dx, dw)) in
            [OutputGradient::Stored(&dy), pooled()].into_iter().zip(&mut found)
        {
            let mut sums = vec![f64::NAN; 3 * inputs];
            let target = (&mut dx[..], Finish::default(), &mut sums[..]);
            gradients(shape, &w, gradient, operand, target, partials, dw, scratch);
        }
        alike(&found[1].0, &found[0].0, "input gradient");
        alike(&found[1].1, &found[0].1, "weight gradient");
        let mut found = [0, 1].map(|_| vec![f32::NAN; w.len()]);
        for (gradient, dw) in [OutputGradient::Stored(&dy), pooled()].into_iter().zip(&mut found) {
            weight_gradient(shape, operand, gradient, dw, scratch);
        }
        alike(&found[1], &found[0], "weight gradient alone");
    }
}

/// As many values, cut in another way.
#[test]
#[should_panic(expected = "batch, image and channels of a pool")]
fn a_pool_takes_what_the_convolution_writes() {
    let shape = Conv2dShape {
        batch: 4,
        image: [8; 2],
        in_channels: 3,
        out_channels: 5,
        kernel: [3; 2],
        stride: [1; 2],
        padding: [1; 2],
    };
    let pool = Conv2dShape {
        batch: 1,
        image: [32, 8],
        in_channels: 5,
        kernel: [1; 2],
        padding: [0; 2],
        ..shape
    };
    let (x, w) = (values(shape.input_len(), 0.37), values(shape.weight_len(), 0.77));
    let (mut maxima, mut argmax) = (vec![0.0; pool.output_len()], vec![0; pool.output_len()]);
    let output = Output::Pooled { pool, maxima: &mut maxima, argmax: &mut argmax };
    let input = Input::Stored(Operand { values: &x, normalise: None });
    forward(&shape, input, &w, output, None, &mut Vec::new(), &mut Scratch::new());
}
