//! Randomised rank-one lattices: quasi-random points for any number of dimensions.
//!
//! Point k of n is u_i = 1 - 2 | 2 frac( k z_i / n + s_i ) - 1 |, with n prime, and for every replicate and
//! coordinate a random shift s_i in (0, 1) and a random generator z_i in 1..n. A shift makes each
//! point uniform, so the mean over the n points is unbiased and independent replicates give its
//! error; n prime spreads every coordinate evenly, and the absolute value (the tent, or baker's
//! transformation) makes a smooth function periodic: the error of all terms that depend on one
//! coordinate falls as n^-2. Random generators, unlike powers of one number (Korobov),
//! do not repeat when there are more coordinates than points.
//!
//! # Source
//! Cranley and Patterson 1976 (random shifts); Hickernell 2002 (the tent); Goda and L'Ecuyer 2022, arXiv:2201.09413 (random
//! generators; they take the median of the replicates, here it is the mean, which is unbiased).
//! Normal quantiles: Wichura 1988, algorithm AS 241.

use smoothout_tensor::{Distribution, Purpose, Real, StreamKey, fill_uniform};

/// Lattices of one size, law and seed.
pub(super) struct Lattice {
    points: u64,
    key: StreamKey,
    law: Distribution,
}

/// Numbers drawn at once: a piece of the streams of shifts and of generators.
const PIECE: usize = 512;

impl Lattice {
    /// The largest prime number of points not above `points`, which is at least 2.
    pub(super) fn new(points: usize, seed: u64, law: Distribution) -> Self {
        let prime = (2..=points as u64).rev().find(|&n| is_prime(n)).unwrap_or(2);
        Self { points: prime, key: StreamKey::new(seed, Purpose::Measurement).step(1), law }
    }

    pub(super) fn points(&self) -> usize {
        self.points as usize
    }

    /// Writes u of one point of one replicate.
    pub(super) fn fill<R: Real>(&self, replicate: u64, point: u64, out: &mut [R]) {
        let n = self.points;
        let (mut shifts, mut generators) = ([0.0_f64; PIECE], [0.0_f64; PIECE]);
        for (piece, out) in out.chunks_mut(PIECE).enumerate() {
            let key = self.key.copy(replicate).block(2 * piece as u64);
            fill_uniform(key, &mut shifts[..out.len()]);
            fill_uniform(key.block(2 * piece as u64 + 1), &mut generators[..out.len()]);
            for ((out, shift), generator) in out.iter_mut().zip(&shifts).zip(&generators) {
                let z = 1 + ((generator + 1.0) / 2.0 * (n - 1) as f64) as u64 % (n - 1).max(1);
                let fraction = ((point * z) % n) as f64 / n as f64;
                let u = 1.0 - (2.0 * (fraction + (shift + 1.0) / 2.0).fract() - 1.0).abs();
                *out = R::from_f64(match self.law {
                    Distribution::Uniform => 2.0 * u - 1.0,
                    Distribution::Gaussian => normal_quantile(u.clamp(1e-300, 1.0 - 1e-16)),
                });
            }
        }
    }
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// The standard normal quantile (AS 241, PPND16): relative error about 1e-16.
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ];
    const B: [f64; 8] = [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_545,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ];
    let ratio = |top: &[f64; 8], bottom: &[f64; 8], r: f64| {
        let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, c| sum * r + c);
        horner(top) / horner(bottom)
    };
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&A, &B, 0.180_625 - q * q);
    }
    let r = (-(p.min(1.0 - p)).ln()).sqrt();
    let tail = if r <= 5.0 { ratio(&C, &D, r - 1.6) } else { ratio(&E, &F, r - 5.0) };
    if q < 0.0 { -tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.norm.ppf`.
    #[test]
    fn quantiles_are_normal() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.6, 0.253_347_103_135_799_7),
            (0.975, 1.959_963_984_540_054),
            (1e-3, -3.090_232_306_167_813),
            (1e-15, -7.941_345_326_170_998),
        ] {
            assert!((normal_quantile(p) - expected).abs() < 1e-12, "{p}: {}", normal_quantile(p));
        }
    }

    /// Coordinate by coordinate: u = 2 |{k z / n + shift} - 1/2| mirrored, then stretched to [-1, 1]
    /// or through the normal quantile; shifts and generators from a stream of each piece.
    #[test]
    fn points_are_their_formula() {
        let (n, replicate) = (97, 5);
        for law in [Distribution::Uniform, Distribution::Gaussian] {
            let lattice = Lattice::new(n as usize, 3, law);
            let mut point = vec![0.0_f64; 2 * PIECE + 5];
            for k in [0, 1, 50, 96] {
                lattice.fill(replicate, k, &mut point);
                for (i, &at) in point.iter().enumerate() {
                    let key = StreamKey::new(3, Purpose::Measurement).step(1).copy(replicate);
                    let draw = |stream: usize| {
                        let mut stretch = [0.0_f64; PIECE];
                        fill_uniform(key.block(stream as u64), &mut stretch);
                        (stretch[i % PIECE] + 1.0) / 2.0
                    };
                    let (shift, generator) = (draw(2 * (i / PIECE)), draw(2 * (i / PIECE) + 1));
                    let z = 1 + (generator * 96.0) as u64;
                    let place = ((k * z % n) as f64 / n as f64 + shift).fract();
                    let u = if place < 0.5 { 2.0 * place } else { 2.0 - 2.0 * place };
                    let expected = match law {
                        Distribution::Uniform => 2.0 * u - 1.0,
                        Distribution::Gaussian => normal_quantile(u),
                    };
                    assert!((at - expected).abs() < 1e-9, "{k} {i}: {at}, not {expected}");
                }
            }
        }
    }

    /// Each coordinate is spread evenly: the mean of its n points is within n^-2 of 0, and their
    /// largest gap is at most 4 / n.
    #[test]
    fn coordinates_are_even() {
        let lattice = Lattice::new(100, 3, Distribution::Uniform);
        assert_eq!(lattice.points(), 97);
        let mut points = vec![[0.0_f64; 700]; 97];
        for (k, point) in points.iter_mut().enumerate() {
            lattice.fill(5, k as u64, point);
        }
        for i in 0..700 {
            let mut column: Vec<f64> = points.iter().map(|point| point[i]).collect();
            column.sort_by(f64::total_cmp);
            let mean = column.iter().sum::<f64>() / 97.0;
            let gap = column.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            assert!(
                mean.abs() < 97.0_f64.powi(-2) && gap < 4.0 / 97.0 + 1e-12,
                "{i}: {mean} {gap}"
            );
            assert!(column[0] >= -1.0 && column[96] <= 1.0);
        }
    }
}
