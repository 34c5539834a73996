//! What can be wrong with data: each message says what was found, what was expected, what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::DataSetName;
use crate::remedy::remedy;

/// A data set that cannot be found, read, fetched or cut into batches.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A name that is no data set's.
    #[error("unknown data set {found:?}: choose one of {}", DataSetName::list())]
    UnknownName {
        /// The name that was given.
        found: String,
    },
    /// The files are in none of the places where they are looked for.
    #[error(
        "no {name} data here: looked in {}; {}",
        join(looked),
        advice(*name)
    )]
    NotFound {
        /// The data set.
        name: DataSetName,
        /// Every folder that was looked at.
        looked: Vec<PathBuf>,
    },
    /// CIFAR's Python version.
    #[error(
        "{}: the Python version of {name} is pickle files, which can run code when they are read; \
         the binary version is expected: run `smoothout data fetch {name}`, or convert the files \
         in Python, as data/README.md says",
        path.display()
    )]
    Pickled {
        /// The data set.
        name: DataSetName,
        /// The archive, folder or file.
        path: PathBuf,
    },
    /// A file is missing beside others of its data set.
    #[error(
        "{}: the file is missing, expected it beside the other files of {name}; run `smoothout \
         data fetch {name} --data-dir {}`, or name another folder with --data-dir",
        file.display(),
        fetch_to.display()
    )]
    MissingFile {
        /// The data set.
        name: DataSetName,
        /// The file.
        file: PathBuf,
        /// The folder to fetch the data set to.
        fetch_to: PathBuf,
    },
    /// A file whose content is not what its format demands.
    #[error("{}: found {found}, expected {expected}; {advice}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What the format demands.
        expected: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A label that names no class.
    #[error(
        "{}: the label of record {record} is {found}, expected one below {classes}; the file is damaged or of another data set, fetch it again",
        file.display()
    )]
    Label {
        /// The file.
        file: PathBuf,
        /// The record, counted from 0.
        record: usize,
        /// The label.
        found: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A folder without `train`, whose classes may have other numbers than the network's.
    #[error(
        "{}: found {found} class folders and no train/, which numbers the classes, expected the {expected} of the network; put a folder of each class, empty or not, into train/",
        folder.display()
    )]
    Unnumbered {
        /// The folder of the split.
        folder: PathBuf,
        /// Its subfolders.
        found: usize,
        /// The network's classes.
        expected: usize,
    },
    /// Content whose checksum is not the published one.
    #[error(
        "{}: found md5 {found}, expected {expected}; {}",
        file.display(),
        kept(kept_as.as_deref())
    )]
    Checksum {
        /// The file.
        file: PathBuf,
        /// The md5 of its content.
        found: String,
        /// The published md5.
        expected: String,
        /// Where the refused file was put.
        kept_as: Option<PathBuf>,
    },
    /// An archive that reaches outside its folder, or holds links.
    #[error(
        "{}: refused the entry {entry:?}: {reason}; nothing of it was written, take the archive from the official address",
        file.display()
    )]
    UnsafeArchive {
        /// The archive.
        file: PathBuf,
        /// The entry's path.
        entry: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A download that failed; a part that arrived is kept.
    #[error(
        "download of {url} failed: {reason}; run the command again to go on where it stopped, or give another --url"
    )]
    Download {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Another fetch writes to the folder.
    #[error(
        "{}: another `smoothout data fetch` is at work in this folder: wait until it has ended, or name another folder with --data-dir",
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// An argument that makes no sense for the data set.
    #[error("{what} is {found}, expected {expected}")]
    Argument {
        /// The argument.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl DataError {
    /// Whether the user's files or arguments are at fault (the program's exit code 2) and not the
    /// network or the disk (1).
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Download { .. } => false,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::AlreadyExists
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
            ),
            _ => true,
        }
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn malformed(
        file: &Path,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Malformed {
            file: file.to_owned(),
            found: found.into(),
            expected: expected.into(),
            advice: "the file is cut, damaged or of another data set: fetch it again",
        }
    }

    /// A folder of the user's own images that is not laid out as it must be.
    pub(super) fn layout(
        folder: &Path,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Malformed {
            file: folder.to_owned(),
            found: found.into(),
            expected: expected.into(),
            advice: "put the images into train/<class>/ and val/<class>/, with the same classes",
        }
    }
}

fn join(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn advice(name: DataSetName) -> String {
    match name {
        DataSetName::Folder => "name the folder that holds train/<class>/ and val/<class>/ \
                                (or test/<class>/) with --data-dir"
            .into(),
        _ => format!(
            "run `smoothout data fetch {name}`, or name the folder that holds its files with \
             --data-dir"
        ),
    }
}

fn kept(place: Option<&Path>) -> String {
    place.map_or_else(
        || "the file is damaged or of another version: fetch it again".into(),
        |place| {
            format!(
                "the file is refused and kept as {}: fetch again, from another --url if it \
                 happens twice",
                place.display()
            )
        },
    )
}
