//! SIGINT, SIGTERM and SIGHUP: a state within the epoch, and the way to go on.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

fn send(signal: Signal, child: &Child) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Under nohup, which its children inherit, a hang-up ends nothing. Linux tells.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("1");
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

/// The first signal ends the run after the update in hand; resumed, it ends with the bits of a run
/// that never stopped.
#[test]
fn a_signal_stops_within_the_epoch_and_the_run_goes_on() {
    let place = Place::new();
    let size = ["--epochs", "2", "--batch-size", "16"];
    let whole = place.run("whole");
    succeed(place.train(&whole, &size));
    for (signal, code, name) in
        [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM"), (Signal::HUP, 129, "SIGHUP")]
    {
        if signal == Signal::HUP && hangups_are_ignored() {
            eprintln!("skipped: SIGHUP is ignored here, as under nohup");
            continue;
        }
        let run = place.run(name);
        let mut child =
            place.train(&run, &[&size[..], &["--keep-every", "0"]].concat()).spawn().unwrap();
        // A state is there after the first of the epoch's thirteen updates.
        wait_for(&run.join("training.safetensors"), &mut child);
        send(signal, &child);
        let advice = format!("go on by: smoothout train --resume --out {}", run.display());
        let stopped = child.wait_with_output().unwrap();
        fails(&stopped, code, &[&format!("stopped by {name}"), "keeps the state after", &advice]);
        let progress = progress(&run);
        let batches = progress["unfinished"]["batches"].as_u64().unwrap();
        assert!((1..=13).contains(&batches) && progress["steps"] == batches, "{progress}");
        assert_eq!(progress["epochs"], 0);
        succeed(resume(&run));
        same_bits(&whole, &run);
    }
}

/// An update that takes minutes: the first signal would wait for it, the second does not.
#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    let run = place.run("run");
    let slow =
        ["--model", "resnet110", "--kernels", "scalar", "--batch-size", "192", "--epochs", "1"];
    let mut child = place.train(&run, &slow).spawn().unwrap();
    wait_for(&run.join("run.json"), &mut child);
    // It is in its first update by then.
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none());
    send(Signal::INT, &child);
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none(), "the update is not done in 200 ms");
    let start = Instant::now();
    send(Signal::INT, &child);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(!message(&ended).contains("stopped by"), "{}", message(&ended));
}
