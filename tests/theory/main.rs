//! The theory of Wen et al. 2018 (arXiv:1805.07898) as property tests, in f64 and through the
//! crates' public interfaces; `docs/theory.md` states and proves what stands in each file.
//!
//! Cases come from one seed: fixed, or `SMOOTHOUT_THEORY_SEED`. Statistical comparisons are
//! Hoeffding's, each wrong with a probability of at most 1e-12, and at most 200,000 are made: the
//! whole suite raises a false alarm with a probability below 2e-7 ([`confidence`]).

mod cases;
mod confidence;
mod functions;
mod network;

mod closed_forms;
mod dimension;
mod flat_minima;
mod rescaling;
mod sharp_constraint;
mod training;
mod unbiased;
mod variance;
