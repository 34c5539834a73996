//! Tests across the crates: golden vectors from PyTorch, end to end.
