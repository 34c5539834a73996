//! Hessian-vector products of networks: exact ones against differences of gradients, and f32 against
//! f64. PyTorch's whole Hessian of two small networks is in the golden tests.

use smoothout::measure::{BatchNormPolicy, ExampleSet, NetworkObjective};
use smoothout_nn::{Network, models};
use smoothout_sharpness::{FiniteDifferenceHvp, Objective, TwiceDifferentiable};
use smoothout_tensor::{Purpose, Real, StreamKey, fill_gaussian};

const EXAMPLES: usize = 6;

fn normal(len: usize, seed: u64) -> Vec<f64> {
    let mut values = vec![0.0; len];
    fill_gaussian(StreamKey::new(seed, Purpose::Data), &mut values);
    values
}

/// H(w) v of the exact products and of differences, in R.
fn products<R: Real>(network: &Network, policy: BatchNormPolicy) -> [Vec<f64>; 2] {
    let real = |values: Vec<f64>| values.into_iter().map(R::from_f64).collect::<Vec<_>>();
    let [height, width, channels] = network.input_shape();
    let images = real(normal(EXAMPLES * height * width * channels, 1));
    let labels = (0..EXAMPLES).map(|n| n % network.classes()).collect();
    let examples = ExampleSet::new(network.input_shape(), images, labels).unwrap();
    let (w, v) = (network.initial_parameters::<R>(2), real(normal(network.parameters().len(), 3)));
    let buffers = network.initial_buffers::<R>();
    // Batches of four and two.
    let objective = NetworkObjective::new(network, &examples, &buffers, policy, 4).unwrap();
    let objective = objective.differentiable().unwrap();
    let wide = |product: &[R]| product.iter().map(|x| x.as_f64()).collect();
    let mut product = vec![R::zero(); w.len()];
    objective.hessian_vector_product(&w, &v, &mut product, &mut objective.scratch());
    let exact = wide(&product);
    let differences = FiniteDifferenceHvp::new(&objective).step(1e-8).unwrap();
    differences.hessian_vector_product(&w, &v, &mut product, &mut differences.scratch());
    [exact, wide(&product)]
}

/// ‖a - b‖ / ‖b‖.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

/// Convolutions with strides, batch norm, sums, average pools; max pools and linear layers.
#[test]
fn exact_products_are_those_of_differences_and_of_f32() {
    for network in [models::cifar_resnet(8, 2, 10).unwrap(), models::shallow(2, 10).unwrap()] {
        for policy in [BatchNormPolicy::Frozen, BatchNormPolicy::Batch { size: 3 }] {
            let [exact, differences] = products::<f64>(&network, policy);
            let [single, _] = products::<f32>(&network, policy);
            let off = [distance(&differences, &exact), distance(&single, &exact)];
            let name = network.name();
            assert!(off[0] < 1e-5 && off[1] < 1e-3, "{name}, {policy:?}: {off:?}");
        }
    }
}
