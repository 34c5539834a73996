//! Generated cases from one seed: the same in every run, or another with `SMOOTHOUT_THEORY_SEED`.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use smoothout_tensor::{Purpose, StreamKey, fill_uniform};

/// The seed of the suite.
pub(crate) fn suite_seed() -> u64 {
    std::env::var("SMOOTHOUT_THEORY_SEED").map_or(180_507_898, |seed| {
        seed.parse().expect("SMOOTHOUT_THEORY_SEED is a whole number from 0 to 2^64 - 1")
    })
}

/// Runs `test` on `count` cases of `strategy`.
pub(crate) fn for_each_case<S: Strategy>(
    count: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&suite_seed().to_le_bytes());
    let config = Config { cases: count, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(&strategy, test) {
        panic!("SMOOTHOUT_THEORY_SEED={}: {error}", suite_seed());
    }
}

/// Numbers in (-1, 1), the stream of a case's seed.
pub(crate) fn numbers(seed: u64, block: u64, len: usize) -> Vec<f64> {
    let mut out = vec![0.0; len];
    fill_uniform(StreamKey::new(seed, Purpose::Data).block(block), &mut out);
    out
}

/// The largest |x_i|.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// The inner product.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
