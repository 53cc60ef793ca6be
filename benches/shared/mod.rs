//! What the measuring programs share: their arguments, a client without a library in between, and the
//! figures' way to a file.

mod arguments;
pub mod one_table;
mod report;
mod stats;
mod wire;

pub use arguments::Arguments;
pub use report::Report;
pub use stats::{Times, median, micros, millis};
pub use wire::{Wire, get};
