"""Bounded problems solved by SciPy's L-BFGS-B: writes answers.csv beside this file.

    python3 problems.py            # needs numpy and scipy 1.17

Each problem follows from (family, n, seed) through a counter-based generator, so that the Rust test
builds the same one: u(k) = splitmix64(seed * 2^32 + k) in (0, 1). One line a solved start:
family,n,seed,start,value,evaluations,projected_gradient.
"""
import pathlib

import numpy as np
import scipy
from scipy.optimize import minimize

OPTIONS = dict(maxcor=10, ftol=1e-12, gtol=1e-8, maxiter=15000, maxfun=15000, maxls=20)


class Random:
    def __init__(self, seed):
        self.seed, self.next = np.uint64(seed << 32), 0

    def unit(self, count):
        k = np.arange(self.next, self.next + count, dtype=np.uint64)
        self.next += count
        with np.errstate(over="ignore"):
            z = self.seed + k + np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        return ((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def between(self, low, high, count):
        return low + (high - low) * self.unit(count)


def box(random, n, half):
    """Bounds about random centres, and a start that may lie outside."""
    centre = random.between(-1.0, 1.0, n)
    width = random.between(0.1, half, n)
    start = random.between(-2.0, 2.0, n)
    return centre - width, centre + width, start


def quadratic(random, n):
    a = random.between(-1.0, 1.0, n * n).reshape(n, n)
    c = random.between(-1.5, 1.5, n)
    lower, upper, start = box(random, n, 1.0)

    def f(x):
        d = x - c
        r = a @ d
        return 0.5 * r @ r + 0.05 * d @ d, a.T @ r + 0.1 * d

    return f, lower, upper, start


def rosenbrock(random, n):
    upper = random.between(0.3, 2.0, n)
    lower = np.full(n, -1.5)
    start = random.between(-2.0, 2.0, n)

    def f(x):
        p, q = x[0::2], x[1::2]
        off = q - p * p
        g = np.empty(n)
        g[0::2] = -2.0 * (1.0 - p) - 400.0 * off * p
        g[1::2] = 200.0 * off
        return np.sum(100.0 * off * off + (1.0 - p) ** 2), g

    return f, lower, upper, start


def exponential(random, n):
    a = random.between(-1.0, 1.0, 2 * n)
    lower, upper, start = box(random, n, 2.0)

    def f(x):
        y = np.roll(x, -1)
        e = np.exp(a[:n] * x + a[n:] * y)
        g = a[:n] * e + np.roll(a[n:] * e, 1) + 0.2 * x
        return np.sum(e) + 0.1 * x @ x, g

    return f, lower, upper, start


def logistic(random, n):
    samples = 3 * n
    a = random.between(-1.0, 1.0, samples * n).reshape(samples, n)
    labels = np.where(random.unit(samples) < 0.5, -1.0, 1.0)
    lower, upper, start = box(random, n, 0.8)

    def f(x):
        margin = labels * (a @ x)
        slope = -labels / (1.0 + np.exp(margin)) / samples
        value = np.mean(np.log1p(np.exp(-margin))) + 0.005 * x @ x
        return value, a.T @ slope + 0.01 * x

    return f, lower, upper, start


def quartic(random, n):
    h = random.between(0.1, 10.0, n)
    c = random.between(-1.5, 1.5, n)
    lower, upper, start = box(random, n, 1.0)

    def f(x):
        d = x - c
        e = x[1:] - x[:-1]
        g = 4.0 * h * d**3
        g[1:] += e
        g[:-1] -= e
        return h @ d**4 + 0.5 * e @ e, g

    return f, lower, upper, start


def chain(random, n):
    c = random.between(-2.0, 2.0, n)
    lower, upper, start = box(random, n, 1.5)

    def f(x):
        e = 3.0 * (x[1:] - x[:-1])
        d = x - c
        g = d.copy()
        t = 3.0 * np.tanh(e)
        g[1:] += t
        g[:-1] -= t
        return np.sum(np.log(np.cosh(e))) + 0.5 * d @ d, g

    return f, lower, upper, start


def diagonal(random, n):
    h = 10.0 ** random.between(-2.0, 2.0, n)
    c = random.between(-1.5, 1.5, n)
    lower, upper, start = box(random, n, 1.0)

    def f(x):
        d = x - c
        return 0.5 * h @ (d * d) + n, h * d

    return f, lower, upper, start


def vertices(random, n):
    """Keskar's shape: maximise a convex function in a box of 1e-3 (|w| + 1)."""
    rank = 5
    w = random.between(-1.0, 1.0, n)
    h = random.between(0.0, 10.0, n)
    v = random.between(-1.0, 1.0, rank * n).reshape(rank, n)
    b = random.between(-1e-3, 1e-3, n)
    half = 1e-3 * (np.abs(w) + 1.0)

    def f(z):
        r = v @ z
        return -(0.5 * h @ (z * z) + 0.5 * r @ r + b @ z), -(h * z + v.T @ r + b)

    return f, -half, half, np.zeros(n)


def solve(f, lower, upper, start):
    start = np.clip(start, lower, upper)
    result = minimize(f, start, jac=True, method="L-BFGS-B", bounds=np.c_[lower, upper], options=OPTIONS)
    gradient = f(result.x)[1]
    projected = np.max(np.abs(np.clip(result.x - gradient, lower, upper) - result.x))
    return result.fun, result.nfev, projected


def main():
    lines = []
    families = [quadratic, rosenbrock, exponential, logistic, quartic, chain, diagonal]
    for family in families:
        sizes = [2, 4, 10, 30] if family in (quadratic, logistic) else [2, 4, 10, 50, 1000]
        for n in sizes:
            for seed in range(48 // len(sizes)):
                value, evaluations, projected = solve(*family(Random(seed), n))
                lines.append(f"{family.__name__},{n},{seed},0,{value!r},{evaluations},{projected:.3e}")
    for n in [10_000, 100_000]:
        for family in [diagonal, chain]:
            value, evaluations, projected = solve(*family(Random(0), n))
            lines.append(f"{family.__name__},{n},0,0,{value!r},{evaluations},{projected:.3e}")
    for n in [10, 100, 1000, 10_000, 100_000]:
        f, lower, upper, _ = vertices(Random(0), n)
        for start in range(20):
            at = lower + (upper - lower) * Random(1000 + start).unit(n)
            value, evaluations, projected = solve(f, lower, upper, at)
            lines.append(f"vertices,{n},0,{start},{value!r},{evaluations},{projected:.3e}")
    header = f"# scipy {scipy.__version__}, numpy {np.__version__}; {OPTIONS}\n"
    text = header + "\n".join(line.replace("np.float64(", "").replace(")", "") for line in lines)
    pathlib.Path(__file__).with_name("answers.csv").write_text(text + "\n")


if __name__ == "__main__":
    main()
