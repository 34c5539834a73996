//! The bounded problems of `problems.py`, number for number.

/// The generator of `problems.py`.
pub(crate) struct Random {
    seed: u64,
    next: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: seed << 32, next: 0 }
    }

    pub(crate) fn between(&mut self, low: f64, high: f64, count: usize) -> Vec<f64> {
        (0..count)
            .map(|_| {
                let z = self.seed.wrapping_add(self.next).wrapping_add(0x9e37_79b9_7f4a_7c15);
                self.next += 1;
                let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let z = z ^ (z >> 31);
                low + (high - low) * (((z >> 11) as f64 + 0.5) * 2.0_f64.powi(-53))
            })
            .collect()
    }
}

/// Value and gradient, as one closure.
pub(crate) type Function = Box<dyn Fn(&[f64], &mut [f64]) -> f64 + Sync>;

pub(crate) struct Problem {
    pub(crate) function: Function,
    pub(crate) lower: Vec<f64>,
    pub(crate) upper: Vec<f64>,
    pub(crate) start: Vec<f64>,
}

fn boxed(random: &mut Random, n: usize, half: f64, function: Function) -> Problem {
    let centre = random.between(-1.0, 1.0, n);
    let width = random.between(0.1, half, n);
    let start = random.between(-2.0, 2.0, n);
    let edge = |sign: f64| centre.iter().zip(&width).map(|(c, w)| c + sign * w).collect();
    Problem { function, lower: edge(-1.0), upper: edge(1.0), start }
}

/// The problem of a family, a size and a seed.
pub(crate) fn problem(family: &str, n: usize, seed: u64) -> Problem {
    let random = &mut Random::new(seed);
    match family {
        "quadratic" => {
            let a = random.between(-1.0, 1.0, n * n);
            let c = random.between(-1.5, 1.5, n);
            let f = move |x: &[f64], g: &mut [f64]| {
                let d: Vec<f64> = x.iter().zip(&c).map(|(x, c)| x - c).collect();
                g.iter_mut().zip(&d).for_each(|(g, d)| *g = 0.1 * d);
                let mut value = 0.05 * d.iter().map(|d| d * d).sum::<f64>();
                for row in a.chunks(n) {
                    let r: f64 = row.iter().zip(&d).map(|(a, d)| a * d).sum();
                    value += 0.5 * r * r;
                    g.iter_mut().zip(row).for_each(|(g, a)| *g += r * a);
                }
                value
            };
            boxed(random, n, 1.0, Box::new(f))
        }
        "rosenbrock" => {
            let upper = random.between(0.3, 2.0, n);
            let start = random.between(-2.0, 2.0, n);
            let f = |x: &[f64], g: &mut [f64]| {
                let pairs = x.chunks(2).zip(g.chunks_mut(2));
                pairs
                    .map(|(x, g)| {
                        let off = x[1] - x[0] * x[0];
                        g[0] = -2.0 * (1.0 - x[0]) - 400.0 * off * x[0];
                        g[1] = 200.0 * off;
                        100.0 * off * off + (1.0 - x[0]).powi(2)
                    })
                    .sum()
            };
            Problem { function: Box::new(f), lower: vec![-1.5; n], upper, start }
        }
        "exponential" => {
            let a = random.between(-1.0, 1.0, 2 * n);
            let f = move |x: &[f64], g: &mut [f64]| {
                g.iter_mut().zip(x).for_each(|(g, x)| *g = 0.2 * x);
                let mut value = 0.1 * x.iter().map(|x| x * x).sum::<f64>();
                for i in 0..n {
                    let j = (i + 1) % n;
                    let e = (a[i] * x[i] + a[n + i] * x[j]).exp();
                    value += e;
                    g[i] += a[i] * e;
                    g[j] += a[n + i] * e;
                }
                value
            };
            boxed(random, n, 2.0, Box::new(f))
        }
        "logistic" => {
            let samples = 3 * n;
            let a = random.between(-1.0, 1.0, samples * n);
            let labels = random.between(0.0, 1.0, samples);
            let f = move |x: &[f64], g: &mut [f64]| {
                g.iter_mut().zip(x).for_each(|(g, x)| *g = 0.01 * x);
                let mut value = 0.0;
                for (row, label) in a.chunks(n).zip(&labels) {
                    let label = if *label < 0.5 { -1.0 } else { 1.0 };
                    let margin = label * row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
                    value += (-margin).exp().ln_1p();
                    let slope = -label / (1.0 + margin.exp()) / samples as f64;
                    g.iter_mut().zip(row).for_each(|(g, a)| *g += slope * a);
                }
                value / samples as f64 + 0.005 * x.iter().map(|x| x * x).sum::<f64>()
            };
            boxed(random, n, 0.8, Box::new(f))
        }
        "quartic" => {
            let h = random.between(0.1, 10.0, n);
            let c = random.between(-1.5, 1.5, n);
            let f = move |x: &[f64], g: &mut [f64]| {
                let mut value = 0.0;
                for i in 0..n {
                    let d = x[i] - c[i];
                    value += h[i] * d.powi(4);
                    g[i] = 4.0 * h[i] * d.powi(3);
                }
                for i in 1..n {
                    let e = x[i] - x[i - 1];
                    value += 0.5 * e * e;
                    g[i] += e;
                    g[i - 1] -= e;
                }
                value
            };
            boxed(random, n, 1.0, Box::new(f))
        }
        "chain" => {
            let c = random.between(-2.0, 2.0, n);
            let f = move |x: &[f64], g: &mut [f64]| {
                let mut value = 0.0;
                for i in 0..n {
                    g[i] = x[i] - c[i];
                    value += 0.5 * g[i] * g[i];
                }
                for i in 1..n {
                    let e = 3.0 * (x[i] - x[i - 1]);
                    value += e.cosh().ln();
                    g[i] += 3.0 * e.tanh();
                    g[i - 1] -= 3.0 * e.tanh();
                }
                value
            };
            boxed(random, n, 1.5, Box::new(f))
        }
        "diagonal" => {
            let h: Vec<f64> =
                random.between(-2.0, 2.0, n).iter().map(|&e| 10.0_f64.powf(e)).collect();
            let c = random.between(-1.5, 1.5, n);
            let f = move |x: &[f64], g: &mut [f64]| {
                let mut value = n as f64;
                for i in 0..n {
                    let d = x[i] - c[i];
                    g[i] = h[i] * d;
                    value += 0.5 * h[i] * d * d;
                }
                value
            };
            boxed(random, n, 1.0, Box::new(f))
        }
        "vertices" => {
            let w = random.between(-1.0, 1.0, n);
            let h = random.between(0.0, 10.0, n);
            let v = random.between(-1.0, 1.0, 5 * n);
            let b = random.between(-1e-3, 1e-3, n);
            let upper: Vec<f64> = w.iter().map(|w| 1e-3 * (w.abs() + 1.0)).collect();
            let f = move |z: &[f64], g: &mut [f64]| {
                let mut value = 0.0;
                for i in 0..n {
                    value -= 0.5 * h[i] * z[i] * z[i] + b[i] * z[i];
                    g[i] = -h[i] * z[i] - b[i];
                }
                for row in v.chunks(n) {
                    let r: f64 = row.iter().zip(z).map(|(v, z)| v * z).sum();
                    value -= 0.5 * r * r;
                    g.iter_mut().zip(row).for_each(|(g, v)| *g -= r * v);
                }
                value
            };
            let lower = upper.iter().map(|u| -u).collect();
            Problem { function: Box::new(f), lower, upper, start: vec![0.0; n] }
        }
        other => panic!("answers.csv names an unknown family {other:?}"),
    }
}
