//! What a long run meets: signals, kills, full disks, vanished folders, a second run, overflow.
//!
//! Each test runs the program on a few hundred small random images.

#![cfg(unix)]

mod disk;
mod instructions;
mod kills;
mod numbers;
mod signals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Images in the training split.
const IMAGES: usize = 200;

/// A folder with random images in CIFAR-10's format, and room for runs.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let mut state = 1_u32;
        for file in ["1", "2", "3", "4", "5", "test"] {
            let mut content = Vec::new();
            for record in 0..IMAGES / 5 {
                content.push((record % 10) as u8);
                content.extend((0..3072).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                }));
            }
            let name =
                if file == "test" { "test_batch".into() } else { format!("data_batch_{file}") };
            fs::write(data.join(name).with_extension("bin"), content).unwrap();
        }
        Self { folder }
    }

    fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `smoothout train` of a small ResNet by AdaSmoothOut.
    fn train(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smoothout"));
        command.args(["train", "--model", "resnet8", "--dataset", "cifar10", "--data-dir"]);
        command.arg(self.run("data")).args(["--method", "adasmoothout", "--radius", "0.1"]);
        command.args(["--ghost-batch-size", "16", "--threads", "2", "--out"]).arg(out).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// `smoothout train --resume`.
fn resume(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smoothout"));
    command.args(["train", "--resume", "--out"]).arg(out);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeed(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", message(&output));
}

/// The command ends with `code` and a message that has each of `parts`.
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let message = message(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// Waits until the file is there.
fn wait_for(file: &Path, child: &mut Child) {
    let start = Instant::now();
    while !file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the program ended without {file:?}");
        assert!(start.elapsed() < Duration::from_secs(120), "no {file:?} in two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Both runs have the same bits: models, state, and records but for the seconds.
fn same_bits(a: &Path, b: &Path) {
    let records = |run: &Path| -> Vec<Value> {
        let text = fs::read_to_string(run.join("epochs.jsonl")).unwrap();
        let record = |line: &str| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            assert!(record.as_object_mut().unwrap().remove("seconds").is_some());
            record
        };
        text.lines().map(record).collect()
    };
    assert_eq!(records(a), records(b));
    for name in ["best.safetensors", "last.safetensors", "training.safetensors"] {
        assert!(fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap(), "{name}");
    }
}

/// What the state to resume from says of itself.
fn progress(run: &Path) -> Value {
    let content = fs::read(run.join("training.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&content).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["progress"]).unwrap()
}
