//! Right gradients pass, at minima and kinks too; wrong ones are found.

use super::*;
use crate::FnObjective;

#[test]
fn a_right_gradient_passes_even_at_a_minimum_and_a_kink() {
    fn check<R: Real>(w: f64) {
        let f = FnObjective::new(1, |w: &[R]| w[0].as_f64().powi(2) + w[0].as_f64().abs())
            .with_gradient(|w: &[R], g: &mut [R]| {
                g[0] = R::from_f64(2.0) * w[0] + w[0].signum();
                w[0].as_f64().powi(2) + w[0].as_f64().abs()
            });
        check_gradient(&f, &[R::from_f64(w)]).unwrap();
    }
    for w in [1.0, -0.3, 40.0] {
        check::<f32>(w);
        check::<f64>(w);
    }
}

/// One that is zero is a claim too.
#[test]
fn a_forgotten_gradient_is_found() {
    let value = |w: &[f64]| 0.5 * (w[0] * w[0] + 4.0 * w[1] * w[1]);
    let f = FnObjective::new(2, value).with_gradient(|w, g| {
        g.fill(0.0);
        value(w)
    });
    let error = check_gradient(&f, &[1.0, 2.0]).unwrap_err();
    assert!(matches!(error, SharpnessError::WrongGradient { gradient: 0.0, .. }), "{error}");
    check_gradient(&f, &[0.0, 0.0]).unwrap();
    // Zero is a subgradient of max(0, w) at 0.
    let hinge = FnObjective::new(1, |w: &[f64]| w[0].max(0.0)).with_gradient(|w, g| {
        g[0] = if w[0] > 0.0 { 1.0 } else { 0.0 };
        w[0].max(0.0)
    });
    check_gradient(&hinge, &[0.0]).unwrap();
}

#[test]
fn wrong_signs_and_scales_are_found_in_both_precisions() {
    fn check<R: Real>(factor: f64, right: bool) {
        let value = |w: &[R]| w.iter().map(|w| w.as_f64().cosh()).sum::<f64>();
        let f = FnObjective::new(5, value).with_gradient(|w: &[R], g: &mut [R]| {
            g.iter_mut().zip(w).for_each(|(g, w)| *g = R::from_f64(factor) * w.sinh());
            value(w)
        });
        let w = [0.1, -0.2, 0.5, 1.0, -0.7].map(R::from_f64);
        assert_eq!(check_gradient(&f, &w).is_ok(), right, "{factor} in {}", R::NAME);
    }
    for (factor, right) in [(1.0, true), (-1.0, false), (2.0, false), (0.5, false)] {
        check::<f32>(factor, right);
        check::<f64>(factor, right);
    }
}

/// f = 3 w + w^3 at 0: the slope over h is 3 + h^2, and h and h/2 disagree by 3 h^2 / 4. With a
/// value of 2^40 beside it, rounding is 2^-8 / h: of h = 1/2, 1/16, 1/128 ... the second tells best.
#[test]
fn a_contradiction_is_the_surest_steps() {
    fn check<R: Real>(value: f64, share: f64) {
        let f = FnObjective::new(1, |w: &[R]| {
            let w = w[0].as_f64();
            3.0 * w + w.powi(3)
        });
        let w = [R::zero()];
        let mut differences = Differences::new(&f, &w, value);
        assert_eq!(differences.longest, epsilon::<R>().cbrt());
        differences.longest = 0.5;
        let one = [R::from_f64(1.0)];
        let (difference, tolerance) = differences.contradict(&one, 6.0).unwrap();
        assert_eq!(difference, 3.0 + 1.0 / 1024.0);
        let expected = 2.0 * (share * 6.0 + 0.75 / 256.0 + 0.0625);
        assert!((tolerance - expected).abs() < 1e-12, "{tolerance}, not {expected}");
        assert_eq!(differences.contradict(&one, 3.05), None);
        // A step that is off by a third of the slope tells nothing, nor where rounding is everything.
        differences.value *= 256.0;
        assert_eq!(differences.contradict(&one, 7.0), None);
        differences.value *= 1e4;
        assert_eq!(differences.contradict(&one, 6.0), None);
    }
    check::<f64>(2.0_f64.powi(40), 1e-3);
    check::<f32>(2.0_f64.powi(11), 1e-2);
}

