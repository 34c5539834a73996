//! Where data are looked for.

use std::env;
use std::path::{Path, PathBuf};

use super::{DataError, DataSetName, Split, cifar, mnist};

/// How many folders above the current one are searched for `data/<name>`.
const PARENTS: usize = 3;

/// The folder that holds the files of a data set.
///
/// With `data_dir` that folder, or `<name>` in it. Otherwise the first of: `data/<name>` under the
/// current folder and the three above it, then `smoothout/<name>` in the user's cache folder
/// (`$XDG_CACHE_HOME`, else `~/.cache`).
///
/// # Errors
/// [`DataError::Pickled`] if there is CIFAR's Python version alone, else [`DataError::NotFound`]
/// with every place that was looked at.
pub fn data_folder(name: DataSetName, data_dir: Option<&Path>) -> Result<PathBuf, DataError> {
    let looked = places(name, data_dir);
    if let Some(folder) = looked.iter().find(|folder| holds(name, folder)) {
        return Ok(folder.clone());
    }
    let pickled = |folder: &PathBuf| cifar::Format::of(name)?.find_pickled(folder);
    match looked.iter().find_map(pickled) {
        Some(path) => Err(DataError::Pickled { name, path }),
        None => Err(DataError::NotFound { name, looked }),
    }
}

/// Every place that is looked at, in order.
fn places(name: DataSetName, data_dir: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = data_dir {
        return vec![folder.to_owned(), folder.join(name.as_str())];
    }
    let below = |folder: &Path| folder.join("data").join(name.as_str());
    let current = env::current_dir().unwrap_or_default();
    let mut places: Vec<_> = current.ancestors().take(1 + PARENTS).map(below).collect();
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")));
    places.extend(cache.map(|cache| cache.join("smoothout").join(name.as_str())));
    places
}

/// Whether a folder has any file of the data set: if one is missing, the reader names it.
pub(super) fn holds(name: DataSetName, folder: &Path) -> bool {
    match cifar::Format::of(name) {
        Some(format) => format.find(folder).is_some(),
        None if name == DataSetName::Mnist => [Split::Train, Split::Test]
            .into_iter()
            .flat_map(mnist::file_names)
            .any(|file| mnist::find(folder, file).is_some()),
        None => ["train", "val", "test"].iter().any(|split| folder.join(split).is_dir()),
    }
}
