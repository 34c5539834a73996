//! The fused executor against the plain one, in `f32` and in `f64`.

use ndarray::Array4;
use smoothout_tensor::{Purpose, Real, StreamKey};

use super::plan::{Backward, Forward};
use crate::Workspace;
use crate::execute::Run;
use crate::models::{self, CifarResnet, ImagenetResnet, ResidualBlock, bottleneck};
use crate::{Activation, BatchLoss, Conv2d, Mode, Network, NetworkBuilder, NnError, Window};

fn images<R: Real>(network: &Network, batch: usize) -> Array4<R> {
    let [height, width, channels] = network.input_shape();
    let mut counter = 0_u32;
    Array4::from_shape_simple_fn((batch, height, width, channels), || {
        counter += 1;
        // The same numbers in both precisions.
        let t = f64::from(counter);
        R::from_f64(f64::from(((t * 0.7311).sin() + (t * 0.0113).cos()) as f32))
    })
}

fn labels(network: &Network, batch: usize) -> Vec<usize> {
    (0..batch).map(|n| (n * 3 + 1) % network.classes()).collect()
}

/// Initial weights of a seed, gammas and betas moved from 1 and 0.
fn weights(network: &Network, seed: u64) -> Vec<f32> {
    let w: Vec<f32> = network.initial_parameters(seed);
    w.iter().enumerate().map(|(i, w)| w + 0.1 * (i as f32 * 0.61).sin()).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// What an evaluation gives: loss, gradient, batch statistics, logits.
#[derive(Debug, PartialEq)]
struct Outcome {
    loss: BatchLoss,
    gradient: Vec<f64>,
    statistics: Vec<f64>,
    logits: Vec<f64>,
}

fn outcome<R: Real>(
    loss: BatchLoss,
    gradient: &[R],
    logits: Vec<f64>,
    workspace: &Workspace<R>,
) -> Outcome {
    let wide = |values: &[R]| values.iter().map(|value| value.as_f64()).collect::<Vec<_>>();
    let statistics = wide(workspace.batch_statistics());
    Outcome { loss, gradient: wide(gradient), statistics, logits }
}

fn plain<R: Real>(network: &Network, w: &[R], mode: Mode<'_, R>, batch: usize) -> Outcome {
    let (images, labels) = (images::<R>(network, batch), labels(network, batch));
    let mut workspace = Workspace::new(network, batch);
    let mut gradient = vec![R::nan(); w.len()];
    let images = images.as_slice().unwrap();
    let mut run = Run::new(network, w, mode, batch, true);
    run.forward(images, &mut workspace).unwrap();
    let loss = run.cross_entropy(&labels, &mut workspace);
    let slot = network.plan.training.of_value[network.nodes.len()];
    let logits = workspace.activations[slot][..batch * network.classes()].to_vec();
    run.backward(images, &mut gradient, &mut workspace);
    outcome(loss, &gradient, logits.iter().map(|logit| logit.as_f64()).collect(), &workspace)
}

fn fused(network: &Network, w: &[f32], mode: Mode<'_, f32>, batch: usize) -> Outcome {
    let (images, labels) = (images(network, batch), labels(network, batch));
    let mut workspace = Workspace::new(network, batch);
    let mut gradient = vec![f32::NAN; w.len()];
    let loss = network
        .loss_and_gradient(w, mode, images.view(), &labels, &mut gradient, &mut workspace)
        .unwrap();
    let norm = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
    let known = workspace.gradient_squared_norm();
    assert!((known - norm).abs() <= 1e-12 * norm, "squared norm {known}, and {norm} by definition");
    let mut other = Workspace::new(network, batch);
    let logits = network.logits(w, mode, images.view(), &mut other).unwrap();
    let logits = logits.iter().map(|&logit| f64::from(logit)).collect();
    assert_eq!(network.loss(w, mode, images.view(), &labels, &mut other).unwrap(), loss);
    outcome(loss, &gradient, logits, &workspace)
}

/// The largest difference, as a share of the largest value.
fn error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-30_f64, |scale, value| scale.max(value.abs()));
    let pairs = found.iter().zip(expected);
    pairs
        .map(|(a, b)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() / scale })
        .fold(0.0, f64::max)
}

