//! A folder of images per class, in ImageNet's layout: `train/<class>/*.jpg` and `val/<class>/...`
//! (or `test/<class>/...`).
//!
//! The classes are the subfolders of `train` (where there is none, of the split), numbered in the
//! order of their names. Nothing is decoded before a batch needs it. An image is scaled (bilinear) until its shorter side has 256
//! pixels; the loader then crops 224 x 224 from it, in the middle to evaluate, anywhere to train.
//!
//! # Source
//! Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
//! networks", 2012, section 4.1.

use std::fs::{self, DirEntry};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{ImageReader, Limits};

use super::{DataError, DataSet, DataSetName, Images, Split, bounded};

/// The sizes of a folder's images: scaled, then cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderSize {
    /// The length of the shorter side after scaling.
    pub shorter_side: usize,
    /// Height and width of the crop, at most `shorter_side`.
    pub crop: usize,
}

/// ImageNet's sizes.
pub const IMAGENET: FolderSize = FolderSize { shorter_side: 256, crop: 224 };

const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "bmp"];
const LONGEST_FILE: u64 = 256 << 20;
const LONGEST_SIDE: u32 = 1 << 15;
const MOST_CLASSES: usize = 1 << 16;
/// An image whose sides differ by more is no photograph, and scaling it would need gigabytes.
const STEEPEST_RATIO: u32 = 32;
/// An image of so many bytes may always be decoded...
const SMALL_IMAGE: u64 = 1 << 20;
/// ... and a larger one if its file can hold it: deflate packs at most 1032 bytes into one (PNG),
/// each of which is up to 8 samples; JPEG and BMP pack less.
const BYTE_HOLDS: u64 = 8 * bounded::DEFLATE_RATIO;

/// Lists a split of a folder of images.
///
/// # Errors
/// Missing folders, a class without images, a class whose name is not UTF-8, a class of the test
/// split that `train` lacks, and a crop larger than the scaled image.
pub fn read(folder: &Path, split: Split, size: FolderSize) -> Result<DataSet, DataError> {
    if size.crop == 0 || size.crop > size.shorter_side {
        return Err(DataError::Argument {
            what: "the crop",
            found: size.crop.to_string(),
            expected: format!("from 1 to {}, the scaled image's shorter side", size.shorter_side),
        });
    }
    let train = folder.join("train");
    let test = ["val", "test"].map(|name| folder.join(name)).into_iter().find(|path| path.is_dir());
    let root = match split {
        Split::Train => train.clone(),
        Split::Test => test.unwrap_or_else(|| folder.join("val")),
    };
    let class_folder = if train.is_dir() { train } else { root.clone() };
    let classes = classes(&class_folder)?;
    let (mut paths, mut labels) = (Vec::new(), Vec::new());
    for class in self::classes(&root)? {
        let images = root.join(&class);
        let label = classes.binary_search(&class).map_err(|_| {
            DataError::layout(
                &images,
                "a class that the training split lacks",
                format!("the {} classes of {}", classes.len(), class_folder.display()),
            )
        })?;
        let files = image_files(&images)?;
        labels.extend(files.iter().map(|_| label as u16));
        paths.extend(files);
    }
    Ok(DataSet {
        name: DataSetName::Folder,
        split,
        images: Images::Files { paths, shorter_side: size.shorter_side, class_folder },
        labels,
        height: size.crop,
        width: size.crop,
        channels: 3,
        classes: classes.len(),
    })
}

/// The names of the subfolders, sorted.
fn classes(root: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in entries(root)?.iter().filter(|entry| is_folder(entry)) {
        let name = entry.file_name().into_string().map_err(|_| DataError::Malformed {
            file: entry.path(),
            found: "a class folder whose name is not UTF-8".into(),
            expected: "a name in UTF-8".into(),
            advice: "rename it",
        })?;
        names.push(name);
    }
    names.sort_unstable();
    if names.is_empty() || names.len() > MOST_CLASSES {
        return Err(DataError::layout(
            root,
            format!("{} subfolders", names.len()),
            format!("one for each class, from 1 to {MOST_CLASSES}"),
        ));
    }
    Ok(names)
}

