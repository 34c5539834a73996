//! Fetching a data set: download, checksum, unpack.
//!
//! A file takes its name only after its checksum was right. A wrong one is kept aside as
//! `<file>.bad`. An archive is unpacked to its known files alone, each written beside its place
//! and renamed; the archive stays, so that it can be verified.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::download::{Event, download};
use super::published::{Checked, Source, md5_of, sources};
use super::{DataError, DataSetName, Split, cifar};

/// What to fetch, from where, to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The data set.
    pub name: DataSetName,
    /// Another address than the official one: the archive's, or the folder of MNIST's four files.
    pub url: Option<String>,
    /// The folder to put the files in; `data/<name>` under the current one if none is named.
    pub data_dir: Option<PathBuf>,
    /// The md5 of an archive that is not the official one.
    pub md5: Option<String>,
}

impl Fetch {
    /// The official data set, to `data/<name>` under the current folder.
    pub fn new(name: DataSetName) -> Self {
        Self { name, url: None, data_dir: None, md5: None }
    }

    /// Fetches what is not there yet and returns the folder.
    ///
    /// # Errors
    /// A failed download (its part is kept and resumed by the next), a wrong checksum (the file is
    /// kept as `.bad`), an unsafe or broken archive.
    pub fn run(&self, report: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf, DataError> {
        let sources = self.sources()?;
        let folder =
            self.data_dir.clone().unwrap_or_else(|| Path::new("data").join(self.name.as_str()));
        fs::create_dir_all(&folder).map_err(DataError::io("make the folder", &folder))?;
        for source in &sources {
            fetch_file(source, &folder, report)?;
            if source.checked == Checked::File {
                unpack(self.name, &folder.join(source.file), &folder)?;
            }
        }
        Ok(folder)
    }

    /// The official sources with the user's changes.
    fn sources(&self) -> Result<Vec<Source>, DataError> {
        let mut sources = sources(self.name);
        if sources.is_empty() {
            return Err(DataError::Argument {
                what: "the data set to fetch",
                found: self.name.to_string(),
                expected: "mnist, cifar10 or cifar100; put images of your own in a folder".into(),
            });
        }
        for source in &mut sources {
            match &self.url {
                Some(url) if source.checked == Checked::Unpacked || url.ends_with('/') => {
                    source.url = format!("{}/{}", url.trim_end_matches('/'), source.file);
                }
                Some(url) => source.url.clone_from(url),
                None => {}
            }
            if let Some(md5) = &self.md5 {
                let is_md5 = md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_md5 || source.checked == Checked::Unpacked {
                    return Err(DataError::Argument {
                        what: "--md5",
                        found: md5.clone(),
                        expected: "the 32 hexadecimal digits of a CIFAR archive".into(),
                    });
                }
                source.md5 = md5.to_ascii_lowercase();
            }
        }
        Ok(sources)
    }
}

/// Downloads one file unless it is there, and gives it its name if the checksum is right.
fn fetch_file(
    source: &Source,
    folder: &Path,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<(), DataError> {
    let target = folder.join(source.file);
    let beside = |ending| folder.join(format!("{}.{ending}", source.file));
    if target.exists() {
        if md5_of(&target, source.checked)? == source.md5 {
            report(Event::Note(&format!("{} is there already", target.display())));
            return Ok(());
        }
        let bad = beside("bad");
        fs::rename(&target, &bad).map_err(DataError::io("rename", &target))?;
        let note = format!(
            "{} has another checksum than the published one: kept as {}",
            target.display(),
            bad.display()
        );
        report(Event::Note(&note));
    }
    let part = beside("part");
    download(&source.url, &part, source.file, report)?;
    let found = md5_of(&part, source.checked)?;
    if found != source.md5 {
        let bad = beside("bad");
        fs::rename(&part, &bad).map_err(DataError::io("rename", &part))?;
        return Err(DataError::Checksum {
            file: target,
            found,
            expected: source.md5.clone(),
            kept_as: Some(bad),
        });
    }
    fs::rename(&part, &target).map_err(DataError::io("rename", &part))
}

/// Writes the data files of a CIFAR archive to the official folder, after all of them were read
/// and found right.
fn unpack(name: DataSetName, archive: &Path, folder: &Path) -> Result<(), DataError> {
    let Some(format) = cifar::Format::of(name) else { return Ok(()) };
    let files = [format.train, format.test].concat();
    let contents = cifar::read_archive(archive, &files)?;
    for (file, content) in &contents {
        cifar::decode(name, Split::Train, file, content)?;
    }
    let folder = folder.join(format.folder);
    fs::create_dir_all(&folder).map_err(DataError::io("make the folder", &folder))?;
    for (name, (_, content)) in files.iter().zip(&contents) {
        let target = folder.join(name);
        write(&folder, &target, content).map_err(DataError::io("write", &target))?;
    }
    Ok(())
}

/// Writes a whole file or none.
fn write(folder: &Path, target: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}
