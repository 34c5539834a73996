//! Networks as objectives: closed forms, batch-norm policies, the same bits on any number of
//! threads; and the program's measurements as a user meets them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use smoothout::checkpoint::save_model;
use smoothout::measure::{BatchNormPolicy, ExampleSet, MeasureError, NetworkObjective};
use smoothout::training::ModelState;
use smoothout_nn::{Mode, Network, NetworkBuilder, Sequential, Workspace, models};
use smoothout_sharpness::{
    Ball, Differentiable, Eigenvalues, ExpectedLoss, FiniteDifferenceHvp, Keskar, Objective,
    WorstCase, check_gradient,
};
use smoothout_tensor::{Geometry, Perturbation, Purpose, Real, StreamKey, fill_gaussian};

/// 2 pixels, one linear layer without bias, 2 classes.
fn linear() -> Network {
    let mut b = NetworkBuilder::new("linear", [1, 2, 1]);
    let images = b.images();
    let logits = Sequential::new(&mut b, "layers", images).linear(2, false).end();
    b.finish(logits).unwrap()
}

/// Seven examples of a narrow F1 whose gamma, beta and running statistics are not the initial ones.
struct Narrow<R> {
    network: Network,
    examples: ExampleSet<R>,
    w: Vec<R>,
    buffers: Vec<R>,
}

impl<R: Real> Narrow<R> {
    fn new() -> Self {
        let network = models::f1(6, 10).unwrap();
        let mut images = vec![R::zero(); 7 * 784];
        fill_gaussian(StreamKey::new(1, Purpose::Data), &mut images);
        let labels = (0..7).map(|i| i * 3 % 10).collect();
        let mut w = network.initial_parameters::<R>(3);
        let mut shift = vec![R::zero(); w.len()];
        fill_gaussian(StreamKey::new(2, Purpose::Data), &mut shift);
        w.iter_mut().zip(&shift).for_each(|(w, s)| *w += R::from_f64(0.1) * *s);
        let mut buffers = network.initial_buffers::<R>();
        let mut workspace = Workspace::new(&network, 7);
        let examples = ExampleSet::new([28, 28, 1], images.clone(), labels).unwrap();
        let batch = ndarray::ArrayView4::from_shape((7, 28, 28, 1), &images).unwrap();
        network.logits(&w, Mode::batch(), batch, &mut workspace).unwrap();
        network.update_buffers(&mut buffers, workspace.batch_statistics());
        Self { network, examples, w, buffers }
    }

    fn objective(&self, policy: BatchNormPolicy, batch_size: usize) -> NetworkObjective<'_, R> {
        let Self { network, examples, buffers, .. } = self;
        NetworkObjective::new(network, examples, buffers, policy, batch_size).unwrap()
    }

    fn value(&self, policy: BatchNormPolicy, batch_size: usize, w: &[R]) -> f64 {
        let objective = self.objective(policy, batch_size);
        objective.value(w, &mut objective.scratch())
    }
}

/// Softmax regression: with margin t the loss is ln(1 + e^-t), its gradient -x / (1 + e^t).
#[test]
fn a_linear_network_has_its_closed_form() {
    let network = linear();
    let examples = ExampleSet::new([1, 2, 1], vec![1.0, 0.0, 0.0, 2.0], vec![0, 1]).unwrap();
    let objective =
        NetworkObjective::new(&network, &examples, &[], BatchNormPolicy::Frozen, 1).unwrap();
    // Logits of the first image (1, 0) and of the second (0, -3).
    let w = [1.0_f64, 0.0, 0.0, -1.5];
    let expected = ((1.0 + (-1.0_f64).exp()).ln() + (1.0 + 3.0_f64.exp()).ln()) / 2.0;
    let scratch = &mut objective.scratch();
    assert!((objective.value(&w, scratch) - expected).abs() < 1e-15);
    let mut gradient = [0.0; 4];
    let differentiable = objective.clone().differentiable().unwrap();
    let beside = differentiable.value_and_gradient(&w, &mut gradient, scratch);
    assert!((beside - expected).abs() < 1e-15);
    let (p, q) = (1.0 / (1.0 + 1.0_f64.exp()), 1.0 / (1.0 + (-3.0_f64).exp()));
    // The mean of -p x_1 for the right class of the first, q x_2 for the wrong one of the second.
    for (found, truth) in gradient.iter().zip([-p / 2.0, q, p / 2.0, -q]) {
        assert!((found - truth).abs() < 1e-15, "{gradient:?}");
    }
    // The second example is wrong.
    let error_rate = objective.error_rate();
    assert_eq!(error_rate.value(&w, &mut error_rate.scratch()), 0.5);
}

