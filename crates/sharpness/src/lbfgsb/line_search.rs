//! The line search of More and Thuente: a step with sufficient decrease and enough curvature.
//!
//! Sought is a step t in (0, t_max] with
//! f(t) <= f(0) + mu t f'(0) and |f'(t)| <= eta |f'(0)|, mu = 1e-3 and eta = 0.9 as in L-BFGS-B.
//! The search keeps an interval that holds such steps, and picks trial steps in it by cubic and
//! quadratic interpolation.
//!
//! # Source
//! More and Thuente 1994, "Line search algorithms with guaranteed sufficient decrease", ACM TOMS
//! 20(3): section 2 (the interval), section 4 (the trial steps, four cases). Constants as in
//! MINPACK-2's dcsrch.

const DECREASE: f64 = 1e-3;
const CURVATURE: f64 = 0.9;
/// The relative width of an interval not worth searching.
const WIDTH: f64 = 0.1;

/// A point of the line: step, value, slope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) step: f64,
    pub(super) value: f64,
    pub(super) slope: f64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// Evaluate at this step.
    Try(f64),
    /// The last step is good, or as good as this line allows.
    Accept,
}

/// The state of a search.
#[derive(Debug)]
pub(super) struct LineSearch {
    start: Point,
    largest: f64,
    /// The best end of the interval, and the other.
    best: Point,
    other: Point,
    bracketed: bool,
    /// True until a step with sufficient decrease and a slope that is not steep was seen: the search
    /// runs on f(t) - mu t f'(0) so long.
    first_stage: bool,
    low: f64,
    high: f64,
    width: f64,
    width_before: f64,
}

impl LineSearch {
    /// A search from `start` (step 0, a negative slope) whose first trial is `step`.
    pub(super) fn new(start: Point, step: f64, largest: f64) -> Self {
        Self {
            start,
            largest,
            best: start,
            other: start,
            bracketed: false,
            first_stage: true,
            low: 0.0,
            high: 5.0 * step,
            width: largest,
            width_before: 2.0 * largest,
        }
    }

    /// Takes the value and slope at the last trial step.
    pub(super) fn advance(&mut self, at: Point) -> Next {
        let Point { step, value, slope } = at;
        let decrease = DECREASE * self.start.slope;
        let enough = value <= self.start.value + step * decrease;
        if self.first_stage && enough && slope >= decrease {
            self.first_stage = false;
        }
        // At an end of the interval: `safeguard` found nothing left in it.
        let stuck = self.bracketed && (step <= self.low || step >= self.high);
        let at_end = step == self.largest && enough && slope <= decrease;
        if stuck || at_end || (enough && slope.abs() <= -CURVATURE * self.start.slope) {
            return Next::Accept;
        }
        let next = if self.first_stage && value <= self.best.value && !enough {
            // The modified function, whose minimiser is a step with sufficient decrease.
            let tilt = |p: Point, by: f64| Point {
                value: p.value - p.step * by,
                slope: p.slope - by,
                ..p
            };
            self.best = tilt(self.best, decrease);
            self.other = tilt(self.other, decrease);
            let next = self.trial(tilt(at, decrease));
            self.best = tilt(self.best, -decrease);
            self.other = tilt(self.other, -decrease);
            next
        } else {
            self.trial(at)
        };
        Next::Try(self.safeguard(next))
    }

    /// Shrinks the interval where interpolation is slow, and keeps the step inside it.
    fn safeguard(&mut self, mut step: f64) -> f64 {
        let (a, b) = (self.best.step, self.other.step);
        if self.bracketed {
            if (b - a).abs() >= 0.66 * self.width_before {
                step = a + 0.5 * (b - a);
            }
            self.width_before = self.width;
            self.width = (b - a).abs();
            (self.low, self.high) = (a.min(b), a.max(b));
        } else {
            (self.low, self.high) = (step + 1.1 * (step - a), step + 4.0 * (step - a));
        }
        step = step.clamp(0.0, self.largest);
        let spent =
            step <= self.low || step >= self.high || self.high - self.low <= WIDTH * self.high;
        if self.bracketed && spent { a } else { step }
    }

    /// A trial step from both ends and the last step, and the interval with it.
    fn trial(&mut self, at: Point) -> f64 {
        let (x, p) = (self.best, at);
        let opposite = p.slope * x.slope.signum() < 0.0;
        let next = if p.value > x.value {
            // Case 1: a higher value. The minimum lies between; the cubic step if it is nearer to
            // the best end, else halfway to the quadratic one.
            let cubic = x.step + cubic_ratio(x, p, p.step < x.step) * (p.step - x.step);
            let quadratic = x.step
                + x.slope / ((x.value - p.value) / (p.step - x.step) + x.slope) / 2.0
                    * (p.step - x.step);
            self.bracketed = true;
            if (cubic - x.step).abs() < (quadratic - x.step).abs() {
                cubic
            } else {
                cubic + (quadratic - cubic) / 2.0
            }
        } else if opposite {
            // Case 2: a lower value, slopes of opposite sign. The farther of cubic and secant step.
            let cubic = p.step + cubic_ratio(p, x, p.step > x.step) * (x.step - p.step);
            let secant = p.step + p.slope / (p.slope - x.slope) * (x.step - p.step);
            self.bracketed = true;
            if (cubic - p.step).abs() > (secant - p.step).abs() { cubic } else { secant }
        } else if p.slope.abs() < x.slope.abs() {
            // Case 3: a lower value, a slope that flattens.
            let cubic = self.flattening(x, p);
            let secant = p.step + p.slope / (p.slope - x.slope) * (x.step - p.step);
            let cubic_is_nearer = (cubic - p.step).abs() < (secant - p.step).abs();
            if self.bracketed {
                let step = if cubic_is_nearer { cubic } else { secant };
                let limit = p.step + 0.66 * (self.other.step - p.step);
                if p.step > x.step { step.min(limit) } else { step.max(limit) }
            } else {
                let step = if cubic_is_nearer { secant } else { cubic };
                step.clamp(self.low, self.high)
            }
        } else if self.bracketed {
            // Case 4: a lower value, a slope that does not flatten, an end beyond.
            let y = self.other;
            p.step + cubic_ratio(p, y, p.step > y.step) * (y.step - p.step)
        } else if p.step > x.step {
            self.high
        } else {
            self.low
        };
        if p.value > x.value {
            self.other = p;
        } else {
            if opposite {
                self.other = x;
            }
            self.best = p;
        }
        next
    }

