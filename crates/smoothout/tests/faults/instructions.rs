//! A run goes on with the vector instructions that it was begun with.

use smoothout_tensor::kernels::InstructionSet;

use super::*;

#[test]
fn a_run_goes_on_with_its_instructions() {
    let place = Place::new();
    let (whole, half) = (place.run("whole"), place.run("half"));
    let baseline = InstructionSet::Baseline.name();
    let words = ["--epochs", "2", "--batch-size", "64", "--instructions", baseline];
    succeed(place.train(&whole, &words));
    succeed(place.train(&half, &[&words[..], &["--stop-after", "1"]].concat()));
    // The resumed program is not told which.
    succeed(resume(&half));
    same_bits(&whole, &half);
    let facts: Value =
        serde_json::from_str(&fs::read_to_string(half.join("run.json")).unwrap()).unwrap();
    for stretch in facts["stretches"].as_array().unwrap() {
        assert_eq!(stretch["kernels"], format!("auto {baseline}"));
    }
}
