//! Results as a reproduction leaves them, made here: a study with all measures and pictures, and a
//! sweep of the radius.

use serde_json::{Value, json};
use smoothout::data::Split;
use smoothout::reproduce::report::{ReportAbout, StudyResults};
use smoothout::reproduce::results::{Measured, PictureResult, RunResult, Series, SeriesOf};
use smoothout::reproduce::study::{Profile, Study};
use smoothout::run::Stretch;
use smoothout::training::EpochRecord;
use smoothout_sharpness::{Axis, Chart, FnObjective, Grid};

/// Last-epoch accuracies of the five seeds: SciPy's `ttest_rel` gives -0.25 for the difference of
/// the second and the first, between -0.3998 and -0.1002, p = 0.009775.
const SMALL: [f64; 5] = [98.03, 97.81, 97.95, 98.10, 97.99];
const LARGE: [f64; 5] = [97.70, 97.74, 97.61, 97.92, 97.66];

pub(crate) fn about() -> ReportAbout {
    ReportAbout {
        profile: Profile::Full,
        version: "9.9.9".to_owned(),
        command: "smoothout reproduce --profile full".to_owned(),
        left_out: vec!["c1-cifar10-sgd".to_owned()],
    }
}

/// A study as its JSON file says it.
fn study(value: Value) -> Study {
    serde_json::from_value(value).expect("the fixture is a study")
}

/// One run: its epochs rise to `top1`; every measure gives `sharpness` times its place.
pub(crate) fn run(study: &Study, arm: &str, seed: u64, top1: f64, sharpness: f64) -> RunResult {
    let found = study.arms.iter().find(|found| found.name == arm).expect("the arm is there");
    let mut spec = study.common.overridden_by(&found.spec);
    spec.seed = Some(seed);
    let spec = spec.resolve().expect("the fixture is an experiment").spec().clone();
    let records = (1..=6).map(|epoch| record(epoch, top1)).collect();
    let measured = study.measures.iter().enumerate().map(|(k, measure)| Measured {
        measure: *measure,
        value: Some(sharpness * (k + 1) as f64),
        failure: None,
        standard_error: Some(0.01),
        certificate: None,
        evaluations: 10,
        seconds: 2.0,
    });
    let measured = measured.collect();
    let stretches = vec![Stretch {
        first_epoch: 1,
        first_batch: 0,
        version: "9.9.9".to_owned(),
        cpu: "A Processor <of> 2018".to_owned(),
        threads: 2,
        kernels: "auto avx2".to_owned(),
    }];
    let study = study.name.clone();
    RunResult { study, arm: arm.to_owned(), spec, stretches, records, measured }
}

/// The best epoch is the fifth, 0.05 above the last.
fn record(epoch: usize, top1: f64) -> EpochRecord {
    let left = (6 - epoch) as f64;
    EpochRecord {
        epoch,
        steps: 10 * epoch as u64,
        learning_rate: 0.1,
        radius: 0.0,
        train_loss: 0.001 * 4_f64.powf(left),
        train_top1: 99.9 - 0.5 * left,
        train_top5: 100.0,
        test_loss: 0.08 + 0.01 * left,
        test_top1: if epoch == 5 { top1 + 0.05 } else { top1 - 0.4 * left },
        test_top5: 99.9,
        seconds: 1.5,
        averaged: 0,
    }
}

/// Five seeds of small and large batches, plain and smoothed.
pub(crate) fn main_study() -> StudyResults {
    let arm = |name: &str, label: &str, batch: usize, method: &str, radius: Option<f64>| {
        let mut spec = json!({ "batch_size": batch, "method": method });
        if let Some(radius) = radius {
            spec["radius"] = json!(radius);
        }
        json!({ "name": name, "label": label, "spec": spec })
    };
    let arms = ["sb-plain", "lb-plain", "lb-smoothout", "lb-adasmoothout"];
    let study = study(json!({
        "name": "f1-mnist",
        "title": "F1 on MNIST & <friends>",
        "question": "Does SmoothOut close the gap of large batches?",
        "source": "The paper's regime; a < b.",
        "common": { "model": "f1", "epochs": 6 },
        "arms": [
            arm(arms[0], "SB 128, plain", 128, "plain", None),
            arm(arms[1], "LB 4096, plain", 4096, "plain", None),
            arm(arms[2], "LB 4096, SmoothOut", 4096, "smoothout", Some(0.02)),
            arm(arms[3], "LB 4096, AdaSmoothOut", 4096, "adasmoothout", Some(0.2)),
        ],
        "profiles": { "full": { "seeds": 5 } },
        "measures": [
            { "metric": "expected_loss", "geometry": "filter", "radius": 0.5, "examples": 1000 },
            { "metric": "keskar", "epsilon": 0.0005, "examples": 1000 },
            { "metric": "largest_eigenvalue", "examples": 1000 },
        ],
        "comparisons": [
            { "arm": arms[1], "baseline": arms[0] },
            { "arm": arms[2], "baseline": arms[1] },
            { "arm": arms[3], "baseline": arms[1] },
        ],
        "pictures": [
            { "name": "line", "title": "From SB to LB", "examples": 1000,
              "kind": { "kind": "line", "from": arms[0], "to": arms[1],
                        "axis": { "from": -1.0, "to": 2.0, "count": 13 } } },
            { "name": "random", "title": "Along a random direction", "examples": 1000,
              "kind": { "kind": "random_line", "arms": [arms[1], arms[2]],
                        "axis": { "from": -0.3, "to": 0.3, "count": 13 } } },
            { "name": "noise", "title": "Under noise", "examples": 1000,
              "kind": { "kind": "noise", "arms": [arms[1], arms[2]], "geometry": "filter",
                        "radii": [0.0, 0.1, 0.2, 0.4], "samples": 5 } },
            { "name": "plane", "title": "The plane of three", "examples": 1000,
              "kind": { "kind": "plane", "arms": [arms[0], arms[1], arms[2]],
                        "axis": { "from": -0.5, "to": 1.5, "count": 15 } } },
        ],
        "published": [
            { "arm": arms[1], "quantity": "best_top1", "mean": 97.81, "deviation": 0.07,
              "source": "Keskar et al. 2017, Table 2; Adam" },
        ],
    }));
    let mut runs = Vec::new();
    for (k, (small, large)) in SMALL.into_iter().zip(LARGE).enumerate() {
        let (seed, jitter) = (k as u64 + 1, 0.02 * (k % 3) as f64);
        runs.push(run(&study, arms[0], seed, small, 1.0 + jitter));
        runs.push(run(&study, arms[1], seed, large, 60.0 + 10.0 * jitter));
        runs.push(run(&study, arms[2], seed, large + 0.2 + jitter, 3.0 + jitter));
        runs.push(run(&study, arms[3], seed, large - 0.02 + jitter, 60.0 - jitter));
    }
    let pictures = pictures(&study, &runs);
    StudyResults { study, runs, pictures, wanted: 20 }
}

