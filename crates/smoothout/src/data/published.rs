//! What is published where: addresses, checksums, licences.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};

use super::{DataError, DataSetName, bounded};

/// What a published checksum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// The file as it is.
    File,
    /// What the gzip file unpacks to: mirrors pack the same content in different ways.
    Unpacked,
}

/// A file that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The file's name in the data folder.
    pub(super) file: &'static str,
    pub(super) url: String,
    pub(super) md5: String,
    pub(super) checked: Checked,
}

const CIFAR_HOME: &str = "https://www.cs.toronto.edu/~kriz/";
const MNIST_HOME: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/";

/// The md5 of MNIST's raw files.
pub(super) const MNIST: [(&str, &str); 4] = [
    ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
];

/// The md5 of CIFAR-10's files in the official archive.
pub(super) const CIFAR10: [(&str, &str); 6] = [
    ("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
    ("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
    ("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
    ("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
    ("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
    ("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"),
];

/// The files to fetch; none for a folder of images.
pub(super) fn sources(name: DataSetName) -> Vec<Source> {
    let cifar = |file, md5: &str| {
        let url = format!("{CIFAR_HOME}{file}");
        vec![Source { file, url, md5: md5.into(), checked: Checked::File }]
    };
    let mnist = |file, md5: &str| {
        let url = format!("{MNIST_HOME}{file}");
        Source { file, url, md5: md5.into(), checked: Checked::Unpacked }
    };
    match name {
        DataSetName::Cifar10 => cifar("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        DataSetName::Cifar100 => {
            cifar("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8")
        }
        DataSetName::Mnist => vec![
            mnist("train-images-idx3-ubyte.gz", MNIST[0].1),
            mnist("train-labels-idx1-ubyte.gz", MNIST[1].1),
            mnist("t10k-images-idx3-ubyte.gz", MNIST[2].1),
            mnist("t10k-labels-idx1-ubyte.gz", MNIST[3].1),
        ],
        DataSetName::Folder => Vec::new(),
    }
}

/// What one should know of a data set: content, size, licence, whom to cite.
pub fn description(name: DataSetName) -> [&'static str; 4] {
    match name {
        DataSetName::Mnist => [
            "28 x 28 x 1, 10 classes, 60,000 + 10,000 images",
            "11 MB",
            "usually quoted as CC BY-SA 3.0",
            "LeCun, Cortes, Burges, The MNIST database of handwritten digits",
        ],
        DataSetName::Cifar10 => [
            "32 x 32 x 3, 10 classes, 50,000 + 10,000 images",
            "170 MB archive, 184 MB unpacked",
            "none stated by the authors",
            "Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        ],
        DataSetName::Cifar100 => [
            "32 x 32 x 3, 100 classes, 50,000 + 10,000 images",
            "169 MB archive, 184 MB unpacked",
            "none stated by the authors",
            "Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        ],
        DataSetName::Folder => [
            "a folder of images per class (ImageNet's layout), cut to 224 x 224 x 3",
            "yours",
            "yours",
            "the source of your images",
        ],
    }
}

/// The md5 of a file's bytes.
pub(crate) fn file_md5(path: &Path) -> Result<String, DataError> {
    md5_of(path, Checked::File)
}

/// The md5 of a file, or of what it unpacks to if that is asked for and it is gzipped.
pub(super) fn md5_of(path: &Path, checked: Checked) -> Result<String, DataError> {
    let mut file = bounded::open(path, bounded::LONGEST)?;
    let mut start = Vec::new();
    (&mut file).take(2).read_to_end(&mut start).map_err(DataError::io("read", path))?;
    let zipped = bounded::is_gzip(&start);
    let mut file = (&start[..]).chain(file);
    let mut hash = Md5::new();
    let copied = match checked {
        Checked::Unpacked if zipped => {
            io::copy(&mut MultiGzDecoder::new(file).take(bounded::LONGEST), &mut Sink(&mut hash))
        }
        _ => io::copy(&mut file, &mut Sink(&mut hash)),
    };
    match copied {
        Ok(_) => Ok(hexadecimal(&hash.finalize())),
        Err(_) if checked == Checked::Unpacked => Ok("none (broken gzip data)".into()),
        Err(source) => Err(DataError::io("read", path)(source)),
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

/// Bytes written here go into a hash.
struct Sink<'a>(&'a mut Md5);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
