//! A run folder: everything that a training leaves behind.
//!
//! | file | what |
//! |---|---|
//! | `options.json` | the experiment as it was given; `--config` takes it |
//! | `experiment.json` | the same with every default filled in |
//! | `run.json` | network, data; and for each stretch of epochs: version, processor, threads, kernels |
//! | `epochs.jsonl` | one [`EpochRecord`] a line |
//! | `best.safetensors`, `last.safetensors` | the model of the best and of the last epoch |
//! | `training.safetensors` | the state from which `--resume` goes on, between or within epochs |

mod error;
mod stretch;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::checkpoint::{UNFINISHED, load_training, save_model, save_training, write_whole};
use crate::data::Split;
use crate::experiment::{Experiment, ExperimentSpec};
use crate::text::read_text;
use crate::training::{EpochRecord, Training};

pub use error::RunError;
pub use stretch::Stretch;

/// The file that says what was trained and on what.
const FACTS: &str = "run.json";

/// The state to resume from.
const STATE: &str = "training.safetensors";

/// How often the state within an epoch is kept, unless [`RunFolder::keep_every`] says otherwise.
pub const KEEP_EVERY: Duration = Duration::from_secs(600);

/// An open run folder, locked against a second training.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    records: Vec<EpochRecord>,
    stretches: Vec<Stretch>,
    /// What `run.json` says of a run that goes on.
    begun: Option<RunFacts>,
    /// The kept state: finished epochs, and batches of the next one.
    kept: (usize, usize),
    keep_every: Duration,
    last_kept: Instant,
    /// Held until the run is dropped.
    _lock: File,
}

/// What `run.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct RunFacts {
    parameters: usize,
    multiply_adds: usize,
    train_examples: usize,
    test_examples: usize,
    /// Of the training and the test examples; runs older than it have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_md5: Option<[String; 2]>,
    /// On what each stretch of the run was computed, in order.
    stretches: Vec<Stretch>,
}

impl RunFacts {
    /// Of a training, before its stretches.
    fn of(training: &Training) -> Self {
        let (network, data) = (training.network(), training.data());
        Self {
            parameters: network.parameters().len(),
            multiply_adds: network.multiply_adds(),
            train_examples: data.train.len(),
            test_examples: data.test.len(),
            data_md5: Some([data.train.md5(), data.test.md5()]),
            stretches: Vec::new(),
        }
    }

    /// That a run goes on with the examples that it was begun with.
    fn check_data(&self, here: &Self, path: &Path) -> Result<(), RunError> {
        let of = |facts: &Self, split: Split| {
            let (place, count) = match split {
                Split::Train => (0, facts.train_examples),
                Split::Test => (1, facts.test_examples),
            };
            (count, facts.data_md5.as_ref().map(|md5| md5[place].clone()))
        };
        for split in [Split::Train, Split::Test] {
            let ((expected, known), (found, md5)) = (of(self, split), of(here, split));
            if found != expected || known.is_some() && known != md5 {
                let path = path.to_owned();
                return Err(RunError::OtherData { path, split, found, expected });
            }
        }
        Ok(())
    }
}

impl RunFolder {
    /// Whether a run can start there, before any work is done for it. A run that never kept a state
    /// does not count.
    ///
    /// # Errors
    /// If there is a run already.
    pub fn check_free(path: &Path) -> Result<(), RunError> {
        if Self::is_begun(path) {
            return Err(RunError::Exists { path: path.to_owned() });
        }
        Ok(())
    }

    /// Whether there is a run to go on with. A stop while the first epoch was kept may have left
    /// its model without its state: that run goes on from its beginning.
    pub fn is_begun(path: &Path) -> bool {
        path.join(STATE).exists() || path.join("last.safetensors").exists()
    }

    /// Starts a run in a folder without one. `given` is the specification as the user wrote it.
    ///
    /// # Errors
    /// If there is a run already, another process trains there, or the folder cannot be written.
    pub fn create(
        path: &Path,
        given: &ExperimentSpec,
        experiment: &Experiment,
    ) -> Result<Self, RunError> {
        fs::create_dir_all(path).map_err(io_error("created", path))?;
        let lock = lock(path)?;
        Self::check_free(path)?;
        let run = Self::new(path, Vec::new(), None, lock);
        run.write_json("options.json", given)?;
        run.write_json("experiment.json", &experiment.spec)?;
        Ok(run)
    }

