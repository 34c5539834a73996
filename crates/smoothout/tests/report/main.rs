//! The report of a reproduction: what it says, and how a browser shows it.

mod browser;
mod made_results;
mod page;
