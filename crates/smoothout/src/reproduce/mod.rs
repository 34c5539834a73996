//! The paper's tables and figures from one command: studies, their runs, their results.
//!
//! A [`Study`](study::Study) is a JSON file built into the program. Each of its runs leaves a
//! [`RunResult`](results::RunResult), each of its pictures a
//! [`PictureResult`](results::PictureResult); reports are made from these files alone.

pub mod built_in;
pub mod drawing;
pub mod estimate;
pub mod measure;
pub mod measuring;
pub mod plan;
pub mod report;
pub mod results;
pub mod statistics;
pub mod store;
pub mod study;
