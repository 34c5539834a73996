//! Speed of the kernels by shape, in GFLOP/s counted as direct work, beside the peak of fused
//! multiply-adds measured in the same run.
//!
//! `cargo bench -p smoothout-tensor --bench kernels -- [word]...` runs the shapes whose line
//! contains one of the words. Every result is checked against the `f64` definition before its
//! kernel is timed. Rounds of the choices are interleaved, because machines drift; the fastest
//! round is printed.

use std::time::Instant;

use rayon::ThreadPool;
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

const ROUNDS: usize = 7;

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

/// Seconds of the fastest round of each choice on the pool, rounds interleaved.
fn fastest<T: Copy + Sync>(
    pool: &ThreadPool,
    choices: &[T],
    select: impl Fn(T) + Sync,
    mut run: impl FnMut() + Send,
) -> Vec<f64> {
    let mut times = vec![Vec::new(); choices.len()];
    pool.install(|| {
        for round in 0..=ROUNDS {
            for (choice, times) in choices.iter().zip(&mut times) {
                select(*choice);
                let start = Instant::now();
                let mut runs = 0;
                while runs == 0 || start.elapsed().as_secs_f64() < 0.03 {
                    run();
                    runs += 1;
                }
                if round > 0 {
                    times.push(start.elapsed().as_secs_f64() / f64::from(runs));
                }
            }
        }
    });
    times.into_iter().map(|times| times.into_iter().fold(f64::INFINITY, f64::min)).collect()
}

fn line<T: Copy + Sync>(
    name: &str,
    pools: &[ThreadPool],
    (choices, select): (&[T], impl Fn(T) + Sync),
    operations: f64,
    mut run: impl FnMut() + Send,
) {
    print!("{name:44}");
    for pool in pools {
        for seconds in fastest(pool, choices, &select, &mut run) {
            print!(" {:8.1}", operations / seconds / 1e9);
        }
        print!(" |");
    }
    println!();
}

#[derive(Debug, Clone, Copy)]
enum Pass {
    Forward,
    InputGradient,
    WeightGradient,
}

fn run_pass<R: Real>(
    pass: Pass,
    shape: &Conv2dShape,
    data: &mut [Aligned<R>; 3],
    s: &mut Scratch<R>,
) {
    let [x, w, g] = data;
    match pass {
        Pass::Forward => R::conv2d_forward(shape, x, w, g, s),
        Pass::InputGradient => R::conv2d_input_gradient(shape, w, g, x, s),
        Pass::WeightGradient => R::conv2d_weight_gradient(shape, x, g, w, s),
    }
}

fn convolution(name: &str, shape: Conv2dShape, pools: &[ThreadPool], words: &[String]) {
    for pass in [Pass::Forward, Pass::InputGradient, Pass::WeightGradient] {
        let name = format!("{name} {pass:?}");
        if !chosen(&name, words) {
            continue;
        }
        let data = |shape: &Conv2dShape| {
            [
                values(shape.input_len(), 1),
                values(shape.weight_len(), 2),
                values(shape.output_len(), 3),
            ]
        };
        let few = Conv2dShape { batch: 3, ..shape };
        let mut expected = data(&few).map(|values| wide(&values));
        run_pass(pass, &few, &mut expected, &mut Scratch::new());
        let ways = ways();
        for way in &ways {
            select(*way);
            let mut found = data(&few);
            run_pass(pass, &few, &mut found, &mut Scratch::new());
            for (found, expected) in found.iter().zip(&expected) {
                let error = error(found, expected);
                assert!(error < most(way, 2e-5), "{name} {way:?}: {error}");
            }
        }
        let (mut data, mut scratch) = (data(&shape), Scratch::new());
        let operations = 2.0 * shape.multiply_adds() as f64;
        line(&name, pools, (&ways, select), operations, || {
            run_pass(pass, &shape, &mut data, &mut scratch);
        });
        select((KernelChoice::Auto, InstructionSet::detected(), Precision::F32));
    }
}

fn product(name: &str, [m, n, k]: [usize; 3], transposed: [bool; 2], pools: &[ThreadPool]) {
    fn view<R>(data: &[R], rows: usize, columns: usize, transposed: bool) -> MatrixRef<'_, R> {
        if transposed {
            MatrixRef::new(data, columns, rows).transposed()
        } else {
            MatrixRef::new(data, rows, columns)
        }
    }
    let (a, b, mut c) = (values(m * k, 1), values(k * n, 2), zeros(m * n));
    let (a64, b64, mut c64) = (wide(&a), wide(&b), zeros(m * n));
    let (a64, b64) = (view(&a64, m, k, transposed[0]), view(&b64, k, n, transposed[1]));
    f64::gemm(a64, b64, MatrixMut::new(&mut c64, m, n));
    let (a, b) = (view(&a, m, k, transposed[0]), view(&b, k, n, transposed[1]));
    let ways = product_ways();
    for way in &ways {
        select(*way);
        f32::gemm(a, b, MatrixMut::new(&mut c, m, n));
        assert!(error(&c, &c64) < most(way, 1e-5), "{name} {way:?}");
    }
    line(name, pools, (&ways, select), 2.0 * (m * n * k) as f64, || {
        f32::gemm(a, b, MatrixMut::new(&mut c, m, n));
    });
    select((KernelChoice::Auto, InstructionSet::detected(), Precision::F32));
}

/// Algorithms, instructions and precision.
type Way = (KernelChoice, InstructionSet, Precision);

fn select((choice, set, precision): Way) {
    choice.select();
    set.select();
    precision.select();
}

