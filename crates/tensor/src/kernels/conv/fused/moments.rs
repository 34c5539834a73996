//! Mean and sum of squared deviations of each channel: of a group of rows in two passes over it
//! while it is in the cache, then over the groups by Chan's rule, in order and in `f64`.
//!
//! The first pass finds the mean to a few units in the last place of `f32`, m. The second sums the
//! deviations from m, and their squares, and puts both right:
//!
//! ```text
//! d_r = x_r - m,    mean = m + sum d / n,    squares = sum d^2 - (sum d)^2 / n
//! ```
//!
//! # Source
//! Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983, equations 1.7 (the
//! corrected two-pass algorithm) and 2.1.

use crate::kernels::simd::{LANES, Task, Vector, lanes, load};

/// Rows that are summed in `f32` before the sum is added in `f64`: a rounding error of a few 1e-7.
pub(super) const BLOCK: usize = 64;

/// `sums[c] += vector[c]`, in `f64`.
#[inline(always)]
pub(super) fn accumulate<V: Vector>(vector: V, sums: &mut [f64]) {
    for (sum, lane) in sums.iter_mut().zip(lanes(vector)) {
        *sum += f64::from(lane);
    }
}

/// The moments of the rows of `values`: `partial` is (mean, squares), `channels` of each.
pub(super) struct GroupMoments<'a> {
    pub(super) values: &'a [f32],
    pub(super) partial: &'a mut [f64],
}

impl Task for GroupMoments<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let channels = self.partial.len() / 2;
        let (mean, squares) = self.partial.split_at_mut(channels);
        let count = (self.values.len() / channels) as f64;
        let blocks = self.values.chunks(BLOCK * channels);
        for channel in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - channel);
            let mut total = [0.0; LANES];
            for rows in blocks.clone() {
                accumulate(sum::<V>(rows, channel, channels, width), &mut total);
            }
            let minus_m = total.map(|total| -(total / count) as f32);
            let minus = load::<V>(&minus_m, 0, LANES);
            let (mut d, mut d2) = ([0.0; LANES], [0.0; LANES]);
            for rows in blocks.clone() {
                let sums = deviations::<V>(rows, minus, channel, channels, width);
                accumulate(sums[0], &mut d);
                accumulate(sums[1], &mut d2);
            }
            for lane in 0..width {
                let shift = d[lane] / count;
                mean[channel + lane] = shift - f64::from(minus_m[lane]);
                let exact = d2[lane] - d[lane] * shift;
                squares[channel + lane] = if exact < 0.0 { 0.0 } else { exact };
            }
        }
    }
}

#[inline(always)]
fn sum<V: Vector>(rows: &[f32], channel: usize, channels: usize, width: usize) -> V {
    let mut sums = [V::splat(0.0); 4];
    let pixels = rows.len() / channels;
    let whole = pixels / 4 * 4;
    for pixel in (0..whole).step_by(4) {
        for k in 0..4 {
            sums[k] = sums[k].add(load(rows, (pixel + k) * channels + channel, width));
        }
    }
    for pixel in whole..pixels {
        sums[0] = sums[0].add(load(rows, pixel * channels + channel, width));
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

/// The sums of the deviations and of their squares.
#[inline(always)]
fn deviations<V: Vector>(
    rows: &[f32],
    minus_m: V,
    channel: usize,
    channels: usize,
    width: usize,
) -> [V; 2] {
    // As many as the registers of AVX2 hold.
    let (mut d, mut d2) = ([V::splat(0.0); 2], [V::splat(0.0); 4]);
    let pixels = rows.len() / channels;
    let whole = pixels / 4 * 4;
    for pixel in (0..whole).step_by(4) {
        for k in 0..4 {
            let x: V = load(rows, (pixel + k) * channels + channel, width);
            let deviation = x.add(minus_m);
            d[k % 2] = d[k % 2].add(deviation);
            d2[k] = deviation.mul_add(deviation, d2[k]);
        }
    }
    for pixel in whole..pixels {
        let deviation = load::<V>(rows, pixel * channels + channel, width).add(minus_m);
        d[0] = d[0].add(deviation);
        d2[0] = deviation.mul_add(deviation, d2[0]);
    }
    [d[0].add(d[1]), d2[0].add(d2[1]).add(d2[2].add(d2[3]))]
}

/// Merges the partial (mean, squares) of groups of `group` rows, the last with what remains of
/// `rows`.
pub(super) fn merge(partials: &[f64], moments: &mut [f64], group: usize, rows: usize) {
    let channels = moments.len() / 2;
    let (mean, squares) = moments.split_at_mut(channels);
    mean.fill(0.0);
    squares.fill(0.0);
    let mut total = 0;
    for partial in partials.chunks_exact(2 * channels) {
        let count = group.min(rows - total);
        let share = count as f64 / (total + count) as f64;
        for channel in 0..channels {
            let delta = partial[channel] - mean[channel];
            squares[channel] += partial[channels + channel] + delta * delta * total as f64 * share;
            mean[channel] += delta * share;
        }
        total += count;
    }
}
