//! The `wardgate` binary: everything is in `wardgate::cli`.

use std::process::ExitCode;

/// Answering is mostly small allocations freed on another thread, where the system's allocator takes
/// locks and this one does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wardgate::cli::main()
}
