//! `smoothout data`: fetch, verify, list.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::data::{DataError, DataSetName, Event, Fetch, data_folder, description, verify};

/// Fetch, verify and list the data sets.
#[derive(Debug, Clone, Args)]
pub(super) struct DataCommand {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the data sets.
#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Download a data set, check it and unpack it; an interrupted download goes on where it
    /// stopped.
    Fetch {
        /// mnist, cifar10 or cifar100
        name: DataSetName,
        /// Another address: of the archive, or of the folder with MNIST's four .gz files
        #[arg(long)]
        url: Option<String>,
        /// Where to put the files [default: data/<NAME>]
        #[arg(long)]
        data_dir: Option<PathBuf>,
        /// The md5 of a CIFAR archive that is not the official one
        #[arg(long)]
        md5: Option<String>,
    },
    /// Check the files against their published checksums.
    Verify {
        /// mnist, cifar10, cifar100 or folder [default: all that are found]
        name: Option<DataSetName>,
        /// The folder that holds the files
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// List the known data sets, where they are, their size and licence.
    List {
        /// The folder that holds the files
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
}

impl DataCommand {
    /// Runs the command; a [`DataError`] tells whether the input or the run is at fault.
    ///
    /// # Errors
    /// As [`Fetch::run`] and [`verify`]; `verify` names every file before it fails.
    pub(super) fn run(self) -> Result<()> {
        match self.action {
            Action::Fetch { name, url, data_dir, md5 } => {
                let mut progress = Progress::default();
                let fetch = Fetch { name, url, data_dir, md5 };
                let folder = fetch.run(&mut |event| progress.show(event))?;
                say!("{name} is in {}", folder.display());
            }
            Action::Verify { name, data_dir } => {
                let missing = |name: &DataSetName| {
                    let folder = data_folder(*name, data_dir.as_deref());
                    matches!(folder, Err(DataError::NotFound { .. }))
                };
                let mut names = name.map_or_else(
                    || DataSetName::ALL.into_iter().filter(|name| !missing(name)).collect(),
                    |name| vec![name],
                );
                if names.is_empty() && data_dir.is_none() {
                    say!("no data set is found; MNIST is built into the program");
                } else if names.is_empty() {
                    // The error that says where MNIST was looked for.
                    names.push(DataSetName::Mnist);
                }
                let mut wrong = None;
                for name in names {
                    if name == DataSetName::Mnist && data_dir.is_none() && missing(&name) {
                        say!("no mnist files are found; MNIST is built into the program");
                        continue;
                    }
                    for finding in verify(name, data_dir.as_deref())? {
                        match finding.outcome {
                            Ok(text) => say!("ok     {}: {text}", finding.path.display()),
                            Err(error) => {
                                say!("WRONG  {error}");
                                wrong.get_or_insert(error);
                            }
                        }
                    }
                }
                wrong.map_or(Ok(()), Err)?;
            }
            Action::List { data_dir } => {
                for name in DataSetName::ALL {
                    let [content, size, licence, cite] = description(name);
                    let place = match data_folder(name, data_dir.as_deref()) {
                        Ok(folder) => folder.display().to_string(),
                        Err(_) if name == DataSetName::Mnist && data_dir.is_none() => {
                            "built into the program".to_owned()
                        }
                        Err(_) => "not found".to_owned(),
                    };
                    say!(
                        "{name}\n  content  {content}\n  size     {size}\n  licence  {licence}\n  \
                         cite     {cite}\n  found    {place}"
                    );
                }
            }
        }
        Ok(())
    }
}

/// A bar on a terminal, a line for each tenth elsewhere.
#[derive(Debug, Default)]
struct Progress {
    bar: Option<ProgressBar>,
    file: String,
    total: Option<u64>,
    tenths: u64,
}

impl Progress {
    fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Started { file, from, total } => {
                (self.file, self.total, self.tenths) = (file.into(), total, 0);
                self.bar = std::io::stderr().is_terminal().then(|| bar(file, from, total));
                if self.bar.is_none() {
                    let total = total.map_or("unknown".into(), |total| total.to_string());
                    note!("{file}: from byte {from} of {total}");
                }
            }
            Event::Received(bytes) => match (&self.bar, self.total) {
                (Some(bar), total) => {
                    bar.set_position(bytes);
                    if total == Some(bytes) {
                        bar.finish();
                    }
                }
                (None, Some(total)) if bytes * 10 / total.max(1) > self.tenths => {
                    self.tenths = bytes * 10 / total.max(1);
                    note!("{}: {} %", self.file, self.tenths * 10);
                }
                (None, _) => {}
            },
            Event::Note(text) => match &self.bar {
                Some(bar) => bar.println(text),
                None => note!("{text}"),
            },
        }
    }
}

fn bar(file: &str, from: u64, total: Option<u64>) -> ProgressBar {
    let template = if total.is_some() {
        "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
    } else {
        "{msg} {spinner} {bytes} {bytes_per_sec}"
    };
    let style = ProgressStyle::with_template(template).expect("a template of known keys");
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style);
    bar.with_message(file.to_owned()).with_position(from)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        data: DataCommand,
    }

    #[test]
    fn the_commands_are_understood() {
        let parse = |line: &str| Program::try_parse_from(line.split(' '));
        assert!(parse("data fetch cifar10 --url http://x/y.tar.gz --data-dir d").is_ok());
        assert!(parse("data verify").is_ok());
        assert!(parse("data list --data-dir d").is_ok());
        assert!(parse("data fetch").is_err());
        let text = parse("data verify cifar").unwrap_err().to_string();
        assert!(text.contains("mnist, cifar10, cifar100, folder"), "{text}");
    }

    /// The type of the error survives, so that the program can choose its exit code.
    #[test]
    fn errors_keep_their_type() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        let line = ["data", "verify", "mnist", "--data-dir", place];
        let error = Program::try_parse_from(line).unwrap().data.run().unwrap_err();
        assert!(error.downcast_ref::<DataError>().unwrap().is_bad_input());
    }
}
