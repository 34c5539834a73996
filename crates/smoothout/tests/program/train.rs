//! Training as a user meets it: train, resume, diverge, compare.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use smoothout_tensor::kernels::{InstructionSet, Precision};

use crate::input::bad;

/// `smoothout WORDS...`, run from the workspace's root.
pub(crate) fn smoothout(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smoothout"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(words)
        .output()
        .expect("the program starts")
}

/// A small training of F1 on MNIST by AdaSmoothOut.
pub(crate) fn train(out: &Path, more: &[&str]) -> Output {
    train_by(&["adasmoothout", "--radius", "0.1"], out, more)
}

/// A small training of F1 on MNIST: 4 epochs of 1024 examples in 4 batches of 4 ghost batches.
pub(crate) fn train_by(method: &[&str], out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    let words = [
        "train",
        "--model",
        "f1",
        "--epochs",
        "4",
        "--train-limit",
        "1024",
        "--test-limit",
        "500",
        "--batch-size",
        "256",
        "--ghost-batch-size",
        "64",
        "--out",
        out,
        "--method",
    ];
    smoothout(&[&words, method, more].concat())
}

pub(crate) fn success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The records without the seconds they took.
pub(crate) fn records(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("epochs.jsonl")).unwrap();
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        assert!(record.as_object_mut().unwrap().remove("seconds").is_some());
        record
    };
    text.lines().map(record).collect()
}

pub(crate) fn same_files(a: &Path, b: &Path) {
    assert_eq!(records(a), records(b));
    for name in ["best.safetensors", "last.safetensors", "training.safetensors"] {
        assert!(fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn a_run_resumes_and_ends_with_the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    success(&train(&at("whole"), &["--threads", "2"]));
    assert_eq!(records(&at("whole")).len(), 4);

    for threads in ["1", "7"] {
        success(&train(&at(threads), &["--threads", threads]));
        same_files(&at("whole"), &at(threads));
    }

    success(&train(&at("parts"), &["--stop-after", "2"]));
    assert_eq!(records(&at("parts")).len(), 2);
    // A record whose checkpoint was never written belongs to an epoch that runs again.
    let mut lines = fs::read_to_string(at("parts").join("epochs.jsonl")).unwrap();
    lines.push_str(&lines.lines().last().unwrap().replace("\"epoch\":2", "\"epoch\":3"));
    fs::write(at("parts").join("epochs.jsonl"), lines).unwrap();
    let resumed = smoothout(&["train", "--resume", "--out", at("parts").to_str().unwrap()]);
    success(&resumed);
    same_files(&at("whole"), &at("parts"));

    // What was trained evaluates as its record says.
    let evaluation = smoothout(&[
        "eval",
        "--model",
        "f1",
        "--weights",
        at("whole").join("last.safetensors").to_str().unwrap(),
        "--limit",
        "500",
        "--batch-size",
        "100",
        "--json",
    ]);
    success(&evaluation);
    let evaluation: Value = serde_json::from_slice(&evaluation.stdout).unwrap();
    let last = records(&at("whole")).pop().unwrap();
    assert_eq!(evaluation["examples"], 500);
    assert_eq!(evaluation["top1"], last["test_top1"]);
    assert_eq!(evaluation["top5"], last["test_top5"]);
    let difference = evaluation["loss"].as_f64().unwrap() - last["test_loss"].as_f64().unwrap();
    assert!(difference.abs() < 1e-5);
    assert!(last["test_top1"].as_f64().unwrap() > 60.0, "{last}");

    // The folder is taken, and a run goes on as it was begun.
    bad(&train(&at("whole"), &[]), &["holds a run already", "--resume"]);
    let whole = at("whole");
    let changed = ["train", "--resume", "--radius", "0.2", "--out", whole.to_str().unwrap()];
    bad(&smoothout(&changed), &["radius is 0.2", "has 0.1"]);
    let data = at("cifar");
    cifar(&data);
    let data = data.to_str().unwrap();
    let other = ["eval", "--model", "c1", "--dataset", "cifar10", "--data-dir", data, "--weights"];
    let weights = whole.join("last.safetensors");
    let keys = [
        "it is a model of f1",
        "features.0.weight is missing",
        "layers.0.weight is unknown",
        "choose the model",
    ];
    bad(&smoothout(&[&other[..], &[weights.to_str().unwrap()]].concat()), &keys);
}

/// A run goes on with the algorithms it was begun with; another instruction set is said aloud and
/// written down.
#[test]
fn a_run_goes_on_with_its_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    success(&train(&at("whole"), &["--kernels", "direct", "--threads", "2"]));
    success(&train(&at("parts"), &["--kernels", "direct", "--stop-after", "2"]));
    let parts = at("parts");
    let resume = ["train", "--resume", "--threads", "2", "--out", parts.to_str().unwrap()];
    let other = smoothout(&[&resume[..], &["--kernels", "winograd"]].concat());
    bad(&other, &["kernels is winograd", "has direct", "leave the option out"]);

    let facts = || -> Value {
        serde_json::from_str(&fs::read_to_string(at("parts").join("run.json")).unwrap()).unwrap()
    };
    let resumed = smoothout(&[&resume[..], &["--stop-after", "1"]].concat());
    success(&resumed);
    assert!(!String::from_utf8_lossy(&resumed.stderr).contains("note:"));
    // As if all of it had been computed on a machine with other instructions.
    let text = fs::read_to_string(parts.join("run.json")).unwrap();
    fs::write(parts.join("run.json"), text.replace("direct ", "direct old-")).unwrap();
    let resumed = smoothout(&resume);
    success(&resumed);
    let message = String::from_utf8_lossy(&resumed.stderr);
    assert!(message.contains("(direct old-") && message.contains("goes on by"), "{message}");
    let stretches = facts()["stretches"].as_array().unwrap().clone();
    let last = stretches.last().unwrap();
    assert_eq!(last["first_epoch"], 4);
    assert!(last["kernels"].as_str().unwrap().starts_with("direct ") && stretches.len() > 1);
    same_files(&at("whole"), &parts);
}

/// The precision is written down, and a run goes on with it.
#[test]
fn a_run_goes_on_with_its_precision() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let baseline = InstructionSet::Baseline.name();
    let rounded = ["--precision", "bf16"];
    let refused = |more: &[&str]| train(&at("refused"), &[&rounded[..], more].concat());
    let needs = ["precision is bf16", "AMX", "--instructions has", baseline, "or f32"];
    bad(&refused(&["--instructions", baseline]), &needs);
    bad(&refused(&["--kernels", "scalar"]), &["bf16", "scalar", "leave one"]);
    bad(&train(&at("refused"), &["--precision", "f16"]), &["choose f32 or bf16"]);
    assert!(!at("refused").exists());
    if !Precision::Bf16.is_available() {
        eprintln!("skipped: this processor does not multiply bf16");
        return;
    }
    success(&train(&at("whole"), &rounded));
    success(&train(&at("parts"), &[&rounded[..], &["--stop-after", "2"]].concat()));
    let parts = at("parts");
    let resume = ["train", "--resume", "--out", parts.to_str().unwrap()];
    let other = smoothout(&[&resume[..], &["--precision", "f32"]].concat());
    bad(&other, &["precision is f32", "has bf16", "leave the option out"]);
    let other = smoothout(&[&resume[..], &["--instructions", baseline]].concat());
    bad(&other, &["begun in bf16", "goes on in it alone"]);
    success(&smoothout(&resume));
    let facts: Value =
        serde_json::from_str(&fs::read_to_string(parts.join("run.json")).unwrap()).unwrap();
    for stretch in facts["stretches"].as_array().unwrap() {
        assert!(stretch["kernels"].as_str().unwrap().ends_with(" bf16"), "{stretch}");
    }
    same_files(&at("whole"), &parts);
}

