//! What the program is given: options, configuration files and checkpoints, and every kind of bad
//! ones.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::train::{smoothout, success, train};

/// Bad input: exit code 2 and one sentence that has each of `parts`.
pub(crate) fn bad(output: &Output, parts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// A reader that goes away ends the program as it ends others, without a word.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    let mut command = Command::new(env!("CARGO_BIN_EXE_smoothout"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.arg("models").stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.signal(), Some(13), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// What is kept in JSON must be text.
#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    for words in [
        &["train", "--model", "f1", "--data-dir"][..],
        &["reproduce", "--list", "--data-dir"],
        &["landscape", "--model", "f1", "--out", "nowhere", "--random-line"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smoothout"));
        let output = command.args(words).arg(OsStr::from_bytes(b"caf\xe9")).output().unwrap();
        bad(&output, &["invalid UTF-8"]);
    }
}

/// The classes of a folder of images are counted, not asked for: what is missing here is the model alone.
#[test]
fn measures_count_the_classes_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    // More than the ten of MNIST and CIFAR-10.
    for class in 0..11 {
        for split in ["train", "val"] {
            let class = folder.path().join(split).join(format!("class {class}"));
            fs::create_dir_all(&class).unwrap();
            image::RgbImage::new(8, 8).save(class.join("a.png")).unwrap();
        }
    }
    let data = ["--model", "resnet18", "--dataset", "folder", "--data-dir"];
    let data = [&data[..], &[folder.path().to_str().unwrap(), "--weights", "nowhere.safetensors"]]
        .concat();
    for command in [&["sharpness", "--metric", "expected-loss"][..], &["eval"]] {
        bad(&smoothout(&[command, &data].concat()), &["nowhere.safetensors"]);
    }
}

