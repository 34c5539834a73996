//! Batch norm over the channels of a (rows, channels) matrix: after a linear layer the rows are
//! the images, after a convolution their pixels.
//!
//! `y = gamma xhat + beta`, `xhat = (x - mean) / sqrt(var + eps)`, per channel, eps = 1e-5.
//!
//! With batch statistics, mean and var are those of the rows, var with divisor n; the *unbiased*
//! variance (divisor n - 1) goes to `running_var`, with momentum 0.1:
//! `running = 0.9 running + 0.1 batch`. Means and sums of squared deviations are taken chunk by
//! chunk, two passes over a chunk in cache, and merged in order (Chan et al.), all wide: a large
//! mean costs no digits.
//!
//! Backward keeps x, mean and 1/std. With s1 = sum dy and s2 = sum dy xhat:
//! dbeta = s1; dgamma = s2;
//! dx = gamma / std (dy - s1 / n - xhat s2 / n) for batch statistics, gamma / std dy for frozen ones.
//!
//! # Source
//! Ioffe and Szegedy, arXiv:1502.03167, algorithm 1; Chan, Golub and LeVeque, "Algorithms for
//! computing the sample variance", 1983, equation 2.1.

use rayon::prelude::*;
use smoothout_tensor::{Float, Real};

use crate::parallel::{grown, row_chunks, rows_per_chunk};

/// Added to the variance.
pub(crate) const EPSILON: f64 = 1e-5;
/// The share of the batch in the running statistics.
pub(crate) const MOMENTUM: f64 = 0.1;

/// Mean and 1/std of each channel: what forward and backward share.
#[derive(Debug)]
pub(crate) struct Moments<'a, R> {
    pub(crate) mean: &'a [R],
    pub(crate) inverse_std: &'a [R],
}

/// Writes the batch's mean and unbiased variance, and 1/std from the biased variance.
pub(crate) fn batch_moments<R: Real>(
    input: &[R],
    mean: &mut [R],
    unbiased: &mut [R],
    inverse_std: &mut [R],
    partials: &mut Vec<R::Wide>,
) {
    let channels = mean.len();
    let chunk = rows_per_chunk(channels) * channels;
    let partials = grown(partials, row_chunks(input.len(), channels) * 2 * channels);
    partials.par_chunks_mut(2 * channels).zip(input.par_chunks(chunk)).for_each(
        |(partial, rows)| {
            let (means, deviations) = partial.split_at_mut(channels);
            means.fill(R::Wide::default());
            for row in rows.chunks_exact(channels) {
                means.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.widen());
            }
            let count = R::Wide::from_f64((rows.len() / channels) as f64);
            means.iter_mut().for_each(|sum| *sum /= count);
            deviations.fill(R::Wide::default());
            for row in rows.chunks_exact(channels) {
                for ((sum, mean), x) in deviations.iter_mut().zip(&*means).zip(row) {
                    let deviation = x.widen() - *mean;
                    *sum += deviation * deviation;
                }
            }
        },
    );
    for channel in 0..channels {
        let [mut total, mut center, mut squares] = [R::Wide::default(); 3];
        for (partial, rows) in partials.chunks_exact(2 * channels).zip(input.chunks(chunk)) {
            let count = R::Wide::from_f64((rows.len() / channels) as f64);
            let delta = partial[channel] - center;
            squares +=
                partial[channels + channel] + delta * delta * total * count / (total + count);
            total += count;
            center += delta * count / total;
        }
        mean[channel] = R::narrow(center);
        unbiased[channel] = R::narrow(squares / (total - R::Wide::from_f64(1.0)));
        inverse_std[channel] = inverse_root::<R>(squares / total);
    }
}

/// 1/std of a variance.
fn inverse_root<R: Real>(variance: R::Wide) -> R {
    R::narrow(R::Wide::from_f64(1.0) / (variance + R::Wide::from_f64(EPSILON)).sqrt())
}

