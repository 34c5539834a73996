use proptest::prelude::*;

use super::*;
use crate::BlockKind;
use crate::{fill_gaussian, fill_uniform};

fn norm<R: Real>(values: &[R]) -> f64 {
    values.iter().map(|value| value.as_f64().powi(2)).sum::<f64>().sqrt()
}

fn layout() -> ParameterLayout {
    let mut layout = ParameterLayout::new();
    layout.push("conv.weight", &[5, 3, 3, 3], BlockKind::Weight).unwrap();
    layout.push("bn.weight", &[5], BlockKind::NormScale).unwrap();
    layout.push("fc.weight", &[4, 7], BlockKind::Weight).unwrap();
    layout.push("fc.bias", &[4], BlockKind::Bias).unwrap();
    layout
}

fn weights<R: Real>(layout: &ParameterLayout, seed: u64) -> Vec<R> {
    let mut w = vec![R::zero(); layout.len()];
    fill_gaussian(StreamKey::new(seed, Purpose::Initialization), &mut w);
    w
}

fn theta<R: Real>(perturbation: &Perturbation, key: PerturbationKey, w: &[R]) -> Vec<f64> {
    let mut out = vec![R::nan(); w.len()];
    perturbation.apply(&layout(), key, w, &mut out);
    out.iter().zip(w).map(|(out, w)| out.as_f64() - w.as_f64()).collect()
}

proptest! {
    /// ‖theta_f‖ = a ‖w_f‖ for each filter; an element of a 1-D block moves by ±a |w|.
    #[test]
    fn filter_lengths_are_exact(seed: u64, radius in 1e-6..10.0_f64) {
        let (layout, w) = (layout(), weights::<f64>(&layout(), seed));
        for law in [Distribution::Uniform, Distribution::Gaussian] {
            let perturbation = Perturbation::new(Geometry::Filter, radius).unwrap().distribution(law);
            let theta = theta(&perturbation, PerturbationKey::new(seed), &w);
            for block in layout.blocks() {
                let filters = theta[block.range()].chunks(block.filter_len());
                for (theta, w) in filters.zip(w[block.range()].chunks(block.filter_len())) {
                    let expected = radius * norm(w);
                    prop_assert!((norm(theta) - expected).abs() < 1e-12 * (1.0 + norm(w) + expected));
                }
            }
        }
    }

    /// Each geometry keeps its bound with uniform numbers.
    #[test]
    fn boxes_hold(seed: u64, radius in 1e-6..10.0_f64) {
        let w = weights::<f32>(&layout(), seed);
        for geometry in [Geometry::Absolute, Geometry::Elementwise, Geometry::KeskarBox] {
            let scale = |w: f64| match geometry {
                Geometry::Elementwise => w.abs(),
                Geometry::KeskarBox => w.abs() + 1.0,
                _ => 1.0,
            };
            let perturbation = Perturbation::new(geometry, radius).unwrap();
            for (theta, w) in theta(&perturbation, PerturbationKey::new(seed), &w).iter().zip(&w) {
                let bound = radius * scale(w.as_f64());
                prop_assert!(theta.abs() <= bound * (1.0 + 1e-6) + 1e-6 * w.abs().as_f64());
            }
        }
    }

    /// The same bits on 1, 2 and 7 threads.
    #[test]
    fn threads_do_not_matter(seed: u64) {
        let w = weights::<f32>(&layout(), seed);
        let perturbation = Perturbation::new(Geometry::Filter, 0.3).unwrap();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| theta(&perturbation, PerturbationKey::new(seed), &w))
        };
        let expected = on(1);
        prop_assert_eq!(&expected, &on(2));
        prop_assert_eq!(&expected, &on(7));
    }
}

/// The table of the module, line by line, for a perturbation's own numbers and for the
/// caller's. One block is longer than a piece of the passes, which cuts no filter.
#[test]
fn each_geometry_is_its_formula() {
    let mut layout = layout();
    layout.push("wide.weight", &[300, 37], BlockKind::Weight).unwrap();
    let (w, key) = (weights::<f64>(&layout, 3), PerturbationKey::new(4).step(5).copy(6));
    for law in [Distribution::Uniform, Distribution::Gaussian] {
        let draw = |geometry, radius, c, w: &[f64]| {
            let mut out = vec![f64::NAN; w.len()];
            let perturbation = Perturbation::new(geometry, radius).unwrap().distribution(law);
            perturbation.apply_scaled(c, &layout, key, w, &mut out);
            out
        };
        let u = draw(Geometry::Absolute, 1.0, 1.0, &vec![0.0; w.len()]);
        for geometry in [
            Geometry::Absolute,
            Geometry::Filter,
            Geometry::Elementwise,
            Geometry::KeskarBox,
            Geometry::Layer,
        ] {
            let mut expected = w.clone();
            for block in layout.blocks() {
                let direction = match geometry {
                    Geometry::Layer => block.len(),
                    _ => block.filter_len(),
                };
                let pieces = expected[block.range()].chunks_mut(direction);
                for (w, u) in pieces.zip(u[block.range()].chunks(direction)) {
                    let factor = norm(w) / norm(u);
                    for (w, &u) in w.iter_mut().zip(u) {
                        *w += 0.2
                            * match geometry {
                                Geometry::Absolute => u,
                                Geometry::Elementwise => u * w.abs(),
                                Geometry::KeskarBox => u * (w.abs() + 1.0),
                                Geometry::Filter | Geometry::Layer => u * factor,
                            };
                    }
                }
            }
            let mut given = u.clone();
            let perturbation = Perturbation::new(geometry, 0.2).unwrap();
            perturbation.apply_to_draw(&layout, &w, &mut given);
            for found in [draw(geometry, 0.4, 0.5, &w), given] {
                for ((found, expected), w) in found.iter().zip(&expected).zip(&w) {
                    let scale = 1.0 + w.abs();
                    assert!((found - expected).abs() < 1e-12 * scale, "{geometry:?}, {law:?}");
                }
            }
        }
    }
}

