//! JSON: experiments, studies, grids, and what a run folder holds.

use smoothout::experiment::ExperimentSpec;
use smoothout::reproduce::plan::{Plan, Request};
use smoothout::reproduce::study::{Profile, Study};
use smoothout::run::{Stretch, read_records, read_stretches};
use smoothout_sharpness::Grid;

use super::{in_file, in_folder, refused};

/// An experiment, read and resolved. A resolved one resolves to itself.
pub fn experiment(bytes: &[u8]) -> bool {
    in_file(bytes, |path| match ExperimentSpec::read(path) {
        Err(error) => refused(&error),
        Ok(spec) => {
            let text = serde_json::to_vec(&spec).expect("an experiment is JSON");
            std::fs::write(path, text).expect("a file to write to");
            assert_eq!(ExperimentSpec::read(path).expect("what was read"), spec);
            match spec.resolve() {
                Err(error) => refused(&error),
                Ok(experiment) => {
                    let again = experiment.spec().resolve().expect("it is resolved");
                    assert_eq!(again.spec(), experiment.spec());
                    true
                }
            }
        }
    })
}

/// A study, read and planned at each scale.
pub fn study(bytes: &[u8]) -> bool {
    in_file(bytes, |path| match Study::read(path) {
        Err(error) => refused(&error),
        Ok(study) => {
            let text = serde_json::to_vec(&study).expect("a study is JSON");
            std::fs::write(path, text).expect("a file to write to");
            assert_eq!(Study::read(path).expect("what was read"), study);
            let mut planned = false;
            for profile in [Profile::Quick, Profile::Short, Profile::Full] {
                let request = Request { seeds: Some(1), ..Request::default() };
                planned |= match Plan::new(vec![study.clone()], profile, &request) {
                    Err(error) => refused(&error),
                    Ok(plan) => plan.jobs.len() == study.arms.len(),
                };
            }
            planned
        }
    })
}

/// A grid, as `landscape` reads it to go on.
pub fn grid(bytes: &[u8]) -> bool {
    match Grid::read_json(bytes) {
        Err(error) => refused(&error),
        Ok(grid) => {
            let points = grid.axes().iter().map(|axis| axis.count as u128).product::<u128>();
            assert_eq!(grid.len() as u128, points);
            assert!(grid.values().len() <= grid.len() && !grid.axes().is_empty());
            let mut text = Vec::new();
            grid.write_json(&mut text).expect("writing to memory");
            let again = Grid::read_json(&*text).expect("what was read");
            assert_eq!(format!("{again:?}"), format!("{grid:?}"), "NaN is a number here");
            let indices: Vec<usize> = grid.axes().iter().map(|axis| axis.count - 1).collect();
            assert_eq!(grid.value(&indices).is_some(), grid.is_complete());
            let mut csv = Vec::new();
            grid.write_csv(&mut csv).expect("writing to memory");
            // It goes on as itself, and as no other.
            let asked = Grid::new(grid.quantity(), grid.axes()).expect("axes of a grid");
            asked.resume(grid).expect("the same grid");
            let asked = Grid::new("another", again.axes()).expect("axes of a grid");
            if again.quantity() != "another" {
                refused(&asked.resume(again).expect_err("another quantity"));
            }
            true
        }
    }
}

/// The epochs of a run, `epochs.jsonl`.
pub fn records(bytes: &[u8]) -> bool {
    in_file(bytes, |path| match read_records(path) {
        Err(error) => refused(&error),
        Ok(records) => {
            let line = |record| serde_json::to_string(record).expect("a record is JSON") + "\n";
            let text: String = records.iter().map(line).collect();
            std::fs::write(path, text).expect("a file to write to");
            assert_eq!(read_records(path).expect("what was read"), records);
            true
        }
    })
}

/// On what a run was computed, `run.json`.
pub fn facts(bytes: &[u8]) -> bool {
    in_folder("run.json", bytes, |folder| match read_stretches(folder) {
        Err(error) => refused(&error),
        Ok(stretches) => {
            let words = |stretch: &Stretch| {
                let (algorithms, instructions) = (stretch.algorithms(), stretch.instructions());
                algorithms.len() + instructions.len() <= stretch.kernels.len()
            };
            assert!(stretches.iter().all(words));
            true
        }
    })
}
