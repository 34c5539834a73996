//! Each pass against its definition in `f64`, on every instruction set, for channels that fill
//! vectors and channels that do not.

use proptest::prelude::*;

use super::gradient::{ApplyNorm, Finish, FinishGroup, NormGradient, Normed};
use super::moments::{GroupMoments, merge};
use super::*;
use crate::kernels::conv::padded::Load;
use crate::kernels::precision::TESTED;
use crate::kernels::simd::{self, Task, Vector};
use crate::kernels::{
    Arithmetic, Conv2dShape, InstructionSet, Kernels, MatrixMut, MatrixRef, Scratch,
};

pub(super) fn values(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * step + step).sin() * 1.5).collect()
}

pub(super) fn near(found: &[f32], expected: &[f64], what: &str) {
    near_by(found, expected, largest(expected), what);
}

/// The same of what Winograd's algorithm may have computed, whose errors are larger.
fn near_convolved(found: &[f32], expected: &[f64], what: &str) {
    near_by(found, expected, 10.0 * largest(expected), what);
}

fn near_by(found: &[f32], expected: &[f64], scale: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(a) - b).abs() <= 1e-5 * scale, "{what} {i}: {a} instead of {b}");
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1e-3_f64, |largest, value| largest.max(value.abs()))
}

/// The product in `f64`, and the largest sum of its terms' sizes: rounding is in proportion to the
/// terms, and they may cancel.
fn product(a: MatrixRef<f64>, b: MatrixRef<f64>) -> (Vec<f64>, f64) {
    let multiply = |a: MatrixRef<f64>, b: MatrixRef<f64>| {
        let mut c = vec![f64::NAN; a.rows * b.columns];
        f64::gemm(a, b, MatrixMut::new(&mut c, a.rows, b.columns));
        c
    };
    let sizes = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
    let (a_sizes, b_sizes) = (sizes(a.data), sizes(b.data));
    let terms = multiply(MatrixRef { data: &a_sizes, ..a }, MatrixRef { data: &b_sizes, ..b });
    (multiply(a, b), largest(&terms))
}

/// What the rounding of a gradient's sums is in proportion to: the largest sum of its sizes over the
/// rows, times the largest normalised input, which `values` keeps within (1.5 + 1.5) 1.5.
fn sums_scale(gradient: &[f32], channels: usize) -> f64 {
    let mut sizes = vec![0.0; channels];
    for row in gradient.chunks(channels) {
        sizes.iter_mut().zip(row).for_each(|(size, &d)| *size += f64::from(d.abs()));
    }
    4.5 * largest(&sizes)
}

pub(super) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// All precisions, on the best instructions or those that give the same bits: passes beside take these.
fn arithmetic() -> impl Strategy<Value = Arithmetic> {
    let best = |with: &Arithmetic| with.rounds() || with.set == InstructionSet::detected();
    prop::sample::select(Arithmetic::available().filter(best).collect::<Vec<_>>())
}

/// Values that the precision keeps.
fn kept(with: Arithmetic, len: usize, step: f32) -> Vec<f32> {
    values(len, step).into_iter().map(|value| with.precision.kept(value)).collect()
}

/// Of a norm for each channel; where factors are rounded, one number that leaves them as they are.
fn of_norm(with: Arithmetic, channels: usize, (step, idle): (f32, f32)) -> Vec<f32> {
    if with.rounds() { vec![idle; channels] } else { values(channels, step) }
}

fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available())
}

struct LoadAll<'a>(Option<Normalise<'a>>, &'a [f32], &'a mut [f32]);

