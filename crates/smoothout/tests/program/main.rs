//! The program as a user meets it.

mod input;
mod reproduce;
mod rivals;
mod train;
