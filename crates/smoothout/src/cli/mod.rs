//! The program's commands.

#[macro_use]
mod output;

mod bench;
mod compare;
mod data;
mod eval;
mod landscape;
mod layers;
mod models;
mod progress;
mod reproduce;
mod sharpness;
mod subject;
mod theory;
mod train;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use smoothout_nn::NnError;
use smoothout_tensor::kernels::{InstructionSet, KernelChoice, Precision};

use crate::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::experiment::ExperimentError;
use crate::reproduce::plan::PlanError;
use crate::reproduce::store::StoreError;
use crate::reproduce::study::StudyError;
use crate::run::{RunError, read_stretches};
use crate::stop;
use crate::training::TrainError;

/// Train the networks of the SmoothOut paper (arXiv:1805.07898) on a CPU.
#[derive(Debug, Parser)]
#[command(name = "smoothout", version, arg_required_else_help = true, args_override_self = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network with SGD or Adam, plain, with SmoothOut, AdaSmoothOut or one of their rivals
    Train(train::TrainCommand),
    /// Train plain, with SmoothOut and with AdaSmoothOut, and print a table
    Compare(compare::CompareCommand),
    /// Train and measure what the paper shows, and write its tables and figures
    Reproduce(Box<reproduce::ReproduceCommand>),
    /// Loss and accuracy of a saved network
    Eval(eval::EvalCommand),
    /// How flat the minimum of a saved network is, with error bars
    Sharpness(Box<sharpness::SharpnessCommand>),
    /// The loss on a line or in a plane through saved networks
    Landscape(Box<landscape::LandscapeCommand>),
    /// Fetch, verify and list data sets
    Data(data::DataCommand),
    /// List the networks
    Models(models::ModelsCommand),
    /// Show the paper's theory as a table and figures
    Theory(theory::TheoryCommand),
    /// Time parameter updates, and what the machine can do
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

/// How a command computes.
#[derive(Debug, Clone, Copy, Args)]
struct Compute {
    /// Number of threads [default: one a core]; results do not depend on it
    #[arg(long)]
    threads: Option<usize>,
    /// Algorithms of the convolutions: auto, direct, winograd or scalar [default: auto; a run that goes on
    /// keeps its own]
    #[arg(long, value_parser = kernel_choice)]
    kernels: Option<KernelChoice>,
    /// Instructions: amx, avx512, avx2 or baseline [default: the best of this processor; of a run that goes
    /// on the last it had]
    #[arg(long, value_parser = instruction_set)]
    instructions: Option<InstructionSet>,
}

impl Compute {
    /// Runs `f` on a pool of that many threads with these kernels.
    fn run<T: Send>(self, f: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        self.run_in(Precision::F32, f)
    }

    /// The same with products of that precision.
    fn run_in<T: Send>(
        self,
        precision: Precision,
        f: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        if let Some(found) = self.threads.filter(|threads| !(1..=1024).contains(threads)) {
            return Err(BadInput(format!("threads is {found}: it must be 1 to 1024")).into());
        }
        self.kernels.unwrap_or_default().select();
        let set = self.instructions.unwrap_or_else(InstructionSet::detected);
        set.select();
        if !precision.is_available() {
            let (precision, set) = (precision.name(), set.name());
            let whose =
                if self.instructions.is_some() { "--instructions" } else { "this processor" };
            return Err(BadInput(format!(
                "precision is {precision}, which needs AMX, or AVX-512 with its BF16 instructions, and \
                 {whose} has {set}: choose others, or f32; a run that was begun in {precision} goes on \
                 in it alone"
            ))
            .into());
        }
        precision.select();
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or(0)).build()?;
        pool.install(f)
    }
}

/// How a command that trains computes.
#[derive(Debug, Clone, Copy, Args)]
struct TrainingCompute {
    #[command(flatten)]
    all: Compute,
    /// Precision of the factors of products: f32, or bf16, which needs AMX (and is up to twice as fast there) or
    /// AVX-512 BF16; weights and sums stay f32 [default: f32; a run that goes on keeps its own]
    #[arg(long, value_parser = precision)]
    precision: Option<Precision>,
}

impl TrainingCompute {
    /// Runs `f` on a pool of that many threads with these kernels.
    fn run<T: Send>(self, f: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        let precision = self.precision.unwrap_or_default();
        if (precision, self.all.kernels) == (Precision::Bf16, Some(KernelChoice::Scalar)) {
            let advice =
                "precision is bf16, and the scalar kernels compute in f32: leave one of them out";
            return Err(BadInput(advice.to_owned()).into());
        }
        self.all.run_in(precision, f)
    }