impl Task for LoadAll<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.0.load::<V>(self.1, self.2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn passes_are_their_definitions(rows in 2..300_usize, channels in 1..40_usize, relu: bool) {
        let len = rows * channels;
        let z = values(len, 0.37);
        let d = values(len, 0.91);
        let add = values(len, 0.53);
        let [mean, scale, shift, slope, offset] =
            [0.11, 0.23, 0.35, 0.47, 0.59].map(|step| values(channels, step));
        let normalise = Normalise { mean: &mean, scale: &scale, shift: &shift, relu };
        let wide = |values: &[f32], i: usize| f64::from(values[i]);
        let normed = |i: usize| {
            let c = i % channels;
            let y = (wide(&z, i) - wide(&mean, c)) * wide(&scale, c) + wide(&shift, c);
            if relu { y.max(0.0) } else { y }
        };
        for set in sets() {
            let mut to = vec![f32::NAN; len];
            simd::run(set, LoadAll(Some(normalise), &z, &mut to));
            near(&to, &(0..len).map(normed).collect::<Vec<_>>(), "normalised");

            let mut partial = vec![f64::NAN; 2 * channels];
            simd::run(set, GroupMoments { values: &z, partial: &mut partial });
            let mut moments = vec![f64::NAN; 2 * channels];
            for c in 0..channels {
                let column = || (c..len).step_by(channels).map(|i| wide(&z, i));
                moments[c] = column().sum::<f64>() / rows as f64;
                moments[channels + c] = column().map(|x| (x - moments[c]).powi(2)).sum();
            }
            near(&single(&partial), &moments, "moments");

            let norm = NormGradient {
                gradient: &d, input: &z, mean: &mean, scale: &scale, slope: &slope, offset: &offset,
            };
            simd::run(set, ApplyNorm { norm, add: Some(&add), to: &mut to });
            let dz = |i: usize| {
                let c = i % channels;
                wide(&add, i) + wide(&scale, c) * wide(&d, i)
                    + wide(&slope, c) * (wide(&z, i) - wide(&mean, c)) + wide(&offset, c)
            };
            near(&to, &(0..len).map(dz).collect::<Vec<_>>(), "dz");

            // The gate is the stored value, or the normalised one.
            for normalise in [None, Some(normalise)] {
                let first = Normed { input: &z, mean: &mean, inverse_std: &scale };
                let second = Normed { input: &add, ..first };
                let gate = Operand { values: &z, normalise };
                let finish =
                    Finish { add: Some(&add), gate: Some(gate), norms: [Some(first), Some(second)] };
                let mut gradient = d.clone();
                let mut partial = vec![f64::NAN; 3 * channels];
                simd::run(set, FinishGroup { finish, gradient: &mut gradient, partial: &mut partial });
                simd::run(set, LoadAll(normalise, &z, &mut to));
                let finished = |i: usize| {
                    if to[i] > 0.0 { wide(&d, i) + wide(&add, i) } else { 0.0 }
                };
                near(&gradient, &(0..len).map(finished).collect::<Vec<_>>(), "finished");
                let mut sums = vec![0.0; 3 * channels];
                for i in 0..len {
                    let c = i % channels;
                    sums[c] += finished(i);
                    let xhat = |z: &[f32]| (wide(z, i) - wide(&mean, c)) * wide(&scale, c);
                    sums[channels + c] += finished(i) * xhat(&z);
                    sums[2 * channels + c] += finished(i) * xhat(&add);
                }
                near(&single(&partial), &sums, "sums");
            }
        }
    }

    /// The convolutions are those of the plain definitions, of operands computed beforehand: of groups of one
    /// image and of several.
    #[test]
    fn convolutions_are_their_definitions(
        batch in prop_oneof![1..20_usize, Just(33), Just(70)],
        image in [2..9_usize, 2..9_usize],
        channels in prop_oneof![Just([16, 16]), Just([32, 16]), Just([3, 5]), Just([16, 20])],
        kernel in prop_oneof![Just(3_usize), Just(5)],
        stride in 1..3_usize,
        with in arithmetic(),
    ) {
        TESTED.set(Some(with));
        let shape = Conv2dShape {
            batch, image, in_channels: channels[0], out_channels: channels[1],
            kernel: [kernel; 2], stride: [stride; 2], padding: [kernel / 2; 2],
        };
        let (z, w) = (kept(with, shape.input_len(), 0.37), kept(with, shape.weight_len(), 0.77));
        let d = kept(with, shape.output_len(), 0.19);
        let [mean, scale, shift] =
            [(0.11, 0.0), (0.23, 1.0), (0.35, 0.0)].map(|law| of_norm(with, channels[0], law));
        let normalise = Normalise { mean: &mean, scale: &scale, shift: &shift, relu: true };
        let operand = Operand { values: &z, normalise: Some(normalise) };
        let mut x = vec![f32::NAN; z.len()];
        let combination = Combination { first: operand, second: None, relu: false };
        combine(combination, channels[0], &mut x);
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let (x, w64, mut y64) = (wide(&x), wide(&w), vec![0.0; d.len()]);
        f64::conv2d_forward(&shape, &x, &w64, &mut y64, &mut Scratch::new());
        let (scratch, partials) = (&mut Scratch::new(), &mut Vec::new());
        let (mut y, mut all) = (vec![f32::NAN; d.len()], vec![f64::NAN; 2 * channels[1]]);
        let (stored, to) = (Input::Stored(operand), Output::Stored(&mut y));
        forward(&shape, stored, &w, to, Some(&mut all), partials, scratch);
        near_convolved(&y, &y64, "output");
        // Of a residual block's end, written before and on the way: the same bits.
        let second = kept(with, z.len(), 0.83);
        let second = Some(Operand { values: &second, normalise: None });
        let combination = Combination { first: operand, second, relu: true };
        let mut end = vec![f32::NAN; z.len()];
        combine(combination, channels[0], &mut end);
        let mut found = [0, 1].map(|_| (vec![f32::NAN; y.len()], vec![f64::NAN; all.len()]));
        let mut to = vec![f32::NAN; z.len()];
        let stored = Operand { values: &end, normalise: None };
        for (input, (y, moments)) in
            [Input::Stored(stored), Input::Combined { combination, to: &mut to }]
                .into_iter()
                .zip(&mut found)
        {
            forward(&shape, input, &w, Output::Stored(y), Some(moments), partials, scratch);
        }
        prop_assert!(to == end && found[0] == found[1], "combined");
        let mut again = vec![f64::NAN; all.len()];
        moments(&y, &mut again, partials);
        near(&single(&all), &again, "moments");

        let [slope, offset, center, inverse] = [(0.29, 0.0), (0.41, 0.0), (0.13, 0.0), (0.67, 1.0)]
            .map(|law| of_norm(with, channels[1], law));
        let norm = NormGradient {
            gradient: &d, input: &y, mean: &center, scale: &inverse, slope: &slope, offset: &offset,
        };
        let (mut dz, mut expected) = (vec![f32::NAN; d.len()], vec![f32::NAN; d.len()]);
        norm_gradient(norm, None, &mut expected);
        let (mut dx, mut sums) = (vec![f32::NAN; z.len()], vec![f64::NAN; 3 * channels[0]]);
        let first = Normed { input: &z, mean: &mean, inverse_std: &scale };
        let finishing = Finish { add: None, gate: Some(operand), norms: [Some(first), None] };
        let from = OutputGradient::Norm { norm, to: &mut dz };
        let mut dw = vec![f32::NAN; w.len()];
        let target = (&mut dx[..], finishing, &mut sums[..]);
        gradients(&shape, &w, from, operand, target, partials, &mut dw, scratch);
        let dz = expected;
        // Of the same gradient, stored: the same bits.
        let (mut dx_again, mut sums_again) = (vec![f32::NAN; dx.len()], vec![f64::NAN; sums.len()]);
        let mut dw_again = vec![f32::NAN; w.len()];
        let (from, scratch_again) = (OutputGradient::Stored(&dz), &mut Scratch::new());
        let target = (&mut dx_again[..], finishing, &mut sums_again[..]);
        gradients(&shape, &w, from, operand, target, partials, &mut dw_again, scratch_again);
        prop_assert!(dx == dx_again && sums == sums_again && dw == dw_again, "stored");
        let mut dx64 = vec![0.0; z.len()];
        f64::conv2d_input_gradient(&shape, &w64, &wide(&dz), &mut dx64, &mut Scratch::new());
        for (dx, x) in dx64.iter_mut().zip(&x) {
            *dx = if *x > 0.0 { *dx } else { 0.0 };
        }
        near_convolved(&dx, &dx64, "input gradient");
        let mut sums_again = vec![f64::NAN; sums.len()];
        finish(Finish { gate: None, ..finishing }, &mut dx, &mut sums_again, partials);
        near_by(&single(&sums), &sums_again, sums_scale(&dx, channels[0]), "sums");

        let mut dw64 = vec![0.0; w.len()];
        f64::conv2d_weight_gradient(&shape, &x, &wide(&dz), &mut dw64, &mut Scratch::new());
        // Of many images, sums are small beside what is added up.
        let sizes = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
        let (x_sizes, dz_sizes, mut terms) = (sizes(&x), sizes(&wide(&dz)), dw64.clone());
        f64::conv2d_weight_gradient(&shape, &x_sizes, &dz_sizes, &mut terms, &mut Scratch::new());
        let scale = (10.0 * largest(&dw64)).max(0.1 * largest(&terms));
        near_by(&dw, &dw64, scale, "weight gradient");
        weight_gradient(&shape, operand, OutputGradient::Stored(&dz), &mut dw, scratch);
        near_by(&dw, &dw64, scale, "weight gradient alone");
    }

    /// A linear layer of few rows and of many, which are finished group by group.
    #[test]
    fn linear_layers_are_their_definitions(
        batch in prop_oneof![1..150_usize, 1500..1800_usize],
        inputs in 1..70_usize,
        outputs in 1..70_usize,
        biased: bool,
    ) {
        check_linear_layer([batch, inputs, outputs], biased);
    }
}