fn pictures(study: &Study, runs: &[RunResult]) -> Vec<PictureResult> {
    let line = |arm: &str, xs: &[f64], middle: f64| {
        let mut series = Vec::new();
        for (split, above) in [(Split::Train, 0.0), (Split::Test, 0.1)] {
            for of in [SeriesOf::Loss, SeriesOf::Accuracy] {
                let value = |x: &f64| match of {
                    SeriesOf::Loss => above + (x - middle).powi(2),
                    SeriesOf::Accuracy => 99.0 - 10.0 * above - 20.0 * (x - middle).abs(),
                };
                let y: Vec<f64> = xs.iter().map(value).collect();
                let (arm, x, standard_error) = (arm.to_owned(), xs.to_vec(), vec![0.02; y.len()]);
                series.push(Series { arm, split, of, x, y, standard_error });
            }
        }
        series
    };
    let specs = |arms: Vec<&str>| {
        let spec = |arm: &&str| runs.iter().find(|run| run.arm == *arm).unwrap().spec.clone();
        arms.iter().map(spec).collect()
    };
    let points = |axis: Axis| (0..axis.count).map(|i| axis.at(i)).collect::<Vec<f64>>();
    let axis = |from, to, count| Axis { from, to, count };
    let plane = axis(-0.5, 1.5, 15);
    let mut grid = Grid::new("loss", &[plane, plane]).unwrap();
    let bowl = FnObjective::new(2, |w: &[f64]| 0.01 + w[0] * w[0] + 4.0 * w[1] * w[1]);
    let chart = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
    grid.fill(&bowl, &chart).unwrap();
    let of = |place: usize, series: Vec<Series>, grid| {
        let picture = study.pictures[place].clone();
        let specs = specs(picture.kind.arms());
        PictureResult { study: study.name.clone(), picture, specs, series, grid }
    };
    let both = |xs: &[f64]| {
        [line("lb-plain", xs, 0.0), line("lb-smoothout", xs, 0.05)].into_iter().flatten().collect()
    };
    vec![
        of(0, line("sb-plain", &points(axis(-1.0, 2.0, 13)), 0.3), None),
        of(1, both(&points(axis(-0.3, 0.3, 13))), None),
        of(2, both(&[0.0, 0.1, 0.2, 0.4]), None),
        of(3, Vec::new(), Some(grid)),
    ]
}

/// One seed of four radii on held-out examples; the third is the best.
pub(crate) fn sweep() -> StudyResults {
    let radii = [0.01, 0.03, 0.1, 0.3];
    let mut arms = vec![json!({ "name": "plain", "label": "plain", "spec": {} })];
    arms.extend(radii.map(|radius| {
        let spec = json!({ "method": "smoothout", "radius": radius });
        json!({ "name": format!("a{radius}"), "label": format!("SmoothOut, a = {radius}"), "spec": spec })
    }));
    let study = study(json!({
        "name": "f1-sweep",
        "title": "The radius of F1",
        "question": "Which radius?",
        "source": "ours",
        "common": { "model": "f1", "epochs": 6, "batch_size": 4096, "holdout": 0.1 },
        "arms": arms,
        "profiles": { "full": { "seeds": 1 } },
    }));
    let mut runs = vec![run(&study, "plain", 1, 97.0, 1.0)];
    runs.extend(
        radii
            .iter()
            .zip([97.1, 97.2, 97.5, 90.0])
            .map(|(radius, top1)| run(&study, &format!("a{radius}"), 1, top1, 1.0)),
    );
    StudyResults { study, runs, pictures: Vec::new(), wanted: 5 }
}