/// A block whose gradient is wrong is named, also where it claims to be zero; a block that the
/// loss does not see passes.
#[test]
fn the_wrong_block_is_named() {
    use smoothout_tensor::BlockKind;
    let mut layout = ParameterLayout::new();
    for name in ["a", "b", "unseen"] {
        layout.push(name, &[2], BlockKind::Weight).unwrap();
    }
    let value = |w: &[f64]| w[..4].iter().map(|w| w.cosh()).sum::<f64>();
    let check = |factors: [f64; 2]| {
        let f = FnObjective::new(6, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
            g.fill(0.0);
            (0..4).for_each(|i| g[i] = factors[i / 2] * w[i].sinh());
            value(w)
        });
        check_gradient_blocks(&f, &layout, &[0.3, -0.2, 0.5, 1.0, 0.0, 2.0])
    };
    assert_eq!(check([1.0, 1.0]).unwrap(), value(&[0.3, -0.2, 0.5, 1.0]));
    for factor in [-1.0, 0.0, 2.0] {
        for (factors, wrong) in [([factor, 1.0], "a"), ([1.0, factor], "b")] {
            let Err(SharpnessError::WrongBlock { block, .. }) = check(factors) else {
                panic!("{factors:?} passed");
            };
            assert_eq!(block, wrong);
        }
    }
}

/// Another value the second time, or beside the gradient, is found.
#[test]
fn a_loss_that_changes_is_refused() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let calls = AtomicU64::new(0);
    let f = FnObjective::new(1, |_: &[f64]| calls.fetch_add(1, Ordering::Relaxed) as f64);
    let error = check_value(&f, &[0.0]).unwrap_err();
    assert!(matches!(error, SharpnessError::NotDeterministic { .. }), "{error}");
    // A thousand units of rounding are allowed, whatever the size.
    for value in [1.0, 1e-6, 1e6] {
        for (off, right) in
            [(0.0, true), (1000.0, true), (-1000.0, true), (2e3, false), (-2e3, false)]
        {
            let f = FnObjective::new(1, move |_: &[f64]| value).with_gradient(move |_, g| {
                g[0] = 0.0;
                value + off * f64::EPSILON * value
            });
            // Off the powers of two the thousandth unit is itself rounded.
            if value == 1.0 || off.abs() != 1000.0 {
                assert_eq!(check_gradient(&f, &[0.0]).is_ok(), right, "{value} {off}");
            }
        }
    }
}

#[test]
fn losses_that_are_not_finite_are_named() {
    let f = FnObjective::new(1, |w: &[f64]| 1.0 / w[0]);
    assert!(matches!(check_value(&f, &[0.0]), Err(SharpnessError::NotFinite { .. })));
    assert!(matches!(check_value(&f, &[1.0, 2.0]), Err(SharpnessError::Dimension { .. })));
}

#[test]
fn an_asymmetric_product_is_refused() {
    let product = |shear: f64| {
        FnObjective::new(2, |w: &[f64]| w[0]).with_hessian(move |_w, v: &[f64], out: &mut [f64]| {
            out.copy_from_slice(&[2.0 * v[0] + shear * v[1], v[1]]);
        })
    };
    assert!(check_hessian(&product(0.0), &[0.0, 0.0], 1).is_ok());
    let zero = FnObjective::new(2, |_: &[f64]| 0.0).with_hessian(|_w, _v, out| out.fill(0.0));
    assert!(check_hessian(&zero, &[0.0, 0.0], 1).is_ok());
    let error = check_hessian(&product(0.5), &[0.0, 0.0], 1).unwrap_err();
    let SharpnessError::AsymmetricHessian { forward, tolerance, .. } = error else {
        panic!("{error}");
    };
    assert!((tolerance / forward - 1e-4).abs() < 1e-15);
    let sheared = FnObjective::new(2, |w: &[f32]| f64::from(w[0])).with_hessian(
        |_w, v: &[f32], out: &mut [f32]| out.copy_from_slice(&[2.0 * v[0] + 0.5 * v[1], v[1]]),
    );
    let error = check_hessian(&sheared, &[0.0, 0.0], 1).unwrap_err();
    let SharpnessError::AsymmetricHessian { forward, tolerance, .. } = error else {
        panic!("{error}");
    };
    assert!((tolerance / forward - 2e-2).abs() < 1e-15);
}
