//! Which data set, and which of its splits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DataError;

/// A data set that the program reads.
///
/// ```
/// use smoothout::data::DataSetName;
///
/// assert_eq!("cifar10".parse::<DataSetName>()?, DataSetName::Cifar10);
/// assert!("cifar".parse::<DataSetName>().unwrap_err().to_string().contains("cifar100"));
/// # Ok::<(), smoothout::data::DataError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataSetName {
    /// Handwritten digits, 28 x 28 x 1, 10 classes, 60,000 + 10,000 images.
    Mnist,
    /// Photographs, 32 x 32 x 3, 10 classes, 50,000 + 10,000 images.
    Cifar10,
    /// Photographs, 32 x 32 x 3, 100 (fine) classes, 50,000 + 10,000 images.
    Cifar100,
    /// A folder of images per class in ImageNet's layout, 224 x 224 x 3 after the crop.
    Folder,
}

impl DataSetName {
    /// Every data set.
    pub const ALL: [Self; 4] = [Self::Mnist, Self::Cifar10, Self::Cifar100, Self::Folder];

    /// The name as it is written in commands, files and folders.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Folder => "folder",
        }
    }

    /// C, the number of channels of its images.
    pub fn channels(self) -> usize {
        if self == Self::Mnist { 1 } else { 3 }
    }

    pub(super) fn list() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for DataSetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DataSetName {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| DataError::UnknownName { found: text.into() })
    }
}

/// The published split of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The images to train on.
    Train,
    /// The images to report on (ImageNet's `val`).
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

impl FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            _ => Err(DataError::Argument {
                what: "the split",
                found: format!("{text:?}"),
                expected: "train or test".into(),
            }),
        }
    }
}