/// A run that diverges stops with exit code 1, says at which step, and keeps the epoch before.
#[test]
fn a_diverging_run_keeps_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let regime = ["--regime", "0:0.1,1:1e30", "--clip-norm", "0", "--stop-after", "1"];
    success(&train(&run, &regime));
    let good = fs::read(run.join("training.safetensors")).unwrap();
    let failed = smoothout(&["train", "--resume", "--out", run.to_str().unwrap()]);
    let message = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{message}");
    for part in ["epoch 2, first in the ", "in step ", "keeps the state after epoch 1"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(fs::read(run.join("training.safetensors")).unwrap() == good);
    assert_eq!(records(&run).len(), 1);
}

/// One update an epoch: the weights are ruined by the epoch's last update, and only the evaluation
/// sees it.
#[test]
fn ruined_weights_are_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let words = ["--batch-size", "1024", "--ghost-batch-size", "128", "--clip-norm", "0"];
    success(&train(
        &run,
        &[&words[..], &["--regime", "0:0.01,1:1e30", "--stop-after", "1"]].concat(),
    ));
    let good = fs::read(run.join("last.safetensors")).unwrap();
    let failed = smoothout(&["train", "--resume", "--out", run.to_str().unwrap()]);
    let message = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{message}");
    assert!(message.contains("after epoch 2 (step 2)"), "{message}");
    assert!(fs::read(run.join("last.safetensors")).unwrap() == good);
    assert_eq!(records(&run).len(), 1);
}

/// 200 random images in CIFAR-10's binary format.
fn cifar(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let mut state = 1_u32;
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        let mut content = Vec::new();
        for record in 0..40_u8 {
            content.push(record % 10);
            content.extend((0..3072).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
        }
        fs::write(folder.join(name).with_extension("bin"), content).unwrap();
    }
}

