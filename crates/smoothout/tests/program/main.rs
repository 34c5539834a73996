//! The program as a user meets it.

mod bench;
mod input;
mod merge;
mod reproduce;
mod rivals;
mod train;
