//! Disks that are full or read-only, folders that vanish, and a second training in one folder: an
//! error that says what to do, and the last good state untouched.

use std::os::unix::fs::PermissionsExt;

use super::*;

const SIZE: [&str; 4] = ["--epochs", "2", "--batch-size", "32"];

/// A run of two epochs, and the same after its first.
fn whole_and_half(place: &Place) -> (PathBuf, PathBuf) {
    let (whole, half) = (place.run("whole"), place.run("half"));
    succeed(place.train(&whole, &SIZE));
    succeed(place.train(&half, &[&SIZE[..], &["--stop-after", "1"]].concat()));
    (whole, half)
}

fn state(run: &Path) -> Vec<u8> {
    fs::read(run.join("training.safetensors")).unwrap()
}

/// `script` with `arguments` as `$1`, `$2`, ...
fn shell(script: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments);
    command
}

/// `script` where it may mount file systems that nobody else sees; `None` where that is forbidden.
fn with_mounts(script: &str, arguments: &[&Path]) -> Option<Output> {
    let unshare = |script: &str| {
        let inner = shell(script, arguments);
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount"])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.output()
    };
    if unshare("mount -t tmpfs tmpfs /mnt").is_ok_and(|output| output.status.success()) {
        return Some(unshare(script).unwrap());
    }
    eprintln!("skipped: file systems cannot be mounted here");
    None
}

/// A limit on the size of files stands in for a full disk: it needs no rights.
#[test]
fn a_file_that_cannot_grow_leaves_the_last_state() {
    let place = Place::new();
    let (whole, half) = whole_and_half(&place);
    let good = state(&half);
    let program = Path::new(env!("CARGO_BIN_EXE_smoothout"));
    // 64 blocks of 512 or 1024 bytes: records fit, models do not.
    let script = "ulimit -f 64; exec \"$1\" train --resume --out \"$2\"";
    let failed = shell(script, &[program, &half]).output().unwrap();
    let parts = ["half keeps the state after epoch 1", ".safetensors cannot be written", "limit"];
    fails(&failed, 1, &parts);
    assert!(state(&half) == good);
    assert!(
        fs::read_dir(&half)
            .unwrap()
            .flatten()
            .all(|file| { !file.file_name().to_string_lossy().starts_with(".unfinished-") })
    );
    succeed(resume(&half));
    same_bits(&whole, &half);
}

/// The disk fills up during the run; once there is room it goes on.
#[test]
fn a_full_disk_leaves_the_last_state() {
    let place = Place::new();
    let (whole, half) = whole_and_half(&place);
    let (disk, log) = (place.run("disk"), place.run("log"));
    fs::create_dir(&disk).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_smoothout"));
    let script = "
        mount -t tmpfs -o size=3m tmpfs \"$3\" && cp -r \"$2\" \"$3/run\" || exit 9
        head -c 3m /dev/zero > \"$3/filler\" 2>/dev/null
        truncate -s -16k \"$3/filler\"
        \"$1\" train --resume --out \"$3/run\" 2> \"$4\"
        echo \"exit code $?\" >> \"$4\"
        cmp \"$2/training.safetensors\" \"$3/run/training.safetensors\" || exit 8
        rm \"$3/filler\"
        \"$1\" train --resume --out \"$3/run\" || exit 7
        rm -r \"$2\" && cp -r \"$3/run\" \"$2\"";
    let Some(output) = with_mounts(script, &[program, &half, &disk, &log]) else { return };
    assert!(output.status.success(), "{}: {}", output.status, message(&output));
    let log = fs::read_to_string(log).unwrap();
    let advice = "make room and run it again";
    for part in ["run keeps the state after epoch 1", "cannot be written", advice, "exit code 1"] {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
    same_bits(&whole, &half);
}

#[test]
fn a_read_only_folder_is_refused() {
    let place = Place::new();
    let (_, half) = whole_and_half(&place);
    let good = state(&half);
    let advice = |output: &Output| {
        let message = message(output);
        let code = output.status.code();
        assert!(code == Some(2) && message.contains("cannot be created"), "{code:?} {message}");
        assert!(
            message.contains("change its permissions") || message.contains("can be written"),
            "{message}"
        );
    };
    let [closed, open] = [0o555, 0o755].map(fs::Permissions::from_mode);
    fs::set_permissions(&half, closed).unwrap();
    // Permissions do not bind root, read-only mounts do.
    if fs::write(half.join("probe"), "").is_err() {
        advice(&resume(&half).output().unwrap());
        advice(&place.train(&half.join("new"), &SIZE).output().unwrap());
    } else {
        let program = Path::new(env!("CARGO_BIN_EXE_smoothout"));
        let mount = "mount --bind \"$2\" \"$2\" && mount -o remount,ro,bind \"$2\" || exit 9; ";
        let resume = format!("{mount} exec \"$1\" train --resume --out \"$2\"");
        let start = format!(
            "{mount} exec \"$1\" train --model resnet8 --dataset cifar10 --data-dir \"$3\" --out \
             \"$2/new\""
        );
        let arguments = [program, &half, &place.run("data")];
        for script in [resume, start] {
            if let Some(output) = with_mounts(&script, &arguments) {
                advice(&output);
            }
        }
    }
    fs::set_permissions(&half, open).unwrap();
    assert!(state(&half) == good);
}

/// The folder is moved away while the run goes on: an error, and the state goes on elsewhere.
#[test]
fn a_folder_that_vanishes_is_missed() {
    let place = Place::new();
    let (whole, run, elsewhere) = (place.run("whole"), place.run("run"), place.run("elsewhere"));
    succeed(place.train(&whole, &SIZE));
    let mut child =
        place.train(&run, &[&SIZE[..], &["--keep-every", "0"]].concat()).spawn().unwrap();
    wait_for(&run.join("training.safetensors"), &mut child);
    fs::rename(&run, &elsewhere).unwrap();
    let failed = child.wait_with_output().unwrap();
    fails(&failed, 1, &["run was moved or removed", "cannot be written", "check the path"]);
    assert!(!run.exists());
    succeed(resume(&elsewhere));
    same_bits(&whole, &elsewhere);
}

#[test]
fn a_second_training_in_one_folder_is_refused() {
    let place = Place::new();
    let run = place.run("run");
    let long = ["--epochs", "1000", "--batch-size", "32", "--keep-every", "0"];
    let mut child = place.train(&run, &long).spawn().unwrap();
    wait_for(&run.join("run.json"), &mut child);
    fails(&resume(&run).output().unwrap(), 2, &["in use by another training", "--out"]);
    wait_for(&run.join("training.safetensors"), &mut child);
    let again = place.train(&run, &long).output().unwrap();
    fails(&again, 2, &["holds a run already", "--resume"]);
    assert!(child.try_wait().unwrap().is_none(), "the first goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    // A killed run holds the folder no longer.
    succeed({
        let mut command = resume(&run);
        command.args(["--stop-after", "1"]);
        command
    });
}
