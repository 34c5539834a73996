//! Splitting loses nothing, the unit is its definition, and products are as exact as fused
//! multiply-adds. What needs no unit runs on every CPU, with plain sums.

use proptest::prelude::*;

use super::strips::{Factor, Strips, strips_len};
use super::*;
use crate::kernels::gemm::{MatrixMut, MatrixRef, Product};
use crate::kernels::normalise::Normalise;
use crate::kernels::simd::{self, LANES, Portable, Task, Vector};
use crate::kernels::unit::{PARTS, has_dot_products, plain};
use crate::kernels::{Arithmetic, InstructionSet, Precision};

fn values(len: usize, seed: u64) -> Vec<f32> {
    let key = crate::StreamKey::new(seed, crate::Purpose::Data);
    let mut out = vec![0.0; len];
    crate::fill_uniform(key, &mut out);
    out
}

/// The parts of two vectors.
struct Parts([[f32; LANES]; 2]);

impl Task for Parts {
    type Output = [[u32; LANES]; PARTS];

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        // SAFETY: the arrays hold sixteen values.
        let [lower, upper] = unsafe { [V::load(self.0[0].as_ptr()), V::load(self.0[1].as_ptr())] };
        let parts = lower.split(upper);
        let mut out = [[0; LANES]; PARTS];
        for part in 0..PARTS {
            // SAFETY: as above; the bits of a value are as long as it.
            unsafe { parts[part].store(out[part].as_mut_ptr().cast()) };
        }
        out
    }
}

/// Two vectors, rounded.
struct Rounded([[f32; LANES]; 2]);

impl Task for Rounded {
    type Output = [u32; LANES];

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let mut out = [0; LANES];
        // SAFETY: the arrays hold sixteen values; the bits of a value are as long as it.
        unsafe {
            let [lower, upper] = [V::load(self.0[0].as_ptr()), V::load(self.0[1].as_ptr())];
            lower.round(upper).store(out.as_mut_ptr().cast());
        }
        out
    }
}

fn bf16(bits: u32) -> f64 {
    f64::from(f32::from_bits(bits << 16))
}