/// Loss, logits, statistics and gradient are within a few roundings of the plain executor's in
/// `f64`. Where a value lies nearer to a kink of a ReLU than it is exact, the gradient is not: it
/// moves by some 1e-3. That happens to few weights, so one of several seeds must be without.
fn check(network: &Network, batch: usize) {
    let noise = Some(StreamKey::new(11, Purpose::Dropout));
    let mut best = [f64::INFINITY; 4];
    for seed in 3..15 {
        let w = weights(network, seed);
        let w64 = wide(&w);
        let buffers = {
            let statistics = plain::<f64>(network, &w64, Mode::batch(), batch).statistics;
            statistics.iter().map(|&value| value as f32).collect::<Vec<f32>>()
        };
        let buffers64 = wide(&buffers);
        let (running, running64) = (Mode::evaluate(&buffers), Mode::evaluate(&buffers64));
        let modes = [
            (Mode::batch(), Mode::batch()),
            (running, running64),
            (Mode { noise, ..running }, Mode { noise, ..running64 }),
            (Mode { noise, ..Mode::batch() }, Mode { noise, ..Mode::batch() }),
        ];
        for (best, (mode, mode64)) in best.iter_mut().zip(modes) {
            let context = format!("{}, batch {batch}, seed {seed}", network.name());
            // Random layers draw other numbers in `f64`.
            let expected = match mode.noise {
                Some(_) => plain(network, &w, mode, batch),
                None => plain(network, &w64, mode64, batch),
            };
            let errors = |outcome: &Outcome| {
                let loss = error(&[outcome.loss.loss], &[expected.loss.loss]);
                let statistics = error(&outcome.statistics, &expected.statistics);
                let logits = error(&outcome.logits, &expected.logits);
                let gradient = error(&outcome.gradient, &expected.gradient);
                [
                    ("loss", loss),
                    ("statistics", statistics),
                    ("logits", logits),
                    ("gradient", gradient),
                ]
            };
            let of_plain = errors(&plain(network, &w, mode, batch));
            let of_fused = errors(&fused(network, &w, mode, batch));
            for ((what, found), (_, limit)) in of_fused.into_iter().zip(of_plain) {
                // A norm of two images divides roundings by small differences.
                let least = if what == "gradient" { 5e-2 } else { 3e-4 };
                assert!(found < least + 4.0 * limit, "{context}: {what} {found}, plain {limit}");
            }
            println!("{context}: gradient {:?}, plain {:?}", of_fused[3].1, of_plain[3].1);
            *best = best.min(of_fused.iter().map(|&(_, error)| error).fold(0.0, f64::max));
        }
        if best.iter().all(|&error| error < 4e-5) {
            return;
        }
    }
    panic!("{}, batch {batch}: gradient {best:?}", network.name());
}

fn bottlenecks() -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("bottlenecks", [8, 8, 3]);
    let block = ResidualBlock { filters: 3, stride: 2, activation: Activation::Relu };
    let images = b.images();
    let x = bottleneck(&mut b, images, "layer1.0", block);
    let x = bottleneck(&mut b, x, "layer1.1", ResidualBlock { stride: 1, ..block });
    let x = b.global_average_pool(x);
    let logits = b.linear(x, "fc", 5, true);
    b.finish(logits)
}

/// Convolutions with a bias before one norm, and before other readers; dropout and a pool between.
fn biased() -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("biased", [8, 8, 3]);
    let conv = |filters| Conv2d::new(filters, Window::square(3).padding(1)).bias();
    let images = b.images();
    let x = b.conv2d(images, "a", conv(4));
    let x = b.batch_norm(x, "a.norm");
    let x = b.relu(x);
    let x = b.dropout(x, 0.3);
    let x = b.conv2d(x, "b", conv(4));
    let x = b.batch_norm(x, "b.norm");
    let x = b.relu(x);
    let x = b.max_pool(x, Window::square(2).stride(2));
    let y = b.conv2d(x, "c", conv(4));
    let z = b.batch_norm(y, "c.norm");
    let x = b.add(z, y);
    let x = b.conv2d(x, "d", conv(6));
    let x = b.batch_norm(x, "d.norm");
    // Pools behind convolutions: without a norm, with one, and read by others as well.
    let conv = |filters| Conv2d::new(filters, Window::square(3).padding(1));
    let x = b.conv2d(x, "e", conv(4));
    let x = b.max_pool(x, Window::square(2));
    let x = b.relu(x);
    let x = b.conv2d(x, "f", conv(4));
    let x = b.max_pool(x, Window::square(2));
    let y = b.batch_norm(x, "f.norm");
    let x = b.add(y, x);
    let y = b.conv2d(x, "g", conv(4));
    let x = b.max_pool(y, Window::square(3).padding(1));
    let x = b.batch_norm(x, "g.norm");
    let x = b.add(x, y);
    let x = b.global_average_pool(x);
    let logits = b.linear(x, "fc", 4, true);
    b.finish(logits)
}

