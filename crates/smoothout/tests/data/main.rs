//! Data sets: fetched, read, drawn from, refused.

mod fetch;
mod folder;
mod loader;
mod program;
mod readers;
mod refusals;