proptest! {
    /// Whatever the bits, vectors split as the definition does. Parts have what the value has, or all
    /// that it means if it is not finite.
    #[test]
    fn parts_add_up(lower: [u32; LANES], upper: [u32; LANES]) {
        let pair = [lower, upper].map(|lanes| lanes.map(f32::from_bits));
        let defined = Parts(pair).run::<Portable<LANES>>();
        let found = simd::run(InstructionSet::detected(), Parts(pair));
        for lane in 0..LANES {
            for (half, x) in [pair[0][lane], pair[1][lane]].into_iter().enumerate() {
                let numbers = |parts: &[[u32; LANES]; PARTS]| {
                    parts.map(|part| bf16(part[lane] >> (16 * half) & 0xffff))
                };
                let (defined, found) = (numbers(&defined), numbers(&found));
                for (d, f) in defined.iter().zip(&found) {
                    prop_assert!(d == f || d.is_nan() && f.is_nan(), "{x:e}: {defined:?}, {found:?}");
                }
                let sum: f64 = found.iter().sum();
                if !x.is_finite() {
                    prop_assert!(!sum.is_finite(), "{x} became {sum}");
                } else if (1e-30..3.38e38).contains(&x.abs()) {
                    prop_assert_eq!(sum, f64::from(x));
                } else {
                    // Beyond the largest `bf16`, or with a part below the least number.
                    let error = (sum - f64::from(x)).abs();
                    prop_assert!(error < 1e-38 || x.abs() > 1.0, "{x:e} became {sum:e}");
                }
            }
        }
    }

    /// One part is the nearest `bf16`.
    #[test]
    fn a_single_part_is_rounded(lower: [u32; LANES], upper: [u32; LANES]) {
        let pair = [lower, upper].map(|lanes| lanes.map(f32::from_bits));
        let defined = Rounded(pair).run::<Portable<LANES>>();
        prop_assert_eq!(simd::run(InstructionSet::detected(), Rounded(pair)), defined);
        for lane in 0..LANES {
            for (half, x) in [pair[0][lane], pair[1][lane]].into_iter().enumerate() {
                let found = bf16(defined[lane] >> (16 * half) & 0xffff);
                if !x.is_finite() {
                    prop_assert!(!found.is_finite(), "{x} became {found}");
                } else if x.is_normal() && x.abs() < 3.38e38 {
                    prop_assert_eq!(found, f64::from(Precision::Bf16.kept(x)), "{:e}", x);
                }
            }
        }
    }

    /// The unit gives the bits of its definition.
    #[test]
    fn the_unit_is_its_definition(steps in 1..5_usize, seed: u64) {
        if !InstructionSet::Amx.is_available() {
            eprintln!("skipped: this CPU has no matrix unit, or the system does not lend it");
            return Ok(());
        }
        for stride in [0, LINES] {
            let [found, expected] = multiplied::<PARTS>(InstructionSet::Amx, steps, stride, seed);
            prop_assert_eq!(found, expected);
            let [found, expected] = multiplied::<1>(InstructionSet::Amx, steps, stride, seed);
            prop_assert_eq!(found, expected);
        }
    }

    /// Dot products add in another order.
    #[test]
    fn dot_products_are_the_definition(steps in 1..5_usize, seed: u64) {
        if !(has_dot_products() && InstructionSet::Avx512.is_available()) {
            eprintln!("skipped: this CPU has no AVX-512 BF16");
            return Ok(());
        }
        for stride in [0, LINES] {
            let [found, expected] = multiplied::<1>(InstructionSet::Avx512, steps, stride, seed);
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-6 * (steps * LINES) as f32);
            }
        }
    }

    /// Edges of strips and steps, either order of both factors, what is done to them as they are
    /// read, and a bias.
    #[test]
    fn products_are_the_definition(
        [m, n, k] in [1..70_usize, 1..70, 1..100],
        transposed: [bool; 2],
        normalised: [bool; 2],
        biased: bool,
        with in prop::sample::select(Arithmetic::of_split_factors().collect::<Vec<_>>()),
        seed: u64,
    ) {
        let kept = |value| with.precision.kept(value);
        let values = |len, seed| values(len, seed).into_iter().map(kept).collect::<Vec<_>>();
        let (a, b, bias) = (values(m * k, seed), values(k * n, !seed), values(n, 5));
        // Where what a norm makes is rounded, it is the same whether its multiply-add is fused or not.
        let normalise = |columns: usize| match with.precision {
            Precision::F32 => values(3 * columns, 6),
            Precision::Bf16 => [0.5, 2.0, 0.25].iter().flat_map(|&x| vec![x; columns]).collect(),
        };
        let (norm_a, norm_b) = (normalise(k), normalise(n));
        let view = |data, rows, columns, transposed| if transposed {
            MatrixRef::new(data, columns, rows).transposed()
        } else {
            MatrixRef::new(data, rows, columns)
        };
        let norm = |values, columns, transposed: bool, normalised: bool| {
            let [mean, scale, shift] = thirds(values, columns);
            (normalised && !transposed).then_some(Normalise { mean, scale, shift, relu: true })
        };
        let (norm_a, norm_b) = (
            norm(&norm_a, k, transposed[0], normalised[0]),
            norm(&norm_b, n, transposed[1], normalised[1]),
        );
        let (a, b) = (view(&a, m, k, transposed[0]), view(&b, k, n, transposed[1]));
        let bias = if biased { &bias[..] } else { &[] };
        let work = Product::new(a, b).normalise_a(norm_a).normalise_b(norm_b).bias(bias);
        let mut found = vec![f32::NAN; m * n];
        product(with, &work, MatrixMut::new(&mut found, m, n));
        let value = |matrix: &MatrixRef<'_, f32>, norm: &Option<Normalise<'_>>, i: usize, j: usize| {
            let x = matrix.data[i * matrix.row_stride + j * matrix.column_stride];
            f64::from(norm.map_or(x, |norm| {
                kept((x - norm.mean[j]).mul_add(norm.scale[j], norm.shift[j]).max(0.0))
            }))
        };
        for i in 0..m {
            for j in 0..n {
                let terms = (0..k).map(|t| value(&a, &norm_a, i, t) * value(&b, &norm_b, t, j));
                let size: f64 = terms.clone().map(f64::abs).sum();
                let expected = terms.sum::<f64>() + bias.get(j).map_or(0.0, |&b| f64::from(b));
                let error = (f64::from(found[i * n + j]) - expected).abs();
                prop_assert!(error < 1e-6 * (size + 1.0), "({i}, {j}): {error:e} of {size}");
            }
        }
    }
}

/// What a unit makes of two strips and what is there before, and what it is by definition.
fn multiplied<const P: usize>(
    set: InstructionSet,
    steps: usize,
    stride: usize,
    seed: u64,
) -> [Vec<f32>; 2] {
    let terms = steps * LINES;
    let (a, b) = (values(LINES * terms, seed), values(terms * LINES, !seed));
    let product = Product::new(MatrixRef::new(&a, LINES, terms), MatrixRef::new(&b, terms, LINES));
    let strips = [Factor::A, Factor::B].map(|factor| {
        let mut strips = vec![0.0; strips_len(LINES, terms, P)];
        let work = Strips::<P>::new(&product, factor, 0..LINES, 0..terms, &mut strips);
        simd::run(set, work);
        strips
    });
    let factors = [strips[0].as_ptr(), strips[1].as_ptr()];
    let before = values(1024, seed);
    let start = (before.as_ptr(), stride);
    let (mut found, mut expected) = (vec![f32::NAN; 1024], vec![f32::NAN; 1024]);
    // SAFETY: the strips hold the steps, and there are 32 rows of 32 sums; this thread has no other unit.
    unsafe {
        let mut unit = Unit::<P>::take(set);
        unit.multiply(factors, steps, start, (found.as_mut_ptr(), LINES));
        plain::multiply::<P>(factors, steps, start, (expected.as_mut_ptr(), LINES));
    }
    [found, expected]
}

