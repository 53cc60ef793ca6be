//! One file per command.

mod args;
