//! Networks as objectives allocate nothing per evaluation in `f32`, once a scratch has been used. (In
//! `f64` the library that multiplies matrices allocates its packed factors at each product.)

use allocation_counter::measure;
use smoothout::measure::{BatchNormPolicy, ExampleSet, NetworkObjective};
use smoothout_nn::models;
use smoothout_sharpness::{Differentiable, Objective};
use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

/// Allocations of the sixth evaluation, value and gradient, under every policy.
fn evaluations_allocate_nothing() {
    let network = models::f1(6, 10).unwrap();
    let mut images = vec![0.0_f32; 7 * 784];
    fill_gaussian(StreamKey::new(1, Purpose::Data), &mut images);
    let labels = (0..7).map(|i| i * 3 % 10).collect();
    let examples = ExampleSet::new([28, 28, 1], images, labels).unwrap();
    let (w, buffers) = (network.initial_parameters::<f32>(3), network.initial_buffers::<f32>());
    for policy in [
        BatchNormPolicy::Frozen,
        BatchNormPolicy::Batch { size: 4 },
        BatchNormPolicy::Recalibrated { examples: 6, size: 3 },
    ] {
        let objective = NetworkObjective::new(&network, &examples, &buffers, policy, 4).unwrap();
        let mut scratch = objective.scratch();
        let mut value = || objective.value(&w, &mut scratch);
        let first = measure(|| _ = value());
        assert!(first.count_total > 0, "{policy}: the counter counts");
        (0..4).for_each(|_| _ = value());
        let later = measure(|| _ = value());
        assert_eq!(later.count_total, 0, "{policy}: {} bytes", later.bytes_total);
        let Ok(objective) = objective.clone().differentiable() else { continue };
        let mut gradient = vec![0.0; w.len()];
        let mut both = || objective.value_and_gradient(&w, &mut gradient, &mut scratch);
        (0..5).for_each(|_| _ = both());
        let later = measure(|| _ = both());
        assert_eq!(later.count_total, 0, "{policy}: gradient");
    }
}

#[test]
fn evaluations_allocate_nothing_on_one_thread() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(evaluations_allocate_nothing);
}
