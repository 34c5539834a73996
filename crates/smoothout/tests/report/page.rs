//! What a report says: right numbers, the same bytes for the same results, nothing claimed that the
//! intervals do not show, nothing left out in silence.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use smoothout::reproduce::report::{StudyResults, write_report};
use smoothout::reproduce::results::RunResult;

use crate::made_results::{about, main_study, run, sweep};

/// All files of a report by name.
fn written(studies: &[StudyResults]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    write_report(folder.path(), &about(), studies).unwrap();
    let mut files = BTreeMap::new();
    let mut read = |folder: &Path| {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    };
    read(folder.path());
    read(&folder.path().join("figures"));
    files
}

/// The cells of the first line that begins with these, after `after`.
fn row(text: &str, after: &str, first: &str) -> Vec<String> {
    let text = &text[text.find(after).unwrap_or_else(|| panic!("no {after} in {text}"))..];
    let line = text.lines().find(|line| line.starts_with(&format!("| {first}")));
    let line = line.unwrap_or_else(|| panic!("no row {first} after {after} in {text}"));
    line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn tables_hold_the_means_and_scipys_interval() {
    let files = written(&[main_study(), sweep()]);
    let text = &files["tables.md"];
    let arm = row(text, "## F1 on MNIST", "SB 128, plain");
    assert_eq!(arm[..4], ["SB 128, plain", "5 of 5", "97.98 ± 0.11", "98.03 ± 0.11"]);
    let worse = row(text, "LB 4096, plain − SB 128, plain", "test top-1 %, last");
    assert_eq!(worse[1..], ["yes", "-0.25", "-0.40 to -0.10", "0.0098", "5"]);
    let published = row(text, "**Beside published numbers**", "LB 4096, plain");
    assert_eq!(published[2..4], ["97.78 ± 0.12", "97.81 ± 0.07"]);
    let best = row(text, "## The radius of F1", "B = 4096, smoothout");
    assert_eq!(best[2..], ["0.1", "97.50", "97.00"]);
    assert!(text.contains("were not asked for: c1-cifar10-sgd."), "what is left out is not said");
    // Neither times nor machines.
    assert!(!text.contains("Processor") && !text.contains(" min "));
    let page = &files["report.html"];
    for part in ["-0.40 to -0.10", "A Processor &lt;of&gt; 2018", "9.9.9", "could not be read"] {
        assert!(page.contains(part), "{part} is not on the page");
    }
}

/// Answers: a gap that SmoothOut closes in part at least, AdaSmoothOut not, flatness.
#[test]
fn answers_follow_from_the_intervals() {
    let text = &written(&[main_study()])["tables.md"];
    let heading = "### Does smoothing close the gap";
    let smoothout = row(text, heading, "left: LB 4096, SmoothOut");
    assert_eq!(smoothout[1], "at least in part: the interval of what is left includes 0");
    let ada = row(text, heading, "left: LB 4096, AdaSmoothOut");
    assert_eq!(ada[1], "not all of it; cannot tell if in part: the gain's interval includes 0");
    let flatter = "### Are the smoothed solutions flatter";
    assert!(
        text[text.find(flatter).unwrap()..]
            .contains("Of 6 comparisons, measures of 2 pairs of arms: yes in ")
    );
    let sharper = row(text, "### Are the large-batch solutions sharper", "largest eigenvalue");
    assert_eq!(sharper[1], "yes");
    // A sweep on held-out examples chooses a radius and answers nothing.
    let alone = &written(&[sweep()])["tables.md"];
    assert_eq!(alone.matches("No study here answers it.").count(), 5);
}

/// Where a large batch also fits the training set less, its gap is not called one of generalisation.
#[test]
fn a_gap_in_training_stands_beside_the_gap_in_test() {
    let heading = "### Does large-batch training generalise worse";
    let told = |shift: f64, spread: f64| {
        let mut study = main_study();
        for run in study.runs.iter_mut().filter(|run| run.arm == "lb-plain") {
            run.records[5].train_top1 += shift + spread * (run.seed() as f64 - 3.0);
        }
        let mut text = written(&[study]).remove("tables.md").unwrap();
        let train = row(&text, heading, "train top-1 %");
        let test = row(&text, heading, "test top-1 %").remove(1);
        let sharper = text.find("### Are the large-batch solutions sharper").unwrap();
        text.truncate(text.find("### Does smoothing raise").unwrap());
        (test, train, text.split_off(sharper))
    };
    let (test, train, sharper) = told(-1.3, 0.1);
    assert_eq!(test, "worse, but trained less far");
    assert!(train[1].starts_with("lower as well: not trained as far"), "{train:?}");
    assert_eq!(train[2], "-1.30");
    let note = "LB 4096, plain − SB 128, plain: the large batch is trained less far";
    assert!(sharper.contains(note), "{sharper}");
    assert!(sharper.contains("Of 3 comparisons, measures of one pair of arms: "), "{sharper}");
    // The mean is below 0, and the interval includes 0.
    let (test, train, sharper) = told(-0.1, 0.5);
    assert_eq!(test, "worse; whether trained as far is not shown");
    assert_eq!(train[1], "cannot tell if trained as far");
    assert!(sharper.contains("whether the large batch is trained as far is not shown"));
    let (test, train, sharper) = told(1.3, 0.1);
    assert_eq!((test.as_str(), train[1].as_str()), ("yes", ""));
    assert!(!sharper.contains("large batch is trained"), "{sharper}");
}

/// Of three seeds the third is bad for every radius: the one that lacks it does not win by that.
#[test]
fn radii_are_compared_over_the_same_seeds() {
    let mut results = sweep();
    let study = results.study.clone();
    let shifted = |seed: u64, shift: f64| {
        let again = |first: &RunResult| {
            let top1 = first.records[5].test_top1 + shift;
            run(&study, &first.arm, seed, top1, 1.0)
        };
        sweep().runs.iter().map(again).collect::<Vec<_>>()
    };
    results.runs.extend(shifted(2, 0.0).into_iter().chain(shifted(3, -5.0)));
    results.wanted = 15;
    let best = |results: &StudyResults| {
        let text = written(std::slice::from_ref(results)).remove("tables.md").unwrap();
        (row(&text, "## The radius of F1", "B = 4096, smoothout")[2..].to_vec(), text)
    };
    let (whole, text) = best(&results);
    assert_eq!(whole, ["0.1", "95.83 ± 2.89", "95.33 ± 2.89"]);
    assert!(!text.contains("Seeds are lacking"));
    results.runs.retain(|run| run.arm != "a0.03" || run.seed() < 3);
    let (common, text) = best(&results);
    assert_eq!(common, ["0.1", "97.50 ± 0.00 (n = 2)", "97.00 ± 0.00 (n = 2)"]);
    assert!(text.contains("Seeds are lacking"), "{text}");
    assert!(text.contains("of SmoothOut, a = 0.03 (2 of 3)."), "{text}");
}

/// The same results in another order give the same bytes, of every file.
#[test]
fn the_order_of_results_changes_no_byte() {
    let mut turned = main_study();
    turned.runs.reverse();
    turned.runs.swap(2, 9);
    turned.pictures.reverse();
    assert_eq!(written(&[main_study()]), written(&[turned]));
}

/// Times and machines may differ; the tables may not.
#[test]
fn tables_do_not_depend_on_the_machine() {
    let mut elsewhere = main_study();
    for run in &mut elsewhere.runs {
        run.stretches[0].cpu = "Another".to_owned();
        run.stretches[0].threads = 64;
        run.records.iter_mut().for_each(|record| record.seconds *= 3.0);
    }
    let (here, there) = (written(&[main_study()]), written(&[elsewhere]));
    assert_eq!(here["tables.md"], there["tables.md"]);
    assert_ne!(here["report.html"], there["report.html"]);
}

#[test]
fn what_is_missing_is_said() {
    let mut study = main_study();
    study.runs.retain(|run| run.arm != "lb-smoothout" || run.seed() == 2 || run.seed() == 5);
    study.pictures.remove(1);
    let failed = &mut study.runs[0].measured[1];
    failed.value = None;
    failed.failure = Some("the loss is |infinite|".to_owned());
    let mut stranger = study.runs[0].clone();
    stranger.arm = "of-old".to_owned();
    study.runs.push(stranger);
    let text = &written(&[study])["tables.md"];
    for part in [
        "LB 4096, SmoothOut: 2 of 5 seeds; not finished or diverged: 1, 3, 4.",
        "SB 128, plain, seed 1: no Keskar sharpness",
        "the loss is \\|infinite\\|",
        "(n = 4)",
        "The picture \"Along a random direction\" is not evaluated.",
        "A run of of-old, seed 1, is left out",
        "17 of 20 runs are finished.",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let pairs = row(text, "**LB 4096, SmoothOut − LB 4096, plain**", "test top-1 %, last");
    assert_eq!(pairs[4..], ["–", "2"]);
}

/// One seed: no deviation, no interval, nothing claimed.
#[test]
fn one_seed_claims_nothing() {
    let mut study = main_study();
    study.runs.retain(|run| run.seed() == 1);
    let text = &written(&[study])["tables.md"];
    let arm = row(text, "## F1 on MNIST", "SB 128, plain");
    assert_eq!(arm[1..3], ["1 of 5", "98.03"]);
    let published = row(text, "**Beside published numbers**", "LB 4096, plain");
    assert_eq!(published[2], "97.75 (n = 1)");
    assert!(text.contains("there is no standard deviation"));
    let worse = row(text, "LB 4096, plain − SB 128, plain", "test top-1 %, last");
    assert_eq!(worse[1], "cannot tell: there is no interval");
    assert_eq!(worse[3..], ["none: one seed", "–", "1"]);
    assert!(!text.contains("| yes |") && !text.contains("| no: "));
}

/// No NaN anywhere: neither in a table nor in a drawing.
#[test]
fn values_that_are_not_finite_are_holes() {
    let mut study = main_study();
    for (k, bad) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().enumerate() {
        let run = &mut study.runs[4 * k];
        run.records[5].test_loss = bad;
        run.records[5].train_loss = bad;
        run.records[3].test_top1 = bad;
        run.measured[0].value = Some(bad);
        study.pictures[k].series[0].y[1] = bad;
    }
    let files = written(&[study]);
    assert!(files["tables.md"].contains("no finite test loss, last epoch in 3 of 5 runs."));
    for (name, text) in files.iter().filter(|(name, _)| !name.ends_with(".csv")) {
        let text = text.replace("infinite", "");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name} holds one");
    }
}

/// No run at all is a report as well.
#[test]
fn nothing_is_a_report_too() {
    let mut study = main_study();
    study.runs.clear();
    study.pictures.clear();
    let files = written(&[study]);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["report.html", "reproduction.md", "tables.md"]);
    assert!(files["tables.md"].contains("0 of 20 runs are finished."));
    assert!(written(&[])["tables.md"].contains("0 of the 0 runs"));
}

