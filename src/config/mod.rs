//! File and environment to resolved settings.
