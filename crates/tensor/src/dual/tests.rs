use num_traits::{Float, Zero};

use super::*;
use crate::kernels::{Conv2dShape, Kernels, MatrixMut, MatrixRef, Scratch};
use crate::{Purpose, fill_uniform};

type Function = fn(Dual<f64>) -> Dual<f64>;

/// Each function's tangent is its central difference, at points on both sides of 0 where it is
/// defined there.
#[test]
fn functions_have_their_derivatives() {
    let everywhere: &[Function] = &[
        |x| x * x - x,
        |x| Dual::from_f64(2.0) / (Dual::from_f64(3.0) + x),
        |x| -x,
        |x| x % Dual::from_f64(0.25),
        |x| Dual::from_f64(7.0) % (x + Dual::from_f64(2.0)),
        Float::floor,
        Float::ceil,
        Float::round,
        Float::trunc,
        Float::fract,
        Float::abs,
        Float::signum,
        Float::recip,
        Float::cbrt,
        Float::exp,
        Float::exp2,
        Float::exp_m1,
        Float::ln_1p,
        Float::sin,
        Float::cos,
        Float::tan,
        Float::asin,
        Float::acos,
        Float::atan,
        Float::sinh,
        Float::cosh,
        Float::tanh,
        Float::asinh,
        Float::atanh,
        |x| x.mul_add(x, x),
        |x| x.powi(3),
        |x| x.powi(-2),
        |x| Dual::from_f64(1.5).powf(x),
        |x| x.max(Dual::from_f64(0.1)),
        |x| x.min(Dual::from_f64(0.1)),
        |x| x.abs_sub(Dual::from_f64(0.1)),
        |x| x.hypot(x.exp()),
        |x| x.atan2(x.exp()),
        |x| x.sin_cos().0 * x.sin_cos().1,
    ];
    let positive: &[Function] = &[
        Float::sqrt,
        Float::ln,
        Float::log2,
        Float::log10,
        |x| x.powf(Dual::from_f64(2.5)),
        |x| x.powf(x),
        |x| x.log(x + Dual::from_f64(3.0)),
    ];
    let check = |f: Function, x: f64, name: String| {
        let found = f(Dual { value: x, tangent: 2.0 }).tangent;
        let at = |x| f(Dual::constant(x)).value;
        let expected = 2.0 * (at(x + 1e-5) - at(x - 1e-5)) / 2e-5;
        assert!(
            (found - expected).abs() < 1e-7 * (1.0 + found.abs()),
            "{name}: {found} {expected}"
        );
    };
    for (i, f) in everywhere.iter().enumerate() {
        check(*f, 0.3, format!("function {i} at 0.3"));
        check(*f, -0.45, format!("function {i} at -0.45"));
    }
    for (i, f) in positive.iter().enumerate() {
        check(*f, 0.3, format!("positive function {i}"));
    }
    check(Float::acosh, 1.7, "acosh".to_owned());
}

fn numbers(len: usize, seed: u64) -> Vec<Dual<f64>> {
    let draw = |step| {
        let mut values = vec![0.0; len];
        fill_uniform(StreamKey::new(seed, Purpose::Data).step(step), &mut values);
        values
    };
    let parts = draw(0).into_iter().zip(draw(1));
    parts.map(|(value, tangent)| Dual { value, tangent }).collect()
}

fn assert_same(found: &[Dual<f64>], expected: &[Dual<f64>]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.value - expected.value).abs() < 1e-13, "{found} {expected}");
        assert!((found.tangent - expected.tangent).abs() < 1e-13, "{found} {expected}");
    }
}

/// Products by parts are the products of dual numbers, one that does not move among them.
#[test]
fn kernels_multiply_dual_numbers() {
    let (mut a, b) = (numbers(6, 1), numbers(12, 2));
    for moving in [true, false] {
        if !moving {
            a.iter_mut().for_each(|x| x.tangent = 0.0);
        }
        let mut c = numbers(8, 3);
        let transposed = MatrixRef::new(&a, 3, 2).transposed();
        Kernels::gemm(transposed, MatrixRef::new(&b, 3, 4), MatrixMut::new(&mut c, 2, 4));
        let expected = |i: usize| (0..3).map(|k| a[k * 2 + i / 4] * b[k * 4 + i % 4]).sum();
        assert_same(&c, &(0..8).map(expected).collect::<Vec<Dual<f64>>>());
    }
}

/// A convolution over one pixel is a product of matrices, and so are its gradients.
#[test]
fn convolutions_multiply_dual_numbers() {
    let shape = Conv2dShape {
        batch: 4,
        image: [1, 1],
        in_channels: 3,
        out_channels: 2,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
    };
    let (x, w, dy) = (numbers(12, 1), numbers(6, 2), numbers(8, 3));
    let scratch = &mut Scratch::new();
    let (mut y, mut dx, mut dw) = (numbers(8, 4), numbers(12, 5), numbers(6, 6));
    Kernels::conv2d_forward(&shape, &x, &w, &mut y, scratch);
    Kernels::conv2d_input_gradient(&shape, &w, &dy, &mut dx, scratch);
    Kernels::conv2d_weight_gradient(&shape, &x, &dy, &mut dw, scratch);
    let mut expected = [numbers(8, 4), numbers(12, 5), numbers(6, 6)];
    for expected in &mut expected {
        expected.fill(Dual::zero());
    }
    for n in 0..4 {
        for o in 0..2 {
            for i in 0..3 {
                expected[0][n * 2 + o] += w[o * 3 + i] * x[n * 3 + i];
                expected[1][n * 3 + i] += w[o * 3 + i] * dy[n * 2 + o];
                expected[2][o * 3 + i] += dy[n * 2 + o] * x[n * 3 + i];
            }
        }
    }
    for (found, expected) in [y, dx, dw].iter().zip(&expected) {
        assert_same(found, expected);
    }
}

#[test]
fn random_numbers_are_those_of_the_value_and_do_not_move() {
    let key = StreamKey::new(1, Purpose::Data);
    let (mut dual, mut plain) = (vec![Dual::<f32>::zero(); 5000], vec![0.0_f32; 5000]);
    fill_uniform(key, &mut dual);
    fill_uniform(key, &mut plain);
    assert!(dual.iter().zip(&plain).all(|(d, &p)| d.value == p && d.tangent == 0.0));
}

#[test]
fn comparisons_look_at_values() {
    let (a, b) = (Dual { value: 1.0, tangent: 5.0 }, Dual { value: 1.0, tangent: -5.0 });
    assert!(a == b && a <= b && a < Dual::constant(2.0));
    assert!(Dual::constant(f64::NAN).max(a).value == 1.0 && a.max(Float::nan()).value == 1.0);
}
