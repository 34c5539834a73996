"""Times our L-BFGS-B and SciPy's on bounded problems of a million variables, in turn.

    python3 crates/sharpness/benches/against_scipy.py [ROUNDS]     # needs numpy and scipy 1.17

Three problems of tests/scipy/problems.py: a separable quadratic, Rosenbrock's function in pairs, and
the maximum of a convex function in a box of Keskar's shape. Both sides get the same numbers, the same
start, the same tolerances and at most 20 iterations, and each calls a function in its own language (Rust on one thread,
NumPy), so the time in the function is told apart from the optimiser's own. Each round runs SciPy, ours
on one thread and ours on all threads; the table has the medians.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import scipy
from scipy.optimize import minimize

CRATE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CRATE / "tests" / "scipy"))
import problems  # noqa: E402

N = 1_000_000
ITERATIONS = 20
FAMILIES = ["diagonal", "rosenbrock", "vertices"]


def binary():
    """Builds the Rust side."""
    command = ["cargo", "bench", "--bench", "million", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=CRATE, check=True, capture_output=True, text=True).stdout
    messages = map(json.loads, lines.splitlines())
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "million" and m.get("executable"))


def ours(program, family, threads):
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    run = subprocess.run([program, family, str(N), str(ITERATIONS)], env=environment, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def scipys(family):
    f, lower, upper, start = getattr(problems, family)(problems.Random(0), N)
    if family == "vertices":
        start = lower + (upper - lower) * problems.Random(1000).unit(N)
    inside = 0.0

    def timed(x):
        nonlocal inside
        began = time.perf_counter()
        result = f(x)
        inside += time.perf_counter() - began
        return result

    start = np.clip(start, lower, upper)
    bounds = scipy.optimize.Bounds(lower, upper)
    began = time.perf_counter()
    result = minimize(timed, start, jac=True, method="L-BFGS-B", bounds=bounds, options=problems.OPTIONS | {"maxiter": ITERATIONS})
    seconds = time.perf_counter() - began
    return dict(value=result.fun, evaluations=result.nfev, iterations=result.nit, seconds=seconds, in_function=inside)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    program, cores = binary(), os.cpu_count()
    print(f"scipy {scipy.__version__}, numpy {np.__version__}, {N} variables, {cores} cores, medians of {rounds} rounds")
    print("| problem | who | value | iterations | evaluations | seconds | in the function | in the optimiser |")
    print("|---|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        sides = {"SciPy": [], "ours, 1 thread": [], f"ours, {cores} threads": []}
        for _ in range(rounds):
            sides["SciPy"].append(scipys(family))
            sides["ours, 1 thread"].append(ours(program, family, 1))
            sides[f"ours, {cores} threads"].append(ours(program, family, cores))
        for who, runs in sides.items():
            middle = lambda pick: statistics.median(map(pick, runs))  # noqa: E731
            total, inside = middle(lambda r: r["seconds"]), middle(lambda r: r["in_function"])
            own = middle(lambda r: r["seconds"] - r["in_function"])
            first = runs[0]
            print(
                f"| {family} | {who} | {first['value']:.9g} | {first['iterations']} | {first['evaluations']} "
                f"| {total:.2f} | {inside:.2f} | {own:.2f} |"
            )
        print(f"  {family}: {sides['ours, 1 thread'][0]['vectors']:.1f} vectors of memory", file=sys.stderr)


if __name__ == "__main__":
    main()
