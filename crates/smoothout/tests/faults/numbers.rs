//! Overflow: the step at which it happens, the numbers in which it shows first, and nothing kept.

use super::*;

/// A training that must overflow: exit code 1, these words, and no state.
fn overflows(place: &Place, name: &str, more: &[&str], parts: &[&str]) {
    let run = place.run(name);
    let size = ["--epochs", "1", "--batch-size", "32", "--clip-norm", "0", "--keep-every", "0"];
    let output = place.train(&run, &[&size[..], more].concat()).output().unwrap();
    fails(&output, 1, parts);
    assert!(!run.join("last.safetensors").exists());
}

#[test]
fn the_first_numbers_that_overflow_are_named() {
    let place = Place::new();
    let smoothout = ["--method", "smoothout"];
    // Normal numbers times 3e38.
    overflows(
        &place,
        "perturbed",
        &[&smoothout[..], &["--distribution", "gaussian", "--radius", "3e38"]].concat(),
        &["first in the perturbed weights conv1.weight of ghost batch 0", "is NaN in step 0"],
    );
    // Weights of up to 3e38, 27 of which are added up.
    overflows(
        &place,
        "output",
        &[&smoothout[..], &["--radius", "3e38"]].concat(),
        &["first in the output of conv1 of ghost batch 0", "is NaN in step 0"],
    );
    // Activations of 1e20 are normalised; their variance is 1e40.
    overflows(
        &place,
        "statistics",
        &[&smoothout[..], &["--radius", "1e20"]].concat(),
        &["the running statistics bn1.running_var are infinite or NaN after step 0 (epoch 1)"],
    );
    // Weights move by 1e41 times themselves.
    overflows(
        &place,
        "weights",
        &[
            "--method",
            "smoothout",
            "--radius",
            "0",
            "--learning-rate",
            "1e38",
            "--weight-decay",
            "1000",
        ],
        &["the weights conv1.weight are infinite or NaN after step 0 (epoch 1)"],
    );
}
