//! Memory of a training: it does not grow with the updates, and a large batch in ghost batches needs
//! no more than its data beyond what a small one needs.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use smoothout::checkpoint::save_training;
use smoothout::data::{DataSet, DataSetName, Images, Split};
use smoothout::experiment::{ExperimentSpec, Method};
use smoothout::training::{Training, TrainingData};

fn resident_kilobytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn images(split: Split, count: usize) -> Arc<DataSet> {
    Arc::new(DataSet {
        name: DataSetName::Mnist,
        split,
        images: Images::Memory((0..count * 784).map(|i| (i * 31 % 251) as u8).collect()),
        labels: (0..count).map(|i| (i % 10) as u16).collect(),
        height: 28,
        width: 28,
        channels: 1,
        classes: 10,
    })
}

/// Updates, evaluations and saved states: after a tenth of them, memory has its final size.
///
/// `SMOOTHOUT_UPDATES=10000 cargo test -p smoothout --test training_memory -- --nocapture` runs the
/// long form.
#[test]
fn memory_does_not_grow_with_the_updates() {
    let updates: usize =
        std::env::var("SMOOTHOUT_UPDATES").map_or(200, |updates| updates.parse().unwrap());
    const PER_EPOCH: usize = 10;
    let experiment = ExperimentSpec {
        model: Some("f1".to_owned()),
        epochs: Some(updates.div_ceil(PER_EPOCH)),
        batch_size: Some(16),
        ghost_batch_size: Some(8),
        method: Some(Method::AdaSmoothOut),
        radius: Some(0.1),
        ..ExperimentSpec::default()
    };
    let train = images(Split::Train, PER_EPOCH * 16);
    let data = TrainingData { train, test: images(Split::Test, 20) };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("training.safetensors");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let sizes: Vec<usize> = pool.install(|| {
        let mut training = Training::new(experiment.resolve().unwrap(), data).unwrap();
        let epoch = |_| {
            training.epoch(|_, _| {}).unwrap();
            save_training(&state, training.network(), &training.state()).unwrap();
            resident_kilobytes()
        };
        (0..updates.div_ceil(PER_EPOCH)).map(epoch).collect()
    });
    let (begin, end) = (sizes[sizes.len() / 10], sizes[sizes.len() - 1]);
    println!("{updates} updates: {begin} kB after a tenth, {end} kB at the end");
    // The allocator keeps what it pleases: less than a tenth of one copy of the weights' 5.8 MB.
    assert!(end < begin + 500, "{sizes:?}");
}

/// 8192 images in ghost batches of 128 on two threads: the memory of 256 images and the data.
#[test]
fn a_large_batch_costs_its_data_only() {
    let peak_megabytes = |batch: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_smoothout"))
            .args([
                "bench",
                "step",
                "--model",
                "f1",
                "--method",
                "smoothout",
                "--batch-size",
                batch,
            ])
            .args(["--ghost-batch-size", "128", "--threads", "2", "--steps", "1", "--warm-up", "0"])
            .arg("--json")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let times: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        times["rss_mb"].as_f64().unwrap()
    };
    let (small, large) = (peak_megabytes("256"), peak_megabytes("8192"));
    let data =
        ((8192 - 256) * (784 * size_of::<f32>() + size_of::<usize>())) as f64 / (1 << 20) as f64;
    println!("batch 256: {small:.1} MB, batch 8192: {large:.1} MB, its data {data:.1} MB more");
    assert!(large - small < 1.1 * data + 2.0, "{small} MB, {large} MB, data {data} MB");
}
