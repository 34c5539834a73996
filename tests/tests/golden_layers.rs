//! Each layer's forward and backward against PyTorch, seen through the smallest network that holds
//! it: stem, layer, head, cross-entropy (`golden/layers.py` says how y and dx show).
//!
//! PyTorch computed in float64 and stored float32: the `f64` runs agree to that rounding, 1e-6 of
//! a tensor's largest element; the `f32` runs to 1e-5.

use ndarray::Array4;
use smoothout_nn::models::{ResidualBlock, basic_block, bottleneck};
use smoothout_nn::{
    Activation, BatchLoss, Conv2d, Mode, Network, NetworkBuilder, Window, Workspace,
};
use smoothout_tensor::{ParameterLayout, Purpose, Real, StreamKey};
use smoothout_tests::{Vectors, assert_close};

const HEAD: usize = 11;

/// The network of a case; `channels` is what the stem makes.
fn network(case: &str, input: [usize; 3], channels: usize) -> Network {
    let mut b = NetworkBuilder::new(case, input);
    let images = b.images();
    let flat = ["linear", "linear-no-bias", "batch-norm-1d", "cross-entropy"].contains(&case);
    let x = if flat {
        b.linear(images, "stem", channels, false)
    } else {
        b.conv2d(images, "stem", Conv2d::new(channels, Window::square(1)))
    };
    let conv = |filters, window| Conv2d::new(filters, window);
    let block = |filters, stride| ResidualBlock { filters, stride, activation: Activation::Relu };
    let square = Window::square;
    let y = match case {
        "linear" => b.linear(x, "layer", 5, true),
        "linear-no-bias" => b.linear(x, "layer", 11, false),
        "conv-3x3" => b.conv2d(x, "layer", conv(6, square(3).padding(1))),
        "conv-3x3-bias-no-padding" => b.conv2d(x, "layer", conv(6, square(3)).bias()),
        "conv-3x3-stride-2" => b.conv2d(x, "layer", conv(6, square(3).stride(2).padding(1))),
        "conv-1x1-stride-2" => b.conv2d(x, "layer", conv(8, square(1).stride(2))),
        "conv-5x5" => b.conv2d(x, "layer", conv(17, square(5).padding(2))),
        "conv-7x7-stride-2" => b.conv2d(x, "layer", conv(5, square(7).stride(2).padding(3))),
        "conv-11x11-stride-4-bias" => {
            b.conv2d(x, "layer", conv(4, square(11).stride(4).padding(2)).bias())
        }
        "max-pool-3-stride-2" => b.max_pool(x, square(3).stride(2)),
        "max-pool-3-stride-2-padding-1" => b.max_pool(x, square(3).stride(2).padding(1)),
        "max-pool-2-stride-2" => b.max_pool(x, square(2).stride(2)),
        "average-pool-4" => b.average_pool(x, square(4).stride(4)),
        "average-pool-global" => b.global_average_pool(x),
        "relu" => b.relu(x),
        "batch-norm-1d" | "batch-norm-2d" => b.batch_norm(x, "layer"),
        "basic-block" => basic_block(&mut b, x, "layer", block(4, 1)),
        "basic-block-stride-2" => basic_block(&mut b, x, "layer", block(8, 2)),
        "bottleneck" => bottleneck(&mut b, x, "layer", block(3, 1)),
        "bottleneck-stride-2" => bottleneck(&mut b, x, "layer", block(3, 2)),
        "cross-entropy" => x,
        other => panic!("no layer for the case {other}"),
    };
    let logits = if flat { y } else { b.linear(y, "head", HEAD, false) };
    b.finish(logits).unwrap()
}

/// The parameter vector of stored blocks.
fn parameters<R: Real>(vectors: &Vectors, case: &str, layout: &ParameterLayout) -> Vec<R> {
    let mut w = vec![R::nan(); layout.len()];
    for block in layout.blocks() {
        let stored = vectors.get(&format!("{case}.parameter.{}", block.name()));
        assert_eq!(stored.shape, block.shape(), "{case}: {}", block.name());
        w[block.range()].copy_from_slice(&stored.to());
    }
    w
}

/// Buffers under `CASE.KIND.`, where there are any.
fn buffers<R: Real>(vectors: &Vectors, case: &str, kind: &str, network: &Network) -> Vec<R> {
    let stored = |name: &str| vectors.get(&format!("{case}.{kind}.{name}")).to::<R>();
    network.buffers().blocks().iter().flat_map(|block| stored(block.name())).collect()
}

