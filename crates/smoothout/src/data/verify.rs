//! Holding the files against their published checksums, and where there is none, against their
//! format.

use std::path::{Path, PathBuf};

use super::published::{self, Checked, md5_of};
use super::{DataError, DataSet, DataSetName, Split, cifar, locate, mnist};

/// A file or split that was checked, and what came out.
#[derive(Debug)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is right about it, or what is wrong.
    pub outcome: Result<String, DataError>,
}

/// Checks every file of a data set.
///
/// MNIST: md5 of each file's raw content; CIFAR-10: of each file, or of the archive; CIFAR-100: of
/// the archive, and the structure of files without one; a folder: classes and number of images
/// (images are decoded when they are used).
///
/// # Errors
/// [`DataError::NotFound`]; what is wrong with a file is in its [`Finding`].
pub fn verify(name: DataSetName, data_dir: Option<&Path>) -> Result<Vec<Finding>, DataError> {
    Ok(check(name, &locate::data_folder(name, data_dir)?))
}

/// Checks what the reader would take from the folder that holds the files.
pub(super) fn check(name: DataSetName, folder: &Path) -> Vec<Finding> {
    let Some(format) = cifar::Format::of(name) else {
        return match name {
            DataSetName::Mnist => published::MNIST
                .iter()
                .map(|(file, md5)| {
                    let path = mnist::find(folder, file);
                    let path = path.ok_or_else(|| mnist::missing(folder, file));
                    checksum(path, folder, md5, Checked::Unpacked)
                })
                .collect(),
            _ => structure(name, folder),
        };
    };
    let mut findings = Vec::new();
    let archive = folder.join(format.archive);
    if archive.exists() {
        let md5 = &published::sources(name)[0].md5;
        findings.push(checksum(Ok(archive), folder, md5, Checked::File));
    }
    if let Some(cifar::Place::Unpacked(place)) = format.find(folder) {
        if name == DataSetName::Cifar10 {
            let check = |(file, md5): &(&str, &str)| {
                let path = cifar::Format::existing(name, folder, &place, file);
                checksum(path, &place, md5, Checked::File)
            };
            findings.extend(published::CIFAR10.iter().map(check));
        } else {
            findings.extend(structure(name, folder));
        }
    }
    findings
}

/// The md5 of a file that should be there; `place` stands for one that is missing.
fn checksum(
    path: Result<PathBuf, DataError>,
    place: &Path,
    expected: &str,
    checked: Checked,
) -> Finding {
    let path = match path {
        Ok(path) => path,
        Err(error) => return Finding { path: place.to_owned(), outcome: Err(error) },
    };
    let outcome = md5_of(&path, checked).and_then(|found| {
        if found == expected {
            return Ok(format!("md5 {found}, as published"));
        }
        let (file, expected) = (path.clone(), expected.to_owned());
        Err(DataError::Checksum { file, found, expected, kept_as: None })
    });
    Finding { path, outcome }
}

/// Both splits are read as they would be to train: CIFAR-100 must have its published number.
fn structure(name: DataSetName, folder: &Path) -> Vec<Finding> {
    let check = |split, published| {
        let set = DataSet::load(name, Some(folder), split)?;
        if name == DataSetName::Cifar100 && set.len() != published {
            return Err(DataError::malformed(
                folder,
                format!("{} images in the {split} split", set.len()),
                format!("{published}"),
            ));
        }
        Ok(format!(
            "{split} split: {} images of {} classes, the structure is right (no checksum of these \
             files is published)",
            set.len(),
            set.classes
        ))
    };
    [(Split::Train, 50_000), (Split::Test, 10_000)]
        .into_iter()
        .map(|(split, published)| Finding {
            path: folder.to_owned(),
            outcome: check(split, published),
        })
        .collect()
}
