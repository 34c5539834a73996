//! A few files for each reader, most of them sound.

use std::collections::HashMap;
use std::io::Cursor;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::json;
use smoothout::checkpoint::{save_model, save_training};
use smoothout::reproduce::results::{PictureResult, RunResult, Series, SeriesOf};
use smoothout::reproduce::study::PictureKind;
use smoothout::training::{EpochProgress, EpochRecord, ModelState, TrainingState};
use smoothout_sharpness::{Chart, FnObjective, Grid};

use super::checkpoints::NETWORK;
use super::reproductions::{PLAN, specs};

/// Files by reader: (reader, name, content). A file is accepted unless its name says otherwise.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds = data();
    seeds.extend(images());
    seeds.extend(checkpoints());
    seeds.extend(documents());
    seeds.extend(results());
    seeds
}

fn data() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let labels = [0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9];
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
    let zipped = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        std::io::Write::write_all(&mut encoder, bytes).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    };
    let record = |label: &[u8]| [label, &[0; 3072]].concat();
    let archive = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content).expect("writing to memory");
        };
        add("cifar-10-batches-bin/readme.html", b"text");
        add("cifar-10-batches-bin/test_batch.bin", &record(&[9]));
        builder.into_inner().expect("writing to memory")
    };
    vec![
        ("idx", "labels", labels.to_vec()),
        ("idx", "labels.gz", zipped(&labels)),
        ("idx", "images", images.clone()),
        ("idx", "images.gz", zipped(&images)),
        ("cifar", "cifar10", record(&[9])),
        ("cifar", "cifar100", record(&[19, 99])),
        ("archive", "test.tar.gz", zipped(&archive)),
        ("archive", "test.tar", archive),
    ]
}

/// Twelve pixels in each format, and a header that claims 10,000 x 10,000 of them.
fn images() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let image = RgbImage::from_fn(4, 3, |x, y| Rgb([x as u8 * 60, y as u8 * 100, 7]));
    let encoded = |format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("writing to memory");
        bytes.into_inner()
    };
    let mut huge = encoded(ImageFormat::Bmp);
    huge[18..22].copy_from_slice(&10_000_u32.to_le_bytes());
    huge[22..26].copy_from_slice(&10_000_u32.to_le_bytes());
    vec![
        ("image", "i.png", encoded(ImageFormat::Png)),
        ("image", "i.jpg", encoded(ImageFormat::Jpeg)),
        ("image", "i.bmp", encoded(ImageFormat::Bmp)),
        ("image", "refused.bmp", huge),
    ]
}

fn checkpoints() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let network = &*NETWORK;
    let model = ModelState {
        parameters: network.initial_parameters(1),
        buffers: network.initial_buffers(),
        batches_tracked: 3,
    };
    let state = TrainingState {
        epochs: 2,
        steps: 7,
        memory: vec![("velocity".to_owned(), model.parameters.clone())],
        model,
        averaged: 0,
        best: Some((2, 50.0)),
        unfinished: EpochProgress { batches: 1, seconds: 0.5, ..EpochProgress::default() },
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    let read = || std::fs::read(&path).expect("it was written");
    save_model(&path, network, &state.model).expect("a file to write to");
    let model = read();
    save_training(&path, network, &state).expect("a file to write to");
    let training = read();
    let counts = TrainingState { epochs: usize::MAX, steps: u64::MAX, ..state.clone() };
    save_training(&path, network, &counts).expect("a file to write to");
    let counts = read();
    let memory = (0..20).map(|k| (format!("m{k}"), vec![0.0])).collect();
    let shapes = TrainingState { memory, ..state.clone() };
    save_training(&path, network, &shapes).expect("a file to write to");
    let shapes = read();
    let empty = safetensors::serialize(
        Vec::<(String, safetensors::tensor::TensorView<'_>)>::new(),
        Some(HashMap::from([("progress".to_owned(), "{}".to_owned())])),
    );
    vec![
        ("model", "model", model.clone()),
        ("model", "refused-training", training.clone()),
        ("model", "refused-pickle", b"PK\x03\x04archive/data.pkl".to_vec()),
        ("training", "training", training),
        ("training", "refused-counts", counts),
        ("training", "refused-shapes", shapes),
        ("training", "refused-model", model),
        ("training", "refused-empty", empty.expect("an empty file")),
    ]
}

fn documents() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let experiment = json!({
        "model": "resnet8", "dataset": "cifar10", "batch_size": 256, "ghost_batch_size": 64,
        "regime": [{ "epoch": 0, "learning_rate": 0.1 }, { "epoch": 2, "learning_rate": 0.01 }],
        "epochs": 3, "regime_adaptation": true, "method": "adasmoothout", "radius": 0.1,
        "radius_schedule": "tanh", "holdout": 0.1, "seed": 1
    });
    let shortened = json!({ "model": "f1", "epochs": 5, "shorten_regime": true, "method": "swa" });
    let rival =
        json!({ "model": "c1", "classes": 7, "method": "entropy-sgd", "optimizer": "adam" });
    let study = json!({
        "name": "s", "title": "t", "question": "q", "source": "s", "common": { "model": "f1" },
        "arms": [
            { "name": "a", "label": "A", "spec": {} },
            { "name": "b", "label": "B", "spec": { "batch_size": 256 } },
        ],
        "profiles": { "quick": { "seeds": 2, "spec": { "epochs": 1 } }, "full": { "seeds": 5 } },
        "measures": [{ "metric": "keskar", "epsilon": 0.001, "subspace": 100, "examples": 50 }],
        "comparisons": [{ "arm": "b", "baseline": "a" }],
        "pictures": [{ "name": "p", "title": "t", "examples": 9, "kind": {
            "kind": "line", "from": "a", "to": "b", "axis": { "from": -1.0, "to": 2.0, "count": 4 }
        } }],
        "published": [{ "arm": "a", "quantity": "last_top1", "mean": 98.0, "source": "s" }]
    });
    let grid = json!({
        "quantity": "loss", "values": [1.0, "NaN", "-inf", 0.5, 2e-300],
        "axes": [{ "from": -1.0, "to": 1.0, "count": 3 }, { "from": 0.0, "to": 1.0, "count": 2 }]
    });
    let mut twice = study.clone();
    twice["arms"][1]["name"] = json!("a");
    let long = json!({ "model": "f1", "epochs": u64::MAX, "shorten_regime": true });
    let axis = |count: u64| json!({ "from": -1.0, "to": 1.0, "count": count });
    let axes = |axes: serde_json::Value| json!({ "quantity": "q", "values": [1.0], "axes": axes });
    let facts = json!({
        "parameters": 10, "multiply_adds": 100, "train_examples": 5, "test_examples": 2,
        "stretches": [{ "first_epoch": 1, "version": "0.1.0", "cpu": "c", "threads": 2,
                        "kernels": "auto avx2" }]
    });
    let records = [record(1), record(2)].map(|record| json!(record).to_string()).join("\n");
    let text = |value: serde_json::Value| value.to_string().into_bytes();
    vec![
        ("experiment", "experiment", text(experiment)),
        ("experiment", "shortened", text(shortened)),
        ("experiment", "rival", text(rival)),
        ("experiment", "refused-long", text(long)),
        ("study", "study", text(study)),
        ("study", "refused-twice", text(twice)),
        ("grid", "grid", text(grid)),
        ("grid", "refused-without-axes", text(axes(json!([])))),
        ("grid", "refused-without-points", text(axes(json!([axis(0)])))),
        ("grid", "refused-overflow", text(axes(json!([axis(1 << 32), axis(1 << 32)])))),
        ("facts", "facts", text(facts)),
        ("records", "records", records.into_bytes()),
    ]
}

