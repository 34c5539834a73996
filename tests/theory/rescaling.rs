//! AdaSmoothOut does not see the rescaling of a whole layer of a ReLU network; SmoothOut does.
//!
//! ReLU(c x) = c ReLU(x) for c > 0: the first layer (with its bias) times c and the next weight by
//! 1/c are the same function. theta_f = a |w_f| u_f / |u_f| scales with its filter, so that
//! w + theta is rescaled like w and C(w + theta) is the same, draw by draw; so with a u |w| element
//! by element. A box of fixed radius is not rescaled.
//!
//! A single neuron rescaled (its row by c, its column of the next layer by 1/c) changes the norms of
//! the next layer's filters unevenly: the filter version moves, the elementwise one does not. Its
//! own layer's filters are the rows, each rescaled as a whole: with that layer alone perturbed, the
//! filter version does not move either, the layer version does.
//! Everything here is exact: the draws are the same on both sides.

use proptest::prelude::*;
use smoothout_sharpness::{Differentiable, ExpectedLoss, FnObjective, Objective};
use smoothout_tensor::{Geometry, Perturbation, Selection};

use crate::cases::{dot, for_each_case, numbers};
use crate::network::{Hidden, NetworkLoss, images, two_layers};

const INPUTS: usize = 5;
const HIDDEN: usize = 6;

fn network(seed: u64) -> (NetworkLoss, Vec<f64>) {
    let f = NetworkLoss {
        network: two_layers(INPUTS, HIDDEN, 3, Hidden::BiasRelu),
        images: images(seed, 12, INPUTS),
        labels: (0..12).map(|example| example % 3).collect(),
        buffers: None,
    };
    let w = numbers(seed, 1, f.dimension());
    (f, w)
}

/// The same function: neuron j of the hidden layer times `factors[j]`.
fn rescaled(f: &NetworkLoss, w: &[f64], factors: &[f64; HIDDEN]) -> Vec<f64> {
    let (layout, mut out) = (f.network.parameters(), w.to_vec());
    let [weight, bias, next] = ["layers.0.weight", "layers.0.bias", "layers.2.weight"]
        .map(|name| layout.block(name).expect("a block of two linear layers").range());
    for (j, row) in out[weight].chunks_mut(INPUTS).enumerate() {
        row.iter_mut().for_each(|w| *w *= factors[j]);
    }
    out[bias].iter_mut().zip(factors).for_each(|(b, c)| *b *= c);
    for row in out[next].chunks_mut(HIDDEN) {
        row.iter_mut().zip(factors).for_each(|(w, c)| *w /= c);
    }
    out
}

/// Cbar(w) - C(w) by 64 pairs; the same draws in every call.
fn rise(f: &NetworkLoss, w: &[f64], geometry: Geometry, seed: u64) -> f64 {
    rise_of(f, w, Perturbation::new(geometry, 0.3).unwrap(), seed)
}

fn rise_of(f: &NetworkLoss, w: &[f64], perturbation: Perturbation, seed: u64) -> f64 {
    let measure = ExpectedLoss::new(perturbation);
    let measure = measure.draws(64).unwrap().seed(seed);
    measure.measure(f, f.network.parameters(), w).unwrap().rise.value
}

#[test]
fn a_rescaled_layer_is_the_same_function() {
    for_each_case(30, (0.05..20.0_f64, any::<u64>()), |(c, seed)| {
        let (f, w) = network(seed);
        let other = rescaled(&f, &w, &[c; HIDDEN]);
        let [mut g, mut h] = [(); 2].map(|()| vec![0.0; w.len()]);
        let value = f.value_and_gradient(&w, &mut g, &mut f.scratch());
        let same = f.value_and_gradient(&other, &mut h, &mut f.scratch());
        prop_assert!((value - same).abs() <= 1e-12 * value, "{value} {same}");
        Ok(())
    });
}

#[test]
fn adasmoothout_does_not_see_the_rescaling_of_a_layer_and_smoothout_does() {
    for_each_case(30, (0.02..0.2_f64, any::<bool>(), any::<u64>()), |(c, up, seed)| {
        let (f, w) = network(seed);
        let other = rescaled(&f, &w, &[if up { 1.0 / c } else { c }; HIDDEN]);
        for geometry in [Geometry::Filter, Geometry::Elementwise, Geometry::Layer] {
            let (one, two) = (rise(&f, &w, geometry, seed), rise(&f, &other, geometry, seed));
            prop_assert!(
                (one - two).abs() <= 1e-11 * (1.0 + one.abs()),
                "{geometry:?}: {one} {two}"
            );
        }
        for geometry in [Geometry::Absolute, Geometry::KeskarBox] {
            let (one, two) = (rise(&f, &w, geometry, seed), rise(&f, &other, geometry, seed));
            prop_assert!((one - two).abs() >= 0.02 * one.abs(), "{geometry:?}: {one} {two}");
        }
        Ok(())
    });
}

