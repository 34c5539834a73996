//! `smoothout bench`: the time of a parameter update, and what the machine can do.

use clap::{Args, Subcommand};
use serde::Serialize;
use smoothout_nn::Network;
use smoothout_tensor::kernels::{kernels_in_use, machine};

use super::layers::{self, LayerRow, Table};
use super::{BadInput, Compute, TrainingCompute};
use crate::experiment::{ExperimentSpec, Method};
use crate::timing::{StepTimer, Timing};

/// Measure.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Time parameter updates (forward, backward, update) on one batch of random images
    Step(Box<StepCommand>),
    /// The peak of fused multiply-adds and the bandwidth of the memory
    Machine(MachineCommand),
}

impl BenchCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Step(command) => command.run(),
            Self::Machine(command) => command.run(),
        }
    }
}

/// The most random images that are made up for a step.
const MOST_IMAGES: usize = 1 << 20;

#[derive(Debug, Args)]
#[command(mut_arg("ghost_batch_size", |arg| arg.help("G, examples in a ghost batch; divides B [default: B]")))]
#[command(mut_arg("radius", |arg| arg.help("a, the radius of smoothout and adasmoothout [default: 0.01]")))]
pub(super) struct StepCommand {
    #[command(flatten)]
    spec: ExperimentSpec,
    /// Updates to time; Langevin steps with entropy-sgd
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Updates before that are not timed
    #[arg(long, default_value_t = 2)]
    warm_up: usize,
    /// Time the forward pass in evaluation instead
    #[arg(long)]
    forward: bool,
    /// Show the time of each layer as well
    #[arg(long)]
    layers: bool,
    /// Print one JSON object on the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: TrainingCompute,
}

/// What was measured. Times are wall-clock milliseconds per update.
#[derive(Debug, Serialize)]
struct StepTimes {
    model: String,
    method: &'static str,
    batch_size: usize,
    ghost_batch_size: usize,
    forward: bool,
    ms: f64,
    min: f64,
    max: f64,
    img_s: f64,
    /// Multiply-adds of direct convolution count as two, whatever the kernels do.
    gflops: f64,
    /// Peak resident memory of this process, if the system tells.
    rss_mb: Option<f64>,
    threads: usize,
    kernels: String,
    /// With `--layers`: means over the updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerRow>>,
}

impl StepCommand {
    fn run(mut self) -> anyhow::Result<()> {
        if self.steps == 0 {
            return Err(BadInput("steps is 0: it must be at least 1".to_owned()).into());
        }
        let spec = &mut self.spec;
        let method = spec.method.unwrap_or(Method::Plain);
        if method.smooths() {
            spec.radius.get_or_insert(0.01);
        }
        // As a framework without ghost batches would do it, unless they are asked for.
        spec.ghost_batch_size = spec.ghost_batch_size.or(spec.batch_size);
        let experiment = spec.resolve()?;
        let network = Network::by_name(&experiment.model, experiment.spec().classes.unwrap_or(10))?;
        let batch_size = experiment.batch_size;
        if batch_size > MOST_IMAGES {
            let advice = format!("batch_size is {batch_size}: give at most {MOST_IMAGES}");
            return Err(BadInput(advice).into());
        }
        let Timing { ms: mut times, layers } = self.compute.run(|| {
            let step = StepTimer { warm_up: self.warm_up, steps: self.steps };
            if self.forward {
                Ok(step.forward(&experiment, &network)?)
            } else {
                Ok(step.updates(&experiment, &network, batch_size)?)
            }
        })?;
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        times.sort_by(f64::total_cmp);
        // Of an even number the mean of the two in the middle.
        let ms = (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0;
        let multiply_adds =
            if self.forward { network.multiply_adds() } else { network.training_multiply_adds() };
        let gradients = if self.forward { 1 } else { experiment.gradients() };
        let result = StepTimes {
            model: experiment.model.clone(),
            method: method.as_str(),
            batch_size,
            ghost_batch_size: experiment.ghosts.size(),
            forward: self.forward,
            ms,
            min: times[0],
            max: times[times.len() - 1],
            img_s: batch_size as f64 / ms * 1e3,
            gflops: 2e-6 * (multiply_adds * batch_size * gradients) as f64 / ms,
            rss_mb: peak_memory_mb(),
            threads: self.compute.all.threads.unwrap_or_else(rayon::current_num_threads),
            kernels: kernels_in_use(),
            layers: self.layers.then(|| layers::rows(&layers, times.len(), batch_size * gradients)),
        };
        if self.json {
            say!("{}", serde_json::to_string(&result)?);
        } else {
            if let Some(rows) = &result.layers {
                say!("milliseconds of an update, {mean:.3} in the mean");
                say!("{}", Table { rows, ms: mean });
            }
            say!(
                "{} {}, batch {} in ghost batches of {}: {:.2} ms ({:.2} to {:.2}), {:.1} images/s, \
                 {:.1} GFLOP/s, {} MB, {} threads, {}",
                result.model,
                if self.forward { "forward" } else { result.method },
                result.batch_size,
                result.ghost_batch_size,
                result.ms,
                result.min,
                result.max,
                result.img_s,
                result.gflops,
                result.rss_mb.map_or("?".to_owned(), |mb| format!("{mb:.0}")),
                result.threads,
                result.kernels
            );
        }
        Ok(())
    }
}

/// VmHWM of /proc/self/status.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes / 1024.0)
}

#[derive(Debug, Args)]
pub(super) struct MachineCommand {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, Serialize)]
struct Machine {
    threads: usize,
    fma_peak_gflops: f64,
    register_tile_gflops: f64,
    memory_bandwidth_gbs: f64,
    kernels: String,
}

impl MachineCommand {
    fn run(self) -> anyhow::Result<()> {
        let machine = self.compute.run(|| {
            let threads = rayon::current_num_threads();
            Ok(Machine {
                threads,
                fma_peak_gflops: machine::fma_peak_gflops(threads),
                register_tile_gflops: machine::register_tile_gflops(threads),
                memory_bandwidth_gbs: machine::memory_bandwidth_gbs(threads),
                kernels: kernels_in_use(),
            })
        })?;
        if self.json {
            say!("{}", serde_json::to_string(&machine)?);
        } else {
            say!(
                "{} threads: {:.1} GFLOP/s (f32 fused multiply-add; {:.1} in products from the first-level cache), {:.1} GB/s, {}",
                machine.threads,
                machine.fma_peak_gflops,
                machine.register_tile_gflops,
                machine.memory_bandwidth_gbs,
                machine.kernels
            );
        }
        Ok(())
    }
}