/// One pass in one mode, compared with the tensors under `prefix`.
fn compare<R: Real>(
    vectors: &Vectors,
    prefix: &str,
    network: &Network,
    mode: Mode<'_, R>,
    (w, images, labels): (&[R], &Array4<R>, &[usize]),
    workspace: &mut Workspace<R>,
) {
    let tolerance = if R::NAME == "f64" { 1e-6 } else { 1e-5 };
    let logits = network.logits(w, mode, images.view(), workspace).unwrap();
    let found: Vec<R> = logits.iter().copied().collect();
    let expected = vectors.get(&format!("{prefix}.logits")).values;
    assert_close(&format!("{prefix}: logits"), &found, &expected, tolerance, 0.0);

    let mut gradient = vec![R::nan(); w.len()];
    let found = network
        .loss_and_gradient(w, mode, images.view(), labels, &mut gradient, workspace)
        .unwrap();
    let BatchLoss { loss, examples, top1, top5 } = found;
    let expected = vectors.get(&format!("{prefix}.loss")).values;
    assert_close(&format!("{prefix}: loss"), &[loss], &expected, tolerance, 0.0);
    assert_eq!(examples, labels.len());
    for (what, found) in [("top1", top1), ("top5", top5)] {
        // Not stored where two logits are equal.
        if let Some(expected) = vectors.find(&format!("{prefix}.{what}")) {
            assert_eq!([found], *expected.to_usize(), "{prefix}: {what}");
        }
    }
    for block in network.parameters().blocks() {
        let what = format!("{prefix}.gradient.{}", block.name());
        let expected = vectors.get(&what).values;
        assert_close(&what, &gradient[block.range()], &expected, tolerance, 1e-3);
    }
}

fn check<R: Real>() {
    let vectors = Vectors::open("layers");
    let names = vectors.names("");
    let cases: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".images")).collect();
    assert_eq!(cases.len(), 22);
    for case in cases {
        let images = vectors.get(&format!("{case}.images"));
        let [batch, height, width, depth] = images.extents();
        let images = Array4::from_shape_vec([batch, height, width, depth], images.to()).unwrap();
        let labels = vectors.get(&format!("{case}.labels")).to_usize();
        let stem = vectors.get(&format!("{case}.parameter.stem.weight"));
        let network = network(case, [height, width, depth], stem.shape[0]);
        let w = parameters::<R>(&vectors, case, network.parameters());
        let workspace = &mut Workspace::new(&network, batch);
        let input = (&w[..], &images, &labels[..]);
        if network.buffers().is_empty() {
            compare(&vectors, case, &network, Mode::batch(), input, workspace);
            continue;
        }
        let mut statistics = buffers::<R>(&vectors, case, "before", &network);
        let evaluation = format!("{case}.evaluation");
        let mode = Mode::evaluate(&statistics);
        compare(&vectors, &evaluation, &network, mode, input, workspace);
        compare(&vectors, case, &network, Mode::batch(), input, workspace);
        network.update_buffers(&mut statistics, workspace.batch_statistics());
        let expected: Vec<f64> = buffers(&vectors, case, "after", &network);
        assert_close(&format!("{case}: buffers"), &statistics, &expected, 1e-6, 0.0);
    }
}

#[test]
fn layers_are_pytorchs_in_f64() {
    check::<f64>();
}

#[test]
fn layers_are_pytorchs_in_f32() {
    check::<f32>();
}

/// Whichever mask is drawn, PyTorch's answer for that mask is ours.
fn check_dropout<R: Real>() {
    let vectors = Vectors::open("dropout");
    let mut b = NetworkBuilder::new("dropout", [1, 1, 4]);
    let images = b.images();
    let x = b.linear(images, "stem", 5, false);
    let logits = b.dropout(x, vectors.settings()["p"].as_f64().unwrap());
    let network = b.finish(logits).unwrap();

    let images = vectors.get("images");
    let images = Array4::from_shape_vec(images.extents::<4>(), images.to::<R>()).unwrap();
    let labels = vectors.get("labels").to_usize();
    let w = vectors.get("parameter.stem.weight").to::<R>();
    let [masks, logits, losses, gradients] =
        ["masks", "logits", "loss", "gradient"].map(|name| vectors.get(name).values);
    let workspace = &mut Workspace::new(&network, 1);
    let mut gradient = vec![R::nan(); w.len()];
    let mut seen = vec![false; losses.len()];
    for seed in 0..500 {
        let mode = Mode::train(StreamKey::new(seed, Purpose::Dropout));
        let found = network.logits(&w, mode, images.view(), workspace).unwrap();
        let found: Vec<R> = found.iter().copied().collect();
        let mask: Vec<f64> =
            found.iter().map(|&y| if y == R::zero() { 0.0 } else { 1.0 }).collect();
        let row = masks.chunks(5).position(|row| row == mask).unwrap();
        seen[row] = true;
        assert_close("logits", &found, &logits[row * 5..][..5], 1e-6, 1.0);
        let found = network
            .loss_and_gradient(&w, mode, images.view(), &labels, &mut gradient, workspace)
            .unwrap();
        assert_close("loss", &[found.loss], &losses[row..=row], 1e-6, 0.0);
        assert_close("gradient", &gradient, &gradients[row * 20..][..20], 1e-6, 1.0);
    }
    // The rarest mask, all five dropped, has probability 0.4^5: 500 draws miss it once in 170.
    assert!(seen.iter().filter(|&&seen| seen).count() >= 25, "{seen:?}");
}

#[test]
fn dropout_is_pytorchs_for_each_mask() {
    check_dropout::<f32>();
    check_dropout::<f64>();
}