/// Text from JSON is text, wherever it lands.
#[test]
fn text_of_studies_is_escaped() {
    const EVIL: &str = "<script>alert('&\"')</script>";
    let mut results = main_study();
    let study = &mut results.study;
    study.title = EVIL.to_owned();
    study.question = EVIL.to_owned();
    study.source = EVIL.to_owned();
    study.name = format!("../{EVIL}");
    study.arms[0].label = EVIL.to_owned();
    study.published[0].source = EVIL.to_owned();
    for picture in &mut results.pictures {
        picture.picture.title = EVIL.to_owned();
        picture.picture.name = format!("../../{EVIL}");
    }
    results.runs[0].stretches[0].cpu = EVIL.to_owned();
    results.runs[0].measured[0].value = None;
    results.runs[0].measured[0].failure = Some(EVIL.to_owned());
    for (name, text) in written(&[results]) {
        assert!(!text.contains("<script") || name.ends_with(".csv"), "{name} holds a script");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.'), "{name}");
    }
}

/// Each figure has its numbers beside it, and the page shows it and links to them.
#[test]
fn every_figure_has_its_numbers() {
    let files = written(&[main_study(), sweep()]);
    let svgs: Vec<&String> = files.keys().filter(|name| name.ends_with(".svg")).collect();
    // Two of training and one of each measure and of each quantity of a picture; then the sweep's.
    assert_eq!(svgs.len(), (2 + 3 + 3 * 2 + 1) + (2 + 1), "{svgs:?}");
    let page = &files["report.html"];
    for svg in svgs {
        let name = svg.trim_end_matches(".svg");
        let csv = &files[&format!("{name}.csv")];
        let columns = csv.lines().next().unwrap().split(',').count();
        assert!(csv.lines().count() > 1 && columns > 2, "{name}: {csv}");
        assert!(page.contains(&format!("href=\"figures/{name}.csv\"")), "{name}");
        assert!(page.contains(&format!("<figure id=\"{name}\"><svg")), "{name}");
        assert!(files[svg].contains("<style>"), "{name}");
    }
    let csv = &files["f1-mnist-training-accuracy.csv"];
    assert!(csv.contains("\nlb-plain,6,5,97.726,"), "{csv}");
    let radius = &files["f1-sweep-radius-b4096-smoothout.csv"];
    assert!(radius.contains("\na0.1,0.1,1,97.5,\n"), "{radius}");
}