#[test]
fn a_rescaled_neuron_moves_the_filter_version_and_not_the_elementwise_one() {
    for_each_case(30, (0.02..0.2_f64, 0..HIDDEN, any::<u64>()), |(c, neuron, seed)| {
        let (f, w) = network(seed);
        let mut factors = [1.0; HIDDEN];
        factors[neuron] = c;
        let other = rescaled(&f, &w, &factors);
        let both = |geometry| (rise(&f, &w, geometry, seed), rise(&f, &other, geometry, seed));
        let (one, two) = both(Geometry::Elementwise);
        prop_assert!((one - two).abs() <= 1e-11 * (1.0 + one.abs()), "elementwise: {one} {two}");
        let (one, two) = both(Geometry::Filter);
        prop_assert!((one - two).abs() >= 1e-3 * one.abs(), "filter: {one} {two}");
        Ok(())
    });
}

/// C = |w|^2 / 2: a pair gives C(w) + |theta|^2 / 2, and |theta_f| = a |w_f| for every filter, so the
/// rise is a^2 C(w), whatever the draws; likewise by blocks. Elementwise only its mean, a^2 C(w) / 3,
/// is known, and a draw has less than a^2 C(w).
#[test]
fn perturbations_of_filters_have_the_length_that_is_said() {
    for_each_case(30, (-3.0..1.0_f64, any::<u64>()), |(exponent, seed)| {
        let (f, w) = network(seed);
        let square = FnObjective::new(w.len(), |w: &[f64]| dot(w, w) / 2.0);
        let (a, size) = (10_f64.powf(exponent), dot(&w, &w) / 2.0);
        let rise = |geometry| {
            let measure = ExpectedLoss::new(Perturbation::new(geometry, a).unwrap());
            let measure = measure.draws(64).unwrap().seed(seed);
            measure.measure(&square, f.network.parameters(), &w).unwrap().rise.value
        };
        for geometry in [Geometry::Filter, Geometry::Layer] {
            let (found, expected) = (rise(geometry), a * a * size);
            let rounding = 1e-14 * size * (1.0 + a * a);
            prop_assert!((found - expected).abs() <= rounding, "{geometry:?}: {found} {expected}");
        }
        let found = rise(Geometry::Elementwise);
        prop_assert!(found > 0.0 && found < a * a * size, "elementwise: {found}");
        Ok(())
    });
}

/// A filter is a row, the weights into one neuron: nothing else is rescaled as a whole when every
/// neuron has a factor of its own.
#[test]
fn a_filter_is_what_one_neuron_rescales() {
    let cases = (proptest::array::uniform6(0.05..20.0_f64), any::<u64>());
    for_each_case(30, cases, |(factors, seed)| {
        let (f, w) = network(seed);
        let other = rescaled(&f, &w, &factors);
        let both = |geometry| {
            let first = Perturbation::new(geometry, 0.3).unwrap();
            let first = first.selection(Selection::all().named("layers.0.*"));
            [&w, &other].map(|w| rise_of(&f, w, first.clone(), seed))
        };
        for geometry in [Geometry::Filter, Geometry::Elementwise] {
            let [one, two] = both(geometry);
            prop_assert!(
                (one - two).abs() <= 1e-11 * (1.0 + one.abs()),
                "{geometry:?}: {one} {two}"
            );
        }
        let [one, two] = both(Geometry::Layer);
        prop_assert!((one - two).abs() >= 1e-3 * one.abs(), "layer: {one} {two}");
        Ok(())
    });
}

/// AdaSmoothOut's gradient, too: that of a rescaled block is divided by what the block was
/// multiplied with, draw by draw.
#[test]
fn perturbed_gradients_scale_inversely() {
    for_each_case(30, (0.05..20.0_f64, any::<u64>()), |(c, seed)| {
        let (f, w) = network(seed);
        let other = rescaled(&f, &w, &[c; HIDDEN]);
        let measure = ExpectedLoss::new(Perturbation::new(Geometry::Filter, 0.3).unwrap());
        let measure = measure.draws(8).unwrap().seed(seed);
        let gradient = |w: &[f64]| {
            let mut g = vec![0.0; w.len()];
            measure.gradient(&f, f.network.parameters(), w, &mut g).unwrap();
            g
        };
        let (g, mut h) = (gradient(&w), gradient(&other));
        // dC/dw = (dw'/dw) dC/dw': rescaling h as w was rescaled gives g.
        h = rescaled(&f, &h, &[c; HIDDEN]);
        for (g, h) in g.iter().zip(&h) {
            prop_assert!((g - h).abs() <= 1e-10 * (1.0 + g.abs()), "{g} {h}");
        }
        Ok(())
    });
}
