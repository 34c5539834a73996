//! On what a run, or a part of it, was computed.

use std::fs;

use serde::{Deserialize, Serialize};
use smoothout_tensor::kernels::{Precision, kernels_in_use};

/// Epochs computed by the same program on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its first epoch, counted from 1.
    pub first_epoch: usize,
    /// Batches of that epoch that the stretch before computed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_batch: usize,
    /// The program's version.
    pub version: String,
    /// The processor.
    pub cpu: String,
    /// The number of threads; it changes no bit.
    pub threads: usize,
    /// Algorithms, instruction set, and precision if it is not `f32`, as [`kernels_in_use`] names them.
    pub kernels: String,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Stretch {
    /// From here on, as this process computes.
    pub(super) fn here((first_epoch, first_batch): (usize, usize)) -> Self {
        Self {
            first_epoch,
            first_batch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpu: cpu_name(),
            threads: rayon::current_num_threads(),
            kernels: kernels_in_use(),
        }
    }

    /// Where it begins: (epoch from 1, batches of it that are done).
    pub fn start(&self) -> (usize, usize) {
        (self.first_epoch, self.first_batch)
    }

    /// Whether both were computed alike: the same version, processor, threads and kernels.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { first_epoch, first_batch, .. } = *other;
        Self { first_epoch, first_batch, ..self.clone() } == *other
    }

    /// The algorithms alone, without the instruction set: the value of `--kernels`.
    pub fn algorithms(&self) -> &str {
        self.kernels.split(' ').next().unwrap_or_default()
    }

    /// The precision of products: the value of `--precision`.
    pub fn precision(&self) -> &str {
        self.kernels.split(' ').nth(2).unwrap_or(Precision::F32.name())
    }

    /// The instruction set alone; empty where it does not matter.
    pub fn instructions(&self) -> &str {
        self.kernels.split(' ').nth(1).unwrap_or_default()
    }
}

/// The processor's name as Linux tells it, else the architecture.
fn cpu_name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
