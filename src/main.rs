//! The `wardgate` binary.

fn main() {}