    /// The same with the algorithms and the precision of the run in `folder`, which goes on as it was begun,
    /// and with the instruction set of its last stretch where this processor has it.
    fn resuming(self, folder: &Path) -> anyhow::Result<Self> {
        let stretches = read_stretches(folder)?;
        let Some(stretch) = stretches.last() else { return Ok(self) };
        let unknown = |advice| {
            let path = folder.display();
            BadInput(format!("{path}/run.json has the kernels {}: {advice}", stretch.kernels))
        };
        let kernels = kernel_choice(stretch.algorithms()).map_err(unknown)?;
        let precision = precision(stretch.precision()).map_err(unknown)?;
        let asked = self.all.kernels.filter(|asked| *asked != kernels);
        let changed = |field: &str, found: String, expected: &str| RunError::Changed {
            path: folder.to_owned(),
            field: field.to_owned(),
            found,
            expected: expected.to_owned(),
        };
        if let Some(asked) = asked {
            let found = format!("{asked:?}").to_lowercase();
            return Err(changed("kernels", found, stretch.algorithms()).into());
        }
        if let Some(asked) = self.precision.filter(|asked| *asked != precision) {
            return Err(changed("precision", asked.name().to_owned(), precision.name()).into());
        }
        let set = InstructionSet::ALL.into_iter().find(|set| set.name() == stretch.instructions());
        let set = set.filter(|set| set.is_available());
        let instructions = self.all.instructions.or(set);
        let all = Compute { kernels: Some(kernels), instructions, ..self.all };
        Ok(Self { all, precision: Some(precision) })
    }
}

fn precision(name: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.name() == name)
        .ok_or_else(|| "choose f32 or bf16".to_owned())
}

fn kernel_choice(name: &str) -> Result<KernelChoice, String> {
    Ok(match name {
        "auto" => KernelChoice::Auto,
        "direct" => KernelChoice::Direct,
        "winograd" => KernelChoice::Winograd,
        "scalar" => KernelChoice::Scalar,
        _ => return Err("choose auto, direct, winograd or scalar".to_owned()),
    })
}

fn instruction_set(name: &str) -> Result<InstructionSet, String> {
    let available = InstructionSet::ALL.into_iter().filter(|set| set.is_available());
    available.clone().find(|set| set.name() == name).ok_or_else(|| {
        let names: Vec<_> = available.map(InstructionSet::name).collect();
        format!("this processor has {}", names.join(", "))
    })
}

/// A mistake in the arguments that no library error describes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(String);

/// Runs the program and gives its exit code.
pub fn run() -> ExitCode {
    if let Err(error) = stop::as_other_programs_do() {
        note!("the system's signals stay as they are: {error}");
    }
    let result = match Program::parse().command {
        Command::Train(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Reproduce(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Sharpness(command) => command.run(),
        Command::Landscape(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Models(command) => command.run(),
        Command::Theory(command) => command.run(),
        Command::Bench(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(stopped) = error.downcast_ref::<train::Stopped>() {
                note!("{stopped}; {}", error);
                return ExitCode::from(stopped.signal.exit_code());
            }
            note!("error: {}", sentence(&error));
            ExitCode::from(if is_bad_input(&error) { 2 } else { 1 })
        }
    }
}

/// The error and its causes, each said once.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| {
        if text.is_empty() {
            cause
        } else if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

/// Whether the user's arguments or files are at fault.
fn is_bad_input(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        if let Some(bad) = sharpness::is_bad_input(cause) {
            return bad;
        }
        if let Some(error) = cause.downcast_ref::<DataError>() {
            return error.is_bad_input();
        }
        if let Some(error) = cause.downcast_ref::<CheckpointError>() {
            return error.is_bad_input();
        }
        if let Some(error) = cause.downcast_ref::<TrainError>() {
            return error.is_bad_input();
        }
        if let Some(error) = cause.downcast_ref::<RunError>() {
            return error.is_bad_input();
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return error.is_bad_input();
        }
        cause.is::<BadInput>()
            || cause.is::<ExperimentError>()
            || cause.is::<NnError>()
            || cause.is::<PlanError>()
            || cause.is::<StudyError>()
    })
}
