//! The studies that are built into the program.

use super::study::Study;

/// The files of `studies/`, in the order in which they run.
const FILES: &[(&str, &str)] = &[("f1-mnist-sgd", include_str!("../../studies/f1-mnist-sgd.json"))];

/// All studies.
///
/// # Panics
/// If a built-in file is no study, which a test excludes.
pub fn studies() -> Vec<Study> {
    FILES
        .iter()
        .map(|(name, text)| match serde_json::from_str(text) {
            Ok(study) => study,
            Err(error) => panic!("the built-in study {name} is not sound: {error}"),
        })
        .collect()
}
