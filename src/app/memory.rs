//! Keeping the process's memory, which holds keys and passwords, out of core files and debuggers.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dumps, and no other process of the same account may read this one's memory. What the system
/// refuses is warned about: the gateway works without it.
pub fn keep_memory_private() {
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    let done = setrlimit(Resource::Core, no_core).is_ok()
        && set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    if !done {
        tracing::warn!(target: "wardgate::app", "the system does not let this process keep its memory private");
    }
}
