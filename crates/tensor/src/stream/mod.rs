//! Random numbers that depend on what they are for, never on which thread draws them.
//!
//! A [`StreamKey`] names a stream by (seed, purpose, step, copy, block). A stream is cut into
//! chunks of [`CHUNK`] numbers; within a chunk, number i comes from lane i mod L, and each lane is
//! one generator of `rand_xoshiro`, seeded from (key, chunk, lane) through SplitMix64: xoshiro128++
//! with 16 lanes for `f32`, xoshiro256++ with 8 for `f64`. The lanes run side by side in one loop,
//! compiled for each instruction set, to the same bits; chunks are filled in parallel.
//!
//! Normal numbers come from blocks of 2 L uniform ones: the first L become radii, the others angles.
//!
//! # Source
//! Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021 (arXiv:1805.01407);
//! Box and Muller, "A note on the generation of random normal deviates", 1958.

use rand_xoshiro::Xoshiro256PlusPlus;
use std::array::from_fn;

use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

use crate::Real;
use crate::box_muller::{pair_f32, pair_f64};
use crate::kernels::simd::{self, Task, Vector};
use crate::kernels::{InstructionSet, vectorised};

/// How many numbers of a stream share one set of lanes.
pub(crate) const CHUNK: usize = 4096;

/// What a stream is for. Streams of different purposes are unrelated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Initialization = 1,
    /// Perturbations of the weights in training.
    Perturbation = 2,
    /// The order of the examples in an epoch.
    Shuffle = 3,
    /// Crops and flips.
    Augmentation = 4,
    /// Dropout masks and noisy ReLU slopes.
    Dropout = 5,
    /// Draws of a measurement: directions, starts, subsets.
    Measurement = 6,
    /// Synthetic data.
    Data = 7,
}

/// The name of a stream of random numbers.
///
/// ```
/// use smoothout_tensor::{Purpose, StreamKey, fill_uniform};
///
/// let key = StreamKey::new(1, Purpose::Perturbation).step(10).copy(3).block(0);
/// let (mut a, mut b) = ([0.0_f32; 5], [0.0_f32; 9]);
/// fill_uniform(key, &mut a);
/// fill_uniform(key, &mut b);
/// assert_eq!(a, b[..5]); // one key, one stream
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamKey {
    seed: u64,
    purpose: Purpose,
    step: u64,
    copy: u64,
    block: u64,
}

impl StreamKey {
    /// The stream of step 0, copy 0, block 0.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self { seed, purpose, step: 0, copy: 0, block: 0 }
    }

    /// The same at another step (or epoch).
    #[must_use]
    pub fn step(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// The same for another copy (ghost batch, image, sample).
    #[must_use]
    pub fn copy(self, copy: u64) -> Self {
        Self { copy, ..self }
    }

    /// The same for another block of parameters (or layer).
    #[must_use]
    pub fn block(self, block: u64) -> Self {
        Self { block, ..self }
    }

    /// A scalar generator of this stream, for shuffles and the like.
    pub fn generator(self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.digest())
    }

    /// The key as one number: each field goes through a round of SplitMix64's mixer.
    fn digest(self) -> u64 {
        [self.seed, self.purpose as u64, self.step, self.copy, self.block]
            .into_iter()
            .fold(0x5300_0790_0775_u64, |state, field| mix(state ^ field))
    }

    /// What the seeds of the lanes of one chunk have in common.
    fn chunk_seed(self, chunk: usize) -> u64 {
        mix(self.digest() ^ chunk as u64)
    }
}

/// The seed of one lane of a chunk.
#[inline(always)]
fn lane_seed(chunk_seed: u64, lane: usize) -> u64 {
    mix(chunk_seed ^ lane as u64)
}

/// SplitMix64's step and finaliser: a bijection of u64.
#[inline(always)]
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The parallel generators of one precision. Sealed through [`Real`].
pub trait Lanes: Sized {
    /// Fills one chunk (at most [`CHUNK`] numbers) with uniform numbers in (-1, 1).
    #[doc(hidden)]
    fn fill_chunk(key: StreamKey, chunk: usize, out: &mut [Self]);

    /// Fills one chunk with standard normal numbers.
    #[doc(hidden)]
    fn fill_chunk_gaussian(key: StreamKey, chunk: usize, out: &mut [Self]);
}

const LANES_32: usize = 16;
const LANES_64: usize = 8;