    /// The cubic step of case 3: to the minimiser if it lies beyond, else to the end.
    fn flattening(&self, x: Point, p: Point) -> f64 {
        let (theta, scale) = cubic_terms(x, p);
        let root = (theta / scale).powi(2) - (x.slope / scale) * (p.slope / scale);
        let size = scale * root.max(0.0).sqrt();
        let gamma = if p.step > x.step { -size } else { size };
        let ratio = (gamma - p.slope + theta) / (gamma + (x.slope - p.slope) + gamma);
        if ratio < 0.0 && gamma != 0.0 {
            p.step + ratio * (x.step - p.step)
        } else if p.step > x.step {
            self.high
        } else {
            self.low
        }
    }
}

/// theta of the cubic through two points, and the scale that keeps its square from overflowing.
fn cubic_terms(a: Point, b: Point) -> (f64, f64) {
    let theta = 3.0 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope;
    (theta, theta.abs().max(a.slope.abs()).max(b.slope.abs()))
}

/// Where between `a` (0) and `b` (1) the cubic through both has its minimum.
fn cubic_ratio(a: Point, b: Point, reverse: bool) -> f64 {
    let (theta, scale) = cubic_terms(a, b);
    let root = (theta / scale).powi(2) - (a.slope / scale) * (b.slope / scale);
    let size = scale * root.max(0.0).sqrt();
    let gamma = if reverse { -size } else { size };
    (gamma - a.slope + theta) / (gamma - a.slope + gamma + b.slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps that are tried; the last is accepted.
    fn search(f: impl Fn(f64) -> (f64, f64), first: f64, largest: f64) -> Vec<f64> {
        let at = |step: f64| Point { step, value: f(step).0, slope: f(step).1 };
        let mut search = LineSearch::new(at(0.0), first, largest);
        let mut steps = vec![first];
        while let Next::Try(next) = search.advance(at(steps[steps.len() - 1])) {
            steps.push(next);
            assert!(steps.len() < 40, "no step after 40 evaluations");
        }
        steps
    }

    /// The strong Wolfe conditions hold on three functions (the first two are More and Thuente's), from steps
    /// a thousand times too short and too long.
    #[test]
    fn steps_satisfy_the_conditions() {
        let functions: [fn(f64) -> (f64, f64); 3] = [
            |a| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2)),
            |a| {
                let b = a + 0.004;
                (b.powi(5) - 2.0 * b.powi(4), 5.0 * b.powi(4) - 8.0 * b.powi(3))
            },
            |a| {
                let value = (a - 1.0).powi(2) + 0.02 * (20.0 * a).sin();
                (value, 2.0 * (a - 1.0) + 0.4 * (20.0 * a).cos())
            },
        ];
        for (k, f) in functions.into_iter().enumerate() {
            let (value, slope) = f(0.0);
            for first in [1e-3, 0.1, 1.0, 10.0, 1e3] {
                let step = *search(f, first, 1e10).last().unwrap();
                let (reached, at) = f(step);
                assert!(reached <= value + DECREASE * step * slope, "{k} {first}: {step}");
                // The second is so flat at 0 that the interval gets narrow first, around 1.596.
                let narrow = k == 1 && (step - 1.596).abs() < 0.16;
                assert!(at.abs() <= -CURVATURE * slope || narrow, "{k} {first}: {step}");
            }
        }
    }

    /// Each of the four cases after each other: the steps of MINPACK-2's dcsrch (searches.py).
    #[test]
    fn steps_are_minpacks() {
        for row in include_str!("../../tests/scipy/searches.csv").lines() {
            let row: Vec<f64> = row.split(',').map(|number| number.parse().unwrap()).collect();
            let (p, expected) = row.split_at(5);
            let f = |a: f64| {
                let (sin, cos) = (p[1] * a + p[2]).sin_cos();
                (p[0] * sin + p[3] * a * a - p[4] * a, p[0] * p[1] * cos + 2.0 * p[3] * a - p[4])
            };
            let steps = search(f, expected[0], 100.0);
            assert_eq!(steps.len(), expected.len(), "{p:?}: {steps:?}, not {expected:?}");
            for (step, expected) in steps.iter().zip(expected) {
                assert!((step / expected - 1.0).abs() < 1e-9, "{p:?}: {step}, not {expected}");
            }
        }
    }

    #[test]
    fn a_falling_line_ends_at_the_largest_step() {
        assert_eq!(search(|a| (-a, -1.0), 1.0, 7.0), [1.0, 5.0, 7.0]);
    }
}
