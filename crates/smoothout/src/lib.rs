//! The library behind the program `smoothout`: data sets, experiments, runs and checkpoints.

pub mod data;
