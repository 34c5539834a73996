//! `smoothout reproduce` on a study of a few seconds: made once, killed and gone on with, changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Three arms, one seed, a measure and two pictures.
pub(super) fn study() -> Value {
    let arm = |name: &str, spec: Value| json!({ "name": name, "label": name, "spec": spec });
    json!({
        "name": "tiny",
        "title": "F1 on a few images",
        "question": "Does it run?",
        "source": "a test",
        "common": {
            "model": "f1", "train_limit": 512, "test_limit": 200, "epochs": 2,
            "shorten_regime": true, "ghost_batch_size": 64
        },
        "arms": [
            arm("sb-plain", json!({ "batch_size": 64 })),
            arm("lb-plain", json!({ "batch_size": 256 })),
            arm("lb-smoothout", json!({ "batch_size": 256, "method": "smoothout", "radius": 0.01 })),
        ],
        "profiles": { "quick": { "seeds": 1 } },
        "measures": [
            { "metric": "expected_loss", "geometry": "filter", "radius": 0.1, "examples": 20 }
        ],
        "comparisons": [{ "arm": "lb-smoothout", "baseline": "lb-plain" }],
        "pictures": [
            { "name": "line", "title": "Line", "examples": 20, "kind": {
                "kind": "line", "from": "sb-plain", "to": "lb-plain",
                "axis": { "from": 0.0, "to": 1.0, "count": 3 } } },
            { "name": "noise", "title": "Noise", "examples": 20, "kind": {
                "kind": "noise", "arms": ["lb-plain"], "geometry": "filter", "radii": [0.1],
                "samples": 2 } }
        ]
    })
}

