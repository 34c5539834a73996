//! Data sets: where they are, what is in them, and the batches made of them.
//!
//! [`DataSet::load`] reads MNIST, CIFAR-10, CIFAR-100 or a folder of images per class from the
//! official files as they are; [`Loader`] turns a split into normalised, augmented batches
//! (N, H, W, C) on a thread of its own. Files are not trusted: lengths are checked before memory is
//! taken, labels against the classes, and every error ([`DataError`]) says which file, what was
//! found, what was expected and what to do.

mod archive;
mod augmentation;
mod bounded;
pub mod cifar;
mod dataset;
mod download;
mod error;
mod fetch;
pub mod folder;
pub mod idx;
mod loader;
mod locate;
pub mod mnist;
mod name;
mod published;
mod verify;

pub use augmentation::Augmentation;
pub use dataset::{DataSet, Images};
pub use download::Event;
pub use error::DataError;
pub use fetch::Fetch;
pub use loader::{Batch, Loader};
pub use locate::data_folder;
pub use name::{DataSetName, Split};
pub use published::description;
pub(crate) use published::file_md5;
pub use verify::{Finding, verify};
