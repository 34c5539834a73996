//! Speed of the kernels by shape, each checked against the `f64` definition before it is timed.
//!
//! `cargo bench -p smoothout-tensor --bench kernels -- [pattern]` runs those whose names match, for example
//! `weight_gradient.*64`, on as many threads as `RAYON_NUM_THREADS` says. An item is an operation as the direct
//! algorithm counts them, a multiply-add being two: Gitem/s are GFLOP/s, beside the peaks that are printed first.

use std::fmt;

use divan::Bencher;
use divan::counter::ItemsCount;
use smoothout_tensor::kernels::machine::{
    fma_peak_gflops, memory_bandwidth_gbs, register_tile_gflops,
};
use smoothout_tensor::kernels::{
    Aligned, Conv2dShape, InstructionSet, KernelChoice, Kernels, MatrixMut, MatrixRef, Precision,
    Scratch, kernels_in_use,
};
use smoothout_tensor::{
    BlockKind, Distribution, Geometry, ParameterLayout, Perturbation, PerturbationKey, Purpose,
    Real, StreamKey, fill_uniform,
};

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    pool.install(|| {
        let threads = rayon::current_num_threads();
        println!(
            "{threads} threads, {}: {:.0} GFLOP/s of multiply-adds ({:.0} in products from the \
             first-level cache), {:.0} GB/s of memory",
            kernels_in_use(),
            fma_peak_gflops(threads),
            register_tile_gflops(threads),
            memory_bandwidth_gbs(threads)
        );
        divan::main();
    });
}

/// In memory as networks have it.
fn zeros<R: Real>(len: usize) -> Aligned<R> {
    let mut zeros = Aligned::default();
    zeros.grow(len);
    zeros
}

fn values(len: usize, seed: u64) -> Aligned<f32> {
    let mut values = zeros(len);
    fill_uniform(StreamKey::new(seed, Purpose::Data), &mut values);
    values
}

fn wide(values: &[f32]) -> Aligned<f64> {
    let mut wide = zeros(values.len());
    wide.iter_mut().zip(values).for_each(|(wide, value)| *wide = f64::from(*value));
    wide
}

/// The largest difference relative to the largest value.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs());
    differences.fold(0.0, f64::max) / largest
}

/// Algorithm, instructions and precision.
#[derive(Debug, Clone, Copy)]
struct Way(KernelChoice, InstructionSet, Precision);

impl Way {
    fn select(self) {
        let Self(choice, set, precision) = self;
        choice.select();
        set.select();
        precision.select();
    }

    /// The largest error, where `exact` is that of whole factors.
    fn most(self, exact: f64) -> f64 {
        if self.2 == Precision::Bf16 { 1e-2 } else { exact }
    }

    /// How convolutions are timed: by either algorithm on the best instructions, directly on the next, and rounded.
    fn of_convolutions() -> Vec<Self> {
        let (direct, winograd, sets) = (KernelChoice::Direct, KernelChoice::Winograd, sets());
        let mut ways = vec![(direct, sets[0]), (winograd, sets[0])];
        ways.extend(sets.get(1).map(|set| (direct, *set)));
        let full = ways.into_iter().map(|(choice, set)| Self(choice, set, Precision::F32));
        full.chain(Self::rounded(direct)).collect()
    }

    /// How products are timed.
    fn of_products() -> Vec<Self> {
        let auto = KernelChoice::Auto;
        let full = sets().into_iter().map(|set| Self(auto, set, Precision::F32));
        full.chain(Self::rounded(auto)).collect()
    }

    /// Rounded factors on the best instructions, if these have them.
    fn rounded(choice: KernelChoice) -> Option<Self> {
        InstructionSet::detected().select();
        Precision::Bf16.is_available().then_some(Self(choice, sets()[0], Precision::Bf16))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(choice, set, precision) = self;
        write!(f, "{choice:?} {set:?} {precision:?}")
    }
}

/// The instructions of this CPU that are timed, the best first.
fn sets() -> Vec<InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available()).take(2).collect()
}