    /// Opens a run to go on with: its experiment, which `flags` must not change.
    ///
    /// # Errors
    /// If there is no run, another process trains there, or `flags` are at odds with it.
    pub fn resume(path: &Path, flags: &ExperimentSpec) -> Result<(Self, Experiment), RunError> {
        if !path.join("experiment.json").exists() {
            return Err(RunError::Missing { path: path.to_owned() });
        }
        let lock = lock(path)?;
        let given = ExperimentSpec::read(&path.join("options.json"))?;
        let begun = ExperimentSpec::read(&path.join("experiment.json"))?;
        let experiment = given.overridden_by(flags).resolve()?;
        if let Some((field, expected, found)) = difference(&begun, &experiment.spec) {
            return Err(RunError::Changed { path: path.to_owned(), field, found, expected });
        }
        let records = read_records(&path.join("epochs.jsonl"))?;
        let begun = read_facts(path)?;
        Ok((Self::new(path, records, begun, lock), experiment))
    }

    fn new(path: &Path, records: Vec<EpochRecord>, begun: Option<RunFacts>, lock: File) -> Self {
        Self {
            path: path.to_owned(),
            records,
            stretches: begun.as_ref().map_or_else(Vec::new, |begun| begun.stretches.clone()),
            begun,
            kept: (0, 0),
            keep_every: KEEP_EVERY,
            last_kept: Instant::now(),
            _lock: lock,
        }
    }

    /// Asks for the state within an epoch to be kept after that time: 0 after each update.
    pub fn keep_every(&mut self, time: Duration) {
        self.keep_every = time;
    }

    /// Whether it is time to [keep the state](Self::keep_state).
    pub fn is_due(&self) -> bool {
        self.last_kept.elapsed() >= self.keep_every
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The records of the finished epochs.
    pub fn records(&self) -> &[EpochRecord] {
        &self.records
    }

    /// The state that it keeps, in words.
    pub fn kept(&self) -> String {
        let path = self.path.display();
        let has_kept = self.kept != (0, 0);
        let is_gone = !self.path.is_dir() || has_kept && !self.path.join(STATE).exists();
        match self.kept {
            _ if is_gone => format!("{path} was moved or removed, and its state with it"),
            (0, 0) => format!("{path} has no finished epoch"),
            (epochs, 0) => format!("{path} keeps the state after epoch {epochs}"),
            (epochs, batches) => {
                format!("{path} keeps the state after {batches} batches of epoch {}", epochs + 1)
            }
        }
    }

    /// On what each stretch of the run was computed, in order.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Continues `training` from the last checkpoint if there is one, and writes down on what the
    /// run goes on.
    ///
    /// # Errors
    /// If the folder cannot be written, its checkpoint is damaged, or the run was begun on other data.
    pub fn attach(&mut self, training: &mut Training) -> Result<(), RunError> {
        let mut facts = RunFacts::of(training);
        if let Some(begun) = &self.begun {
            begun.check_data(&facts, &self.path)?;
        }
        let checkpoint = self.path.join(STATE);
        if checkpoint.exists() {
            training.restore(load_training(&checkpoint, training.network())?)?;
        }
        let (records, epochs) = (self.records.len(), training.epochs());
        // One record may be ahead of its state: that epoch runs again.
        if !(epochs..=epochs + 1).contains(&records) {
            return Err(RunError::Incomplete { path: self.path.clone(), records, epochs });
        }
        self.records.truncate(epochs);
        self.write_records()?;
        self.kept = (epochs, training.unfinished().batches);
        let here = Stretch::here((epochs + 1, self.kept.1));
        // A stretch of which nothing was kept leaves no trace.
        self.stretches.retain(|stretch| stretch.start() < here.start());
        let ended = epochs >= training.experiment().epochs();
        if !ended && !self.stretches.last().is_some_and(|last| last.is_like(&here)) {
            self.stretches.push(here);
        }
        facts.stretches.clone_from(&self.stretches);
        self.write_json(FACTS, &facts)
    }

    /// Keeps a finished epoch: the models first, then its record, then the state to resume from. A
    /// stop in between leaves the state before, whose epoch then runs again.
    ///
    /// # Errors
    /// If a file cannot be written; the checkpoint before is then still whole.
    pub fn keep(&mut self, training: &Training, record: EpochRecord) -> Result<(), RunError> {
        let (network, model) = (training.network(), training.model());
        if training.best().is_some_and(|(epoch, _)| epoch == record.epoch) {
            save_model(&self.path.join("best.safetensors"), network, model)?;
        }
        save_model(&self.path.join("last.safetensors"), network, model)?;
        self.records.push(record);
        self.write_records()?;
        self.keep_state(training)
    }

    /// Keeps the state alone, within an epoch: models and records stay those of the epochs before.
    ///
    /// # Errors
    /// If it cannot be written; the one before is then still whole.
    pub fn keep_state(&mut self, training: &Training) -> Result<(), RunError> {
        let checkpoint = self.path.join(STATE);
        save_training(&checkpoint, training.network(), &training.state())?;
        self.kept = (training.epochs(), training.unfinished().batches);
        self.last_kept = Instant::now();
        Ok(())
    }

    fn write_records(&self) -> Result<(), RunError> {
        let mut lines = Vec::new();
        for record in &self.records {
            serde_json::to_writer(&mut lines, record).expect("a record is JSON");
            lines.push(b'\n');
        }
        Ok(write_whole(&self.path.join("epochs.jsonl"), &lines)?)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        let mut text = serde_json::to_vec_pretty(value).expect("plain fields are JSON");
        text.push(b'\n');
        Ok(write_whole(&self.path.join(name), &text)?)
    }
}

/// Reads the records of a run; a run that has not finished an epoch has none.
///
/// # Errors
/// If the file cannot be read, or a line is not a record.
pub fn read_records(path: &Path) -> Result<Vec<EpochRecord>, RunError> {
    let text = match read_text(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io_error("read", path))?,
    };
    let record = |(line, text): (usize, &str)| {
        serde_json::from_str(text).map_err(|source| RunError::Record {
            path: path.to_owned(),
            line: line + 1,
            source,
        })
    };
    text.lines().enumerate().map(record).collect()
}

