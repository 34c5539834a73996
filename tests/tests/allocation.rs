//! A training step allocates nothing once one like it has run: buffers are planned once.

use allocation_counter::measure;
use ndarray::Array4;
use smoothout::oracle::{BatchOracle, GhostScratch, Tally};
use smoothout_nn::{Network, models};
use smoothout_optim::{GhostBatches, LoneExample, SeededPerturbation, Sgd, SmoothOut, Smoothing};
use smoothout_tensor::{Geometry, Perturbation, Purpose, StreamKey};

/// Steps of SmoothOut on one thread, whose allocations are counted; the first three may grow
/// buffers.
fn allocations(network: &Network, geometry: Geometry, batch: usize, ghost: usize) -> u64 {
    let [height, width, channels] = network.input_shape();
    let images = Array4::from_elem((batch, height, width, channels), 0.5_f32);
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
        for network in [
            models::f1(32, 10).unwrap(),
            models::shallow(16, 10).unwrap(),
            models::cifar_resnet(8, 16, 10).unwrap(),
        ] {
            for geometry in [Geometry::Absolute, Geometry::Filter] {
                for (batch, ghost) in [(8, 8), (12, 4)] {
                    let found = allocations(&network, geometry, batch, ghost);
                    assert_eq!(found, 0, "{}, {geometry:?}, {batch} by {ghost}", network.name());
                }
            }
        }
        // So many images that the sums over them are taken in parts.
        let network = models::f1(32, 10).unwrap();
        assert_eq!(allocations(&network, Geometry::Absolute, 1600, 1600), 0, "1600 by 1600");
    });
}
