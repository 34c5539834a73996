//! MNIST: images and labels in an IDX file each, raw or gzipped; and built into the program, for
//! whoever has no file.

use std::path::{Path, PathBuf};

use super::{DataError, DataSet, DataSetName, Images, Split, bounded, idx};

/// The file names of a split, images first, without `.gz`.
pub(super) fn file_names(split: Split) -> [&'static str; 2] {
    match split {
        Split::Train => ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
        Split::Test => ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    }
}

/// The file of this name in `folder`: raw or gzipped, also with a dot for the last dash and in
/// torchvision's subfolder.
pub(super) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    [folder.to_owned(), folder.join("MNIST/raw")]
        .iter()
        .flat_map(|folder| {
            [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
                .map(|name| folder.join(name))
        })
        .find(|path| path.exists())
}

/// The error of a file that is there neither raw nor gzipped.
pub(super) fn missing(folder: &Path, name: &str) -> DataError {
    DataError::MissingFile {
        name: DataSetName::Mnist,
        file: folder.join(format!("{name}.gz")),
        fetch_to: folder.to_owned(),
    }
}

/// Reads a split from the folder that holds its two files.
pub(super) fn read(folder: &Path, split: Split) -> Result<DataSet, DataError> {
    let [images, labels] = file_names(split).map(|name| {
        let file = find(folder, name).ok_or_else(|| missing(folder, name))?;
        bounded::read_file(&file, bounded::LONGEST).map(|content| (file, content))
    });
    let ((images_file, images), (labels_file, labels)) = (images?, labels?);
    decode(split, (&images_file, &images), (&labels_file, &labels))
}

/// The split that is built into the program.
pub(super) fn built_in(split: Split) -> Result<DataSet, DataError> {
    let (images, labels): (&[u8], &[u8]) = match split {
        Split::Train => (
            include_bytes!("../../../../data/mnist/train-images-idx3-ubyte.gz"),
            include_bytes!("../../../../data/mnist/train-labels-idx1-ubyte.gz"),
        ),
        Split::Test => (
            include_bytes!("../../../../data/mnist/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../../../../data/mnist/t10k-labels-idx1-ubyte.gz"),
        ),
    };
    decode(split, (Path::new("the built-in images"), images), (Path::new("labels"), labels))
}

/// Decodes a split from the content of its two files, each (name for messages, content).
///
/// # Errors
/// As [`idx::decode`], and images and labels of different number, or a label above 9.
pub fn decode(
    split: Split,
    (images_file, images): (&Path, &[u8]),
    (labels_file, labels): (&Path, &[u8]),
) -> Result<DataSet, DataError> {
    let images = idx::decode(images_file, images, 3)?;
    let labels = idx::decode(labels_file, labels, 1)?.values;
    let [count, height, width] = images.shape[..] else { unreachable!("three extents asked for") };
    if labels.len() != count {
        return Err(DataError::malformed(
            labels_file,
            format!("{} labels", labels.len()),
            format!("{count}, one for each image of {}", images_file.display()),
        ));
    }
    if let Some(record) = labels.iter().position(|&label| label > 9) {
        return Err(DataError::Label {
            file: labels_file.to_owned(),
            record,
            found: labels[record].into(),
            classes: 10,
        });
    }
    Ok(DataSet {
        name: DataSetName::Mnist,
        split,
        images: Images::Memory(images.values),
        labels: labels.into_iter().map(u16::from).collect(),
        height,
        width,
        channels: 1,
        classes: 10,
    })
}
