//! The studies that are built into the program.

use super::study::Study;

/// The files of `studies/`, in the order in which they run.
const FILES: &[(&str, &str)] = &[
    ("f1-mnist-sgd", include_str!("../../studies/f1-mnist-sgd.json")),
    ("f1-mnist-radii", include_str!("../../studies/f1-mnist-radii.json")),
    ("f1-mnist-adam", include_str!("../../studies/f1-mnist-adam.json")),
    ("f1-mnist-keskar", include_str!("../../studies/f1-mnist-keskar.json")),
    ("f1-mnist-adaptation", include_str!("../../studies/f1-mnist-adaptation.json")),
    ("f1-mnist-ablations", include_str!("../../studies/f1-mnist-ablations.json")),
    ("f1-mnist-rivals", include_str!("../../studies/f1-mnist-rivals.json")),
    ("c1-cifar10-sgd", include_str!("../../studies/c1-cifar10-sgd.json")),
    ("c1-cifar10-radii", include_str!("../../studies/c1-cifar10-radii.json")),
    ("c1-cifar10-keskar", include_str!("../../studies/c1-cifar10-keskar.json")),
    ("resnet20-cifar10-lb", include_str!("../../studies/resnet20-cifar10-lb.json")),
    ("resnet44-cifar10-sgd", include_str!("../../studies/resnet44-cifar10-sgd.json")),
    ("wrn-16-4-cifar10-sgd", include_str!("../../studies/wrn-16-4-cifar10-sgd.json")),
    ("wrn-16-4-cifar100-sgd", include_str!("../../studies/wrn-16-4-cifar100-sgd.json")),
    ("c2-cifar10-keskar", include_str!("../../studies/c2-cifar10-keskar.json")),
    ("c3-cifar100-sgd", include_str!("../../studies/c3-cifar100-sgd.json")),
    ("resnet44-cifar100-sgd", include_str!("../../studies/resnet44-cifar100-sgd.json")),
    ("c3-cifar100-keskar", include_str!("../../studies/c3-cifar100-keskar.json")),
    ("c4-cifar100-keskar", include_str!("../../studies/c4-cifar100-keskar.json")),
];

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
