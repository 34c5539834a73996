//! The result files of a reproduction, and the report that is made of them.

use std::path::Path;
use std::sync::LazyLock;

use smoothout::experiment::ExperimentSpec;
use smoothout::reproduce::built_in::studies;
use smoothout::reproduce::plan::{Plan, Request};
use smoothout::reproduce::report::{ReportAbout, StudyResults, write_report};
use smoothout::reproduce::results::{PictureResult, RunResult};
use smoothout::reproduce::store::Store;
use smoothout::reproduce::study::{Picture, Profile};

use super::{in_folder, refused};

const STUDY: &str = "f1-mnist-sgd";

/// One seed of each arm of the study.
pub(super) static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let request = Request { only: vec![STUDY.to_owned()], seeds: Some(1), shard: None };
    Plan::new(studies(), Profile::Full, &request).expect("a built-in study")
});

/// The result of a training, as `reproduce` reads it; what is accepted makes a report.
pub fn run_result(bytes: &[u8]) -> bool {
    let (study, job) = (&PLAN.studies[0], &PLAN.jobs[0]);
    let file = format!("results/{STUDY}/{}/seed-1.json", job.arm);
    in_folder(&file, bytes, |folder| {
        let store = Store::open(folder, Profile::Full).expect("an empty folder");
        match store.run(study, job) {
            Err(error) => refused(&error),
            Ok(None) => false,
            Ok(Some(found)) => {
                store.keep_run(study, &found).expect("a file to write to");
                let again = store.run(study, job).expect("what was read");
                assert_eq!(again.as_ref(), Some(&found));
                report(folder, vec![found], Vec::new());
                true
            }
        }
    })
}

/// The numbers of a picture, likewise: the first byte chooses the picture.
pub fn picture_result(bytes: &[u8]) -> bool {
    let Some((&first, bytes)) = bytes.split_first() else { return false };
    let study = &PLAN.studies[0];
    let picture = &study.pictures[usize::from(first) % study.pictures.len()];
    let specs = specs(picture);
    let file = format!("results/{STUDY}/pictures/{}.json", picture.name);
    in_folder(&file, bytes, |folder| {
        let store = Store::open(folder, Profile::Full).expect("an empty folder");
        match store.picture(study, picture, &specs) {
            Err(error) => refused(&error),
            Ok(None) => false,
            Ok(Some(found)) => {
                store.keep_picture(study, &found).expect("a file to write to");
                let again = store.picture(study, picture, &specs).expect("what was read");
                assert_eq!(format!("{again:?}"), format!("{:?}", Some(&found)));
                report(folder, Vec::new(), vec![found]);
                true
            }
        }
    })
}

/// The experiments whose networks a picture goes through.
pub(super) fn specs(picture: &Picture) -> Vec<ExperimentSpec> {
    let spec = |arm: &&str| {
        let job = PLAN.jobs.iter().find(|job| job.arm == **arm).expect("the study has the arm");
        job.resolved()
    };
    picture.kind.arms().iter().map(spec).collect()
}

fn report(folder: &Path, runs: Vec<RunResult>, pictures: Vec<PictureResult>) {
    let about = ReportAbout {
        profile: Profile::Full,
        version: "0".to_owned(),
        command: "smoothout reproduce".to_owned(),
        left_out: Vec::new(),
    };
    let study = PLAN.studies[0].clone();
    let results = StudyResults { study, runs, pictures, wanted: PLAN.jobs.len() };
    write_report(&folder.join("report"), &about, &[results]).expect("a folder to write to");
}