/// The generators of one precision, and the body that is compiled for each instruction set.
macro_rules! generators {
    ($real:ty, $word:ty, $lanes:expr, $words:ident, $unit:ident, $pair:ident,
     $output_rotate:expr, $shift:expr, $rotate:expr, $state:ident, $fill:ident) => {
        /// The states of all lanes, word by word.
        struct $state([[$word; $lanes]; 4]);

        impl $state {
            #[inline(always)]
            fn new(chunk_seed: u64) -> Self {
                let words: [_; $lanes] = from_fn(|lane| $words(lane_seed(chunk_seed, lane)));
                Self(from_fn(|i| words.map(|words| words[i])))
            }

            /// One step of every lane, as numbers in (-1, 1).
            #[inline(always)]
            fn next(&mut self) -> [$real; $lanes] {
                let s = &mut self.0;
                let mut output = [0.0; $lanes];
                for l in 0..$lanes {
                    let sum = s[0][l].wrapping_add(s[3][l]).rotate_left($output_rotate);
                    output[l] = $unit(sum.wrapping_add(s[0][l]));
                    let t = s[1][l] << $shift;
                    s[2][l] ^= s[0][l];
                    s[3][l] ^= s[1][l];
                    s[1][l] ^= s[2][l];
                    s[0][l] ^= s[3][l];
                    s[2][l] ^= t;
                    s[3][l] = s[3][l].rotate_left($rotate);
                }
                output
            }

            /// Two steps, as standard normal numbers.
            #[inline(always)]
            fn next_gaussian(&mut self) -> [$real; 2 * $lanes] {
                let (u, v) = (self.next(), self.next());
                let mut output = [0.0; 2 * $lanes];
                for l in 0..$lanes {
                    (output[l], output[$lanes + l]) = $pair(u[l], v[l]);
                }
                output
            }
        }

        /// Fills a chunk from the state of its lanes.
        struct $fill<'a> {
            chunk_seed: u64,
            gaussian: bool,
            out: &'a mut [$real],
        }

        impl Task for $fill<'_> {
            type Output = ();

            #[inline(always)]
            fn run<V: Vector>(self) {
                let mut state = $state::new(self.chunk_seed);
                if self.gaussian {
                    let mut groups = self.out.chunks_exact_mut(2 * $lanes);
                    for group in &mut groups {
                        group.copy_from_slice(&state.next_gaussian());
                    }
                    let tail = groups.into_remainder();
                    tail.copy_from_slice(&state.next_gaussian()[..tail.len()]);
                } else {
                    let mut groups = self.out.chunks_exact_mut($lanes);
                    for group in &mut groups {
                        group.copy_from_slice(&state.next());
                    }
                    let tail = groups.into_remainder();
                    tail.copy_from_slice(&state.next()[..tail.len()]);
                }
            }
        }

        impl Lanes for $real {
            fn fill_chunk(key: StreamKey, chunk: usize, out: &mut [Self]) {
                let chunk_seed = key.chunk_seed(chunk);
                simd::run(InstructionSet::current(), $fill { chunk_seed, gaussian: false, out });
            }

            fn fill_chunk_gaussian(key: StreamKey, chunk: usize, out: &mut [Self]) {
                let chunk_seed = key.chunk_seed(chunk);
                simd::run(InstructionSet::current(), $fill { chunk_seed, gaussian: true, out });
            }
        }
    };
}

generators!(f32, u32, LANES_32, words_128, unit_f32, pair_f32, 7, 9, 11, State32, Fill32);
generators!(f64, u64, LANES_64, words_256, unit_f64, pair_f64, 23, 17, 45, State64, Fill64);

/// The state that `Xoshiro128PlusPlus::seed_from_u64` starts from.
#[inline(always)]
fn words_128(seed: u64) -> [u32; 4] {
    let mut words = [0; 4];
    for i in 0..2 {
        let z = mix(seed.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        words[2 * i] = z as u32;
        words[2 * i + 1] = (z >> 32) as u32;
    }
    words
}

/// The state that `Xoshiro256PlusPlus::seed_from_u64` starts from.
#[inline(always)]
fn words_256(seed: u64) -> [u64; 4] {
    [0, 1, 2, 3].map(|i: u64| mix(seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
}

/// (2 k + 1 - 2^24) 2^-24 for the 24 leading bits k: exact, never 0, symmetric about 0.
#[inline(always)]
fn unit_f32(bits: u32) -> f32 {
    let odd = ((bits >> 8) << 1) as i32 + 1 - (1 << 24);
    odd as f32 * (1.0 / (1 << 24) as f32)
}

/// (2 k + 1 - 2^53) 2^-53 for the 53 leading bits k: exact, never 0, symmetric about 0.
#[inline(always)]
fn unit_f64(bits: u64) -> f64 {
    let odd = ((bits >> 11) << 1) as i64 + 1 - (1 << 53);
    odd as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Fills `out` with independent uniform numbers in (-1, 1), symmetric about 0 and never 0.
///
/// Variance 1/3. Parallel; the bits do not depend on the number of threads, and a shorter `out`
/// gets the beginning of the same stream.
pub fn fill_uniform<R: Real>(key: StreamKey, out: &mut [R]) {
    fill_chunks(R::fill_chunk, key, out, |_, _| ());
}

/// Fills `out` with independent standard normal numbers (Box and Muller), as [`fill_uniform`] does.
pub fn fill_gaussian<R: Real>(key: StreamKey, out: &mut [R]) {
    fill_chunks(R::fill_chunk_gaussian, key, out, |_, _| ());
}

/// Calls `f(values, u)` for pieces of `values` and as many numbers each, those that [`fill_uniform`]
/// would write in their place: for numbers that are used once. `f` is compiled for each instruction set if
/// it can be inlined.
///
/// ```
/// use smoothout_tensor::{Purpose, StreamKey, fill_uniform, zip_uniform};
///
/// let key = StreamKey::new(1, Purpose::Dropout);
/// let (mut u, mut sums) = ([0.0_f32; 9], [1.0; 9]);
/// fill_uniform(key, &mut u);
/// zip_uniform(key, &mut sums, |sums, u| sums.iter_mut().zip(u).for_each(|(sum, u)| *sum += u));
/// assert_eq!(sums, u.map(|u| 1.0 + u));
/// ```
pub fn zip_uniform<R: Real>(
    key: StreamKey,
    values: &mut [R],
    f: impl Fn(&mut [R], &[R]) + Send + Sync,
) {
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
        let mut numbers = [R::zero(); CHUNK];
        let u = &mut numbers[..values.len()];
        R::fill_chunk(key, chunk, u);
        vectorised(|| f(values, u));
    });
}

/// Fills `out` chunk by chunk, and calls `then(at, chunk)` for each, which begins at `at`, while it is
/// in the cache.
pub(crate) fn fill_chunks<R: Real>(
    fill: fn(StreamKey, usize, &mut [R]),
    key: StreamKey,
    out: &mut [R],
    then: impl Fn(usize, &mut [R]) + Send + Sync,
) {
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
        fill(key, chunk, out);
        then(chunk * CHUNK, out);
    });
}

#[cfg(test)]
mod tests;
