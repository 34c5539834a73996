"""The points that SciPy's L-BFGS-B evaluates, one by one, into paths.csv:

    python3 crates/sharpness/tests/scipy/paths.py

f(x) = sum_i (1 - x_i)^2 + c (x_{i+1} - x_i^2)^2. Each row: problem, c, pairs kept, x_1 to x_n; the
first two rows of a problem are its bounds, the others the points in the order of their evaluation.
"""

import csv
import math
import pathlib
import random

import numpy as np
from scipy.optimize import minimize

INFINITY = math.inf
# c, pairs, lower, upper, start
PROBLEMS = [
    (5.0, 10, [-INFINITY] * 4, [INFINITY] * 4, [-1.2, 1.0, -0.5, 0.8]),
    (5.0, 2, [-INFINITY] * 4, [INFINITY] * 4, [2.0, -1.0, 0.5, 3.0]),
    (3.0, 10, [-2.0] * 5, [0.8] * 5, [-1.2, 0.7, -0.5, 0.3, -1.9]),
    (3.0, 3, [-0.5, -2.0, 0.3, -0.25, -1.0], [2.0, 0.4, 0.3, 2.0, 0.9], [1.5, -1.0, 0.3, 1.9, 0.2]),
    (2.0, 10, [-INFINITY, 0.2, -INFINITY, -1.5], [0.5, INFINITY, INFINITY, 0.7], [-3.0, 4.0, 1.0, -1.4]),
    (40.0, 10, [-1.5, -1.5, -1.5], [1.5, 0.6, 1.5], [-1.4, 0.5, 1.3]),
    (10.0, 4, [0.1] * 6, [3.0] * 6, [2.5, 0.1, 2.9, 0.2, 1.7, 0.6]),
]

# And some at random: each variable with no bound, one or two, or fixed.
random.seed(3)
for _ in range(12):
    n = random.randint(2, 9)
    start = [round(random.uniform(-2, 2), 2) for _ in range(n)]
    away = lambda: random.choice([INFINITY, round(random.uniform(0, 2), 2), 0.0])
    lower, upper = [x - away() for x in start], [x + away() for x in start]
    PROBLEMS.append((round(random.uniform(0.5, 20), 1), random.randint(1, 12), lower, upper, start))

# A first step that is longer than the gradient; bounds on one side alone; the most pairs; curvature
# below zero.
PROBLEMS += [
    (1.0, 10, [-INFINITY] * 3, [INFINITY] * 3, [0.98, 1.01, 0.97]),
    (4.0, 5, [-INFINITY, 0.5, -INFINITY], [0.7, INFINITY, INFINITY], [-1.0, 2.0, -0.5]),
]
PROBLEMS.append((30.0, 20, [-INFINITY] * 10, [INFINITY] * 10, [-1.0, 0.8] * 5))
for c in (-0.2, -1.0, -3.0, -10.0):
    PROBLEMS.append((c, 5, [-1.3, -2.0, -0.6, -1.1], [1.7, 1.2, 2.0, 1.4], [0.3, -0.4, 0.6, 0.2]))

rows = []
for number, (c, pairs, lower, upper, start) in enumerate(PROBLEMS):
    points = [lower, upper]

    def f(x):
        a, b = x[:-1], x[1:]
        value = sum((1 - a) ** 2 + c * (b - a * a) ** 2)
        gradient = np.zeros_like(x)
        gradient[:-1] += -2 * (1 - a) - 4 * c * a * (b - a * a)
        gradient[1:] += 2 * c * (b - a * a)
        points.append(x.copy())
        return value, gradient

    options = dict(maxcor=pairs, ftol=1e-9, gtol=1e-7, maxiter=60, maxls=20)
    minimize(f, start, jac=True, method="L-BFGS-B", bounds=list(zip(lower, upper)), options=options)
    rows += [[number, c, pairs, *map(float, point)] for point in points]

with open(pathlib.Path(__file__).with_name("paths.csv"), "w", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
