//! Central differences in f64, against which each backward is tested.

/// Deterministic numbers without structure, in (-1, 1).
pub(crate) fn wave(len: usize, pace: f64) -> Vec<f64> {
    (0..len).map(|i| ((i + 1) as f64 * pace * 7.31).sin()).collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Asserts that `gradient` is that of `f` at `x`, coordinate by coordinate.
pub(crate) fn check(what: &str, x: &[f64], gradient: &[f64], mut f: impl FnMut(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{what}");
    let step = 1e-5;
    let mut moved = x.to_vec();
    for i in 0..x.len() {
        moved[i] = x[i] + step;
        let up = f(&moved);
        moved[i] = x[i] - step;
        let down = f(&moved);
        moved[i] = x[i];
        let numeric = (up - down) / (2.0 * step);
        let error = (numeric - gradient[i]).abs();
        assert!(error < 1e-6 * (1.0 + numeric.abs()), "{what}[{i}]: {numeric} {}", gradient[i]);
    }
}