/// All three passes of a linear layer of (batch, inputs, outputs) whose input is normalised.
fn check_linear_layer([batch, inputs, outputs]: [usize; 3], biased: bool) {
    let extents = [inputs, outputs];
    let (z, w) = (values(batch * inputs, 0.37), values(outputs * inputs, 0.77));
    let bias = values(if biased { outputs } else { 0 }, 0.51);
    let d = values(batch * outputs, 0.19);
    let [mean, scale, shift] = [0.11, 0.23, 0.35].map(|step| values(inputs, step));
    let normalise = Normalise { mean: &mean, scale: &scale, shift: &shift, relu: true };
    let operand = Operand { values: &z, normalise: Some(normalise) };
    let mut x = vec![f32::NAN; z.len()];
    combine(Combination { first: operand, second: None, relu: false }, inputs, &mut x);
    let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let (x64, w64, d64) = (wide(&x), wide(&w), wide(&d));
    let x64 = MatrixRef::new(&x64, batch, inputs);
    let w64 = MatrixRef::new(&w64, outputs, inputs);
    let d64 = MatrixRef::new(&d64, batch, outputs);
    let partials = &mut Vec::new();

    let (mut y64, terms) = product(x64, w64.transposed());
    for row in y64.chunks_mut(outputs) {
        row.iter_mut().zip(&bias).for_each(|(y, &bias)| *y += f64::from(bias));
    }
    let (mut y, mut all) = (vec![f32::NAN; d.len()], vec![f64::NAN; 2 * outputs]);
    linear_forward(operand, &w, &bias, &mut y, Some(&mut all), partials, extents);
    near_by(&y, &y64, terms, "output");
    let mut again = vec![f64::NAN; all.len()];
    moments(&y, &mut again, partials);
    near(&single(&all), &again, "moments");

    let (mut dx64, terms) = product(d64, w64);
    for (dx, x) in dx64.iter_mut().zip(&x) {
        *dx = if *x > 0.0 { *dx } else { 0.0 };
    }
    let (mut dx, mut sums) = (vec![f32::NAN; z.len()], vec![f64::NAN; 3 * inputs]);
    let first = Normed { input: &z, mean: &mean, inverse_std: &scale };
    let finishing = Finish { add: None, gate: Some(operand), norms: [Some(first), None] };
    let from = OutputGradient::Stored(&d);
    let mut dw = vec![f32::NAN; w.len()];
    let target = (&mut dx[..], finishing, &mut sums[..]);
    linear_gradients(&w, from, operand, target, partials, &mut dw, extents);
    near_by(&dx, &dx64, terms, "input gradient");
    let mut sums_again = vec![f64::NAN; sums.len()];
    finish(Finish { gate: None, ..finishing }, &mut dx, &mut sums_again, partials);
    near_by(&single(&sums), &sums_again, sums_scale(&dx, inputs), "sums");

    let (dw64, terms) = product(d64.transposed(), x64);
    near_by(&dw, &dw64, terms, "weight gradient");
    let mut alone = vec![f32::NAN; w.len()];
    linear_weight_gradient(operand, &d, &mut alone, extents);
    assert_eq!(alone, dw, "the weight gradient alone");
}

