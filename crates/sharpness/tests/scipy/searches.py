"""Line searches by SciPy's DCSRCH (MINPACK-2), step by step, into searches.csv:

    python3 crates/sharpness/tests/scipy/searches.py

Functions f(a) = p0 sin(p1 a + p2) + p3 a^2 - p4 a, drawn until each of dcstep's four cases has
followed each other five times, before and after the minimum is bracketed, on f and on
f - mu a f'(0), and has ended the search for each reason. Each row: p0 to p4, then the steps
tried, the first of which is given. Left out are searches where DCSRCH's second stage (f' >= 0)
begins later than that of More and Thuente (f' >= mu f'(0)).
"""

import collections
import csv
import math
import pathlib
import random

import numpy as np
import scipy.optimize._dcsrch as minpack

dcstep = minpack.dcstep
cases = []


def watched(stx, fx, dx, sty, fy, dy, stp, fp, dp, bracketed, stpmin, stpmax):
    if fp > fx:
        case = 1
    elif np.sign(dp) * np.sign(dx) < 0:
        case = 2
    else:
        case = 3 if abs(dp) < abs(dx) else 4
    found = dcstep(stx, fx, dx, sty, fy, dy, stp, fp, dp, bracketed, stpmin, stpmax)
    limited = case == 3 and bracketed and found[6] == stp + 0.66 * (sty - stp)
    cases.append((case, bracketed, stp > stx, fp != value(stp), limited))
    return found


minpack.dcstep = watched
random.seed(1)
seen, rows = collections.Counter(), []
for _ in range(200_000):
    p = [
        round(random.uniform(0.1, 2), 1),
        round(random.uniform(0.3, 4), 1),
        round(random.uniform(0, 6.2), 1),
        random.choice([0, 0, 0.01, 0.1, 0.5]),
        round(random.uniform(-1, 1), 1),
    ]
    first = random.choice([0.01, 0.1, 0.5, 1, 3, 10, 50])
    # By chance too rare: a step that descends less than it should; such a one after one that does.
    wave = lambda a: p[0] * (math.sin(p[1] * a + p[2]) - math.sin(p[2]))
    initial = p[0] * p[1] * math.cos(p[2])
    kind = random.choice(["any", "little", "enough and little"])
    if kind == "little":
        share = random.uniform(0, 1e-3)
        p[4] = ((wave(first) + p[3] * first**2) / first - share * initial) / (1 - share)
    elif kind == "enough and little":
        steps = np.array([first, 5 * first])
        shares = np.array([random.uniform(1e-3, 1.2e-3), random.uniform(0.3e-3, 1e-3)])
        matrix = np.stack([steps**2, -(1 - shares) * steps], axis=1)
        rise = np.array([wave(a) for a in steps])
        p[3], p[4] = map(float, np.linalg.solve(matrix, shares * steps * initial - rise))
    value = lambda a: p[0] * math.sin(p[1] * a + p[2]) + p[3] * a * a - p[4] * a
    slope = lambda a: p[0] * p[1] * math.cos(p[1] * a + p[2]) + 2 * p[3] * a - p[4]
    if not -0.3 < slope(0) < -1e-3:
        continue
    cases.clear()
    steps = []

    def tried(a):
        steps.append(float(a))
        return value(a)

    search = minpack.DCSRCH(tried, slope, 1e-3, 0.9, 0.1, 0.0, 100.0)
    *_, reason = search(first, value(0), slope(0), maxiter=60)
    low = lambda a: value(a) <= value(0) + 1e-3 * a * slope(0)
    if any(low(a) and 1e-3 * slope(0) <= slope(a) < 0 for a in steps):
        continue
    pairs = set(zip([None, *cases], [*cases, bytes(reason)]))
    if len(steps) >= 4 and any(seen[pair] < 5 for pair in pairs):
        seen.update(pairs)
        rows.append(p + steps)

with open(pathlib.Path(__file__).with_name("searches.csv"), "w", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
