//! SmoothOut's rivals as methods of the program.

use std::fs;

use serde_json::Value;

use crate::input::bad;
use crate::train::{records, same_files, smoothout, success, train, train_by};

/// SAM, ASAM, LPF-SGD, Entropy-SGD and SWA learn; their runs do not depend on the threads, nor on a
/// stop: in the middle of Entropy-SGD's 3 Langevin steps, and of SWA's average.
#[test]
fn rivals_learn_and_resume_with_the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for (method, stop_after) in [
        (&["sam"][..], "2"),
        (&["sam", "--ascent-scope", "ghost_batch", "--optimizer", "adam"], "1"),
        (&["asam", "--rho", "0.2", "--eta", "0.1"], "2"),
        (&["lpf-sgd", "--lpf-gamma", "0.0005", "--lpf-alpha", "14"], "2"),
        (&["entropy-sgd", "--langevin-steps", "3", "--learning-rate", "0.5"], "1"),
        // No parameter update yet when it stops.
        (&["entropy-sgd", "--langevin-steps", "5", "--learning-rate", "0.5"], "1"),
        (&["swa", "--swa-start", "2"], "3"),
        // Stops before the average begins.
        (&["swa", "--swa-start", "2", "--swa-cycle", "2"], "1"),
    ] {
        let name = format!("{}-{}", method.len(), method.join(""));
        let at = |part: &str| folder.path().join(format!("{name}-{part}"));
        let train = |part: &str, more: &[&str]| {
            let small = ["--train-limit", "512", "--batch-size", "128", "--ghost-batch-size", "32"];
            success(&train_by(method, &at(part), &[&small, more].concat()));
        };
        train("whole", &["--threads", "2"]);
        let records = records(&at("whole"));
        let last = |name: &str| records[3][name].as_f64().unwrap();
        let first = records[0]["train_loss"].as_f64().unwrap();
        assert!(last("train_loss") < 0.6 * first, "{name}: {records:?}");
        assert!(last("test_top1") > 60.0, "{name}: {records:?}");
        train("parts", &["--threads", "1", "--stop-after", stop_after]);
        let parts = at("parts");
        let resume = ["train", "--resume", "--threads", "7", "--out", parts.to_str().unwrap()];
        success(&smoothout(&resume));
        same_files(&at("whole"), &parts);
    }
}

/// A run folder of before the rivals has the same resolved experiment, and goes on.
#[test]
fn rivals_change_nothing_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    success(&train(&run, &["--stop-after", "1"]));
    let expected = serde_json::json!({
        "model": "f1", "classes": 10, "dataset": "mnist", "train_limit": 1024, "test_limit": 500,
        "augment": false, "epochs": 4, "batch_size": 256, "ghost_batch_size": 64,
        "batch_multiplier": 1, "lone_example": "join", "optimizer": "sgd",
        "regime": [
            { "epoch": 0, "learning_rate": 0.1 }, { "epoch": 10, "learning_rate": 0.01 },
            { "epoch": 20, "learning_rate": 0.001 }, { "epoch": 30, "learning_rate": 0.0001 },
        ],
        "learning_rate_scaling": "sqrt", "regime_adaptation": false, "momentum": 0.9,
        "nesterov": false, "weight_decay": 0.0001, "clip_norm": 5.0, "method": "adasmoothout",
        "radius": 0.1, "adapt_type": "filter", "distribution": "uniform",
        "radius_schedule": "constant", "denoise": true, "perturb_norm": false, "copies": 1,
        "seed": 1,
    });
    let text = fs::read_to_string(run.join("experiment.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let record = records(&run).pop().unwrap();
    let fields: Vec<_> = record.as_object().unwrap().keys().collect();
    let old = [
        "epoch",
        "learning_rate",
        "radius",
        "steps",
        "test_loss",
        "test_top1",
        "test_top5",
        "train_loss",
        "train_top1",
        "train_top5",
    ];
    assert!(old.iter().all(|name| fields.contains(&&(*name).to_owned())), "{fields:?}");
    assert_eq!(fields.len(), old.len(), "{fields:?}");
}

#[test]
fn bad_settings_of_the_rivals_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (words, parts) in [
        (&["sam", "--rho", "-1"][..], &["rho is -1", "finite and not negative"][..]),
        (&["sam", "--eta", "0.1"], &["eta is 0.1", "method asam"]),
        (&["sam", "--radius", "0.1"], &["radius is 0.1", "smoothout and adasmoothout"]),
        (&["sam", "--ascent-scope", "layer"], &["layer", "ghost_batch"]),
        (&["asam", "--eta", "nan"], &["'nan' for '--eta", "finite"]),
        (&["asam", "--copies", "2"], &["copies is 2", "smoothout and adasmoothout"]),
        (&["lpf-sgd", "--lpf-gamma", "inf"], &["'inf' for '--lpf-gamma", "finite"]),
        (&["lpf-sgd", "--lpf-alpha", "-1"], &["lpf_alpha is -1"]),
        (&["lpf-sgd", "--copies", "2"], &["copies is 2", "ghost_batch_size"]),
        (&["lpf-sgd", "--radius", "0.1"], &["radius is 0.1"]),
        (&["entropy-sgd", "--langevin-steps", "0"], &["langevin_steps is 0", "at least 1"]),
        (&["entropy-sgd"], &["langevin_steps is 20", "has 16 batches"]),
        (&["entropy-sgd", "--langevin-rate", "0"], &["langevin_rate is 0", "positive"]),
        (&["entropy-sgd", "--langevin-noise", "-1"], &["langevin_noise is -1"]),
        (&["entropy-sgd", "--entropy-gamma", "0"], &["entropy_gamma is 0", "positive"]),
        (&["entropy-sgd", "--entropy-scoping", "-1"], &["entropy_scoping is -1"]),
        (&["entropy-sgd", "--perturb-norm"], &["perturb_norm is true", "lpf-sgd"]),
        (&["swa", "--swa-start", "0"], &["swa_start is 0", "at least 1"]),
        (&["swa", "--swa-start", "5"], &["swa_start is 5", "4 epochs"]),
        (&["swa", "--swa-cycle", "0"], &["swa_cycle is 0"]),
        (&["swa", "--swa-learning-rate", "-1"], &["swa_learning_rate is -1"]),
        (&["plain", "--rho", "0.1"], &["rho is 0.1", "methods sam and asam"]),
        (&["plain", "--swa-start", "2"], &["swa_start is 2", "method swa"]),
        (&["LPF-SGD"], &["LPF-SGD", "lpf-sgd"]),
    ] {
        bad(&train_by(words, &run, &[]), parts);
        assert!(!run.exists(), "{words:?} left a run folder behind");
    }
    let compare = smoothout(&["compare", "--model", "f1", "--rho", "0.1"]);
    bad(&compare, &["rho is no setting of plain", "smoothout train"]);
}
