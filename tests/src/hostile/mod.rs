//! Every reader of files, fed with bytes that nobody vouches for.
//!
//! One function a reader: it reads the bytes as the program reads a file, and where they are
//! accepted it checks what must hold then, and returns true. It panics when a promise is broken, and
//! on nothing else.
//! The cargo-fuzz targets in `tests/fuzz` and the test `hostile_files` call the same functions.

mod checkpoints;
mod data;
mod documents;
mod reproductions;
mod seeds;

use std::path::Path;

pub use checkpoints::{model, training};
pub use data::{archive, cifar, idx, image};
pub use documents::{experiment, facts, grid, records, study};
pub use reproductions::{picture_result, run_result};
pub use seeds::seeds;

/// A reader: what it is called, which is its target's and its corpus's name, and what feeds it.
pub type Reader = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const READERS: [Reader; 13] = [
    ("archive", archive),
    ("cifar", cifar),
    ("experiment", experiment),
    ("facts", facts),
    ("grid", grid),
    ("idx", idx),
    ("image", image),
    ("model", model),
    ("picture_result", picture_result),
    ("records", records),
    ("run_result", run_result),
    ("study", study),
    ("training", training),
];

/// Calls `read` with a folder in which a file of that name holds the bytes, and nothing else does.
fn in_folder<T>(name: &str, bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(name);
    std::fs::create_dir_all(file.parent().expect("the folder")).expect("a folder to write to");
    std::fs::write(&file, bytes).expect("a file to write to");
    read(folder.path())
}

/// As [`in_folder`], with the path of the file.
fn in_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    in_folder("file", bytes, |folder| read(&folder.join("file")))
}

/// Bytes that are not accepted: the message says something, in a length that a person reads.
fn refused(error: &impl std::error::Error) -> bool {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 20_000, "a message of {} bytes", text.len());
    false
}