/// On what each stretch of the run in a folder was computed, in order; none before its first.
///
/// # Errors
/// If `run.json` is there and cannot be read.
pub fn read_stretches(folder: &Path) -> Result<Vec<Stretch>, RunError> {
    Ok(read_facts(folder)?.map_or_else(Vec::new, |facts| facts.stretches))
}

fn read_facts(folder: &Path) -> Result<Option<RunFacts>, RunError> {
    let path = folder.join(FACTS);
    let text = match read_text(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io_error("read", &path))?,
    };
    let facts = serde_json::from_str(&text).map_err(|source| RunError::Facts { path, source })?;
    Ok(Some(facts))
}

/// The file system's answer as an error of `path`.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    move |source| RunError::Io { action, path, source }
}

fn lock(path: &Path) -> Result<File, RunError> {
    let name = path.join(".lock");
    let file = File::create(&name).map_err(io_error("created", &name))?;
    match file.try_lock() {
        Ok(()) => {
            remove_unfinished(path);
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(RunError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io_error("locked", &name)(source)),
    }
}

/// Removes what a kill has left half-written. A file that stays does no harm.
fn remove_unfinished(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The first field that differs: (name, value there, value here). Where the data lie may change.
fn difference(run: &ExperimentSpec, asked: &ExperimentSpec) -> Option<(String, String, String)> {
    let fields =
        |spec: &ExperimentSpec| serde_json::to_value(spec).expect("a specification is JSON");
    let (run, asked) = (fields(run), fields(asked));
    let names = run.as_object()?.keys().chain(asked.as_object()?.keys());
    names.filter(|name| *name != "data_dir").find_map(|name| {
        let show = |value: Option<&serde_json::Value>| {
            value.map_or("not given".to_owned(), ToString::to_string)
        };
        let (run, asked) = (run.get(name), asked.get(name));
        (run != asked).then(|| (name.clone(), show(run), show(asked)))
    })
}
