//! Mean and sum of squared deviations of each channel: of a group of rows in two passes over it
//! while it is in the cache, then over the groups by Chan's rule, in order and in `f64`.
//!
//! # Source
//! Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983, equation 2.1.

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
        let values = self.values;
        let count = (values.len() / channels) as f64;
        mean.fill(0.0);
        squares.fill(0.0);
        for rows in values.chunks(BLOCK * channels) {
            for channel in (0..channels).step_by(LANES) {
                let width = LANES.min(channels - channel);
                accumulate(sum::<V>(rows, channel, channels, width), &mut mean[channel..]);
            }
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
        for rows in values.chunks(BLOCK * channels) {
            for channel in (0..channels).step_by(LANES) {
                let width = LANES.min(channels - channel);
                let mut minus_mean = [0.0; LANES];
                for (lane, mean) in minus_mean[..width].iter_mut().zip(&mean[channel..]) {
                    *lane = -*mean as f32;
                }
                let center = load::<V>(&minus_mean, 0, LANES);
                let sum = sum_of_squares::<V>(rows, center, channel, channels, width);
                accumulate(sum, &mut squares[channel..]);
            }
        }
        // The deviations were from the mean as an `f32`.
        for (squares, mean) in squares.iter_mut().zip(mean) {
            *squares -= count * (*mean - f64::from(*mean as f32)).powi(2);
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

#[inline(always)]
fn sum_of_squares<V: Vector>(
    rows: &[f32],
    minus_mean: V,
    channel: usize,
    channels: usize,
    width: usize,
) -> V {
    let mut sums = [V::splat(0.0); 4];
    let pixels = rows.len() / channels;
    let whole = pixels / 4 * 4;
    for pixel in (0..whole).step_by(4) {
        for k in 0..4 {
            let x: V = load(rows, (pixel + k) * channels + channel, width);
            let deviation = x.add(minus_mean);
            sums[k] = deviation.mul_add(deviation, sums[k]);
        }
    }
    for pixel in whole..pixels {
        let deviation = load::<V>(rows, pixel * channels + channel, width).add(minus_mean);
        sums[0] = deviation.mul_add(deviation, sums[0]);
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
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
