//! The `wardgate` binary: everything is in `wardgate::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wardgate::cli::main()
}