/// 1/std of running variances.
pub(crate) fn running_inverse_std<R: Real>(variance: &[R], inverse_std: &mut [R]) {
    for (inverse_std, variance) in inverse_std.iter_mut().zip(variance) {
        *inverse_std = inverse_root(variance.widen());
    }
}

/// output (overwritten) = gamma (x - mean) / std + beta.
pub(crate) fn forward<R: Real>(
    input: &[R],
    moments: &Moments<'_, R>,
    gamma: &[R],
    beta: &[R],
    output: &mut [R],
) {
    let channels = gamma.len();
    let chunk = rows_per_chunk(channels) * channels;
    output.par_chunks_mut(chunk).zip(input.par_chunks(chunk)).for_each(|(output, input)| {
        for (output, input) in output.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
            for c in 0..channels {
                let xhat = (input[c] - moments.mean[c]) * moments.inverse_std[c];
                output[c] = gamma[c] * xhat + beta[c];
            }
        }
    });
}

/// gradient: in dy, out dx; dgamma and dbeta are overwritten. `batch` says whether the moments are
/// those of the input (and move with it) or frozen.
#[expect(clippy::too_many_arguments, reason = "each is a tensor of the formula")]
pub(crate) fn backward<R: Real>(
    batch: bool,
    input: &[R],
    moments: &Moments<'_, R>,
    gamma: &[R],
    gradient: &mut [R],
    gamma_gradient: &mut [R],
    beta_gradient: &mut [R],
    partials: &mut Vec<R::Wide>,
) {
    let channels = gamma.len();
    let chunk = rows_per_chunk(channels) * channels;
    let partials = grown(partials, row_chunks(input.len(), channels) * 2 * channels);
    let rows = input.par_chunks(chunk).zip(gradient.par_chunks(chunk));
    partials.par_chunks_mut(2 * channels).zip(rows).for_each(|(partial, (input, gradient))| {
        partial.fill(R::Wide::default());
        let (s1, s2) = partial.split_at_mut(channels);
        for (x, dy) in input.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
            for c in 0..channels {
                let xhat = (x[c] - moments.mean[c]) * moments.inverse_std[c];
                s1[c] += dy[c].widen();
                s2[c] += (dy[c] * xhat).widen();
            }
        }
    });
    let sum = |column: usize| {
        R::narrow(partials.iter().skip(column).step_by(2 * channels).copied().sum())
    };
    for c in 0..channels {
        beta_gradient[c] = sum(c); // dbeta = s1
        gamma_gradient[c] = sum(channels + c); // dgamma = s2
    }
    let share = R::from_f64(channels as f64 / input.len() as f64);
    let (s1, s2) = (&*beta_gradient, &*gamma_gradient);
    gradient.par_chunks_mut(chunk).zip(input.par_chunks(chunk)).for_each(|(gradient, input)| {
        for (dy, x) in gradient.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
            for c in 0..channels {
                let xhat = (x[c] - moments.mean[c]) * moments.inverse_std[c];
                // Frozen, xhat s2 plays no part, and may be infinite.
                let centered = if batch { dy[c] - share * (s1[c] + xhat * s2[c]) } else { dy[c] };
                dy[c] = gamma[c] * moments.inverse_std[c] * centered; // dx
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::gradient_check::{check, dot, wave};

    struct Kept {
        mean: Vec<f64>,
        unbiased: Vec<f64>,
        inverse_std: Vec<f64>,
    }

    fn kept(x: &[f64], channels: usize) -> Kept {
        let [mut mean, mut unbiased, mut inverse_std] = [0, 1, 2].map(|_| vec![0.0; channels]);
        let partials = &mut Vec::new();
        batch_moments(x, &mut mean, &mut unbiased, &mut inverse_std, partials);
        Kept { mean, unbiased, inverse_std }
    }

    fn run(x: &[f64], frozen: Option<&Kept>, gamma: &[f64], beta: &[f64]) -> Vec<f64> {
        let own = kept(x, gamma.len());
        let kept = frozen.unwrap_or(&own);
        let moments = Moments { mean: &kept.mean, inverse_std: &kept.inverse_std };
        let mut y = vec![f64::NAN; x.len()];
        forward(x, &moments, gamma, beta, &mut y);
        y
    }

    #[test]
    fn gradients_match_differences() {
        for (rows, channels) in [(2, 1), (7, 3), (12, 5)] {
            for batch in [true, false] {
                let x = wave(rows * channels, 0.31);
                let (gamma, beta) = (wave(channels, 0.9), wave(channels, 0.5));
                let g = wave(x.len(), 1.7);
                let at = kept(&x, channels);
                let frozen = (!batch).then_some(&at);
                let mut dx = g.clone();
                let (mut dgamma, mut dbeta) = (vec![f64::NAN; channels], vec![f64::NAN; channels]);
                let moments = Moments { mean: &at.mean, inverse_std: &at.inverse_std };
                let partials = &mut Vec::new();
                backward(batch, &x, &moments, &gamma, &mut dx, &mut dgamma, &mut dbeta, partials);
                check("x", &x, &dx, |x| dot(&run(x, frozen, &gamma, &beta), &g));
                check("gamma", &gamma, &dgamma, |gamma| dot(&run(&x, frozen, gamma, &beta), &g));
                check("beta", &beta, &dbeta, |beta| dot(&run(&x, frozen, &gamma, beta), &g));
            }
        }
    }

    /// Rows 1, 2, 3, 4 have the mean 2.5 and the unbiased variance 5/3.
    #[test]
    fn the_variance_that_is_handed_out_is_unbiased() {
        let kept = kept(&[1.0, 2.0, 3.0, 4.0], 1);
        assert_eq!(kept.mean, [2.5]);
        assert!((kept.unbiased[0] - 5.0 / 3.0).abs() < 1e-15);
        assert!((kept.inverse_std[0] - (1.25_f64 + 1e-5).powf(-0.5)).abs() < 1e-15);
    }

    /// Over several chunks, a mean of 1000 beside a deviation of 0.01, in f32: the variance keeps
    /// the digits that the inputs have.
    #[test]
    fn a_large_mean_costs_no_digits() {
        let (rows, channels) = (50_000, 2);
        let x: Vec<f32> =
            wave(rows * channels, 0.37).iter().map(|u| (1000.0 + 0.01 * u) as f32).collect();
        let [mut mean, mut unbiased, mut inverse_std] = [0, 1, 2].map(|_| vec![0.0_f32; channels]);
        let partials = &mut Vec::new();
        batch_moments(&x, &mut mean, &mut unbiased, &mut inverse_std, partials);
        for (c, &unbiased) in unbiased.iter().enumerate() {
            let column = || x.iter().skip(c).step_by(channels).map(|&x| f64::from(x));
            let exact = column().sum::<f64>() / rows as f64;
            let variance = column().map(|x| (x - exact).powi(2)).sum::<f64>() / (rows - 1) as f64;
            assert!((f64::from(unbiased) / variance - 1.0).abs() < 1e-6);
        }
    }

    /// What frozen statistics leave out must not overflow into the gradient.
    #[test]
    fn a_frozen_norm_hands_gradients_on_from_any_input() {
        let (x, one, mut gradient) = ([1e20_f32, -1e20], [1.0], [1e10, 1.0]);
        let moments = Moments { mean: &[0.0], inverse_std: &one };
        let ([mut dgamma], [mut dbeta]) = ([0.0], [0.0]);
        let (dgamma, dbeta) = (std::slice::from_mut(&mut dgamma), std::slice::from_mut(&mut dbeta));
        backward(false, &x, &moments, &one, &mut gradient, dgamma, dbeta, &mut Vec::new());
        assert_eq!(gradient, [1e10, 1.0]);
    }
}
