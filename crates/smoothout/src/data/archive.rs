//! Walking a tar.gz without trusting it.
//!
//! Entries are met one by one. A link, a device, an absolute path or a `..` ends the walk with an
//! error before the entry is looked at; only the wanted files are read, and the unpacked stream is
//! cut off at a limit. Long-name records are never followed: the official archives have none.

use std::io::Read;
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::DataError;

/// The longest wanted file: CIFAR-100's training set has 153,700,000 bytes.
pub(super) const LONGEST_ENTRY: u64 = 256 << 20;

/// The longest unpacked archive.
const LONGEST_STREAM: u64 = 1 << 30;

/// Calls `visit` with (base name, size, content) of each ordinary file whose base name is wanted,
/// in the archive's order. `file` is for messages.
pub(super) fn visit(
    file: &Path,
    packed: impl Read,
    wanted: &[&str],
    mut visit: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let broken = |error: std::io::Error| {
        DataError::malformed(file, format!("a broken archive ({error})"), "a whole tar.gz file")
    };
    let mut stream = MultiGzDecoder::new(packed).take(LONGEST_STREAM);
    let mut archive = Archive::new(&mut stream);
    let mut seen = vec![false; wanted.len()];
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let refuse = |reason| DataError::UnsafeArchive {
            file: file.to_owned(),
            entry: path.to_string_lossy().into_owned(),
            reason,
        };
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XHeader | EntryType::XGlobalHeader => continue,
            EntryType::Link | EntryType::Symlink => return Err(refuse("it is a link")),
            _ => return Err(refuse("it is no ordinary file or folder")),
        }
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !path.components().all(inside) {
            return Err(refuse("its path leads out of the folder"));
        }
        let name = path.file_name().unwrap_or_default();
        let Some(place) = wanted.iter().position(|&wanted| name == wanted) else { continue };
        if std::mem::replace(&mut seen[place], true) {
            return Err(refuse("it is there twice"));
        }
        let size = entry.size();
        if size > LONGEST_ENTRY {
            return Err(refuse("it claims more bytes than any file of the data set has"));
        }
        visit(wanted[place], size, &mut entry)?;
    }
    if let Some(place) = seen.iter().position(|&seen| !seen) {
        return Err(DataError::malformed(
            file,
            format!("an archive without {}", wanted[place]),
            format!("one with {}", wanted.join(", ")),
        ));
    }
    // What follows the end mark must be padding, and the checksum of gzip must hold.
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest).map_err(broken)? {
            0 => break,
            len if rest[..len].iter().all(|&byte| byte == 0) => {}
            _ => {
                return Err(DataError::malformed(
                    file,
                    "data behind the archive's end",
                    "nothing but zeros there",
                ));
            }
        }
    }
    Ok(())
}

/// The content of an entry that claims `size` bytes: memory grows with what arrives, not with the
/// claim.
pub(super) fn read_entry(
    file: &Path,
    name: &str,
    size: u64,
    content: &mut dyn Read,
) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let arrived = content.take(size).read_to_end(&mut bytes);
    match arrived {
        Ok(len) if len as u64 == size => Ok(bytes),
        Ok(len) => Err(DataError::malformed(
            file,
            format!("{len} bytes of {name}"),
            format!("the {size} bytes that its header claims"),
        )),
        Err(error) => Err(DataError::malformed(
            file,
            format!("broken data in {name} ({error})"),
            "a whole tar.gz file",
        )),
    }
}
