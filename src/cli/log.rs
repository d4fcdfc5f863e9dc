//! The log: lines on stderr, text or JSON.
//!
//! A worker that logs puts the line into a channel and goes on; a thread of its own writes it. Where stderr isn't read
//! and the channel is full, lines are dropped: a slow log never slows a connection.

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;

use crate::config::layer::{LogForm, LogLevel};

/// Starts the log. What is logged is written until the guard is dropped.
pub(super) fn start(form: LogForm, level: LogLevel) -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let builder =
        tracing_subscriber::fmt().with_writer(writer).with_max_level(filter(level)).with_target(false);
    match form {
        LogForm::Text => builder.init(),
        LogForm::Json => builder.json().flatten_event(true).init(),
    }
    guard
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
