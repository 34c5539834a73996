//! The program's measurements and landscapes as a user meets them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use smoothout::checkpoint::save_model;
use smoothout::training::ModelState;
use smoothout_nn::Network;

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
        let kept = found["certificate"]["not_moved"].as_array();
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

    // Another network in the same file is another landscape.
    fs::copy(saved(folder.path(), 3), &b).unwrap();
    let output = landscape(&line, &out);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("the files it was started with"), "{message}");

    // So is one of other data, and one of which nothing is said.
    let about = out.join("about.json");
    let text = fs::read_to_string(&about).unwrap();
    fs::write(&about, text.replace("\"data_md5\": \"", "\"data_md5\": \"0")).unwrap();
    let [other, unsaid] = [(); 2].map(|()| {
        let output = landscape(&line, &out);
        fs::remove_file(&about).unwrap_or_default();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(other.0 == Some(2) && other.1.contains("another landscape"), "{other:?}");
    assert!(unsaid.0 == Some(2) && unsaid.1.contains("about.json is not"), "{unsaid:?}");

    // One in the middle of the weights is NaN.
    let mut bytes = fs::read(&a).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let middle = header + (bytes.len() - header) / 8 * 4;
    bytes[middle..middle + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&a, bytes).unwrap();
    let output = landscape(&line, &folder.path().join("ruined"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("NaN or infinite"), "{message}");
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
        assert!(fs::read_to_string(out.join("loss.svg")).unwrap().contains("<svg"));
    }
}