fn record(epoch: usize) -> EpochRecord {
    EpochRecord {
        epoch,
        steps: 10,
        learning_rate: 0.1,
        radius: 0.0,
        train_loss: 0.5,
        train_top1: 90.0,
        train_top5: 99.0,
        test_loss: 0.25,
        test_top1: 95.0,
        test_top5: 99.5,
        seconds: 1.5,
        averaged: 0,
    }
}

fn results() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (study, job) = (&PLAN.studies[0], &PLAN.jobs[0]);
    let run = RunResult {
        study: study.name.clone(),
        arm: job.arm.clone(),
        spec: job.resolved(),
        stretches: Vec::new(),
        records: (1..=job.experiment.epochs()).map(record).collect(),
        measured: Vec::new(),
    };
    let mut seeds = vec![("run_result", "run", json!(run).to_string().into_bytes())];
    for (place, picture) in (0_u8..).zip(&study.pictures) {
        let (of, axis) = match &picture.kind {
            PictureKind::RandomLine { .. } => (Some(SeriesOf::Accuracy), None),
            PictureKind::Line { .. } | PictureKind::Noise { .. } => (Some(SeriesOf::Loss), None),
            PictureKind::Plane { axis, .. } => (None, Some(*axis)),
        };
        let grid = axis.map(|axis| {
            let mut grid = Grid::new("loss", &[axis, axis]).expect("axes of a grid");
            let chart = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
            let stairs = FnObjective::new(2, |w: &[f64]| (w[0] * 8.0).round() + w[1].round());
            grid.fill(&stairs, &chart.expect("two directions")).expect("a finite function");
            grid
        });
        let series = of.map(|of| Series {
            arm: picture.kind.arms()[0].to_owned(),
            split: smoothout::data::Split::Test,
            of,
            x: vec![0.0, 0.5, 1.0],
            y: vec![0.1, f64::INFINITY, 4.0],
            standard_error: Vec::new(),
        });
        let result = PictureResult {
            study: study.name.clone(),
            picture: picture.clone(),
            specs: specs(picture),
            series: series.into_iter().collect(),
            grid,
        };
        let mut push = |name: &'static str, result: &PictureResult| {
            let text = json!(result).to_string().into_bytes();
            seeds.push(("picture_result", name, [&[place][..], &text].concat()));
        };
        push(&picture.name, &result);
        if place == 0 {
            let mut extreme = result;
            extreme.series[0].x = vec![-1e308, 0.0, 1e308];
            push("wide", &extreme);
            extreme.series[0].x = vec![-5e-324, 0.0, 5e-324];
            push("narrow", &extreme);
            extreme.series[0].y.pop();
            push("refused-short", &extreme);
        }
    }
    seeds
}
