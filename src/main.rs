//! The `wardgate` binary: parses the command line and hands over to `wardgate::cli`.

fn main() {}
