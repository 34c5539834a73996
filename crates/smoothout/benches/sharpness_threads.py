"""Times the expected loss of ResNet-44 on one and on two threads, in turn.

    python3 crates/smoothout/benches/sharpness_threads.py DATA_DIR [ROUNDS]

DATA_DIR holds CIFAR-10's binary files (`smoothout data fetch cifar10` says where it puts them). The
network is trained for a few updates only: the time does not depend on the weights. Perturbations are
filter-wise, so that no companion is measured beside them, and the guards are off: what is timed is the
sampling, 24 antithetic pairs on 500 examples. Prints each round, the medians and their ratio; the
estimates must be the same on both.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]


def main():
    data, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    subprocess.run(["cargo", "build", "--release", "-p", "smoothout"], cwd=ROOT, check=True)
    program = str(ROOT / "target" / "release" / "smoothout")
    subject = ["--model", "resnet44", "--dataset", "cifar10", "--data-dir", data]
    with tempfile.TemporaryDirectory() as folder:
        run = str(pathlib.Path(folder) / "run")
        limits = ["--epochs", "1", "--train-limit", "256", "--test-limit", "256", "--batch-size", "128"]
        subprocess.run([program, "train", *subject, *limits, "--out", run], check=True, capture_output=True)
        metric = ["--metric", "expected-loss", "--geometry", "filter", "--radius", "0.1", "--samples", "24"]
        command = [program, "sharpness", *subject, "--weights", f"{run}/last.safetensors", *metric]
        command += ["--examples", "500", "--no-guards", "--json"]
        seconds, estimates = {1: [], 2: []}, set()
        for _ in range(rounds):
            for threads in seconds:
                text = subprocess.run([*command, "--threads", str(threads)], check=True, capture_output=True).stdout
                found = json.loads(text)
                seconds[threads].append(found["seconds"])
                estimates.add((found["estimate"], found["standard_error"]))
            print(f"1 thread {seconds[1][-1]:.2f} s, 2 threads {seconds[2][-1]:.2f} s", flush=True)
    assert len(estimates) == 1, f"the estimate depends on the threads: {estimates}"
    one, two = (statistics.median(seconds[threads]) for threads in (1, 2))
    print(f"medians: {one:.2f} s and {two:.2f} s, ratio {one / two:.2f}")


if __name__ == "__main__":
    main()