/// A folder with the study in it.
pub(super) fn folder(study: &Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("study.json"), study.to_string()).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smoothout"));
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    command.current_dir(data).arg("reproduce").args(arguments);
    command.arg("--study").arg(folder.join("study.json"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Runs to the end in `folder/out`, and returns what was said on the way.
pub(super) fn finish(folder: &Path, arguments: &[&str]) -> String {
    let out = folder.join("out");
    let output = run(folder, &[&["--out", out.to_str().unwrap()], arguments].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// The tables and the numbers of the figures: all that must not depend on how it was computed. What a kill
/// left half-written, under a name of its own, is none of them.
pub(super) fn numbers(folder: &Path) -> BTreeMap<PathBuf, String> {
    let out = folder.join("out");
    let figures = fs::read_dir(out.join("figures")).unwrap().map(|entry| entry.unwrap().path());
    let whole =
        |file: &PathBuf| !file.file_name().unwrap().to_string_lossy().starts_with(".unfinished-");
    let files = figures.chain([out.join("tables.md")]);
    files
        .filter(whole)
        .map(|file| {
            let name = file.strip_prefix(&out).unwrap().to_owned();
            (name, fs::read_to_string(file).unwrap())
        })
        .collect()
}

/// The study made without a stop.
pub(super) fn whole() -> &'static TempDir {
    static WHOLE: OnceLock<TempDir> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = folder(&study());
        let said = finish(folder.path(), &["--threads", "2"]);
        assert!(said.contains("3 of 3 trainings to do"), "{said}");
        folder
    })
}

#[test]
fn a_finished_reproduction_is_not_made_again() {
    let folder = whole().path();
    let before = numbers(folder);
    assert!(before.len() > 3, "{before:?}");
    assert!(folder.join("out/report.html").exists());
    let result = folder.join("out/results/tiny/lb-smoothout/seed-1.json");
    let result: Value = serde_json::from_str(&fs::read_to_string(result).unwrap()).unwrap();
    assert_eq!(result["records"].as_array().unwrap().len(), 2);
    assert!(result["measured"][0]["value"].as_f64().unwrap().is_finite(), "{result}");
    let said = finish(folder, &[]);
    assert!(said.contains("0 of 3 trainings to do"), "{said}");
    assert_eq!(numbers(folder), before);
}

#[test]
fn a_killed_reproduction_goes_on_to_the_same_tables() {
    let folder = folder(&study());
    let out = folder.path().join("out");
    let arguments = ["--threads", "1", "--out", out.to_str().unwrap()];
    let mut kills = 0;
    loop {
        let mut child = command(folder.path(), &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Longer each time, so that it comes to an end on a machine of any speed.
        sleep(Duration::from_millis(400 * (kills + 1)));
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{said}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0, "it was never killed");
    assert_eq!(numbers(folder.path()), numbers(whole().path()));
}

#[test]
fn a_training_killed_while_its_first_epoch_was_kept_begins_again() {
    let folder = folder(&study());
    finish(folder.path(), &[]);
    let out = folder.path().join("out");
    let run = out.join("runs/tiny/lb-plain/seed-1");
    // The model and the record of the first epoch are there, and the state to go on from is not.
    let records = fs::read_to_string(run.join("epochs.jsonl")).unwrap();
    fs::write(run.join("epochs.jsonl"), records.split_inclusive('\n').next().unwrap()).unwrap();
    fs::remove_file(run.join("training.safetensors")).unwrap();
    fs::remove_file(out.join("results/tiny/lb-plain/seed-1.json")).unwrap();
    let said = finish(folder.path(), &[]);
    assert!(said.contains("1 of 3 trainings to do"), "{said}");
    assert_eq!(numbers(folder.path()), numbers(whole().path()));
}

#[test]
fn a_changed_arm_is_made_again_and_no_other() {
    let folder = folder(&study());
    finish(folder.path(), &[]);
    let result = |arm: &str| {
        fs::read(folder.path().join(format!("out/results/tiny/{arm}/seed-1.json"))).unwrap()
    };
    let (plain, smoothed) = (result("lb-plain"), result("lb-smoothout"));
    let mut changed = study();
    changed["arms"][2]["spec"]["radius"] = json!(0.02);
    fs::write(folder.path().join("study.json"), changed.to_string()).unwrap();
    let said = finish(folder.path(), &[]);
    assert!(said.contains("1 of 3 trainings to do"), "{said}");
    assert!(said.contains("put aside"), "{said}");
    assert_eq!(result("lb-plain"), plain);
    assert_ne!(result("lb-smoothout"), smoothed);
}

#[test]
fn a_picture_goes_through_the_first_seed_whose_networks_are_here() {
    let mut single = study();
    single["measures"] = json!([]);
    let folder = folder(&single);
    let out = folder.path().join("out");
    finish(folder.path(), &["--seeds", "2"]);
    let pictures = out.join("results/tiny/pictures");
    let seeds = || {
        let line = fs::read_to_string(pictures.join("line.json")).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let specs = line["specs"].as_array().unwrap();
        specs.iter().map(|spec| spec["seed"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(seeds(), [1, 1]);
    fs::remove_dir_all(&pictures).unwrap();
    fs::remove_file(out.join("runs/tiny/sb-plain/seed-1/last.safetensors")).unwrap();
    finish(folder.path(), &["--seeds", "2"]);
    assert_eq!(seeds(), [2, 2]);
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("seed 2, 20 examples"));

    fs::remove_dir_all(&pictures).unwrap();
    fs::remove_file(out.join("runs/tiny/lb-plain/seed-2/last.safetensors")).unwrap();
    let said = finish(folder.path(), &["--seeds", "2"]);
    assert!(said.contains("tiny line: not drawn, since"), "{said}");
    assert!(!pictures.join("line.json").exists());
}

/// What a study can ask for beside the tiny one: all of it has a finite number, and a figure.
#[test]
fn every_measure_and_every_picture() {
    let mut all = study();
    all["common"]["epochs"] = json!(1);
    let keskar = json!({ "metric": "keskar", "epsilon": 1e-3, "subspace": 2, "examples": 20 });
    let mut by_batches = keskar.clone();
    by_batches["batch_norm"] = json!({ "policy": "batch", "size": 20 });
    let rise = all["measures"][0].clone();
    let mut without_norm = rise.clone();
    without_norm["select"] = json!("without-norm");
    all["measures"] = json!([keskar, by_batches, rise, without_norm]);
    let arms = ["sb-plain", "lb-plain", "lb-smoothout"];
    let axis = json!({ "from": -0.5, "to": 1.5, "count": 3 });
    all["pictures"] = json!([
        { "name": "random", "title": "Random", "examples": 20,
          "kind": { "kind": "random_line", "arms": arms, "axis": axis } },
        { "name": "plane", "title": "Plane", "examples": 20,
          "kind": { "kind": "plane", "arms": arms, "axis": axis } },
    ]);
    let folder = folder(&all);
    finish(folder.path(), &[]);
    let out = folder.path().join("out");
    let measured = |out: &Path, arm: &str| {
        let result = out.join(format!("results/tiny/{arm}/seed-1.json"));
        let result: Value = serde_json::from_str(&fs::read_to_string(result).unwrap()).unwrap();
        let measured = result["measured"].as_array().unwrap().iter();
        let values: Vec<f64> = measured.filter_map(|found| found["value"].as_f64()).collect();
        assert!(!values.is_empty() && values.iter().all(|value| *value > 0.0), "{result}");
        values
    };
    for arm in arms {
        // Statistics of batches, and gamma and beta that stay, give other numbers.
        let values = measured(&out, arm);
        assert!(
            values.len() == 4 && values[0] != values[1] && values[2] != values[3],
            "{values:?}"
        );
    }
    let tables = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(tables.contains("eps = 0.001, batch norm by batches of 20, %"), "{tables}");
    assert!(tables.contains("filter, a = 0.1, without gamma and beta"), "{tables}");
    for figure in ["tiny-random-loss.svg", "tiny-plane.svg"] {
        let figures = fs::read_dir(out.join("figures")).unwrap();
        let names: Vec<_> = figures.map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().any(|name| name == figure), "{names:?}");
    }
    // The eigenvalue takes the longest: of one network.
    let mut one = all;
    one["arms"].as_array_mut().unwrap().truncate(1);
    (one["comparisons"], one["pictures"]) = (json!([]), json!([]));
    one["measures"] = json!([{ "metric": "largest_eigenvalue", "examples": 20 }]);
    let folder = self::folder(&one);
    finish(folder.path(), &[]);
    measured(&folder.path().join("out"), "sb-plain");
}

#[test]
fn a_training_that_diverges_is_said_and_does_not_stop_the_others() {
    let mut diverging = study();
    diverging["arms"][0]["spec"]["learning_rate"] = json!(1e30);
    let folder = folder(&diverging);
    let out = folder.path().join("out");
    let output = run(folder.path(), &["--out", out.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 of the trainings failed: tiny sb-plain seed 1"), "{said}");
    assert!(out.join("results/tiny/lb-smoothout/seed-1.json").exists());
    assert!(fs::read_to_string(out.join("tables.md")).unwrap().contains("2 of 3"));
}

/// Measures and pictures are of the examples that a study trains and tests on: 512 and 200 here.
#[test]
fn more_examples_than_a_study_has_are_not_found_elsewhere() {
    let mut study = study();
    study["arms"].as_array_mut().unwrap().truncate(1);
    study["comparisons"] = json!([]);
    study["measures"][0]["examples"] = json!(513);
    study["pictures"].as_array_mut().unwrap().remove(0);
    study["pictures"][0]["kind"]["arms"] = json!(["sb-plain"]);
    study["pictures"][0]["examples"] = json!(201);
    let folder = folder(&study);
    let said = finish(folder.path(), &[]);
    assert!(
        said.contains("not drawn: tiny noise: examples is 201") && said.contains("1 to 200"),
        "{said}"
    );
    assert!(said.contains("examples is 513") && said.contains("1 to 512"), "{said}");
    assert!(folder.path().join("out/report.html").exists());
}

#[test]
fn bad_input_is_said_in_a_sentence() {
    let good = folder(&study());
    let mut odd = study();
    odd["arms"][0]["name"] = json!("../up");
    let odd = folder(&odd);
    let mut unknown = study();
    unknown["arms"][0]["spec"]["radios"] = json!(1);
    let unknown = folder(&unknown);
    let mut field = study();
    field["arms"][2]["spec"]["radius"] = json!(-1.0);
    let field = folder(&field);
    let whole = whole().path().join("out");
    let again = good.path().join("study.json");
    let cases: [(&TempDir, &[&str], &str); 9] = [
        (&odd, &[], "../up"),
        (&unknown, &[], "radios"),
        (&field, &[], "lb-smoothout of the study tiny"),
        (&good, &["--only", "f3"], "no study \"f3\": choose among tiny"),
        (&good, &["--profile", "full"], "tiny"),
        (&good, &["--only", "tiny", "--profile", "full"], "take the profile quick"),
        (&good, &["--shard", "3/2"], "3/2"),
        (&good, &["--seeds", "0"], "1 to 1000"),
        (&good, &["--study", again.to_str().unwrap()], "two studies have the name \"tiny\""),
    ];
    for (folder, arguments, message) in cases {
        let out = folder.path().join("none");
        let arguments = [arguments, &["--out", out.to_str().unwrap()]].concat();
        let output = run(folder.path(), &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
        assert!(!out.exists(), "{arguments:?} has written something");
    }
    let mut elsewhere = study();
    elsewhere["common"]["dataset"] = json!("cifar10");
    elsewhere["common"]["model"] = json!("resnet8");
    let elsewhere = folder(&elsewhere);
    let out = elsewhere.path().join("none");
    let nowhere = elsewhere.path().join("empty");
    let (out_word, nowhere_word) = (out.to_str().unwrap(), nowhere.to_str().unwrap());
    let lost = run(elsewhere.path(), &["--out", out_word, "--data-dir", nowhere_word]);
    let said = String::from_utf8(lost.stderr).unwrap();
    assert_eq!(lost.status.code(), Some(2), "{said}");
    assert!(said.contains(nowhere_word) && !out.exists(), "{said}");
    let none = run(good.path(), &["--show", "f3"]);
    assert_eq!(none.status.code(), Some(2));
    fs::write(good.path().join("broken.json"), "{").unwrap();
    let out = good.path().join("broken");
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("reproduce.json"), "{\"profile\":\"full\"}").unwrap();
    let other = run(good.path(), &["--out", out.to_str().unwrap()]);
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    assert!(whole.exists());
}
