//! Warnings of the core's own modules become `core_trouble` events; what libraries log is dropped.
//!
//! Never used on the tick: it allocates and takes a lock.

use std::sync::{Mutex, Once, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::boundary::event::Event;
use crate::boundary::sink::EventSink;

const OURS: &str = "tapeline";

static BRIDGE: Bridge = Bridge { sink: Mutex::new(None) };
static INSTALL: Once = Once::new();

struct Bridge {
    sink: Mutex<Option<EventSink>>,
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with(OURS)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = sink.as_ref() {
            sink.send(Event::CoreTrouble { detail: record.args().to_string() });
        }
    }

    fn flush(&self) {}
}

/// From now on warnings go to this core; the last one asked for gets them. A program that has
/// installed a logger of its own keeps it.
pub fn report_to(sink: EventSink) {
    INSTALL.call_once(|| {
        if log::set_logger(&BRIDGE).is_ok() {
            log::set_max_level(LevelFilter::Warn);
        }
    });
    *BRIDGE.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::sink::event_path;

    #[test]
    fn our_warnings_are_told_and_others_are_not() {
        let (sink, _tick, queue) = event_path(std::sync::Arc::default()).unwrap();
        report_to(sink);

        log::warn!(target: "tapeline_core::test", "the roof leaks");
        log::info!(target: "tapeline_core::test", "all is well");
        log::error!(target: "rsipstack::transport", "their roof leaks");

        let told: Vec<String> = queue
            .drain(100)
            .into_iter()
            .filter_map(|event| match event {
                Event::CoreTrouble { detail } => Some(detail),
                _ => None,
            })
            .filter(|detail| detail.contains("roof"))
            .collect();
        assert_eq!(told, ["the roof leaks"]);
    }
}