/// Mean, scale and shift of `columns`.
fn thirds(values: &[f32], columns: usize) -> [&[f32]; 3] {
    [0, 1, 2].map(|third| &values[third * columns..][..columns])
}

/// Errors of sums, as shares of the sum of all absolute values: the root of the mean square, and the
/// largest.
fn errors(found: &[f32], exact: &[f64], size: &[f64]) -> [f64; 2] {
    let shares = || {
        let pairs = found.iter().zip(exact).zip(size);
        pairs.map(|((found, exact), size)| (f64::from(*found) - exact).abs() / size)
    };
    let squares: f64 = shares().map(|share| share * share).sum();
    [(squares / found.len() as f64).sqrt(), shares().fold(0.0, f64::max)]
}

/// A product of 32 terms and more has about half the error of a chain of fused multiply-adds: of numbers
/// of either sign, and of positive ones.
#[test]
fn products_are_as_exact_as_multiply_adds() {
    let (m, n) = (40, 33);
    for (k, positive) in [1, 8, 32, 128, 512].into_iter().flat_map(|k| [(k, false), (k, true)]) {
        let sign = |x: f32| if positive { x.abs() } else { x };
        let a: Vec<_> = values(m * k, 1).into_iter().map(sign).collect();
        let b: Vec<_> = values(k * n, 2).into_iter().map(sign).collect();
        let (mut chain, mut exact, mut size) = (vec![], vec![], vec![]);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let terms = || (0..k).map(|t| (a[i * k + t], b[t * n + j]));
            let wide = || terms().map(|(a, b)| f64::from(a) * f64::from(b));
            chain.push(terms().fold(0.0, |sum, (a, b)| a.mul_add(b, sum)));
            exact.push(wide().sum());
            size.push(wide().map(f64::abs).sum());
        }
        let mut found = vec![f32::NAN; m * n];
        let work = Product::new(MatrixRef::new(&a, m, k), MatrixRef::new(&b, k, n));
        product(InstructionSet::detected().into(), &work, MatrixMut::new(&mut found, m, n));
        let ([found, most], [chain, chain_most]) =
            (errors(&found, &exact, &size), errors(&chain, &exact, &size));
        println!(
            "{k} terms, positive: {positive}: {found:.2e}, at most {most:.2e}; \
             multiply-adds {chain:.2e}, at most {chain_most:.2e}"
        );
        // A few terms are rounded as often, many half as often.
        let share = if k < 32 { 1.5 } else { 0.6 };
        assert!(found <= share * chain && most <= share * chain_most);
    }
}

/// Nothing is written before c or behind it.
#[test]
fn sums_stay_inside() {
    for with in Arithmetic::of_split_factors() {
        sums_stay_inside_with(with);
    }
}

fn sums_stay_inside_with(with: Arithmetic) {
    for [m, n, k] in [[32, 32, 32], [33, 65, 20], [70, 31, 40], [1, 1, 1], [64, 10, 33]] {
        let (a, b, bias) = (values(m * k, 1), values(k * n, 2), values(n, 3));
        let mut c = vec![7.0; m * n + 200];
        let work = Product::new(MatrixRef::new(&a, m, k), MatrixRef::new(&b, k, n)).bias(&bias);
        product(with, &work, MatrixMut::new(&mut c[100..][..m * n], m, n));
        assert!(c[..100].iter().chain(&c[100 + m * n..]).all(|&c| c == 7.0), "{m} x {n}");
    }
}

/// What is not finite in a factor is not finite in the sums that it belongs to, and only there.
#[test]
fn infinite_factors_are_not_lost() {
    let (m, n, k) = (33, 17, 35);
    let bad = [f32::NAN, f32::INFINITY, f32::from_bits(0x7fff_ffff)];
    for (with, bad) in Arithmetic::of_split_factors().flat_map(|with| bad.map(|bad| (with, bad))) {
        let (mut a, b) = (values(m * k, 1), values(k * n, 2));
        a[17 * k + 33] = bad;
        let mut c = vec![0.0; m * n];
        let work = Product::new(MatrixRef::new(&a, m, k), MatrixRef::new(&b, k, n));
        product(with, &work, MatrixMut::new(&mut c, m, n));
        for (i, row) in c.chunks(n).enumerate() {
            assert!(row.iter().all(|c| c.is_finite() == (i != 17)), "{bad} in row {i}, {with:?}");
        }
    }
}