/// Shared values, sums of sums, norms of norms, sums with the images: what no model has.
fn tangle() -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("tangle", [6, 6, 3]);
    let conv = |filters| Conv2d::new(filters, Window::square(3).padding(1));
    let images = b.images();
    let x = b.conv2d(images, "a", conv(3));
    let x = b.batch_norm(x, "a.norm");
    let x = b.add(x, images);
    let x = b.relu(x);
    let y = b.conv2d(x, "b", conv(3));
    let z = b.batch_norm(y, "b.norm");
    let z = b.batch_norm(z, "b.norm2");
    let z = b.add(z, x);
    let u = b.relu(x);
    let v = b.batch_norm(u, "u.norm");
    let v = b.relu(v);
    let s = b.conv2d(v, "s", conv(3));
    let t = b.conv2d(v, "t", conv(3));
    let t = b.batch_norm(t, "t.norm");
    let t = b.add(s, t);
    let t = b.add(t, y);
    let t = b.add(z, t);
    let n = b.batch_norm(t, "n.norm");
    let n = b.add(n, n);
    let n = b.relu(n);
    let d = b.dropout(n, 0.3);
    let n = b.add(d, t);
    let x = b.global_average_pool(n);
    let logits = b.linear(x, "fc", 4, true);
    b.finish(logits)
}

#[test]
fn fused_is_plain() {
    let noisy = Activation::NoisyRelu { noise: 0.3 };
    let networks = [
        models::f1(20, 4),
        models::shallow(3, 6),
        models::shallow(16, 6),
        models::cifar_resnet(8, 4, 10),
        models::cifar_resnet(8, 16, 10),
        CifarResnet { width: 3, activation: noisy, ..CifarResnet::new(16, 3) }.build(),
        ImagenetResnet { width: 2, image: 64, ..ImagenetResnet::new(18, 5) }.build(),
        bottlenecks(),
        biased(),
        tangle(),
    ];
    for network in networks {
        let network = network.unwrap();
        for batch in [2, 3, 17] {
            check(&network, batch);
        }
    }
}

#[test]
fn a_deep_one_is_plain() {
    check(&models::cifar_resnet(20, 16, 10).unwrap(), 4);
}

/// In a residual network nothing of a block is left to a pass of its own but its end, forward.
#[test]
fn residual_networks_are_fused_through_and_through() {
    let network = models::cifar_resnet(20, 4, 10).unwrap();
    let plan = &network.fused;
    let plain = plan.forward.iter().filter(|step| matches!(step, Forward::Plain { .. })).count();
    let combined =
        plan.forward.iter().filter(|step| matches!(step, Forward::Combine { .. })).count();
    assert_eq!((plain, combined), (1, 10), "average pool; ends of nine blocks and stem");
    let finished =
        plan.backward.iter().filter(|step| matches!(step, Backward::Finish { .. })).count();
    assert_eq!(finished, 1, "the last block's end, read by the average pool");
}

#[test]
fn one_value_to_a_channel_is_an_error() {
    let network = models::f1(5, 3).unwrap();
    let w = weights(&network, 3);
    let mut workspace = Workspace::new(&network, 1);
    let mut gradient = vec![0.0; w.len()];
    let images = images(&network, 1);
    let result = network.loss_and_gradient(
        &w,
        Mode::batch(),
        images.view(),
        &[0],
        &mut gradient,
        &mut workspace,
    );
    assert!(matches!(result, Err(NnError::OneValuePerChannel { .. })));
    assert!(network.logits(&w, Mode::batch(), images.view(), &mut workspace).is_err());
}

#[test]
fn threads_do_not_change_a_bit() {
    let networks = [models::cifar_resnet(8, 16, 10), models::shallow(16, 6), biased()];
    for network in networks.map(Result::unwrap) {
        let w = weights(&network, 3);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fused(&network, &w, Mode::batch(), 21))
        };
        let expected = on(1);
        assert!(expected == on(2) && expected == on(7), "{}", network.name());
    }
}
