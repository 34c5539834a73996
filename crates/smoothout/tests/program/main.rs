//! The program as a user meets it.

mod reproduce;
mod rivals;
mod train;
