//! The fast products equal the definition on every instruction set of this CPU.

use proptest::prelude::*;

use super::*;
use crate::kernels::InstructionSet;
use crate::kernels::normalise::Normalise;

fn values(len: usize, seed: u64) -> Vec<f32> {
    let key = crate::StreamKey::new(seed, crate::Purpose::Data);
    let mut out = vec![0.0; len];
    crate::fill_uniform(key, &mut out);
    out
}

/// A matrix of `rows x columns` in either order of its elements.
fn matrix<R>(data: &[R], rows: usize, columns: usize, transposed: bool) -> MatrixRef<'_, R> {
    if transposed {
        MatrixRef::new(data, columns, rows).transposed()
    } else {
        MatrixRef::new(data, rows, columns)
    }
}

fn check(size: [usize; 3], transposed: [bool; 2]) {
    check_with_bias(size, transposed, false);
}

fn check_with_bias([m, n, k]: [usize; 3], transposed: [bool; 2], biased: bool) {
    let (a, b) = (values(m * k, 1), values(k * n, 2));
    let bias = values(if biased { n } else { 0 }, 3);
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (a64, b64) = (wide(&a), wide(&b));
    let (mut expected, mut double) = (vec![f64::NAN; m * n], vec![f64::NAN; m * n]);
    let (a_view, b_view) = (matrix(&a64, m, k, transposed[0]), matrix(&b64, k, n, transposed[1]));
    plain::gemm(a_view, b_view, MatrixMut::new(&mut expected, m, n));
    super::double(a_view, b_view, MatrixMut::new(&mut double, m, n));
    let scale = (k as f64).sqrt() + 1.0;
    for (d, e) in double.iter().zip(&expected) {
        assert!((d - e).abs() < 1e-13 * scale);
    }
    for (i, expected) in expected.iter_mut().enumerate() {
        *expected += if biased { f64::from(bias[i % n]) } else { 0.0 };
    }
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let mut found = vec![f32::NAN; m * n];
        let (a, b) = (matrix(&a, m, k, transposed[0]), matrix(&b, k, n, transposed[1]));
        product(set.into(), &Product::new(a, b).bias(&bias), MatrixMut::new(&mut found, m, n));
        for (f, e) in found.iter().zip(&expected) {
            let error = (f64::from(*f) - e).abs();
            assert!(error < 5e-6 * scale, "{set:?} {m} {n} {k} {transposed:?}: {f} is not {e}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fast_is_the_definition(
        size in [1..140_usize, 1..300_usize, 0..70_usize],
        transposed: [bool; 2],
        biased: bool,
    ) {
        check_with_bias(size, transposed, biased);
    }
}

/// Sums longer than a block, and edges of row, column and term blocks.
#[test]
fn blocks_are_added() {
    for transposed in [[false, false], [false, true], [true, false], [true, true]] {
        check([65, 257, 2050], transposed);
        check([64, 256, 1024], transposed);
        check([1, 10, 3000], transposed);
        // More lines of both factors than a thread keeps split.
        check([1060, 1100, 33], transposed);
        check([1100, 1060, 33], transposed);
        // With a bias, stretches are not taken apart; few rows are transposed.
        check_with_bias([65, 257, 2050], transposed, true);
        check_with_bias([5, 300, 2050], transposed, true);
    }
}

#[test]
fn products_without_elements_or_terms() {
    for size in [[0, 5, 3], [5, 0, 3], [0, 0, 0], [5, 4, 0]] {
        for transposed in [[false, false], [false, true], [true, false], [true, true]] {
            check(size, transposed);
        }
    }
}

#[test]
#[should_panic(expected = "a bias for each column")]
fn a_bias_is_as_long_as_a_row() {
    let (a, b) = (values(6, 1), values(8, 2));
    let work = Product::new(MatrixRef::new(&a, 3, 2), MatrixRef::new(&b, 2, 4));
    let _ = work.bias(&[1.0, 2.0]);
}

/// Panels that tasks share and panels that one task packs: whole vectors, of the last panel too, few rows or
/// few terms.
#[test]
fn panels_of_whole_vectors() {
    for (m, n, k) in
        [(9, 48, 40), (128, 16, 600), (129, 80, 128), (300, 16, 1), (1, 1024, 2), (60, 48, 2100)]
    {
        check([m, n, k], [false, false]);
        check([m, n, k], [true, false]);
    }
}

/// Blocks of rows and columns, and parts of long sums.
#[test]
fn threads_do_not_change_the_bits() {
    for [m, n, k] in [[130, 530, 700], [60, 70, 2100], [60, 48, 2100]] {
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut c = vec![0.0; m * n];
            pool.install(|| {
                let (a, b) = (MatrixRef::new(&a, m, k), MatrixRef::new(&b, k, n));
                let c = MatrixMut::new(&mut c, m, n);
                product(InstructionSet::detected().into(), &Product::new(a, b), c);
            });
            c
        };
        let expected = on(1);
        assert!(expected == on(2) && expected == on(7));
    }
}

/// A second factor whose rows lie further apart than they are long.
#[test]
fn strided_factors() {
    let (m, n, k, stride) = (7, 32, 50, 48);
    let (a, b) = (values(m * k, 1), values(k * stride, 2));
    let dense: Vec<f32> = b.chunks(stride).flat_map(|row| &row[..n]).copied().collect();
    let run = |b: MatrixRef<'_, f32>| {
        let mut c = vec![f32::NAN; m * n];
        let work = Product::new(MatrixRef::new(&a, m, k), b);
        product(InstructionSet::detected().into(), &work, MatrixMut::new(&mut c, m, n));
        c
    };
    let last = (k - 1) * stride + n;
    let strided = run(MatrixRef::strided(&b[..last], k, n, stride));
    assert_eq!(strided, run(MatrixRef::new(&dense, k, n)));
}

/// A small batch and the weights of a layer: the columns of a are normalised, the bias is added, and
/// the sums are those of one batch of all rows, bit for bit.
#[test]
fn few_rows_are_computed_as_many() {
    for (rows, [inputs, outputs]) in
        [(1, [17, 3]), (5, [33, 70]), (37, [1200, 90]), (5, [2050, 300])]
    {
        let (x, w, bias) =
            (values(rows * inputs, 1), values(inputs * outputs, 2), values(outputs, 3));
        let (mean, scale, shift) = (values(inputs, 4), values(inputs, 5), values(inputs, 6));
        let normalise = Normalise { mean: &mean, scale: &scale, shift: &shift, relu: true };
        // Four times the batch has too many rows to be transposed.
        let copies = (outputs / rows + 1) * 4;
        let many: Vec<f32> = x.iter().copied().cycle().take(copies * x.len()).collect();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let run = |x: &[f32]| {
                let x = MatrixRef::new(x, x.len() / inputs, inputs);
                let w = MatrixRef::new(&w, outputs, inputs).transposed();
                let mut y = vec![f32::NAN; x.rows * outputs];
                let work = Product::new(x, w).normalise_a(Some(normalise)).bias(&bias);
                product(set.into(), &work, MatrixMut::new(&mut y, x.rows, outputs));
                y
            };
            assert!(run(&many).chunks(rows * outputs).all(|y| y == run(&x)), "{set:?} {rows}");
        }
    }
}
