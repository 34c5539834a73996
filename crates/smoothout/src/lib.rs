//! The library behind the program `smoothout`: data sets, experiments, runs and checkpoints.
//!
//! An [`ExperimentSpec`](experiment::ExperimentSpec) resolves to an
//! [`Experiment`](experiment::Experiment); a [`Training`](training::Training) runs it epoch by
//! epoch; a [`RunFolder`](run::RunFolder) keeps what it leaves.
//!
//! ```no_run
//! use smoothout::experiment::{ExperimentSpec, Method};
//! use smoothout::training::{Training, TrainingData};
//!
//! let experiment = ExperimentSpec {
//!     model: Some("f1".to_owned()),
//!     method: Some(Method::AdaSmoothOut),
//!     radius: Some(0.1),
//!     epochs: Some(1),
//!     ..ExperimentSpec::default()
//! }
//! .resolve()?;
//! let data = TrainingData::load(&experiment)?;
//! let mut training = Training::new(experiment, data)?;
//! println!("{:.2} %", training.epoch(|_, _| {})?.test_top1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod averaging;
pub mod chart;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod evaluation;
mod examination;
pub mod experiment;
pub mod measure;
pub mod oracle;
pub mod regimes;
mod remedy;
pub mod reproduce;
pub mod run;
pub mod stop;
mod text;
pub mod theory;
pub mod timing;
pub mod training;
