//! The log: lines on stderr, text or JSON.
//!
//! A worker that logs puts the line into a channel and goes on; a thread of its own writes it. Where stderr isn't read
//! and the channel is full, lines are dropped, and a disk that is full loses them: a log never slows a connection.

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::layer::{LogForm, LogLevel};

/// The log. Lines are written until it is dropped.
pub(super) struct Log {
    level: Level,
    _writes_the_rest_when_dropped: WorkerGuard,
}

/// The level of the log; can be changed at any time.
#[derive(Clone)]
pub(super) struct Level(reload::Handle<LevelFilter, Registry>);

/// Starts the log.
pub(super) fn start(form: LogForm, level: LogLevel) -> Log {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = fmt::layer().with_writer(writer).with_target(false);
    match form {
        LogForm::Text => tracing_subscriber::registry().with(filter).with(lines).init(),
        LogForm::Json => {
            tracing_subscriber::registry().with(filter).with(lines.json().flatten_event(true)).init();
        }
    }
    Log { level: Level(handle), _writes_the_rest_when_dropped: guard }
}

impl Log {
    /// A handle that changes the level.
    pub(super) fn level(&self) -> Level {
        self.level.clone()
    }
}

impl Level {
    /// From now on, this is logged.
    pub(super) fn set(&self, level: LogLevel) {
        // It fails only where the log is gone, and then nothing is logged at all.
        let _ = self.0.reload(filter(level));
    }
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