/// A convolution to be timed.
#[derive(Debug)]
struct Convolution {
    network: &'static str,
    shape: Conv2dShape,
    way: Way,
}

impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, shape, way } = self;
        let Conv2dShape { batch, image, in_channels, out_channels, kernel, stride, .. } = shape;
        write!(
            f,
            "{network} {in_channels}->{out_channels} {side}x{side} {kernel}x{kernel} /{stride} b{batch}, {way}",
            side = image[0],
            kernel = kernel[0],
            stride = stride[0]
        )
    }
}

fn convolutions() -> Vec<Convolution> {
    let shapes = [
        ("resnet", 128, 32, [3, 16], 3, 1),
        ("resnet", 128, 32, [16, 16], 3, 1),
        ("resnet", 8, 32, [16, 16], 3, 1),
        ("resnet", 128, 32, [16, 32], 3, 2),
        ("resnet", 128, 32, [16, 32], 1, 2),
        ("resnet", 128, 16, [32, 32], 3, 1),
        ("resnet", 128, 16, [32, 64], 3, 2),
        ("resnet", 128, 8, [64, 64], 3, 1),
        ("c3", 128, 32, [3, 64], 5, 1),
        ("c3", 128, 15, [64, 64], 5, 1),
        ("wrn", 16, 32, [64, 64], 3, 1),
        ("wrn", 16, 16, [128, 128], 3, 1),
        ("wrn", 32, 8, [256, 256], 3, 1),
        ("vgg", 64, 4, [512, 512], 3, 1),
        ("vgg", 128, 2, [512, 512], 3, 1),
    ];
    let of_shape =
        |(network, batch, side, channels, kernel, stride): (_, _, _, [usize; 2], _, _)| {
            let shape = Conv2dShape {
                batch,
                image: [side; 2],
                in_channels: channels[0],
                out_channels: channels[1],
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [kernel / 2; 2],
            };
            Way::of_convolutions().into_iter().map(move |way| Convolution { network, shape, way })
        };
    shapes.into_iter().flat_map(of_shape).collect()
}

#[derive(Debug, Clone, Copy)]
enum Pass {
    Forward,
    InputGradient,
    WeightGradient,
}

impl Pass {
    fn run<R: Real>(self, shape: &Conv2dShape, data: &mut [Aligned<R>; 3], s: &mut Scratch<R>) {
        let [x, w, g] = data;
        match self {
            Self::Forward => R::conv2d_forward(shape, x, w, g, s),
            Self::InputGradient => R::conv2d_input_gradient(shape, w, g, x, s),
            Self::WeightGradient => R::conv2d_weight_gradient(shape, x, g, w, s),
        }
    }

    /// Checks a few images, and times all.
    fn time(self, bencher: Bencher<'_, '_>, convolution: &Convolution) {
        let Convolution { shape, way, .. } = convolution;
        let data = |shape: &Conv2dShape| {
            [
                values(shape.input_len(), 1),
                values(shape.weight_len(), 2),
                values(shape.output_len(), 3),
            ]
        };
        way.select();
        let few = Conv2dShape { batch: 3, ..*shape };
        let (mut found, mut expected) = (data(&few), data(&few).map(|values| wide(&values)));
        self.run(&few, &mut found, &mut Scratch::new());
        self.run(&few, &mut expected, &mut Scratch::new());
        for (found, expected) in found.iter().zip(&expected) {
            let error = error(found, expected);
            assert!(error < way.most(2e-5), "{self:?} of {convolution}: {error}");
        }
        let (mut data, mut scratch) = (data(shape), Scratch::new());
        bencher
            .counter(ItemsCount::new(2 * shape.multiply_adds()))
            .bench_local(|| self.run(shape, &mut data, &mut scratch));
    }
}

#[divan::bench(args = convolutions(), sample_count = 40, sample_size = 1, max_time = 1)]
fn forward(bencher: Bencher<'_, '_>, convolution: &Convolution) {
    Pass::Forward.time(bencher, convolution);
}

