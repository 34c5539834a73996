//! Fetching a data set: download, checksum, unpack.
//!
//! A file takes its name only after its checksum was right. A wrong one is kept aside as
//! `<file>.bad`, and so is each wrong file that the reader would take before the fetched ones. An
//! archive is unpacked to its known files alone, each written beside its place and renamed; the
//! archive stays, so that it can be verified. One fetch at a time writes to a folder.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::download::{Event, download};
use super::published::{Checked, Source, md5_of, sources};
use super::{DataError, DataSetName, Split, archive, bounded, cifar, locate, mnist, verify};

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

    /// Fetches what is not there yet and returns the folder. Where all that the reader would take
    /// from it is right, nothing is fetched.
    ///
    /// # Errors
    /// A failed download (its part is kept and resumed by the next), a wrong checksum (the file is
    /// kept as `.bad`), an unsafe or broken archive, another fetch into the folder.
    pub fn run(&self, report: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf, DataError> {
        let sources = self.sources()?;
        let folder =
            self.data_dir.clone().unwrap_or_else(|| Path::new("data").join(self.name.as_str()));
        if self.is_there(&folder) {
            let place = folder.display();
            let note = format!("{place}: all is right that `data verify` checks, nothing to fetch");
            report(Event::Note(&note));
            return Ok(folder);
        }
        fs::create_dir_all(&folder).map_err(DataError::io("make the folder", &folder))?;
        let _lock = lock(&folder)?;
        for source in &sources {
            fetch_file(source, &folder, report)?;
            if source.checked == Checked::File {
                unpack(self.name, &folder.join(source.file), &folder, report)?;
            }
        }
        Ok(folder)
    }

    /// Whether the folder holds the official files, unpacked and right. What an archive of the
    /// user's own should hold is not known before it is read.
    fn is_there(&self, folder: &Path) -> bool {
        let unpacked = cifar::Format::of(self.name)
            .is_none_or(|format| matches!(format.find(folder), Some(cifar::Place::Unpacked(_))));
        self.md5.is_none()
            && unpacked
            && locate::holds(self.name, folder)
            && verify::check(self.name, folder).iter().all(|finding| finding.outcome.is_ok())
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

/// Keeps other fetches out of the folder as long as the file lives.
fn lock(folder: &Path) -> Result<File, DataError> {
    let name = folder.join(".lock");
    let file = File::create(&name).map_err(DataError::io("write", &name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(DataError::io("lock", &name)(source)),
    }
}

/// Downloads one file unless it is there, and gives it its name if the checksum is right.
fn fetch_file(
    source: &Source,
    folder: &Path,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<(), DataError> {
    let target = folder.join(source.file);
    while let Some(found) = taken(source, folder) {
        match md5_of(&found, source.checked) {
            Ok(md5) if md5 == source.md5 => {
                report(Event::Note(&format!("{} is there already", found.display())));
                return Ok(());
            }
            Err(error @ DataError::Io { .. }) => return Err(error),
            _ => set_aside(&found, "is not as published", report)?,
        }
    }
    let part = beside(&target, "part");
    let resumed = download(&source.url, &part, source.file, report)?;
    let mut found = md5_of(&part, source.checked)?;
    if found != source.md5 && resumed {
        let note = format!(
            "{}: the parts do not fit together, perhaps of two mirrors that pack differently: \
             from the beginning",
            part.display()
        );
        report(Event::Note(&note));
        fs::remove_file(&part).map_err(DataError::io("remove", &part))?;
        download(&source.url, &part, source.file, report)?;
        found = md5_of(&part, source.checked)?;
    }
    if found != source.md5 {
        let bad = beside(&target, "bad");
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

/// The file that the reader would take for this one: of MNIST a raw one comes before a gzipped one.
fn taken(source: &Source, folder: &Path) -> Option<PathBuf> {
    match source.checked {
        Checked::File => Some(folder.join(source.file)).filter(|file| file.exists()),
        Checked::Unpacked => mnist::find(folder, source.file.trim_end_matches(".gz")),
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Renames a file that the reader would take to `<file>.bad`.
fn set_aside(file: &Path, why: &str, report: &mut dyn FnMut(Event<'_>)) -> Result<(), DataError> {
    let bad = beside(file, "bad");
    fs::rename(file, &bad).map_err(DataError::io("rename", file))?;
    let note = format!("{} {why}: kept as {}", file.display(), bad.display());
    report(Event::Note(&note));
    Ok(())
}

/// Writes the data files of a CIFAR archive to the official folder, after all of them were read
/// and found right. Files of the same names that hold something else, there or in the data folder
/// itself, which the reader looks at first, are set aside.
fn unpack(
    name: DataSetName,
    archive: &Path,
    folder: &Path,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<(), DataError> {
    let Some(format) = cifar::Format::of(name) else { return Ok(()) };
    let files = [format.train, format.test].concat();
    let contents = cifar::read_archive(archive, &files)?;
    for (file, content) in &contents {
        cifar::decode(name, Split::Train, file, content)?;
    }
    let unpacked = folder.join(format.folder);
    fs::create_dir_all(&unpacked).map_err(DataError::io("make the folder", &unpacked))?;
    for (name, (_, content)) in files.iter().zip(&contents) {
        for file in [folder.join(name), unpacked.join(name)] {
            if file.exists() && !holds(&file, content)? {
                set_aside(&file, "is not what the archive holds", report)?;
            }
        }
        let target = unpacked.join(name);
        if !target.exists() {
            write(&unpacked, &target, content).map_err(DataError::io("write", &target))?;
        }
    }
    Ok(())
}

/// Whether a file has this content.
fn holds(file: &Path, content: &[u8]) -> Result<bool, DataError> {
    match bounded::read_file(file, archive::LONGEST_ENTRY) {
        Ok(found) => Ok(found == content),
        Err(error @ DataError::Io { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Writes a whole file or none.
fn write(folder: &Path, target: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}
