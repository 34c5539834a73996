//! The gradient of every network against central differences, in f64.

use rayon::prelude::*;
use smoothout_nn::models::{self, CifarResnet};
use smoothout_nn::{Activation, Conv2d, Mode, Network, NetworkBuilder, Window, Workspace};
use smoothout_tensor::{Block, Purpose, StreamKey};

use super::{images, labels, narrow, weights};

/// The slope along a direction d in each block: (f(w + h d) - f(w - h d)) / 2h = <g, d>, with the
/// random layers on (their draws depend on the key only), for batch and running statistics.
///
/// |d| is the norm of the block (or 1), so that <g, d> is about |g| |d| / sqrt(n) for the n elements
/// of the block: the error is held against that, block by block, and one in a small block cannot
/// hide. ReLU and max pool have kinks, so a direction is judged at the first step without one.
fn check_gradient(network: &Network, w: &[f64]) {
    let (images, labels) = (images::<f64>(network, 4), labels(network, 4));
    let mut workspace = Workspace::new(network, 4);
    network.loss(w, Mode::batch(), images.view(), &labels, &mut workspace).unwrap();
    let buffers = workspace.batch_statistics().to_vec();
    let key = StreamKey::new(11, Purpose::Dropout);
    for mode in [Mode::train(key), Mode { noise: Some(key), ..Mode::evaluate(&buffers) }] {
        let mut gradient = vec![f64::NAN; w.len()];
        let at = network
            .loss_and_gradient(w, mode, images.view(), &labels, &mut gradient, &mut workspace)
            .unwrap();
        let mut value =
            |w: &[f64]| network.loss(w, mode, images.view(), &labels, &mut workspace).unwrap().loss;
        assert_eq!(at.loss, value(w), "{}: loss with and without gradient", network.name());
        for block in checked(network) {
            let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let mut direction: Vec<f64> =
                block.range().map(|i| ((i + 1) as f64 * 1.37).sin()).collect();
            let length = norm(&w[block.range()]).max(1.0) / norm(&direction);
            direction.iter_mut().for_each(|d| *d *= length);
            let g = &gradient[block.range()];
            let expected: f64 = g.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let size = norm(g) * norm(&direction) / (block.len() as f64).sqrt();
            let mut moved = |h: f64| {
                let mut w = w.to_vec();
                w[block.range()].iter_mut().zip(&direction).for_each(|(w, d)| *w += h * d);
                value(&w)
            };
            let mut error = |h: f64| ((moved(h) - moved(-h)) / (2.0 * h) - expected).abs();
            // Rounding of the loss, 1e-15 or so, is divided by h.
            let bound = 1e-4 * size + 1e-8;
            assert!(
                [1e-5, 1e-6, 1e-7, 1e-8].into_iter().any(|h| error(h) <= bound),
                "{} {}: not within {bound:e} of {expected:e} at any step",
                network.name(),
                block.name()
            );
        }
    }
}

/// Every block, or of deep networks every seventh: weights, gammas and betas in turn.
fn checked(network: &Network) -> impl Iterator<Item = &Block> {
    let blocks = network.parameters().blocks();
    blocks.iter().step_by(if blocks.len() > 70 { 7 } else { 1 })
}

#[test]
fn every_network_is_differentiated() {
    models::NAMES.into_par_iter().for_each(|name| {
        let network = narrow(name);
        check_gradient(&network, &weights(&network));
    });
    let activation = Activation::NoisyRelu { noise: 0.3 };
    let noisy = CifarResnet { width: 3, activation, ..CifarResnet::new(16, 3) }.build().unwrap();
    check_gradient(&noisy, &weights(&noisy));
}

/// Values that several layers read, sums of a value with itself or with the images, rectifiers
/// whose output a sum must not overwrite: what a planner of buffers can get wrong.
#[test]
fn any_graph_is_differentiated() {
    let mut b = NetworkBuilder::new("odd", [6, 6, 2]);
    let images = b.images();
    let conv = Conv2d::new(2, Window::square(3).padding(1)).bias();
    let rectified = b.relu(images);
    let doubled = b.add(images, images);
    let x = b.conv2d(rectified, "first", conv);
    let x = b.add(x, doubled);
    let y = b.activation(x, Activation::NoisyRelu { noise: 0.2 });
    let y = b.add(y, x);
    let y = b.relu(y);
    let z = b.conv2d(y, "second", conv);
    let y = b.dropout(y, 0.3);
    let y = b.add(y, z);
    let y = b.add(y, images);
    let y = b.add(y, x);
    let normed = b.batch_norm(y, "norm");
    let other = b.conv2d(y, "third", conv);
    let y = b.add(normed, other);
    let branch = b.relu(y);
    let branch = b.dropout(branch, 0.3);
    let y = b.add(branch, other);
    let pooled = b.max_pool(y, Window::square(2).stride(2));
    let averaged = b.average_pool(y, Window::square(2).stride(2));
    let y = b.add(pooled, averaged);
    let y = b.add(y, y);
    let hidden = b.linear(y, "hidden", 5, true);
    let relu = b.relu(hidden);
    let y = b.add(relu, hidden);
    let logits = b.linear(y, "fc", 3, false);
    let network = b.finish(logits).unwrap();
    check_gradient(&network, &network.initial_parameters(3));
}
