//! CIFAR-10 and CIFAR-100, binary version: records of labels and 3072 pixel bytes.
//!
//! ```text
//! CIFAR-10    label, 1024 red, 1024 green, 1024 blue          3073 bytes
//! CIFAR-100   coarse label, fine label, the same pixels       3074 bytes (fine labels are used)
//! ```
//! Each colour is a plane of 32 rows of 32; here they become channels last. The files are read
//! from a folder, from the folder that the official archive unpacks to, or from the archive itself.
//!
//! A file may hold any number of records, so that a small sample can be used; the five training
//! files of CIFAR-10 must hold the same number, so that one cut between two records is noticed.
//!
//! # Source
//! A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{DataError, DataSet, DataSetName, Images, Split, archive, bounded};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const PIXELS: usize = 3 * PLANE;

/// What differs between the two: label bytes, classes, files and folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    label_bytes: usize,
    classes: usize,
    /// The folder in the official archive.
    pub(super) folder: &'static str,
    /// The official archive.
    pub(super) archive: &'static str,
    /// The archive and the folder of the Python version, which are pickle files.
    pickled: [&'static str; 2],
    pub(super) train: &'static [&'static str],
    pub(super) test: &'static [&'static str],
}

const CIFAR10: Format = Format {
    label_bytes: 1,
    classes: 10,
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    pickled: ["cifar-10-python.tar.gz", "cifar-10-batches-py"],
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
};

const CIFAR100: Format = Format {
    label_bytes: 2,
    classes: 100,
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    pickled: ["cifar-100-python.tar.gz", "cifar-100-python"],
    train: &["train.bin"],
    test: &["test.bin"],
};

impl Format {
    /// The format of a CIFAR data set; none of the others.
    pub(super) fn of(name: DataSetName) -> Option<Self> {
        match name {
            DataSetName::Cifar10 => Some(CIFAR10),
            DataSetName::Cifar100 => Some(CIFAR100),
            DataSetName::Mnist | DataSetName::Folder => None,
        }
    }

    /// The files of a split.
    pub(super) fn files(&self, split: Split) -> &'static [&'static str] {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }

    /// Where the data lie in `folder`, if they do: unpacked and whole, else the archive, else the
    /// files that are there.
    pub(super) fn find(&self, folder: &Path) -> Option<Place> {
        let unpacked = [folder.to_owned(), folder.join(self.folder)];
        let there = |folder: &PathBuf| {
            let files = self.train.iter().chain(self.test);
            files.filter(|file| folder.join(file).exists()).count()
        };
        let whole = self.train.len() + self.test.len();
        let archive = folder.join(self.archive);
        if let Some(folder) = unpacked.iter().find(|folder| there(folder) == whole) {
            Some(Place::Unpacked(folder.clone()))
        } else if archive.exists() {
            Some(Place::Archive(archive))
        } else {
            unpacked.into_iter().find(|folder| there(folder) > 0).map(Place::Unpacked)
        }
    }

    /// The Python version of the data set in `folder`, which is refused.
    pub(super) fn find_pickled(&self, folder: &Path) -> Option<PathBuf> {
        let file = self.train[0].trim_end_matches(".bin");
        let mut places = self.pickled.iter().chain([&file]).map(|name| folder.join(name));
        places.find(|place| place.exists())
    }

    /// A file of the data set in `place`, which must be there; `folder` is the data set's.
    pub(super) fn existing(
        name: DataSetName,
        folder: &Path,
        place: &Path,
        file: &str,
    ) -> Result<PathBuf, DataError> {
        let file = place.join(file);
        if file.exists() {
            return Ok(file);
        }
        Err(DataError::MissingFile { name, file, fetch_to: folder.to_owned() })
    }
}

/// Where the files of a CIFAR data set are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In this folder.
    Unpacked(PathBuf),
    /// In this archive.
    Archive(PathBuf),
}

