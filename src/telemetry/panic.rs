/// Replaces the panic hook by one that logs where a panic happened and never its message, which may
/// quote a cell or a secret.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(
            || "unknown place".to_owned(),
            |at| format!("{}:{}", at.file(), at.line()),
        );
        tracing::error!(target: "wardgate::panic", place, "a task panicked");
    }));
}
