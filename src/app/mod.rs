//! Building and running the whole gateway, and the demo.

pub mod demo;
