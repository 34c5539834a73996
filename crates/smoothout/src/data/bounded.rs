//! Reading no more than a format can justify.
//!
//! A header is a claim. Before anything is allocated, a claim is held against the size of the file
//! (deflate packs at most 1032 bytes into one), and whatever is unpacked is unpacked through a
//! limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::DataError;

/// Deflate's best ratio, 258 bytes for two bits, rounded up (zlib's technical notes).
pub(super) const DEFLATE_RATIO: u64 = 1032;

/// The longest data file that is read into memory: EMNIST's largest has half of it.
pub(super) const LONGEST: u64 = 1 << 30;

/// The content of an ordinary file of at most `limit` bytes.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let file = open(path, limit)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(DataError::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(DataError::malformed(path, "a growing file", format!("at most {limit} bytes")));
    }
    Ok(bytes)
}

/// Opens an ordinary file of at most `limit` bytes: pipes and devices have no end to rely on.
pub(super) fn open(path: &Path, limit: u64) -> Result<File, DataError> {
    let metadata = path.metadata().map_err(DataError::io("read", path))?;
    if !metadata.is_file() {
        return Err(DataError::malformed(path, "no ordinary file", "a data file"));
    }
    if metadata.len() > limit {
        return Err(DataError::malformed(
            path,
            format!("{} bytes", metadata.len()),
            format!("at most {limit} bytes"),
        ));
    }
    File::open(path).map_err(DataError::io("open", path))
}

/// Whether the bytes begin as gzip does.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The first `len` bytes of what `packed` unpacks to, or all if there are fewer.
pub(super) fn unzip_prefix(file: &Path, packed: &[u8], len: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).take(len).read_to_end(&mut bytes).map_err(|error| {
        DataError::malformed(file, format!("broken gzip data ({error})"), "a whole gzip file")
    })?;
    Ok(bytes)
}

/// All that `packed` unpacks to: exactly `len` bytes.
pub(super) fn unzip_exactly(file: &Path, packed: &[u8], len: u64) -> Result<Vec<u8>, DataError> {
    if len > DEFLATE_RATIO * packed.len() as u64 {
        return Err(DataError::malformed(
            file,
            format!("a header that claims {len} bytes in a gzip file of {}", packed.len()),
            "a claim that the file's size can hold",
        ));
    }
    let bytes = unzip_prefix(file, packed, len + 1)?;
    if bytes.len() as u64 != len {
        let more = if bytes.len() as u64 > len { "more" } else { "fewer" };
        return Err(DataError::malformed(
            file,
            format!("{more} than the {len} bytes of its header's claim"),
            format!("{len} bytes after unpacking"),
        ));
    }
    Ok(bytes)
}
