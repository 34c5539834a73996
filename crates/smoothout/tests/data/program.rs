//! `smoothout data` as a person runs it, where there are no files.

use std::path::Path;
use std::process::{Command, Output};

/// In a folder, without the user's cache.
fn verify(folder: &Path, rest: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smoothout"))
        .args(["data", "verify", "mnist"])
        .args(rest)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder)
        .output()
        .unwrap()
}

/// No file of MNIST is needed, unless a folder is named that should hold it.
#[test]
fn mnist_needs_no_file_to_verify() {
    let folder = tempfile::tempdir().unwrap();
    let output = verify(folder.path(), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("MNIST is built into the program"), "{text}");
    assert_eq!(verify(folder.path(), &["--data-dir", "."]).status.code(), Some(2));
}
