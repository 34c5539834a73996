//! SIGKILL at random moments, those at which a checkpoint is written among them.
//!
//! `cargo test` kills ten times; `SMOOTHOUT_KILLS=200 cargo test -p smoothout --test faults kills --
//! --nocapture` kills two hundred times and says what it hit.

use super::*;

#[test]
fn a_killed_run_ends_with_the_bits_of_one_that_never_stopped() {
    let kills: usize = std::env::var("SMOOTHOUT_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let place = Place::new();
    let size = ["--epochs", "2", "--batch-size", "32", "--train-limit", "96", "--test-limit", "20"];
    let (whole, run) = (place.run("whole"), place.run("run"));
    succeed(place.train(&whole, &size));
    // The same with a state after each update, to see how long it takes.
    let size = [&size[..], &["--keep-every", "0"]].concat();
    let start = Instant::now();
    succeed(place.train(&run, &size));
    let duration = start.elapsed();
    same_bits(&whole, &run);
    fs::remove_dir_all(&run).unwrap();

    let (mut state, mut done) = (kills as u64, 0);
    let (mut half_written, mut within_epoch, mut finished) = (0, 0, 0);
    while done < kills {
        let mut command = if run.join("experiment.json").exists() {
            let mut command = resume(&run);
            command.args(["--keep-every", "0"]);
            command
        } else {
            place.train(&run, &size)
        };
        let mut child = command.spawn().unwrap();
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(duration.mul_f64((state >> 40) as f64 / (1 << 24) as f64));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            // It was killed.
            None => {
                done += 1;
                half_written += usize::from(leaves_half_a_file(&run));
                let stopped = run.join("training.safetensors").exists()
                    && progress(&run).get("unfinished").is_some();
                within_epoch += usize::from(stopped);
            }
            // It was faster: the next one starts anew.
            Some(code) => {
                assert_eq!(code, 0, "{}", message(&output));
                same_bits(&whole, &run);
                fs::remove_dir_all(&run).unwrap();
                finished += 1;
            }
        }
    }
    succeed(if run.join("experiment.json").exists() {
        resume(&run)
    } else {
        place.train(&run, &size)
    });
    same_bits(&whole, &run);
    println!(
        "{done} kills, {half_written} of them while a file was written, {within_epoch} with a state \
         within an epoch; {} runs ended with the same bits",
        finished + 1
    );
    // Some half of the time goes into files.
    assert!(kills < 100 || (half_written > 0 && within_epoch > 0));
}

fn leaves_half_a_file(run: &Path) -> bool {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with(".unfinished-"))
}
