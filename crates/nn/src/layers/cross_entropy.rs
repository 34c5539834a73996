//! Softmax cross-entropy, the mean over the batch: `L = -1/N sum_n log p[n, label_n]`,
//! `p = softmax(z)`.
//!
//! z (N, K) logits; dz = (p - onehot) / N. Logits are taken from the row's maximum m, and the logarithm
//! of the sum stays apart from it: `log p = (z - m) - log sum exp(z - m)`. Sums are wide. A label's rank is the number of classes above it: larger logits, and equal ones that come
//! first. A row with a NaN counts as wrong.

use rayon::prelude::*;
use smoothout_tensor::{Float, Real};

use crate::BatchLoss;
use crate::parallel::grown;

/// Rows that one task handles.
const ROWS: usize = 32;

/// The loss of logits and labels; writes dz into `gradient`, if it is given.
///
/// Labels must be below the number of classes.
pub(crate) fn loss<R: Real>(
    classes: usize,
    logits: &[R],
    labels: &[usize],
    gradient: Option<&mut [R]>,
    partials: &mut Vec<R::Wide>,
) -> BatchLoss {
    let (examples, chunk) = (labels.len(), ROWS * classes);
    // Three numbers per task: summed loss, top-1 and top-5 counts.
    let partials = grown(partials, examples.div_ceil(ROWS) * 3);
    let rows = logits.par_chunks(chunk).zip(labels.par_chunks(ROWS));
    match gradient {
        Some(gradient) => {
            let tasks = partials.par_chunks_mut(3).zip(rows).zip(gradient.par_chunks_mut(chunk));
            tasks.for_each(|((partial, (logits, labels)), gradient)| {
                partial.fill(R::Wide::default());
                let rows = logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
                for ((z, dz), &label) in rows.zip(labels) {
                    let (largest, log_sum) = row_loss(z, label, partial);
                    for (k, (dz, z)) in dz.iter_mut().zip(z).enumerate() {
                        let hit = R::Wide::from_f64(if k == label { 1.0 } else { 0.0 });
                        let p = (z.widen() - largest - log_sum).exp();
                        *dz = R::narrow((p - hit) / R::Wide::from_f64(examples as f64));
                    }
                }
            });
        }
        None => partials.par_chunks_mut(3).zip(rows).for_each(|(partial, (logits, labels))| {
            partial.fill(R::Wide::default());
            for (z, &label) in logits.chunks_exact(classes).zip(labels) {
                row_loss(z, label, partial);
            }
        }),
    }
    let total = |k: usize| partials.iter().skip(k).step_by(3).copied().sum::<R::Wide>().as_f64();
    BatchLoss {
        loss: total(0) / examples as f64,
        examples,
        top1: total(1) as usize,
        top5: total(2) as usize,
    }
}

/// Adds one row's loss and counts to `partial`; returns m and log sum exp(z - m).
fn row_loss<R: Real>(z: &[R], label: usize, partial: &mut [R::Wide]) -> (R::Wide, R::Wide) {
    let largest =
        z.iter().fold(R::Wide::from_f64(f64::NEG_INFINITY), |largest, z| largest.max(z.widen()));
    let sum: R::Wide = z.iter().map(|z| (z.widen() - largest).exp()).sum();
    let log_sum = sum.ln();
    partial[0] += log_sum - (z[label].widen() - largest);
    let above = |&(k, other): &(usize, &R)| *other > z[label] || (*other == z[label] && k < label);
    let rank = z.iter().enumerate().filter(above).count();
    let valid = z.iter().all(|z| !z.is_nan());
    let count = |hit| R::Wide::from_f64(if hit { 1.0 } else { 0.0 });
    partial[1] += count(valid && rank < 1);
    partial[2] += count(valid && rank < 5);
    (largest, log_sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, wave};

    #[test]
    fn gradient_matches_differences() {
        for (examples, classes) in [(1, 2), (4, 3), (70, 6)] {
            let z = wave(examples * classes, 0.43);
            let labels: Vec<usize> = (0..examples).map(|n| n * 5 % classes).collect();
            let mut dz = vec![f64::NAN; z.len()];
            loss(classes, &z, &labels, Some(&mut dz), &mut Vec::new());
            check("logits", &z, &dz, |z| loss(classes, z, &labels, None, &mut Vec::new()).loss);
        }
    }

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes() {
        let found = loss(7, &[0.25_f64; 14], &[0, 5], None, &mut Vec::new());
        assert!((found.loss - 7.0_f64.ln()).abs() < 1e-15);
        // Ties go to the first classes: label 0 is on top, label 5 is the sixth.
        assert_eq!((found.examples, found.top1, found.top5), (2, 1, 1));
    }

    /// Beside 1e16 the logarithm of 2 would be lost.
    #[test]
    fn equal_logits_of_any_size_are_even_chances() {
        for z in [1.0, 1e12, 1e16, 1e30] {
            let (z, mut dz) = ([z; 2], [f64::NAN; 2]);
            let found = loss(2, &z, &[0], Some(&mut dz), &mut Vec::new());
            assert!((found.loss - 2.0_f64.ln()).abs() < 1e-15, "{z:?}: {}", found.loss);
            assert!((dz[0] + 0.5).abs() + (dz[1] - 0.5).abs() < 1e-15, "{z:?}: {dz:?}");
        }
    }

    #[test]
    fn large_logits_do_not_overflow_and_nan_is_wrong() {
        let found = loss(2, &[1e4_f32, 0.0, 0.0, 1e4], &[0, 0], None, &mut Vec::new());
        assert_eq!((found.loss, found.top1, found.top5), (5e3, 1, 2));
        let found = loss(2, &[f32::NAN, 0.0], &[0], None, &mut Vec::new());
        assert!(found.loss.is_nan());
        assert_eq!((found.top1, found.top5), (0, 0));
    }
}