#[test]
fn an_uneven_last_batch_equals_one_big_batch() {
    let narrow = Narrow::<f64>::new();
    let of = |batch_size| {
        let objective = narrow.objective(BatchNormPolicy::Frozen, batch_size);
        let objective = objective.differentiable().unwrap();
        let mut gradient = vec![0.0; narrow.w.len()];
        let scratch = &mut objective.scratch();
        let loss = objective.value_and_gradient(&narrow.w, &mut gradient, scratch);
        assert_eq!(loss, objective.value(&narrow.w, scratch));
        let hessian = FiniteDifferenceHvp::new(objective);
        let eigen = Eigenvalues::new(1, 0).unwrap().tolerance(1e-4).steps(20).unwrap();
        let layout = narrow.network.parameters();
        let eigen = eigen.measure(&hessian, layout, &narrow.w).unwrap().largest[0].value;
        (loss, gradient, eigen)
    };
    let (loss, gradient, eigen) = of(7);
    for batch_size in [1, 3] {
        let (other, other_gradient, other_eigen) = of(batch_size);
        assert!((other - loss).abs() < 1e-13 * loss);
        assert!(gradient.iter().zip(&other_gradient).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!((other_eigen / eigen - 1.0).abs() < 1e-5, "{other_eigen} {eigen}");
    }
}

#[test]
fn each_policy_takes_its_own_statistics() {
    let narrow = Narrow::<f64>::new();
    let Narrow { network, w, buffers, .. } = &narrow;
    let mut images = vec![0.0; 7 * 784];
    fill_gaussian(StreamKey::new(1, Purpose::Data), &mut images);
    let images = ndarray::ArrayView4::from_shape((7, 28, 28, 1), &images).unwrap();
    let labels: Vec<usize> = (0..7).map(|i| i * 3 % 10).collect();
    let mut workspace = Workspace::new(network, 7);
    let mut loss = |mode, from: usize, to: usize| {
        let part = images.slice(ndarray::s![from..to, .., .., ..]);
        network.loss(w, mode, part, &labels[from..to], &mut workspace).unwrap().loss
    };

    let frozen = loss(Mode::evaluate(buffers), 0, 7);
    assert_eq!(narrow.value(BatchNormPolicy::Frozen, 7, w), frozen);
    // Batches of 4 and 3, weighted by their examples.
    let batch = (4.0 * loss(Mode::batch(), 0, 4) + 3.0 * loss(Mode::batch(), 4, 7)) / 7.0;
    assert!((narrow.value(BatchNormPolicy::Batch { size: 4 }, 1, w) - batch).abs() < 1e-14);
    assert!((batch - frozen).abs() > 1e-3);
    // Recalibrated on one batch: that batch's statistics, with the unbiased variance.
    loss(Mode::batch(), 0, 5);
    let statistics = workspace.batch_statistics().to_vec();
    let mut workspace = Workspace::new(network, 7);
    let expected =
        network.loss(w, Mode::evaluate(&statistics), images, &labels, &mut workspace).unwrap().loss;
    let recalibrated = BatchNormPolicy::Recalibrated { examples: 5, size: 5 };
    assert!((narrow.value(recalibrated, 7, w) - expected).abs() < 1e-13);
    assert!((expected - frozen).abs() > 1e-3 && (expected - batch).abs() > 1e-6);

    let refused = narrow.objective(recalibrated, 7).differentiable().unwrap_err();
    assert!(matches!(refused, MeasureError::NoGradient));
    for policy in [BatchNormPolicy::Frozen, BatchNormPolicy::Batch { size: 4 }] {
        let objective = narrow.objective(policy, 3).differentiable().unwrap();
        check_gradient(&objective, w).unwrap();
    }
}

/// A linear layer before batch norm may be scaled, and nothing changes, if the statistics follow.
#[test]
fn statistics_that_follow_forgive_a_scaled_layer() {
    let narrow = Narrow::<f64>::new();
    let mut scaled = narrow.w.clone();
    for name in ["layers.0.weight", "layers.0.bias"] {
        let range = narrow.network.parameters().block(name).unwrap().range();
        scaled[range].iter_mut().for_each(|w| *w *= 10.0);
    }
    let moved =
        |policy| (narrow.value(policy, 7, &scaled) - narrow.value(policy, 7, &narrow.w)).abs();
    assert!(moved(BatchNormPolicy::Batch { size: 7 }) < 1e-3);
    assert!(moved(BatchNormPolicy::Recalibrated { examples: 7, size: 7 }) < 1e-3);
    assert!(moved(BatchNormPolicy::Frozen) > 1e-2);
}

#[test]
fn sizes_and_labels_are_checked_when_the_objective_is_made() {
    let narrow = Narrow::<f32>::new();
    let Narrow { network, examples, buffers, .. } = &narrow;
    let make = |policy, batch_size| {
        NetworkObjective::new(network, examples, buffers, policy, batch_size).map(|_| ())
    };
    let message = |result: Result<(), MeasureError>| result.unwrap_err().to_string();
    assert!(message(make(BatchNormPolicy::Frozen, 0)).contains("the batch size is 0"));
    // 7 = 3 + 3 + 1: the last batch has no variance.
    let lone = message(make(BatchNormPolicy::Batch { size: 3 }, 1));
    assert!(lone.contains("one value per channel"), "{lone}");
    let many = BatchNormPolicy::Recalibrated { examples: 8, size: 4 };
    assert!(message(make(many, 4)).contains("is 8: it must be 1 to 7"));
    let short = NetworkObjective::new(network, examples, &buffers[1..], BatchNormPolicy::Frozen, 7);
    assert!(short.unwrap_err().to_string().contains("the buffer vector has"));
    let wrong = ExampleSet::new([28, 28, 1], vec![0.0_f32; 784], vec![10]).unwrap();
    let wrong = NetworkObjective::new(network, &wrong, buffers, BatchNormPolicy::Frozen, 7);
    assert!(wrong.unwrap_err().to_string().contains("label 10"));
    assert!(ExampleSet::new([28, 28, 1], vec![0.0_f32; 783], vec![1]).is_err());
}

/// Expected loss (evaluations in parallel), Keskar (one after the other) and m-sharpness on 1, 2 and
/// 7 threads; and nothing that was measured has changed w or the running statistics.
#[test]
fn the_same_bits_on_any_number_of_threads_and_nothing_changes() {
    let narrow = Narrow::<f32>::new();
    let (w, buffers) = (narrow.w.clone(), narrow.buffers.clone());
    let layout = narrow.network.parameters();
    let before = narrow.value(BatchNormPolicy::Frozen, 3, &w);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let recalibrated = BatchNormPolicy::Recalibrated { examples: 6, size: 3 };
            let box_of = Perturbation::new(Geometry::Filter, 0.2).unwrap();
            let expected = ExpectedLoss::new(box_of).draws(20).unwrap();
            let expected =
                expected.measure(&narrow.objective(recalibrated, 2), layout, &w).unwrap();
            let frozen = narrow.objective(BatchNormPolicy::Frozen, 4);
            let parts = frozen.split(3).unwrap();
            assert_eq!(parts.len(), 2, "7 = 3 + 3 and a remainder that is left out");
            let parts = parts.into_iter();
            let parts = parts.map(|part| part.differentiable().unwrap());
            let ball = WorstCase::new(Ball::L2, 0.05).unwrap().steps(3, 2).unwrap();
            let m_sharpness = ball.measure_batches(parts, layout, &w).unwrap();
            let keskar = Keskar::new(1e-3).unwrap();
            let keskar = keskar.measure(&frozen.differentiable().unwrap(), layout, &w).unwrap();
            assert!(keskar.sharpness > 0.0);
            (expected, m_sharpness, keskar)
        })
    };
    let expected = on(1);
    assert_eq!(expected, on(2));
    assert_eq!(expected, on(7));
    assert_eq!((w, buffers), (narrow.w.clone(), narrow.buffers.clone()));
    assert_eq!(before, narrow.value(BatchNormPolicy::Frozen, 3, &narrow.w));
}