/// The image files of a class, sorted by name; folders are none, whatever their names end in.
fn image_files(class: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_image = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        EXTENSIONS.iter().any(|&known| extension == known)
    };
    let files = entries(class)?.into_iter().filter(|entry| !is_folder(entry));
    let mut files: Vec<_> = files.map(|entry| entry.path()).filter(|path| is_image(path)).collect();
    files.sort_unstable();
    if files.is_empty() {
        let expected = format!("at least one file that ends in {}", EXTENSIONS.join(", "));
        return Err(DataError::layout(class, "no image", expected));
    }
    Ok(files)
}

/// The entries of a folder whose names do not begin with a dot.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, DataError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::io("read the folder", folder))? {
        let entry = entry.map_err(DataError::io("read the folder", folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Whether an entry is a folder or a link to one. Only a link costs a question to the file system.
fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| match kind.is_symlink() {
        true => entry.path().is_dir(),
        false => kind.is_dir(),
    })
}

/// An image of RGB bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedImage {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// (H, W, 3).
    pub pixels: Vec<u8>,
}

/// Decodes an image file and scales it until its shorter side has `shorter_side` pixels.
///
/// # Errors
/// As [`decode`], and a file that cannot be read.
pub(super) fn decode_file(path: &Path, shorter_side: usize) -> Result<DecodedImage, DataError> {
    let content = bounded::read_file(path, LONGEST_FILE)?;
    decode(path, &content, shorter_side)
}

/// Decodes a JPEG, PNG or BMP image and scales it (bilinear) until its shorter side has
/// `shorter_side` pixels. `file` names it in errors.
///
/// # Examples
/// ```
/// use std::io::Cursor;
///
/// use image::{ImageFormat, RgbImage};
/// use smoothout::data::folder::decode;
///
/// let mut file = Cursor::new(Vec::new());
/// RgbImage::new(40, 20).write_to(&mut file, ImageFormat::Png)?;
/// let image = decode("black.png".as_ref(), file.get_ref(), 10)?;
/// assert_eq!((image.height, image.width, image.pixels.len()), (10, 20, 10 * 20 * 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Bytes that are cut or no image, sides that are too long or too unequal, and a header that claims
/// more pixels than so few bytes can hold.
pub fn decode(file: &Path, bytes: &[u8], shorter_side: usize) -> Result<DecodedImage, DataError> {
    let broken =
        |found: String| DataError::malformed(file, found, "a whole JPEG, PNG or BMP image");
    if bytes.starts_with(&[0xff, 0xd8]) && !jpeg_is_whole(bytes) {
        return Err(broken("a JPEG without its end".into()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    let justified = SMALL_IMAGE + BYTE_HOLDS * bytes.len() as u64;
    limits.max_alloc = limits.max_alloc.map(|most| most.min(justified));
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(DataError::io("read", file))?;
    reader.limits(limits);
    let image = reader.decode().map_err(|error| broken(error.to_string()))?.into_rgb8();
    let (width, height) = image.dimensions();
    let (shorter, longer) = (width.min(height), width.max(height));
    if shorter == 0 || longer / shorter >= STEEPEST_RATIO {
        return Err(broken(format!("an image of {width} x {height} pixels")));
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * shorter_side as u64 / u64::from(shorter);
        (side as u32).max(shorter_side as u32)
    };
    let size = (scaled(width), scaled(height));
    let image = if size == (width, height) {
        image
    } else {
        imageops::resize(&image, size.0, size.1, FilterType::Triangle)
    };
    Ok(DecodedImage { height: size.1 as usize, width: size.0 as usize, pixels: image.into_raw() })
}

/// Whether a JPEG reaches its end-of-image marker: decoders paint what is missing grey.
fn jpeg_is_whole(content: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[mark, kind]) = content.get(at..).and_then(|rest| rest.first_chunk()) {
        match (mark, kind) {
            (0xff, 0xd9) => return true,
            // Bytes of the scan, stuffed zeros, restart markers, fill bytes.
            (0..=0xfe, _) | (0xff, 0xff) => at += 1,
            (0xff, 0 | 1 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => {
                let Some(&len) = content.get(at + 2..).and_then(|rest| rest.first_chunk()) else {
                    return false;
                };
                at += 2 + usize::from(u16::from_be_bytes(len));
            }
        }
    }
    false
}