/// Two pictures of one name do not overwrite each other.
#[test]
fn equal_names_are_told_apart() {
    let mut study = main_study();
    let twin = study.pictures[3].clone();
    study.pictures.push(twin);
    let files = written(&[study]);
    assert!(files.contains_key("f1-mnist-plane.svg") && files.contains_key("f1-mnist-plane-2.svg"));
}

#[test]
fn the_documentation_says_what_ran_where() {
    let files = written(&[main_study(), sweep()]);
    let text = &files["reproduction.md"];
    let figures = files.keys().filter(|name| name.ends_with(".svg"));
    for name in figures {
        assert!(text.contains(&format!("](figures/{name})")), "{name} is not in {text}");
    }
    for part in [
        "Made by `smoothout reproduce --profile full`",
        "25 of the 25 runs that are asked for are finished (profile full).",
        "Training took 3 min 45 s in all, measuring 2 min 0 s",
        "| A Processor &lt;of&gt; 2018 | 2 | auto avx2 | 9.9.9 | 150 | 3 min 45 s |",
        "Keskar et al. 2017, Table 2; Adam",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

/// An ablation that changes another setting too is not paired with the plain arm of other settings.
#[test]
fn only_arms_of_one_recipe_answer() {
    let mut results = main_study();
    let other = &mut results.study.arms[2];
    other.spec = serde_json::from_value(
        json!({ "batch_size": 4096, "method": "smoothout", "radius": 0.02, "weight_decay": 0.01 }),
    )
    .unwrap();
    let study = results.study.clone();
    for place in results.runs.iter_mut().filter(|run| run.arm == "lb-smoothout") {
        *place = run(&study, "lb-smoothout", place.seed(), 98.0, 1.0);
    }
    let text = &written(&[results])["tables.md"];
    let questions = &text[..text.find("## F1 on MNIST").unwrap()];
    assert!(
        !questions.contains("LB 4096, SmoothOut") && questions.contains("LB 4096, AdaSmoothOut")
    );
}