/// Sums of so many terms, in so many rows, that they are taken in stretches, group by group.
#[test]
fn a_large_linear_layer_is_its_definition() {
    check_linear_layer([1600, 1600, 20], true);
}

/// Groups of 4, 4 and 2 rows: the moments are those of all ten.
#[test]
fn groups_merge_to_the_whole() {
    let z = values(10 * 3, 0.7);
    let mut partials = vec![0.0; 3 * 6];
    for (values, partial) in z.chunks(4 * 3).zip(partials.chunks_mut(6)) {
        simd::run(InstructionSet::Baseline, GroupMoments { values, partial });
    }
    let (mut merged, mut whole) = (vec![f64::NAN; 6], vec![f64::NAN; 6]);
    merge(&partials, &mut merged, 4, 10);
    simd::run(InstructionSet::Baseline, GroupMoments { values: &z, partial: &mut whole });
    near(&single(&merged), &whole, "moments");
}

/// The mean of a constant channel is its value, and its squares are 0, however large it is; a NaN is seen.
#[test]
fn a_constant_channel_has_no_variance() {
    for set in sets() {
        for (constant, rows) in [(1000.3_f32, 7), (70_000.7, 37), (1_000_000.3, 300), (-0.1, 1000)]
        {
            let z: Vec<f32> = (0..rows).flat_map(|r| [constant, r as f32]).collect();
            let mut partial = [f64::NAN; 4];
            simd::run(set, GroupMoments { values: &z, partial: &mut partial });
            let found = (partial[0] as f32, partial[2]);
            assert_eq!(found, (constant, 0.0), "{set:?}: {rows} rows of {constant}");
        }
        let mut partial = [0.0; 2];
        simd::run(set, GroupMoments { values: &[1.0, f32::NAN], partial: &mut partial });
        assert!(partial.iter().all(|moment| moment.is_nan()), "{set:?}: {partial:?}");
    }
}

/// A NaN passes a ReLU, as it does in the plain one.
#[test]
fn a_nan_is_not_rectified_away() {
    for set in sets() {
        let (one, zero) = ([1.0; 3], [0.0; 3]);
        let normalise = Normalise { mean: &zero, scale: &one, shift: &zero, relu: true };
        let mut to = [0.0; 3];
        simd::run(set, LoadAll(Some(normalise), &[f32::NAN, -1.0, 2.0], &mut to));
        assert!(to[0].is_nan() && to[1..] == [0.0, 2.0], "{set:?}: {to:?}");
    }
}