/// Augmentation, dropout and the moments of Adam go on where they stopped, for each kind of model.
#[test]
fn every_kind_of_training_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cifar");
    cifar(&data);
    for (model, optimizer, method) in [
        ("c1", "adam", &["--method", "plain"][..]),
        ("c1", "sgd", &["--method", "smoothout", "--radius", "0.01", "--copies", "2"]),
        ("resnet8", "sgd", &["--method", "adasmoothout", "--radius", "0.1", "--denoise", "false"]),
        ("resnet8", "adamw", &["--method", "plain", "--learning-rate", "0.01"]),
    ] {
        let train = |name: &str, more: &[&str]| {
            let out = folder.path().join(format!("{model}-{optimizer}-{name}"));
            let words = [
                "train",
                "--model",
                model,
                "--optimizer",
                optimizer,
                "--dataset",
                "cifar10",
                "--data-dir",
                data.to_str().unwrap(),
                "--epochs",
                "2",
                "--batch-size",
                "64",
                "--ghost-batch-size",
                "32",
                "--out",
                out.to_str().unwrap(),
            ];
            success(&smoothout(&[&words, method, more].concat()));
            out
        };
        let whole = train("whole", &[]);
        train("parts", &["--stop-after", "1", "--threads", "1"]);
        // The same command goes on.
        let parts = train("parts", &["--resume"]);
        same_files(&whole, &parts);
        // 200 examples are 3 batches of 64 and one of 8; what was tracked is every ghost batch.
        assert_eq!(records(&whole)[1]["steps"], 8);
    }
}

/// A run goes on with the images and labels that it was begun with, or not at all.
#[test]
fn a_run_goes_on_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("cifar"), folder.path().join("run"));
    cifar(&data);
    let [place, run] = [&data, &out].map(|path| path.to_str().unwrap());
    let words = ["train", "--model", "resnet8", "--dataset", "cifar10", "--epochs", "2"];
    let train = |more: &[&str]| {
        smoothout(&[&words[..], &["--data-dir", place, "--out", run], more].concat())
    };
    success(&train(&["--stop-after", "1"]));
    let file = data.join("test_batch.bin");
    let before = fs::read(&file).unwrap();
    let mut other = before.clone();
    other[1000] ^= 1;
    for content in [&other[..], &before[..3073 * 39]] {
        fs::write(&file, content).unwrap();
        bad(&train(&["--resume"]), &["the test split", "expected 40", "--data-dir"]);
    }
    fs::write(&file, before).unwrap();
    success(&train(&["--resume"]));
    assert_eq!(records(&out).len(), 2);
}

#[test]
fn methods_are_compared_and_the_table_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let words = [
        "compare",
        "--model",
        "f1",
        "--epochs",
        "1",
        "--train-limit",
        "512",
        "--test-limit",
        "100",
        "--learning-rate",
        "0.05",
        "--out",
        out,
    ];
    let first = smoothout(&words);
    success(&first);
    let table = String::from_utf8(first.stdout).unwrap();
    for method in ["plain", "smoothout", "adasmoothout"] {
        assert!(table.lines().any(|line| line.starts_with(method)), "{table}");
        assert!(folder.path().join(method).join("best.safetensors").exists());
    }
    let again = smoothout(&words);
    success(&again);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), table);
    // As a kill leaves it between the model of the first epoch and its state.
    fs::remove_file(folder.path().join("plain/training.safetensors")).unwrap();
    success(&smoothout(&words));
    assert!(folder.path().join("plain/training.safetensors").exists());
    bad(&smoothout(&[&words[..], &["--epochs", "2"]].concat()), &["epochs is 2", "has 1", "--out"]);
    bad(&smoothout(&[&words[..], &["--radius", "1"]].concat()), &["--smoothout-radius"]);
}

#[test]
fn models_are_listed_with_their_sizes() {
    let output = smoothout(&["models", "--classes", "100", "--json"]);
    success(&output);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |name: &str| rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(row("resnet44")["parameters"], 667_188);
    assert_eq!(row("resnet44")["multiply_adds"], 97_442_048);
    assert_eq!(row("c3")["parameters"], 1_405_860);
    assert_eq!(row("c3")["multiply_adds"], 29_252_352);
    let output = smoothout(&["models"]);
    success(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("resnet44   [32, 32, 3]"), "{text}");
}

/// Every statement of the theory holds, and has a figure.
#[test]
fn the_theory_is_demonstrated() {
    let folder = tempfile::TempDir::new().unwrap();
    let output = smoothout(&["theory", "--out", folder.path().to_str().unwrap()]);
    success(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = fs::read_dir(folder.path()).unwrap().count();
    assert!(figures > 0 && text.contains(&format!("{figures} figures in")), "{text}");
}
