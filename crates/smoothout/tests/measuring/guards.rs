//! The guard of the gradient on real networks in f32, at their initial weights and after some descent:
//! a right gradient passes; a flipped sign, a factor of 2 or 1/2 and a wrong block do not.

use smoothout::measure::{BatchNormPolicy, DifferentiableObjective, ExampleSet, NetworkObjective};
use smoothout_nn::{Network, models};
use smoothout_sharpness::{
    Differentiable, FnObjective, Objective, SharpnessError, check_gradient, check_gradient_blocks,
};
use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

const EXAMPLES: usize = 32;

/// Blurred noise and labels that follow from it.
fn examples(network: &Network) -> ExampleSet<f32> {
    let shape = network.input_shape();
    let size: usize = shape.iter().product();
    let mut images = vec![0.0; EXAMPLES * size];
    fill_gaussian(StreamKey::new(5, Purpose::Data), &mut images);
    for image in images.chunks_mut(size) {
        let shift = image[0];
        image.iter_mut().for_each(|x| *x += shift);
    }
    let label = |image: &[f32]| ((image[0] * 1.7).abs() * 10.0) as usize % network.classes();
    let labels = images.chunks(size).map(label).collect();
    ExampleSet::new(shape, images, labels).unwrap()
}

fn with_objective<T>(
    network: &Network,
    examples: &ExampleSet<f32>,
    run: impl FnOnce(DifferentiableObjective<'_, f32>) -> T,
) -> T {
    let buffers = network.initial_buffers::<f32>();
    let policy = BatchNormPolicy::Batch { size: EXAMPLES };
    let objective = NetworkObjective::new(network, examples, &buffers, policy, EXAMPLES).unwrap();
    run(objective.differentiable().unwrap())
}

/// The objective with its gradient spoiled.
fn spoiled<'a>(
    objective: &'a DifferentiableObjective<'_, f32>,
    spoil: impl Fn(&mut [f32]) + Sync + 'a,
) -> impl Differentiable<Real = f32> + 'a {
    FnObjective::new(objective.dimension(), |w: &[f32]| {
        objective.value(w, &mut objective.scratch())
    })
    .with_gradient(move |w: &[f32], g: &mut [f32]| {
        let value = objective.value_and_gradient(w, g, &mut objective.scratch());
        spoil(g);
        value
    })
}

/// Weights after so many steps of plain descent.
fn descended(
    network: &Network,
    objective: &DifferentiableObjective<'_, f32>,
    steps: usize,
) -> Vec<f32> {
    let mut w = network.initial_parameters::<f32>(3);
    let (mut g, mut scratch) = (vec![0.0; w.len()], objective.scratch());
    for _step in 0..steps {
        objective.value_and_gradient(&w, &mut g, &mut scratch);
        w.iter_mut().zip(&g).for_each(|(w, g)| *w -= 0.1 * g);
    }
    w
}

fn check(network: &Network) {
    let examples = examples(network);
    with_objective(network, &examples, |objective| {
        for steps in [0, 30] {
            let w = descended(network, &objective, steps);
            let name = format!("{} after {steps} steps", network.name());
            let loss = check_gradient(&objective, &w).unwrap_or_else(|e| panic!("{name}: {e}"));
            println!("{name}: loss {loss}");
            for factor in [-1.0, 2.0, 0.5] {
                let wrong = spoiled(&objective, |g| g.iter_mut().for_each(|g| *g *= factor));
                let found = check_gradient(&wrong, &w);
                let refused = matches!(found, Err(SharpnessError::WrongGradient { .. }));
                assert!(refused, "{name}, times {factor}: {found:?}");
            }
            check_largest_block(network, &objective, &w, &name);
        }
    });
}

/// The block with most of the gradient, flipped, is seen along the whole gradient; block by block it is
/// seen flipped or forgotten, and named.
fn check_largest_block(
    network: &Network,
    objective: &DifferentiableObjective<'_, f32>,
    w: &[f32],
    name: &str,
) {
    let layout = network.parameters();
    let mut g = vec![0.0; w.len()];
    objective.value_and_gradient(w, &mut g, &mut objective.scratch());
    let square = |g: &[f32]| g.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
    let blocks = layout.blocks().iter();
    let largest = blocks
        .max_by(|a, b| square(&g[a.range()]).total_cmp(&square(&g[b.range()])))
        .expect("a network has blocks");
    for factor in [-1.0, 0.0] {
        let range = largest.range();
        let wrong =
            spoiled(objective, move |g| g[range.clone()].iter_mut().for_each(|g| *g *= factor));
        if factor < 0.0 {
            let found = check_gradient(&wrong, w);
            let refused = matches!(found, Err(SharpnessError::WrongGradient { .. }));
            assert!(refused, "{name}, {} flipped: {found:?}", largest.name());
        }
        let found = check_gradient_blocks(&wrong, layout, w);
        let named = matches!(
            &found,
            Err(SharpnessError::WrongBlock { block, .. }) if block == largest.name()
        );
        assert!(named, "{name}, {} times {factor}: {found:?}", largest.name());
    }
}

#[test]
fn a_network_of_linear_layers() {
    check(&models::f1(32, 10).unwrap());
}

#[test]
fn a_convolutional_network() {
    check(&models::shallow(4, 10).unwrap());
}

#[test]
fn a_residual_network() {
    check(&models::cifar_resnet(8, 4, 10).unwrap());
}