/// Reads a split from the folder that holds the files or the archive.
pub(super) fn read(name: DataSetName, folder: &Path, split: Split) -> Result<DataSet, DataError> {
    let not_found = || DataError::NotFound { name, looked: vec![folder.to_owned()] };
    let format = Format::of(name).ok_or_else(not_found)?;
    let files = format.files(split);
    let contents: Vec<(PathBuf, Vec<u8>)> = match format.find(folder).ok_or_else(not_found)? {
        Place::Unpacked(place) => files
            .iter()
            .map(|file| {
                let file = Format::existing(name, folder, &place, file)?;
                bounded::read_file(&file, archive::LONGEST_ENTRY).map(|content| (file, content))
            })
            .collect::<Result<_, _>>()?,
        Place::Archive(file) => read_archive(&file, files)?,
    };
    let mut set = empty(name, split, format.classes);
    let mut images = Vec::with_capacity(contents.iter().map(|(_, content)| content.len()).sum());
    let expected = contents.first().map_or(0, |(_, content)| content.len());
    for (file, content) in contents {
        decode_into(&file, &content, format, &mut images, &mut set.labels)?;
        if content.len() != expected {
            return Err(DataError::malformed(
                &file,
                format!("{} bytes", content.len()),
                format!("{expected} bytes, the length of {}", files[0]),
            ));
        }
    }
    set.images = Images::Memory(images);
    Ok(set)
}

/// The wanted files of the official archive, in the order of `files`.
pub(super) fn read_archive(
    file: &Path,
    files: &[&str],
) -> Result<Vec<(PathBuf, Vec<u8>)>, DataError> {
    let packed: BufReader<File> = BufReader::new(bounded::open(file, bounded::LONGEST)?);
    let mut contents = vec![(PathBuf::new(), Vec::new()); files.len()];
    archive::visit(file, packed, files, |name, size, content| {
        let bytes = archive::read_entry(file, name, size, content)?;
        let place = files.iter().position(|file| *file == name).expect("a wanted name");
        contents[place] = (file.join(name), bytes);
        Ok(())
    })?;
    Ok(contents)
}

/// Decodes the content of one CIFAR file. `file` is for messages.
///
/// # Errors
/// A data set other than CIFAR, a length that is no positive multiple of a record's, and a label
/// beyond the classes.
pub fn decode(
    name: DataSetName,
    split: Split,
    file: &Path,
    content: &[u8],
) -> Result<DataSet, DataError> {
    let format = Format::of(name).ok_or_else(|| DataError::Argument {
        what: "the data set of a CIFAR file",
        found: name.to_string(),
        expected: "cifar10 or cifar100".into(),
    })?;
    let mut set = empty(name, split, format.classes);
    let mut images = Vec::with_capacity(content.len());
    decode_into(file, content, format, &mut images, &mut set.labels)?;
    set.images = Images::Memory(images);
    Ok(set)
}

fn empty(name: DataSetName, split: Split, classes: usize) -> DataSet {
    DataSet {
        name,
        split,
        images: Images::Memory(Vec::new()),
        labels: Vec::new(),
        height: SIDE,
        width: SIDE,
        channels: 3,
        classes,
    }
}

/// Appends the records of one file, planes to channels last.
fn decode_into(
    file: &Path,
    content: &[u8],
    format: Format,
    images: &mut Vec<u8>,
    labels: &mut Vec<u16>,
) -> Result<(), DataError> {
    let record_len = format.label_bytes + PIXELS;
    if content.is_empty() || !content.len().is_multiple_of(record_len) {
        return Err(DataError::malformed(
            file,
            format!("{} bytes", content.len()),
            format!("a positive multiple of {record_len}, the length of a record"),
        ));
    }
    for (record, bytes) in content.chunks_exact(record_len).enumerate() {
        let (label, pixels) = bytes.split_at(format.label_bytes);
        let label = label[format.label_bytes - 1];
        if usize::from(label) >= format.classes {
            return Err(DataError::Label {
                file: file.to_owned(),
                record,
                found: label.into(),
                classes: format.classes,
            });
        }
        labels.push(label.into());
        let (red, rest) = pixels.split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        let planes = red.iter().zip(green).zip(blue);
        images.extend(planes.flat_map(|((&red, &green), &blue)| [red, green, blue]));
    }
    Ok(())
}
