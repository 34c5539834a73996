//! IDX, the format of MNIST: a magic number, the extents, then the values.
//!
//! ```text
//! 0 0 8 d            bytes: zero, zero, type (8 = unsigned byte), number of extents d
//! n_1 .. n_d         d big-endian u32
//! values             n_1 n_2 .. n_d bytes, the last extent fastest
//! ```
//!
//! # Source
//! Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

use std::path::Path;

use super::{DataError, bounded};

/// An array of bytes as an IDX file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The extents, each at least 1.
    pub shape: Vec<usize>,
    /// The values, the last extent fastest.
    pub values: Vec<u8>,
}

/// Decodes the content of an IDX file of `extents` extents, raw or gzipped. `file` is for messages.
///
/// ```
/// use smoothout::data::idx::decode;
///
/// let bytes = [0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9];
/// let labels = decode("labels".as_ref(), &bytes, 1)?;
/// assert_eq!(labels.values, [7, 8, 9]);
/// assert!(decode("labels".as_ref(), &bytes[..10], 1).is_err()); // a byte is missing
/// # Ok::<(), smoothout::data::DataError>(())
/// ```
///
/// # Errors
/// Another magic number, an extent of 0, and values that are fewer or more than the header claims;
/// a claim that the file cannot hold is refused before anything is allocated.
pub fn decode(file: &Path, content: &[u8], extents: usize) -> Result<Idx, DataError> {
    let header_len = 4 + 4 * extents;
    let zipped = bounded::is_gzip(content);
    let unzipped;
    let header = if zipped {
        unzipped = bounded::unzip_prefix(file, content, header_len as u64)?;
        &unzipped[..]
    } else {
        &content[..header_len.min(content.len())]
    };
    let shape = shape(file, header, extents)?;
    let len = shape
        .iter()
        .try_fold(1_u64, |len, &extent| len.checked_mul(extent as u64))
        .and_then(|values| values.checked_add(header_len as u64))
        .filter(|&len| len <= bounded::LONGEST)
        .ok_or_else(|| {
            DataError::malformed(
                file,
                format!("a header that claims {shape:?} values"),
                format!("at most {} bytes", bounded::LONGEST),
            )
        })?;
    let values = if zipped {
        let mut all = bounded::unzip_exactly(file, content, len)?;
        all.drain(..header_len);
        all
    } else if content.len() as u64 == len {
        content[header_len..].to_vec()
    } else {
        return Err(DataError::malformed(
            file,
            format!("{} bytes", content.len()),
            format!("{len} bytes, as its header's extents {shape:?} demand"),
        ));
    };
    Ok(Idx { shape, values })
}

/// The extents that a header claims.
fn shape(file: &Path, header: &[u8], extents: usize) -> Result<Vec<usize>, DataError> {
    let expected = || format!("the magic number 0 0 8 {extents} and {extents} extents above 0");
    if header.len() < 4 + 4 * extents {
        return Err(DataError::malformed(
            file,
            format!("a header of {} bytes", header.len()),
            expected(),
        ));
    }
    let (magic, sizes) = header.split_at(4);
    let (words, _) = sizes.as_chunks::<4>();
    let shape: Vec<_> = words.iter().map(|&word| u32::from_be_bytes(word) as usize).collect();
    if magic != [0, 0, 8, extents as u8] || shape.contains(&0) {
        return Err(DataError::malformed(
            file,
            format!("the magic number {magic:?} and the extents {shape:?}"),
            expected(),
        ));
    }
    Ok(shape)
}