#[divan::bench(args = convolutions(), sample_count = 40, sample_size = 1, max_time = 1)]
fn input_gradient(bencher: Bencher<'_, '_>, convolution: &Convolution) {
    Pass::InputGradient.time(bencher, convolution);
}

#[divan::bench(args = convolutions(), sample_count = 40, sample_size = 1, max_time = 1)]
fn weight_gradient(bencher: Bencher<'_, '_>, convolution: &Convolution) {
    Pass::WeightGradient.time(bencher, convolution);
}

/// A product of matrices to be timed.
#[derive(Debug)]
struct Product {
    name: String,
    /// Rows, columns and terms.
    extents: [usize; 3],
    transposed: [bool; 2],
    way: Way,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name, self.way)
    }
}

fn products() -> Vec<Product> {
    let layers =
        [(128, 784, 512), (128, 512, 512), (4096, 784, 512), (4096, 512, 512), (128, 3136, 384)];
    let of_layer = |(batch, from, to): (usize, usize, usize)| {
        let passes = [
            ("x w^t", [batch, to, from], [false, true]),
            ("g w", [batch, from, to], [false, false]),
            ("g^t x", [to, from, batch], [true, false]),
        ];
        passes.into_iter().flat_map(move |(pass, extents, transposed)| {
            Way::of_products().into_iter().map(move |way| {
                let name = format!("{pass} {batch}x{from}x{to}");
                Product { name, extents, transposed, way }
            })
        })
    };
    layers.into_iter().flat_map(of_layer).collect()
}

#[divan::bench(args = products(), sample_count = 100, sample_size = 1, max_time = 1)]
fn product(bencher: Bencher<'_, '_>, product: &Product) {
    fn view<R>(data: &[R], rows: usize, columns: usize, transposed: bool) -> MatrixRef<'_, R> {
        if transposed {
            MatrixRef::new(data, columns, rows).transposed()
        } else {
            MatrixRef::new(data, rows, columns)
        }
    }
    let &Product { extents: [m, n, k], transposed, way, .. } = product;
    let (a, b, mut c) = (values(m * k, 1), values(k * n, 2), zeros(m * n));
    let (a64, b64, mut c64) = (wide(&a), wide(&b), zeros(m * n));
    let (a64, b64) = (view(&a64, m, k, transposed[0]), view(&b64, k, n, transposed[1]));
    f64::gemm(a64, b64, MatrixMut::new(&mut c64, m, n));
    let (a, b) = (view(&a, m, k, transposed[0]), view(&b, k, n, transposed[1]));
    way.select();
    f32::gemm(a, b, MatrixMut::new(&mut c, m, n));
    let error = error(&c, &c64);
    assert!(error < way.most(1e-5), "{product}: {error}");
    bencher
        .counter(ItemsCount::new(2 * m * n * k))
        .bench_local(|| f32::gemm(a, b, MatrixMut::new(&mut c, m, n)));
}

/// A perturbation to be timed; here an item is a parameter.
#[divan::bench(
    args = [Distribution::Uniform, Distribution::Gaussian]
        .into_iter()
        .flat_map(|law| [(law, Geometry::Absolute), (law, Geometry::Filter)]),
    sample_count = 100,
    sample_size = 1,
    max_time = 1
)]
fn perturbation(bencher: Bencher<'_, '_>, (law, geometry): (Distribution, Geometry)) {
    // The blocks of a network of 1.4 M parameters.
    let mut layout = ParameterLayout::new();
    for block in 0..38 {
        layout.push(&format!("conv{block}"), &[64, 64, 3, 3], BlockKind::Weight).unwrap();
        layout.push(&format!("gamma{block}"), &[64], BlockKind::NormScale).unwrap();
    }
    let (w, mut out) = (values(layout.len(), 1), zeros(layout.len()));
    let perturbation = Perturbation::new(geometry, 0.1).unwrap().distribution(law);
    bencher
        .counter(ItemsCount::new(layout.len()))
        .bench_local(|| perturbation.apply(&layout, PerturbationKey::new(1), &w, &mut out));
}
