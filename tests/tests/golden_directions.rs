//! Filter-normalised directions against PyTorch: a linear weight, a convolution, a bias.

use smoothout_tensor::{
    BlockKind, Distribution, Geometry, ParameterLayout, Perturbation, PerturbationKey,
};
use smoothout_tests::{Vectors, assert_close, direction};

/// The paper's formula from PyTorch's u and w. Without the authors' 1e-6 it is exact to float32
/// rounding; with it each filter is shorter by the factor ‖u_f‖ / (‖u_f‖ + 1e-6).
#[test]
fn the_formula_gives_pytorchs_directions() {
    let vectors = Vectors::open("directions");
    let radius = vectors.settings()["radius"].as_f64().unwrap();
    for name in ["linear", "conv", "bias"] {
        let [u, w, exact, theta] =
            ["u", "w", "exact", "theta"].map(|key| vectors.get(&format!("{name}.{key}")));
        let filter_len = w.shape[1..].iter().product();
        let mut found = direction(Geometry::Filter, filter_len, &u.values, &w.values);
        found.iter_mut().for_each(|theta| *theta *= radius);
        assert_close(name, &found, &exact.values, 1e-7, 0.0);
        let filters = found.chunks_mut(filter_len).zip(u.values.chunks(filter_len));
        for (theta, u) in filters {
            let norm = u.iter().map(|u| u * u).sum::<f64>().sqrt();
            theta.iter_mut().for_each(|theta| *theta *= norm / (norm + 1e-6));
        }
        assert_close(name, &found, &theta.values, 1e-7, 0.0);
    }
}

/// The library's own draw is that formula, applied to the u that it draws itself.
#[test]
fn the_library_follows_the_formula() {
    let vectors = Vectors::open("directions");
    for law in [Distribution::Uniform, Distribution::Gaussian] {
        for name in ["linear", "conv", "bias"] {
            let w = vectors.get(&format!("{name}.w"));
            let mut layout = ParameterLayout::new();
            layout.push(name, &w.shape, BlockKind::Weight).unwrap();
            let draw = |geometry, w: &[f64]| {
                let mut out = vec![0.0; w.len()];
                let perturbation = Perturbation::new(geometry, 1.0).unwrap().distribution(law);
                perturbation.apply(&layout, PerturbationKey::new(3), w, &mut out);
                out
            };
            let u = draw(Geometry::Absolute, &vec![0.0; w.values.len()]);
            for geometry in [Geometry::Filter, Geometry::Elementwise] {
                let filter_len = layout.blocks()[0].filter_len();
                let theta = direction(geometry, filter_len, &u, &w.values);
                let expected: Vec<f64> = theta.iter().zip(&w.values).map(|(t, w)| t + w).collect();
                assert_close(name, &draw(geometry, &w.values), &expected, 1e-12, 0.0);
            }
        }
    }
}
