//! x
mod load;
fn main() {}