/// The largest error of a way, where `exact` is that of whole factors.
fn most((_, _, precision): &Way, exact: f64) -> f64 {
    if *precision == Precision::Bf16 { 1e-2 } else { exact }
}

/// How convolutions are timed: by either algorithm on the best instructions, directly on the next, and rounded.
fn ways() -> Vec<Way> {
    let (direct, winograd) = (KernelChoice::Direct, KernelChoice::Winograd);
    let sets = sets();
    let mut ways = vec![(direct, sets[0]), (winograd, sets[0])];
    ways.extend(sets.get(1).map(|set| (direct, *set)));
    let full = ways.into_iter().map(|(choice, set)| (choice, set, Precision::F32));
    full.chain(rounded(direct)).collect()
}

/// How products are timed.
fn product_ways() -> Vec<Way> {
    let auto = KernelChoice::Auto;
    let full = sets().into_iter().map(|set| (auto, set, Precision::F32));
    full.chain(rounded(auto)).collect()
}

/// Rounded factors on the best instructions, if these have them.
fn rounded(choice: KernelChoice) -> Option<Way> {
    InstructionSet::detected().select();
    Precision::Bf16.is_available().then_some((choice, sets()[0], Precision::Bf16))
}

/// The instructions of this CPU that products are timed with, the best first.
fn sets() -> Vec<InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available()).take(2).collect()
}

fn perturbation(pools: &[ThreadPool]) {
    // The blocks of a network of 1.4 M parameters.
    let mut layout = ParameterLayout::new();
    for block in 0..38 {
        layout.push(&format!("conv{block}"), &[64, 64, 3, 3], BlockKind::Weight).unwrap();
        layout.push(&format!("gamma{block}"), &[64], BlockKind::NormScale).unwrap();
    }
    let (w, mut out) = (values(layout.len(), 1), zeros(layout.len()));
    for law in [Distribution::Uniform, Distribution::Gaussian] {
        for geometry in [Geometry::Absolute, Geometry::Filter] {
            let perturbation = Perturbation::new(geometry, 0.1).unwrap().distribution(law);
            print!("{:44}", format!("perturbation {law:?} {geometry:?}, ms"));
            for pool in pools {
                let time = fastest(pool, &[KernelChoice::Auto], KernelChoice::select, || {
                    perturbation.apply(&layout, PerturbationKey::new(1), &w, &mut out);
                });
                print!(" {:8.3}", time[0] * 1e3);
            }
            println!();
        }
    }
}

fn chosen(name: &str, words: &[String]) -> bool {
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with('-')).collect();
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if most > 1 { vec![1, most] } else { vec![1] };
    let pools: Vec<_> = threads
        .iter()
        .map(|&n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap())
        .collect();
    println!("kernels: {}", kernels_in_use());
    for &n in &threads {
        let (peak, tile, memory) =
            (fma_peak_gflops(n), register_tile_gflops(n), memory_bandwidth_gbs(n));
        println!(
            "{n} threads: {peak:.0} GFLOP/s of multiply-adds ({tile:.0} in products from the \
             first-level cache), {memory:.0} GB/s of memory"
        );
    }
    let (convolutions, products) = (ways(), product_ways());
    println!(
        "GFLOP/s on {threads:?} threads: convolutions {convolutions:?}, products {products:?}"
    );
    let shape = |batch, side, channels: [usize; 2], kernel, stride| Conv2dShape {
        batch,
        image: [side; 2],
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
    };
    for (name, shape) in [
        ("resnet 3->16 32x32", shape(128, 32, [3, 16], 3, 1)),
        ("resnet 16->16 32x32", shape(128, 32, [16, 16], 3, 1)),
        ("resnet 16->16 32x32, batch 8", shape(8, 32, [16, 16], 3, 1)),
        ("resnet 16->32 32x32 /2", shape(128, 32, [16, 32], 3, 2)),
        ("resnet 16->32 32x32 1x1 /2", shape(128, 32, [16, 32], 1, 2)),
        ("resnet 32->32 16x16", shape(128, 16, [32, 32], 3, 1)),
        ("resnet 32->64 16x16 /2", shape(128, 16, [32, 64], 3, 2)),
        ("resnet 64->64 8x8", shape(128, 8, [64, 64], 3, 1)),
        ("c3 3->64 32x32 5x5", shape(128, 32, [3, 64], 5, 1)),
        ("c3 64->64 15x15 5x5", shape(128, 15, [64, 64], 5, 1)),
        ("wrn 64->64 32x32", shape(16, 32, [64, 64], 3, 1)),
        ("wrn 128->128 16x16", shape(16, 16, [128, 128], 3, 1)),
        ("wrn 256->256 8x8", shape(32, 8, [256, 256], 3, 1)),
        ("vgg 512->512 4x4", shape(64, 4, [512, 512], 3, 1)),
        ("vgg 512->512 2x2", shape(128, 2, [512, 512], 3, 1)),
    ] {
        convolution(name, shape, &pools, &words);
    }
    for (batch, from, to) in
        [(128, 784, 512), (128, 512, 512), (4096, 784, 512), (4096, 512, 512), (128, 3136, 384)]
    {
        for (name, size, transposed) in [
            ("x w^t", [batch, to, from], [false, true]),
            ("g w", [batch, from, to], [false, false]),
            ("g^t x", [to, from, batch], [true, false]),
        ] {
            let name = format!("gemm {batch}x{from}x{to} {name}");
            if chosen(&name, &words) {
                product(&name, size, transposed, &pools);
            }
        }
    }
    if chosen("perturbation", &words) {
        perturbation(&pools);
    }
}
