use smoothout_tensor::BlockKind;

use super::*;
use crate::Sgd;
use crate::rivals::{self, Quadratic};

fn descent<R: Real>() -> Descent<Sgd<R>> {
    Descent::new(Sgd::new())
}

/// For a quadratic the mean gradient over many chunks is H w: theta has mean 0. The mean loss
/// is C(w) + sum_i h_i (gamma ‖w_f‖)^2 / 2.
#[test]
fn the_mean_gradient_of_a_quadratic_is_the_gradient_at_w() {
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[2, 2], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[2], BlockKind::Bias).unwrap();
    let (start, h) = ([3.0, 4.0, 0.6, 0.8, 5.0, 12.0], [1.0, 2.0, 3.0, 4.0, 0.5, 0.25]);
    let norms = [5.0, 5.0, 1.0, 1.0, 13.0, 13.0];
    let (chunks, gamma) = (20_000, 0.1);
    let mut oracle = Quadratic::new(h.to_vec(), vec![0.0; chunks]);
    let mut lpf = LpfSgd::new(descent(), layout, 3).gamma(gamma).unwrap();
    let mut w = start;
    let report = lpf.step(&mut w, &mut oracle, &mut [(); 4], 1.0).unwrap();
    let (mut loss, mut variance) = (0.0, 0.0);
    for i in 0..6 {
        let deviation: f64 = gamma * norms[i];
        let gradient = start[i] - w[i];
        let error = h[i] * deviation / (chunks as f64).sqrt();
        assert!((gradient - h[i] * start[i]).abs() < 5.0 * error, "{i}");
        assert!((gradient - h[i] * start[i]).abs() > 1e-3 * error, "{i}");
        loss += h[i] * (start[i] * start[i] + deviation * deviation) / 2.0;
        variance +=
            (h[i] * start[i] * deviation).powi(2) + (h[i] * deviation.powi(2)).powi(2) / 2.0;
    }
    assert!((report.loss - loss).abs() < 5.0 * (variance / chunks as f64).sqrt());
}

/// Every element of a filter of d elements has the standard deviation gamma ‖w_f‖, so the
/// filter's theta is sqrt(d) times as long as AdaSmoothOut's with a = gamma.
#[test]
fn an_element_has_the_filters_norm_as_its_standard_deviation() {
    let d = 100_000;
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[2, d], BlockKind::Weight).unwrap();
    layout.push("bn.weight", &[2], BlockKind::NormScale).unwrap();
    let mut w = vec![0.01_f64; 2 * d + 2];
    w[d..2 * d].fill(0.02);
    let mut out = w.clone();
    let kernel = Kernel { layout, selection: Selection::without_norm(), seed: 1 };
    kernel.perturb(0.1, 4, 2, &w, &mut out);
    for (filter, value) in [(0..d, 0.01), (d..2 * d, 0.02)] {
        let squares: f64 = filter.map(|i| (out[i] - w[i]).powi(2)).sum();
        let deviation = 0.1 * value * (d as f64).sqrt();
        let found = (squares / d as f64).sqrt();
        assert!((found / deviation - 1.0).abs() < 5.0 / (2.0 * d as f64).sqrt(), "{found}");
    }
    assert_eq!(out[2 * d..], w[2 * d..]);
    let mut normal = vec![0.0; d];
    fill_gaussian(StreamKey::new(1, Purpose::Perturbation).step(4).copy(2).block(0), &mut normal);
    assert!((out[0] - w[0]) * normal[0] > 0.0, "theta is the stream's, not its mirror image");
}

/// From gamma_0 with half a cosine to (alpha + 1) gamma_0, and no further.
#[test]
fn the_deviation_follows_the_cosine() {
    let lpf = LpfSgd::<f32, _>::new(descent(), ParameterLayout::flat(1), 1);
    let lpf = lpf.gamma(0.5).unwrap().alpha(14.0, 100).unwrap();
    for (t, expected) in [(0, 1.0), (50, 8.0), (100, 15.0), (250, 15.0)] {
        assert!((lpf.gamma_at(t) - 0.5 * expected).abs() < 1e-12, "{t}");
    }
    let quarter = 7.0 * (1.0 - (PI / 4.0).cos()) + 1.0;
    assert!((lpf.gamma_at(25) - 0.5 * quarter).abs() < 1e-12);
}

/// Outside the selection the gradient is that at w: with a learning rate of 1, a quadratic's w
/// moves to 0 there, and misses it elsewhere.
#[test]
fn the_selected_blocks_are_perturbed() {
    let mut layout = ParameterLayout::new();
    layout.push("fc.weight", &[1, 2], BlockKind::Weight).unwrap();
    layout.push("bn.weight", &[2], BlockKind::NormScale).unwrap();
    let mut lpf = LpfSgd::new(descent(), layout, 1).gamma(0.5).unwrap();
    lpf = lpf.selection(Selection::without_norm());
    let (mut w, mut oracle) = ([1.0, 2.0, 3.0, 4.0], Quadratic::new(vec![1.0; 4], vec![0.0]));
    lpf.step(&mut w, &mut oracle, &mut [()], 1.0).unwrap();
    assert!(w[..2].iter().all(|&w| w != 0.0) && w[2..] == [0.0, 0.0], "{w:?}");
}

/// gamma = 0 is the rule alone, chunks weighted by their examples.
#[test]
fn chunks_count_by_their_share() {
    let mut oracle = Quadratic::new(vec![1.0], vec![3.0, -5.0]).shares(vec![0.75, 0.25]);
    let layout = ParameterLayout::flat(1);
    let mut lpf = LpfSgd::new(descent(), layout, 1).gamma(0.0).unwrap();
    let mut w = [1.0];
    lpf.step(&mut w, &mut oracle, &mut [()], 1.0).unwrap();
    assert_eq!((w, oracle.accepted), ([-1.0], vec![0, 1]));
}

#[test]
fn a_zero_filter_stays_zero() {
    let kernel = Kernel { layout: ParameterLayout::flat(3), selection: Selection::all(), seed: 1 };
    let mut out = [1.0_f32; 3];
    kernel.perturb(0.5, 0, 0, &[0.0; 3], &mut out);
    assert_eq!(out, [0.0; 3]);
}

#[test]
fn scratches_and_threads_do_not_matter() {
    rivals::same_bits(|| {
        let mut layout = ParameterLayout::new();
        layout.push("a", &[30, 1000], BlockKind::Weight).unwrap();
        layout.push("b", &[10_000], BlockKind::Bias).unwrap();
        let mut optimizer = LpfSgd::<f32, _>::new(descent(), layout, 5)
            .gamma(0.01)
            .unwrap()
            .alpha(14.0, 10)
            .unwrap();
        move |w, oracle, scratch| optimizer.step(w, oracle, scratch, 0.01).unwrap().loss
    });
}

#[test]
fn settings_are_checked() {
    let lpf = || LpfSgd::<f32, _>::new(descent(), ParameterLayout::flat(1), 1);
    for value in [-0.1, f64::NAN, f64::INFINITY] {
        let error = lpf().gamma(value).unwrap_err();
        assert!(error.to_string().starts_with("gamma is"), "{error}");
        let error = lpf().alpha(value, 10).unwrap_err();
        assert!(error.to_string().starts_with("alpha is"), "{error}");
    }
    let error = lpf().alpha(1.0, 0).unwrap_err();
    assert!(error.to_string().starts_with("total_steps is"), "{error}");
}