#[test]
fn a_zero_filter_stays_zero() {
    let w = vec![0.0_f32; layout().len()];
    for geometry in [Geometry::Filter, Geometry::Elementwise, Geometry::Layer] {
        let theta = theta(&Perturbation::new(geometry, 0.5).unwrap(), PerturbationKey::new(1), &w);
        assert!(theta.iter().all(|&theta| theta == 0.0), "{geometry:?}");
    }
}

#[test]
fn blocks_outside_the_selection_do_not_move() {
    let (layout, w) = (layout(), weights::<f32>(&layout(), 1));
    let perturbation =
        Perturbation::new(Geometry::Absolute, 0.5).unwrap().selection(Selection::without_norm());
    let theta = theta(&perturbation, PerturbationKey::new(1), &w);
    for block in layout.blocks() {
        let moved = theta[block.range()].iter().all(|&theta| theta != 0.0);
        assert_eq!(moved, block.kind() != BlockKind::NormScale, "{}", block.name());
    }
}

/// Numbers of the caller's own are scaled where a block is selected, and forgotten elsewhere.
#[test]
fn a_draw_of_the_callers_own_moves_the_selected_blocks() {
    let (layout, w) = (layout(), weights::<f64>(&layout(), 1));
    let perturbation =
        Perturbation::new(Geometry::Absolute, 0.5).unwrap().selection(Selection::without_norm());
    let mut out = vec![2.0; w.len()];
    perturbation.apply_to_draw(&layout, &w, &mut out);
    for block in layout.blocks() {
        let step = if block.kind() == BlockKind::NormScale { 0.0 } else { 1.0 };
        let expected: Vec<f64> = w[block.range()].iter().map(|w| w + step).collect();
        assert_eq!(out[block.range()], expected, "{}", block.name());
    }
    // A direction of no length is no step.
    out.fill(0.0);
    Perturbation::new(Geometry::Layer, 0.5).unwrap().apply_to_draw(&layout, &w, &mut out);
    assert_eq!(out, w);
}

/// Block k has stream k of its key, wherever the list of blocks is halved; no block is fine too.
#[test]
fn each_block_has_a_stream_of_its_own() {
    let key = PerturbationKey::new(3).step(5).copy(2);
    for blocks in [0, 1, 2, 5, 8] {
        let (mut layout, mut expected) = (ParameterLayout::new(), Vec::new());
        for block in 0..blocks {
            layout.push(&format!("{block}"), &[6], BlockKind::Weight).unwrap();
            let mut u = [0.0_f64; 6];
            fill_uniform(key.0.block(block), &mut u);
            expected.extend(u.map(|u| 0.5 * u));
        }
        let (w, mut out) = (vec![0.0; layout.len()], vec![f64::NAN; layout.len()]);
        Perturbation::new(Geometry::Absolute, 0.5).unwrap().apply(&layout, key, &w, &mut out);
        assert_eq!(out, expected, "{blocks} blocks");
    }
}

#[test]
fn settings_are_read_back() {
    let selection = Selection::weights();
    let perturbation = Perturbation::new(Geometry::Layer, 0.3)
        .unwrap()
        .distribution(Distribution::Gaussian)
        .selection(selection.clone());
    assert_eq!((perturbation.geometry(), perturbation.radius()), (Geometry::Layer, 0.3));
    assert_eq!(perturbation.law(), Distribution::Gaussian);
    assert_eq!(perturbation.selected(), &selection);
}

/// The sample variance is a^2 / 3 for the uniform law, a^2 for the Gaussian (five standard
/// errors at a million draws).
#[test]
fn variances_are_those_of_the_laws() {
    let layout = ParameterLayout::flat(1_000_000);
    let (w, mut out) = (vec![0.0_f64; 1_000_000], vec![0.0; 1_000_000]);
    for (law, expected, error) in
        [(Distribution::Uniform, 0.25 / 3.0, 0.75e-4), (Distribution::Gaussian, 0.25, 3.6e-4)]
    {
        Perturbation::new(Geometry::Absolute, 0.5).unwrap().distribution(law).apply(
            &layout,
            PerturbationKey::new(2),
            &w,
            &mut out,
        );
        let variance = norm(&out).powi(2) / 1e6;
        assert!((variance - expected).abs() < 5.0 * error, "{law:?}: {variance}");
    }
}

#[test]
fn a_radius_is_finite_and_not_negative() {
    for radius in [-1.0, f64::NAN, f64::INFINITY] {
        let error = Perturbation::new(Geometry::Absolute, radius).unwrap_err();
        assert!(error.to_string().contains("radius"), "{error}");
    }
    assert!(Perturbation::new(Geometry::Absolute, 0.0).is_ok());
}

#[test]
#[should_panic(expected = "the scaled radius is 1e39 in f32")]
fn a_radius_that_f32_does_not_hold_is_no_perturbation() {
    let perturbation = Perturbation::new(Geometry::Elementwise, 1e39).unwrap();
    let key = PerturbationKey::new(1);
    perturbation.apply(&ParameterLayout::flat(2), key, &[0.0_f32, 1.0], &mut [0.0; 2]);
}
