//! Rescalings that leave a network's function as it is: found where they are, and nowhere else.

use smoothout::measure::{BatchNormPolicy, ExampleSet, MeasureError, NetworkObjective, Rescaling};
use smoothout_nn::{Network, NetworkBuilder, Sequential, models};
use smoothout_sharpness::{Audit, Audited, Objective};
use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

const EXAMPLES: usize = 20;

/// Random weights everywhere (also in gamma and beta), random images; runs on the frozen objective.
fn with_objective<T>(
    network: &Network,
    run: impl FnOnce(&NetworkObjective<'_, f32>, Vec<f32>) -> T,
) -> T {
    let gaussian = |seed, len| {
        let mut values = vec![0.0; len];
        fill_gaussian(StreamKey::new(seed, Purpose::Data), &mut values);
        values
    };
    let shape = network.input_shape();
    let images = gaussian(1, EXAMPLES * shape.iter().product::<usize>());
    let labels = (0..EXAMPLES).map(|i| i % network.classes()).collect();
    let examples = ExampleSet::new(shape, images, labels).unwrap();
    let mut w = network.initial_parameters::<f32>(3);
    let shift = gaussian(2, w.len());
    w.iter_mut().zip(&shift).for_each(|(w, s)| *w += 0.05 * s);
    let buffers = network.initial_buffers();
    let policy = BatchNormPolicy::Frozen;
    run(&NetworkObjective::new(network, &examples, &buffers, policy, EXAMPLES).unwrap(), w)
}

/// The names of the blocks that are rescaled.
fn rescaled(network: &Network) -> Vec<String> {
    with_objective(network, |objective, w| {
        let layout = network.parameters();
        let found = Rescaling::find(objective, layout, &w, 0.125).unwrap();
        let moved = found.apply(layout, &w).unwrap();
        let scratch = &mut objective.scratch();
        assert_eq!(objective.value(&w, scratch), objective.value(&moved, scratch));
        let changed = |range: std::ops::Range<usize>| w[range.clone()] != moved[range];
        let blocks = layout.blocks().iter().filter(|block| changed(block.range()));
        blocks.map(|block| block.name().to_owned()).collect()
    })
}

/// Layer, batch norm, ReLU, layer: gamma and beta shrink, the next weight grows. The weights before
/// batch norm stay: with frozen statistics they are no pair.
#[test]
fn batch_norm_and_the_next_layer_cancel() {
    let names = rescaled(&models::f1(6, 10).unwrap());
    let expected: Vec<String> = (0..5)
        .flat_map(|k| {
            let norm = 3 * k + 1;
            [
                format!("layers.{norm}.weight"),
                format!("layers.{norm}.bias"),
                format!("layers.{}.weight", norm + 2),
            ]
        })
        .collect();
    assert_eq!(names, expected);
}

/// In a residual block the first norm and the second convolution cancel; the second norm is added
/// to a skip and cancels with nothing.
#[test]
fn a_skip_is_no_pair() {
    let names = rescaled(&models::cifar_resnet(8, 4, 10).unwrap());
    assert!(names.iter().any(|name| name.ends_with("bn1.weight")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("conv2.weight")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("bn2") || name == "fc.weight"), "{names:?}");
}

/// Without batch norm whole layers cancel; those in the middle do so twice and keep their weight.
#[test]
fn layers_without_batch_norm_cancel() {
    let mut b = NetworkBuilder::new("plain", [1, 8, 1]);
    let images = b.images();
    let chain = Sequential::new(&mut b, "layers", images);
    let logits = chain.linear(6, true).relu().linear(6, true).relu().linear(4, true).end();
    let names = rescaled(&b.finish(logits).unwrap());
    let expected = ["layers.0.weight", "layers.0.bias", "layers.2.bias", "layers.4.weight"];
    assert_eq!(names, expected);
}

#[test]
fn a_linear_network_has_no_rescaling() {
    let mut b = NetworkBuilder::new("linear", [1, 8, 1]);
    let images = b.images();
    let logits = Sequential::new(&mut b, "layers", images).linear(4, true).end();
    let network = b.finish(logits).unwrap();
    with_objective(&network, |objective, w| {
        let found = Rescaling::find(objective, network.parameters(), &w, 0.125);
        assert!(matches!(found, Err(MeasureError::NoRescaling)), "{found:?}");
    });
}

/// The audit of a network: absolute measures move, relative ones do not.
#[test]
fn absolute_measures_of_a_network_move() {
    let network = models::f1(6, 10).unwrap();
    with_objective(&network, |objective, w| {
        let layout = network.parameters();
        let moved = Rescaling::find(objective, layout, &w, 0.1).unwrap().apply(layout, &w).unwrap();
        let objective = objective.clone().differentiable().unwrap();
        let audit =
            Audit::new(0.01, 1e-3).unwrap().measure(&objective, layout, &w, &moved).unwrap();
        let verdict =
            |measure| audit.rows.iter().find(|row| row.measure == measure).unwrap().moved();
        for measure in [Audited::AbsoluteRise, Audited::Keskar, Audited::Sam] {
            assert!(verdict(measure), "{measure}: {audit}");
        }
        for measure in [Audited::FilterRise, Audited::ElementwiseRise] {
            assert!(!verdict(measure), "{measure}: {audit}");
        }
    });
}