#[test]
fn bad_options_are_named_with_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = folder.path().join("experiment.json");
    fs::write(&config, r#"{ "model": "f1", "radios": 0.1 }"#).unwrap();
    let config = config.to_str().unwrap();
    let mistyped = folder.path().join("mistyped.json");
    fs::write(&mistyped, r#"{ "model": "f1", "radius": "big" }"#).unwrap();
    let mistyped = mistyped.to_str().unwrap();
    let list = folder.path().join("list.json");
    fs::write(&list, r#"["f1"]"#).unwrap();
    let list = list.to_str().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (words, parts) in [
        (&["--ghost-batch-size", "100"][..], &["100 does not divide the batch size 256"][..]),
        (&["--radius", "-1"], &["radius is -1", "finite and not negative"]),
        (&["--radius", "inf"], &["'inf' for '--radius", "finite"]),
        (&["--radius", "nan"], &["'nan' for '--radius", "finite"]),
        (&["--radius", "1e300"], &["radius is 1e300", "f32", "3.4e38"]),
        (&["--radius", "1e-300"], &["radius is 1e-300", "f32", "1.4e-45"]),
        (&["--learning-rate", "1e39"], &["learning_rate is 1e39", "f32"]),
        (&["--weight-decay", "1e39"], &["weight_decay is 1e39", "f32"]),
        (&["--holdout", "0.999999"], &["held-out fraction is 0.999999", "non-empty"]),
        (&["--holdout", "0.000001"], &["held-out fraction is 0.000001", "non-empty"]),
        (&["--test-limit", "0"], &["test_limit is 0"]),
        (&["--instructions", "sse"], &["this processor has", "baseline"]),
        (&["--config", config], &["unknown field `radios`", "experiment.json"]),
        (&["--config", mistyped], &["radius: invalid type: string \"big\"", "--help"]),
        (&["--config", list], &["list.json", "found a list, expected an object"]),
        (&["--config", "nowhere.json"], &["nowhere.json", "check the path"]),
        (&["--model", "f2"], &["f2", "resnet44"]),
        (&["--model", "c1"], &["c1", "[32, 32, 3]", "[28, 28, 1]"]),
        (&["--dataset", "imagenet"], &["imagenet", "cifar10"]),
        (&["--method", "sgd"], &["unknown variant `sgd`", "smoothout"]),
        (&["--method", "plain"], &["radius is 0.1", "methods smoothout and adasmoothout"]),
        (&["--method", "smoothout", "--adapt-type", "filter"], &["adapt_type is filter"]),
        (&["--optimizer", "adam", "--momentum", "0.5"], &["momentum is 0.5", "sgd"]),
        (&["--tanh-scale", "5"], &["tanh_scale is 5", "tanh"]),
        (&["--regime", "0:0.1", "--shorten-regime"], &["shorten_regime"]),
        (&["--regime", "0:0.1", "--learning-rate", "1"], &["learning_rate is 1", "not both"]),
        (&["--train-limit", "1"], &["1 training example"]),
        (&["--ghost-batch-size", "1"], &["ghost_batch_size is 1", "batch norm"]),
        (
            &["--batch-multiplier", "9223372036854775808"],
            &["batch_multiplier is 9223372036854775808"],
        ),
        (&["--epochs", "0"], &["epochs is 0"]),
        (&["--batch-multiplier", "0"], &["batch_multiplier is 0"]),
        (&["--copies", "0"], &["copies is 0"]),
        (&["--classes", "5"], &["classes is 5", "10 classes"]),
        (&["--momentum", "1"], &["momentum is 1"]),
        (&["--clip-norm", "-5"], &["clip_norm is -5"]),
        (&["--weight-decay", "-1e-4"], &["weight_decay is -0.0001"]),
        (&["--regime", "0=0.1"], &["0:0.1,10:0.01"]),
        (&["--regime", "5:0.1"], &["first step is at epoch 5"]),
        (&["--holdout", "1.5"], &["holdout is 1.5"]),
        (&["--threads", "0"], &["threads is 0"]),
        (&["--data-dir", empty.to_str().unwrap()], &["empty", "smoothout data fetch mnist"]),
    ] {
        let output = train(&run, words);
        bad(&output, parts);
        assert!(!run.exists(), "{words:?} left a run folder behind");
    }
    bad(&smoothout(&["train", "--out", run.to_str().unwrap()]), &["model is missing"]);
    bad(&smoothout(&["train", "--resume", "--out", run.to_str().unwrap()]), &["no run to resume"]);
    bad(&smoothout(&["train", "--resume"]), &["--resume", "name it with --out"]);
    bad(&smoothout(&["theory", "--out", config]), &["experiment.json", "file of that name"]);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let eval = || smoothout(&["eval", "--model", "f1", "--weights", file.to_str().unwrap()]);
    bad(&eval(), &["model.safetensors", "cannot be read"]);
    for (content, part) in [
        (&b"PK\x03\x04 archive"[..], "weights_only=True"),
        (b"\x80\x02}q\x00", "weights_only=True"),
        (b"", "not a whole safetensors file"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "not a whole safetensors file"),
    ] {
        fs::write(&file, content).unwrap();
        bad(&eval(), &["model.safetensors", part]);
    }
}

#[test]
fn options_override_the_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("experiment.json");
    let text = r#"{ "model": "f1", "epochs": 3, "batch_size": 64, "train_limit": 128,
                    "test_limit": 100, "method": "smoothout", "radius": 0.01,
                    "radius_schedule": "tanh" }"#;
    fs::write(&config, text).unwrap();
    let run = folder.path().join("run");
    let words = ["train", "--config", config.to_str().unwrap(), "--epochs", "1", "--out"];
    success(&smoothout(&[&words[..], &[run.to_str().unwrap()]].concat()));
    let text = fs::read_to_string(run.join("experiment.json")).unwrap();
    let resolved: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(resolved["epochs"], 1);
    assert_eq!(resolved["batch_size"], 64);
    assert_eq!(resolved["radius_schedule"], "tanh");
    assert_eq!(resolved["momentum"], 0.9);
    // A number that JSON does not know is refused, not taken for one that is not given; a radius is that of
    // its method.
    let with = |more: &[&str]| {
        let out = folder.path().join("none");
        let words = ["train", "--config", config.to_str().unwrap(), "--out", out.to_str().unwrap()];
        smoothout(&[&words[..], more].concat())
    };
    bad(&with(&["--momentum", "nan"]), &["'nan' for '--momentum", "finite"]);
    bad(&with(&["--regime", "0:inf"]), &["0:inf", "finite"]);
    bad(&with(&["--method", "adasmoothout"]), &["radius is missing"]);
    bad(&with(&["--radius-schedule", "constant", "--tanh-scale", "5"]), &["tanh_scale is 5"]);
    // What the run keeps is a configuration again, and a flag replaces what depends on it.
    let options = run.join("options.json");
    let other = folder.path().join("other");
    let words = ["train", "--config", options.to_str().unwrap(), "--method", "plain", "--out"];
    success(&smoothout(&[&words[..], &[other.to_str().unwrap()]].concat()));
    let facts: Value =
        serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(facts["parameters"], 1_462_794);
}