/// `smoothout WORDS...`, run from the workspace's root.
fn smoothout(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smoothout"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(words)
        .output()
        .expect("the program starts")
}

/// An F1 as it is before training.
fn saved(folder: &Path, seed: u64) -> PathBuf {
    let network = Network::by_name("f1", 10).unwrap();
    let model = ModelState {
        parameters: network.initial_parameters(seed),
        buffers: network.initial_buffers(),
        batches_tracked: 0,
    };
    let path = folder.join(format!("{seed}.safetensors"));
    save_model(&path, &network, &model).unwrap();
    path
}

fn measured(weights: &Path, words: &[&str]) -> Value {
    let weights = weights.to_str().unwrap();
    let first = ["sharpness", "--model", "f1", "--weights", weights, "--examples", "50", "--json"];
    let output = smoothout(&[&first, words].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every metric prints one object with the number, its certainty, and what it was measured on.
fn reports_what_it_needs_to_be_repeated(metrics: &[(&[&str], &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let weights = saved(folder.path(), 1);
    let bytes = fs::read(&weights).unwrap();
    for &(words, certainty) in metrics {
        let found = measured(&weights, words);
        assert_eq!(found["metric"], words[1]);
        for field in ["estimate", "evaluations", "seconds"] {
            assert!(
                found[field].as_f64().is_some_and(|x| x > 0.0 || field == "estimate"),
                "{found}"
            );
        }
        assert!(found.get(certainty).is_some(), "{certainty} is not in {found}");
        assert_eq!(found["seed"], 0);
        assert_eq!(found["data"]["dataset"], "mnist");
        assert_eq!(found["data"]["split"], "train");
        assert_eq!(
            (&found["data"]["examples"], &found["data"]["of"]),
            (&50.into(), &60_000.into())
        );
        assert_eq!(found["data"]["seed"], 0);
        let policy = if words.contains(&"batch") { "batch" } else { "frozen" };
        assert_eq!(found["batch_norm"]["policy"], policy);
        // Every report holds a value that no rescaling of the layers moves.
        let kept = found["certificate"]["kept"].as_array();
        let invariant = found["invariant"]["rise"]["standard_error"].is_f64();
        assert!(
            invariant || kept.is_some_and(|kept| kept.contains(&"filter_rise".into())),
            "{found}"
        );
        assert!(found["kernels"].is_string() && found["threads"].is_u64(), "{found}");
        assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
        let hessian = ["eigenvalues", "trace", "spectrum"].contains(&words[1]);
        assert_eq!(found["precision"], if hessian { "f64" } else { "f32" });
        assert!(found["report"].is_object(), "{found}");
    }
    assert!(fs::read(&weights).unwrap() == bytes, "measuring wrote to the checkpoint");
}

#[test]
fn every_metric_of_the_loss_reports_what_it_needs_to_be_repeated() {
    reports_what_it_needs_to_be_repeated(&[
        (&["--metric", "expected-loss", "--samples", "4", "--radius", "0.02"], "standard_error"),
        (&["--metric", "keskar", "--iterations", "2", "--starts", "2"], "certificate"),
        (
            &["--metric", "keskar", "--subspace", "5", "--iterations", "2", "--starts", "1"],
            "certificate",
        ),
        (&["--metric", "worst-case", "--steps", "2", "--radius", "0.1"], "certificate"),
        (
            &["--metric", "m-sharpness", "--m", "25", "--steps", "1", "--radius", "0.1"],
            "standard_error",
        ),
        (&["--metric", "noise-tolerance", "--samples", "2", "--rise", "0.01"], "certificate"),
        (&["--metric", "audit", "--samples", "2"], "certificate"),
    ]);
}

#[test]
fn every_metric_of_the_hessian_reports_what_it_needs_to_be_repeated() {
    reports_what_it_needs_to_be_repeated(&[
        (&["--metric", "eigenvalues", "--steps", "4", "--batch-norm", "batch"], "certificate"),
        (&["--metric", "trace", "--samples", "3"], "standard_error"),
        (&["--metric", "spectrum", "--samples", "2", "--steps", "3"], "standard_error"),
    ]);
}

#[test]
fn a_measurement_does_not_depend_on_the_threads_but_on_the_subset() {
    let folder = tempfile::tempdir().unwrap();
    let weights = saved(folder.path(), 1);
    let words = ["--metric", "expected-loss", "--samples", "6", "--radius", "0.05", "--no-guards"];
    let of = |more: &[&str]| {
        let found = measured(&weights, &[&words, more].concat());
        (found["report"].clone(), found["invariant"].clone())
    };
    let one = of(&["--threads", "1"]);
    assert_eq!(one, of(&["--threads", "2"]));
    assert_eq!(one, of(&["--threads", "7"]));
    assert_ne!(one, of(&["--subset-seed", "1"]));
    assert_ne!(one, of(&["--seed", "1"]));
    assert_ne!(one, of(&["--batch-norm", "recalibrated"]));
}

/// Bad input: exit code 2 and one sentence that says what to do.
#[test]
fn bad_measurements_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let weights = saved(folder.path(), 1);
    let weights = weights.to_str().unwrap();
    let first = ["sharpness", "--model", "f1", "--weights", weights, "--examples", "50"];
    for (words, parts) in [
        (&["--metric", "flatness"][..], &["flatness", "expected-loss", "keskar"][..]),
        (
            &["--metric", "keskar", "--radius", "1"],
            &["radius has no meaning for keskar", "epsilon"],
        ),
        (&["--metric", "trace", "--converged"], &["converged has no meaning for trace"]),
        (&["--metric", "keskar", "--epsilon", "-1"], &["eps is -1", "positive"]),
        (&["--metric", "expected-loss", "--radius", "nan"], &["radius is NaN"]),
        (&["--metric", "expected-loss", "--samples", "1"], &["number of draws is 1", "at least 2"]),
        (&["--metric", "expected-loss", "--examples", "0"], &["examples is 0", "1 to 60000"]),
        (&["--metric", "expected-loss", "--examples", "60001"], &["examples is 60001"]),
        (&["--metric", "expected-loss", "--blocks", "fc9.*"], &["fc9.*", "layers.0.weight"]),
        (&["--metric", "worst-case", "--geometry", "layer"], &["geometry is layer"]),
        (&["--metric", "audit", "--scale", "layers.0.weight"], &["layers.0.weight", "factor"]),
        (&["--metric", "audit", "--scale", "fc9.weight=2"], &["no block", "fc9.weight"]),
        (
            &["--metric", "audit", "--scale", "layers.13.weight=100000"],
            &["another function", "cancel"],
        ),
        (&["--metric", "audit", "--factor", "0"], &["factor is 0", "positive"]),
        (&["--metric", "m-sharpness", "--m", "2000"], &["m is 2000", "1 to 50"]),
        (&["--metric", "keskar", "--batch-norm", "recalibrated"], &["no gradient", "batch"]),
        (&["--metric", "keskar", "--batch-size", "0"], &["the batch size is 0"]),
        (&["--metric", "keskar", "--dataset", "imagenet"], &["imagenet", "cifar10"]),
        (&["--metric", "keskar", "--split", "validation"], &["validation", "train or test"]),
        (&["--metric", "keskar", "--threads", "0"], &["threads is 0"]),
        (&["--metric", "keskar", "--weights", "nowhere.safetensors"], &["nowhere.safetensors"]),
    ] {
        let output = smoothout(&[&first[..], words].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
        assert!(!message.contains("panicked"), "{message}");
    }
}

/// Weights that are NaN are not the arguments' fault: exit code 1.
#[test]
fn a_loss_that_is_nan_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::by_name("f1", 10).unwrap();
    let model = ModelState {
        parameters: vec![f32::NAN; network.parameters().len()],
        buffers: network.initial_buffers(),
        batches_tracked: 0,
    };
    let path = folder.path().join("nan.safetensors");
    save_model(&path, &network, &model).unwrap();
    let words = ["sharpness", "--model", "f1", "--metric", "expected-loss", "--weights"];
    let output = smoothout(&[&words[..], &[path.to_str().unwrap()]].concat());
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("the loss is not finite"), "{message}");
}

/// A landscape with some words, in a folder.
fn landscape(words: &[&str], out: &Path) -> Output {
    let common = ["--model", "f1", "--examples", "50", "--out", out.to_str().unwrap()];
    smoothout(&[&["landscape"], words, &common].concat())
}

#[test]
fn a_line_between_two_networks_meets_both_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (saved(folder.path(), 1), saved(folder.path(), 2));
    let line = ["--line", a.to_str().unwrap(), b.to_str().unwrap(), "--points", "4"];
    let out = folder.path().join("line");
    let output = landscape(&line, &out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["about.json", "loss.npy", "error.csv", "error.json", "line.svg"] {
        assert!(fs::metadata(out.join(name)).unwrap().len() > 0, "{name}");
    }
    // At the coordinates -1, 0, 1, 2: the second and third value are the networks' own losses.
    let grid = fs::read_to_string(out.join("loss.csv")).unwrap();
    let rows: Vec<Vec<f64>> = grid
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|x| x.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), [-1.0, 0.0, 1.0, 2.0]);
    let own = |weights: &Path| {
        let words =
            ["--metric", "expected-loss", "--samples", "2", "--batch-norm", "batch", "--no-guards"];
        measured(weights, &[&words[..], &["--examples", "50"]].concat())["report"]["loss"].as_f64()
    };
    assert_eq!(Some(rows[1][1]), own(&a));
    // w_a + (w_b - w_a) rounds.
    assert!((rows[2][1] - own(&b).unwrap()).abs() < 1e-4);

    // Interrupted after two points, it ends with the same bytes.
    let whole = fs::read(out.join("loss.json")).unwrap();
    let mut cut: Value = serde_json::from_slice(&whole).unwrap();
    cut["values"].as_array_mut().unwrap().truncate(2);
    fs::write(out.join("loss.json"), cut.to_string()).unwrap();
    fs::remove_file(out.join("error.json")).unwrap();
    assert!(landscape(&line, &out).status.success());
    assert!(fs::read(out.join("loss.json")).unwrap() == whole);

    let path = |path: &Path| path.to_str().unwrap().to_owned();
    for (words, part) in [
        (vec!["--line".into(), path(&a), path(&b)], "another landscape"),
        (vec!["--line".into(), path(&a)], "2 values required"),
        (vec!["--line".into(), path(&a), path(&a)], "linearly dependent"),
        (vec![], "required"),
        (vec!["--random-line".into(), path(&a), "--points".into(), "1".into()], "1 points"),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = landscape(&words, &out);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {message}");
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn planes_and_trajectories_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> =
        (1..4).map(|seed| saved(folder.path(), seed).to_str().unwrap().to_owned()).collect();
    let [a, b, c] = [0, 1, 2].map(|i| files[i].as_str());
    for words in [
        &["--random-line", a][..],
        &["--random-plane", a, "--without-norm"],
        &["--plane", a, b, c],
        &["--trajectory", a, b, c],
    ] {
        let out = folder.path().join(&words[0][2..]);
        let output = landscape(&[words, &["--points", "2", "--quantity", "loss"]].concat(), &out);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let about: Value =
            serde_json::from_str(&fs::read_to_string(out.join("about.json")).unwrap()).unwrap();
        let places = about["places"].as_array().unwrap();
        assert_eq!(places.len(), words.iter().filter(|word| word.contains("safetensors")).count());
        let name = if words[0] == "--random-line" { "line.svg" } else { "loss.svg" };
        assert!(fs::read_to_string(out.join(name)).unwrap().contains("<svg"));
    }
}
