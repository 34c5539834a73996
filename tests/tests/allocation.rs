//! A training step allocates nothing once one like it has run: buffers are planned once.

use allocation_counter::measure;
use ndarray::Array4;
use smoothout::oracle::{BatchOracle, GhostScratch, Tally};
use smoothout_nn::{Network, models};
use smoothout_optim::{GhostBatches, LoneExample, SeededPerturbation, Sgd, SmoothOut, Smoothing};
use smoothout_tensor::kernels::{InstructionSet, Precision, kernels_in_use};
use smoothout_tensor::{Geometry, Perturbation, Purpose, StreamKey, fill_uniform};

/// Steps of SmoothOut on one thread, whose allocations are counted; the first three may grow
/// buffers.
fn allocations(network: &Network, geometry: Geometry, batch: usize, ghost: usize) -> u64 {
    let [height, width, channels] = network.input_shape();
    let mut images = Array4::<f32>::zeros((batch, height, width, channels));
    fill_uniform(StreamKey::new(2, Purpose::Data), images.as_slice_mut().unwrap());
    let labels: Vec<usize> = (0..batch).map(|n| n % network.classes()).collect();
    let mut w = network.initial_parameters::<f32>(1);
    let mut buffers = network.initial_buffers::<f32>();
    let cut = GhostBatches::new(batch, ghost, LoneExample::Join).unwrap();
    let perturbation = Perturbation::new(geometry, 0.01).unwrap();
    let source = SeededPerturbation::new(network.parameters().clone(), perturbation, 1);
    let sgd = Sgd::new().momentum(0.9).unwrap();
    let mut optimizer = SmoothOut::new(sgd).smoothing(Smoothing::new(source));
    let mut scratches = vec![GhostScratch::new(network, cut.capacity())];
    let mut tally = Tally::default();
    let mut steps = |count: u64| {
        for step in 0..count {
            let key = StreamKey::new(1, Purpose::Dropout).step(step);
            let (buffers, tally) = (&mut buffers, &mut tally);
            let view = images.view();
            let mut oracle = BatchOracle::new(network, view, &labels, cut, key, buffers, tally);
            optimizer.step(&mut w, &mut oracle, &mut scratches, 1e-3).unwrap();
        }
    };
    steps(3);
    measure(|| steps(5)).count_total
}

#[test]
fn steps_allocate_nothing() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        assert!(measure(|| drop(Vec::<u8>::with_capacity(100))).count_total > 0, "it counts");
        steps_allocate_nothing_with_these_kernels();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            set.select();
            if Precision::Bf16.is_available() {
                Precision::Bf16.select();
                steps_allocate_nothing_with_these_kernels();
            }
        }
    });
}

fn steps_allocate_nothing_with_these_kernels() {
    let kernels = kernels_in_use();
    println!("with {kernels}");
    for network in [
        models::f1(32, 10).unwrap(),
        models::shallow(16, 10).unwrap(),
        models::cifar_resnet(8, 16, 10).unwrap(),
    ] {
        for geometry in [Geometry::Absolute, Geometry::Filter] {
            for (batch, ghost) in [(8, 8), (12, 4)] {
                let found = allocations(&network, geometry, batch, ghost);
                let name = network.name();
                assert_eq!(found, 0, "{name}, {geometry:?}, {batch} by {ghost}, {kernels}");
            }
        }
    }
    // So many images that the sums over them are taken in parts.
    let network = models::f1(32, 10).unwrap();
    assert_eq!(allocations(&network, Geometry::Absolute, 1600, 1600), 0, "1600 by 1600, {kernels}");
}
