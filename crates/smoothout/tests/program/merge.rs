//! `smoothout reproduce` shared out, and `merge`: the parts give the tables of the whole.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::reproduce::{finish, folder, numbers, study, whole};

#[test]
fn shards_merge_to_the_whole() {
    let shares = [1, 2].map(|share| {
        let folder = folder(&study());
        let said = finish(folder.path(), &["--shard", &format!("{share}/2")]);
        assert!(
            said.contains(&format!("{} trainings to do", ["2 of 2", "1 of 1"][share - 1])),
            "{said}"
        );
        folder
    });
    let merged = folder(&study());
    let out = merged.path().join("out");
    let study_file = merged.path().join("study.json");
    let merge = || {
        let output = Command::new(env!("CARGO_BIN_EXE_smoothout"))
            .args(["reproduce", "merge", "--out", out.to_str().unwrap(), "--study"])
            .arg(&study_file)
            .args(shares.iter().map(|folder| folder.path().join("out")))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    merge();
    // A result whose measure failed gives way to one that has the number.
    let file = out.join("results/tiny/lb-plain/seed-1.json");
    let whole_result = fs::read_to_string(&file).unwrap();
    let mut failed: Value = serde_json::from_str(&whole_result).unwrap();
    let measured = failed["measured"][0].as_object_mut().unwrap();
    measured.remove("value").unwrap();
    measured.insert("failure".to_owned(), json!("it failed"));
    fs::write(&file, failed.to_string()).unwrap();
    merge();
    assert_eq!(fs::read_to_string(&file).unwrap(), whole_result);
    // So does a picture of something else.
    let file = out.join("results/tiny/pictures/noise.json");
    let picture = fs::read_to_string(&file).unwrap();
    let other = picture.replace("\"examples\":20", "\"examples\":10");
    assert_ne!(other, picture);
    fs::write(&file, other).unwrap();
    merge();
    assert_eq!(fs::read_to_string(&file).unwrap(), picture);
    // What goes through networks of both shares is drawn now.
    let said = finish(merged.path(), &[]);
    assert!(said.contains("0 of 3 trainings to do"), "{said}");
    assert_eq!(numbers(merged.path()), numbers(whole().path()));
}

#[test]
fn a_merge_of_another_profile_is_refused() {
    let from = whole().path().join("out");
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("merged");
    let output = Command::new(env!("CARGO_BIN_EXE_smoothout"))
        .args(["reproduce", "merge", "--profile", "full", "--out"])
        .args([&out, &from])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("holds the profile quick and not full") && !out.exists(), "{said}");
}

/// Without --study the studies are those built in, of which the folder has none: nothing is written.
#[test]
fn a_merge_of_nothing_is_refused() {
    let from = whole().path().join("out");
    let report = || fs::read(from.join("report.html")).unwrap();
    let before = report();
    let output = Command::new(env!("CARGO_BIN_EXE_smoothout"))
        .args(["reproduce", "merge", "--out"])
        .args([&from, &from])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("give --study") && report() == before, "{said}");
}
