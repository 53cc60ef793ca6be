use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for collectors.
    Json,
    /// For people at a terminal.
    Text,
}

/// The subscriber for a whole process. `level` counts for Wardgate's own events.
pub fn subscriber<W>(
    format: Format,
    level: LevelFilter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Colours are for terminals; in a file or a journal they are noise that searches stumble over.
    let colours = std::io::stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer);
    let layer = layer.with_target(true);
    match format {
        Format::Json => {
            let layer =
                layer.json().flatten_event(true).with_current_span(true).with_span_list(false);
            Box::new(Registry::default().with(layer.with_filter(targets(level))))
        }
        Format::Text => {
            Box::new(Registry::default().with(layer.compact().with_filter(targets(level))))
        }
    }
}

/// Database drivers, HTTP and TLS stacks and resolvers put statements, headers, names and settings into
/// their own debug lines, so their level is fixed here and no setting can raise it.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("wardgate", level)
        .with_target("sqlx", LevelFilter::OFF)
        .with_target("hyper", LevelFilter::OFF)
        .with_target("h2", LevelFilter::OFF)
        .with_target("reqwest", LevelFilter::OFF)
        .with_target("hickory", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_our_own_events_follow_the_level() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(Format::Json, LevelFilter::TRACE, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "wardgate::pool", "seen");
            tracing::error!(target: "sqlx::query", "hidden statement");
            tracing::trace!(target: "h2::codec", "hidden header");
            tracing::info!(target: "other", "hidden info");
            tracing::warn!(target: "other", "kept warning");
        });
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("seen") && text.contains("kept warning"), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }
}
